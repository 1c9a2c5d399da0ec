"""The same sentences from every kind of file, in one scheme, with everything changed or repeated counted."""

from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value

from hfkit.errors import UserError
from hfkit.tasks import NER
from tests.fixtures.encoding import prepare
from tests.tiny import text as tiny

NAMES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
SIZES = {"train": 12, "validation": 4, "test": 4}


def conll(rows: Dataset, columns: int, separator: str) -> str:
    """Rows as CoNLL lines: the token, filler columns, the tag."""
    filler = ["_"] * (columns - 2)
    return "-DOCSTART- -X- O O\n\n" + "\n".join(
        "".join(
            separator.join([token, *filler, tag]) + "\n" for token, tag in zip(row["tokens"], row["tags"], strict=True)
        )
        for row in rows
    )


def write(kind: str, splits: DatasetDict, folder: Path) -> None:
    named = Features({"words": List(Value("string")), "ner_tags": List(ClassLabel(names=NAMES))})
    if kind == "saved":
        splits.save_to_disk(str(folder))
        splits["train"].map(lambda row: row)  # such a folder may hold caches too
        return
    for split, rows in splits.items():
        if kind == "class labels":
            rows = rows.rename_columns({"tokens": "words", "tags": "ner_tags"}).cast(named)
            rows.to_parquet(str(folder / f"{split}.parquet"))
        elif kind == "hub layout":
            (folder / "data").mkdir(exist_ok=True)
            rows.select(range(2)).to_parquet(str(folder / "data" / f"{split}-00000-of-00002.parquet"))
            rows.select(range(2, len(rows))).to_parquet(str(folder / "data" / f"{split}-00001-of-00002.parquet"))
        elif kind == "json lines":
            rows.to_json(str(folder / f"{split}.jsonl"))
        elif kind == "json":
            rows.to_json(str(folder / f"{split}.json"), lines=False)
        elif kind == "subfolders":
            (folder / split).mkdir()
            rows.to_parquet(str(folder / split / "rows.parquet"))
        elif kind == "conll with four columns":
            (folder / f"{split}.conll").write_text(conll(rows, 4, " "))
        elif kind == "bio with tabs, a byte-order mark and dev":
            name = "dev" if split == "validation" else split
            (folder / f"{name}.bio").write_text(conll(rows, 2, "\t"), encoding="utf-8-sig")


@pytest.mark.parametrize(
    "kind",
    [
        "saved",
        "class labels",
        "hub layout",
        "json lines",
        "json",
        "subfolders",
        "conll with four columns",
        "bio with tabs, a byte-order mark and dev",
    ],
)
def test_every_kind_of_file_gives_the_same_rows_and_leaves_the_folder_alone(kind, tmp_path, checkpoint):
    splits = tiny.ner_splits(**SIZES)
    write(kind, splits, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    task = NER(dataset=str(tmp_path))
    loaded, _, _ = prepare(task, checkpoint)
    assert sorted(tmp_path.rglob("*")) == before
    assert list(loaded.splits) == ["train", "validation", "test"]
    assert loaded.labels == NAMES
    for split, rows in splits.items():
        assert loaded[split]["tokens"][:] == rows["tokens"][:]
        assert task.rows.references(loaded[split]) == rows["tags"][:]


def test_columns_are_chosen_by_flag(tmp_path):
    for split, rows in tiny.ner_splits(**SIZES).items():
        rows = rows.add_column("ner_tags", [["O"] * len(tags) for tags in rows["tags"]])
        rows.rename_column("tokens", "pieces").to_parquet(str(tmp_path / f"{split}.parquet"))
    loaded = NER(dataset=str(tmp_path), tokens_column="pieces", tags_column="tags").load()
    assert loaded["test"]["tags"][:] == tiny.ner_splits(**SIZES)["test"]["tags"][:]


def test_conll_tokens_may_hold_a_no_break_space(tmp_path):
    for split in SIZES:
        (tmp_path / f"{split}.txt").write_text("New\u00a0York\tB-LOC\n\u00a0\tO\n", encoding="utf-8")
    assert NER(dataset=str(tmp_path)).load()["test"]["tokens"][:] == [["New\u00a0York", "\u00a0"]]


def test_schemes_are_converted_and_what_was_changed_is_counted(tmp_path):
    sentences = {
        "train": "anna S-PER\nmet O\n\nanna B-PER\nboris E-PER\nin O\nlima B-LOC\n\nrain O\n",
        "validation": "anna S-PER\n",
        "test": "lima E-LOC\n",
    }
    for split, text in sentences.items():
        (tmp_path / f"{split}.conll").write_text(text)
    task = NER(dataset=str(tmp_path))
    loaded = task.load()
    assert loaded["train"]["tags"][:] == [["B-PER", "O"], ["B-PER", "I-PER", "O", "B-LOC"], ["O"]]
    found = task.rows.facts(loaded.splits)
    assert found["scheme"] == "BIOES" and loaded.labels == NAMES
    changed = {split: (found[split]["converted_rows"], found[split]["invalid_transitions"]) for split in SIZES}
    assert changed == {"train": (2, 1), "validation": (1, 0), "test": (1, 1)}


def test_max_train_rows_spaces_them_evenly_and_keeps_the_label_map(tmp_path):
    tiny.ner_folder(tmp_path, train=30, validation=4, test=4)
    whole, part = NER(dataset=str(tmp_path)), NER(dataset=str(tmp_path), max_train_rows=4)
    everything, some = whole.load(), part.load()
    assert some["train"]["tokens"][:] == [everything["train"]["tokens"][i] for i in (0, 10, 19, 29)]
    assert len(some["test"]) == 4 and some.labels == NAMES
    with pytest.raises(UserError, match="max_train_rows=0: it must be 1 or more"):
        NER(dataset=str(tmp_path), max_train_rows=0).load()


def test_the_sample_is_called_synthetic():
    task = NER()
    loaded = task.load()
    found = task.rows.facts(loaded.splits)
    assert task.sample.synthetic and found["scheme"] == "IOB2"
    assert loaded.labels == [
        "O", "B-LOC", "I-LOC", "B-MISC", "I-MISC", "B-ORG", "I-ORG", "B-PER", "I-PER"
    ]  # fmt: skip
    assert found["test"]["rows_shared_with_train"] == 0 and found["train"]["rows"] == len(loaded["train"])


def test_repeats_and_rows_of_train_are_counted(tmp_path):
    sentences = {
        "train": "anna B-PER\n\nanna B-PER\n\nrain O\n",
        "validation": "boris B-PER\n",
        "test": "anna O\n\nlima O\n\nanna B-PER\n",
    }
    for split, text in sentences.items():
        (tmp_path / f"{split}.conll").write_text(text)
    task = NER(dataset=str(tmp_path))
    found = task.rows.facts(task.load().splits)
    assert (found["train"]["repeated_rows"], found["test"]["repeated_rows"]) == (1, 1)
    assert "rows_shared_with_train" not in found["train"]
    assert (found["validation"]["rows_shared_with_train"], found["test"]["rows_shared_with_train"]) == (0, 2)
    assert found["train"]["entities"] == {"PER": 2} and found["train"]["rows_without_entities"] == 1
