"""Bad input: each kind ends in one error that names value, rule, fix and place, before anything is trained."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, Features, List, Value

from hfkit.errors import DataError, UserError
from hfkit.runtime.commands import run
from hfkit.tasks import NER

TYPES = ["B-LOC", "I-LOC", "B-PER", "I-PER"]
GOOD = [{"tokens": ["anna", "left", "paris"], "tags": ["B-PER", "O", "B-LOC"]}, {"tokens": ["rain"], "tags": ["O"]}]


def rows(**splits: list[dict]) -> Callable[[Path], NER]:
    """Good rows in every split but those given, as JSON lines."""

    def build(folder: Path) -> NER:
        for split in ("train", "validation", "test"):
            lines = "".join(json.dumps(row) + "\n" for row in splits.get(split, GOOD))
            (folder / f"{split}.jsonl").write_text(lines)
        return NER(dataset=str(folder))

    return build


def everywhere(row: dict) -> Callable[[Path], NER]:
    return rows(train=[row], validation=[row], test=[row])


def files(**texts: str) -> Callable[[Path], NER]:
    """CoNLL files with the given text, and good text in the other splits."""

    def build(folder: Path) -> NER:
        for split in ("train", "validation", "test"):
            (folder / f"{split}.conll").write_text(texts.get(split, "anna B-PER\nleft O\n"))
        return NER(dataset=str(folder))

    return build


def class_ids(*ids: int) -> Callable[[Path], NER]:
    """Tags as numbers of the classes O and B-PER, stored without a check as some writers do."""

    def build(folder: Path) -> NER:
        features = Features({"tokens": List(Value("string")), "tags": List(ClassLabel(names=["O", "B-PER"]))})
        for split in ("train", "validation", "test"):
            table = Dataset.from_dict({"tokens": [["a", "b"]], "tags": [[0, 1]]}, features=features)
            if split == "test":
                table = Dataset.from_dict({"tokens": [["w"] * len(ids)], "tags": [list(ids)]})
                table.info.features = features
                table = Dataset(table.data, info=table.info)
            table.to_parquet(str(folder / f"{split}.parquet"))
        return NER(dataset=str(folder))

    return build


def empty_parquet(folder: Path) -> NER:
    features = Features({"tokens": List(Value("string")), "tags": List(Value("string"))})
    for split in ("train", "validation", "test"):
        kept = [] if split == "validation" else GOOD
        columns = {name: [row[name] for row in kept] for name in features}
        Dataset.from_dict(columns, features=features).to_parquet(str(folder / f"{split}.parquet"))
    return NER(dataset=str(folder))


def without_validation(folder: Path) -> NER:
    rows()(folder)
    (folder / "validation.jsonl").unlink()
    return NER(dataset=str(folder), validation_share=0)


def mixed_files(folder: Path) -> NER:
    rows()(folder)
    (folder / "train.conll").write_text("anna B-PER\n")
    return NER(dataset=str(folder))


def single_file(folder: Path) -> NER:
    rows()(folder)
    return NER(dataset=str(folder / "train.jsonl"))


def with_column(name: str, **task: str) -> Callable[[Path], NER]:
    def build(folder: Path) -> NER:
        everywhere({**GOOD[0], name: GOOD[0]["tags"]})(folder)
        return NER(dataset=str(folder), **task)

    return build


WORDS = ["a row is a list of words, and a word is a string", "as a list of strings"]

# What is wrong -> (how it comes about, what the error says: value, rule, fix, place).
CASES: dict[str, tuple[Callable[[Path], NER], list[str]]] = {
    "a path that does not exist": (
        lambda folder: NER(dataset=str(folder / "nowhere")),
        ["nowhere'", "there is no such file or folder", "Check the path"],
    ),
    "a Hub id without network": (
        lambda folder: NER(dataset="nobody/no-such-corpus"),
        ["dataset 'nobody/no-such-corpus'", "the Hub did not give it", "the network, or give a file or folder"],
    ),
    "a single file of too few rows": (single_file, ["test_share=0.2", "there are 2", "give a test split"]),
    "an empty folder": (
        lambda folder: NER(dataset=str(folder)),
        ["no file of rows lies in it", "found: nothing", "one for each of train, validation and test"],
    ),
    "a split missing": (
        without_validation,
        ["splits train, test", "'validation' is missing", "named validation or valid or dev"],
    ),
    "an empty split": (empty_parquet, ["split 'validation'", "validation.parquet", "or holds no rows", "not empty"]),
    "an empty file": (files(test=""), ["split 'test'", "test.conll", "cannot be read as conll, or holds no rows"]),
    "a file that is not what its name says": (
        lambda folder: (
            [(folder / f"{split}.parquet").write_text("<html>") for split in ("train", "validation", "test")]
            and NER(dataset=str(folder))
        ),
        ["split 'train'", "train.parquet", "cannot be read as parquet", "Check that every file is whole"],
    ),
    "two kinds of file": (mixed_files, [".conll, .jsonl", "one kind of file"]),
    "no column of words": (
        everywhere({"text": "anna left", "tags": ["B-PER", "O"]}),
        ["columns text, tags", "exactly one must be named tokens or words, and 0 are (none)", "--tokens_column"],
    ),
    "two columns of tags": (
        with_column("ner_tags"),
        ["exactly one must be named", "2 are (ner_tags, tags)", "Name the right one with --tags_column"],
    ),
    "a column that is not there": (
        with_column("extra", tags_column="labels"),
        ["split 'train'", "tokens, tags, extra", "needs the column 'labels'", "--tags_column"],
    ),
    "fewer tags than words": (
        rows(validation=[GOOD[0], {"tokens": ["anna", "left"], "tags": ["B-PER"]}]),
        ["split 'validation', row 1, column 'tags'", "2 words and 1 tags", "every word has one tag", "Mend or remove"],
    ),
    "a null word": (
        rows(test=[GOOD[1], {"tokens": ["anna", None], "tags": ["B-PER", "O"]}]),
        ["split 'test', row 1, column 'tokens'", "null", *WORDS],
    ),
    "a number as a word": (everywhere({"tokens": [7, 8], "tags": ["O", "B-PER"]}), ["7 (int)", "row 0", *WORDS]),
    "words and numbers mixed": (
        everywhere({"tokens": ["anna", 8], "tags": ["O", "B-PER"]}),
        ["8", "row 0, column 'tokens'", *WORDS],
    ),
    "text that is not split": (everywhere({"tokens": "anna left", "tags": ["B-PER"]}), ["'anna left' (str)", *WORDS]),
    "a null row": (
        rows(train=[*GOOD, {"tokens": None, "tags": None}]),
        ["split 'train', row 2, column 'tokens'", "null", "Remove the row", *WORDS],
    ),
    "null tags": (
        rows(train=[*GOOD, {"tokens": ["anna"], "tags": None}]),
        ["split 'train', row 2, column 'tags'", "null", "one per word"],
    ),
    "a null tag": (
        rows(test=[{"tokens": ["anna", "left"], "tags": ["B-PER", None]}]),
        ["split 'test', row 0, column 'tags'", "tag null", "a tag is a string"],
    ),
    "spans instead of tags": (
        everywhere({"tokens": ["anna"], "tags": [{"start": 0, "label": "PER"}]}),
        ["row 0, column 'tags'", "'PER'", "a tag is a string"],
    ),
    "tags without a scheme": (
        everywhere({"tokens": ["anna", "left"], "tags": ["PER", "O"]}),
        [
            "'PER': it is neither O nor a prefix",
            "such as B-PER",
            "split 'train', row 0, column 'tags'",
            "Rewrite the tags",
        ],
    ),
    "tags in lower case": (
        everywhere({"tokens": ["anna"], "tags": ["b-per"]}),
        ["'b-per': it is neither", "Rewrite"],
    ),
    "numbers without names": (
        everywhere({"tokens": ["anna", "left"], "tags": [1, 0]}),
        ["tag 1", "without the names of the classes", "ClassLabel(names=[...])", "split 'train', row 0"],
    ),
    "a number that is no class": (
        class_ids(0, 1, -1),
        ["split 'test', row 0, column 'tags'", "tag -1", "ids from 0 to 1"],
    ),
    "a type that only test knows": (
        rows(test=[GOOD[0], {"tokens": ["acme"], "tags": ["B-ORG"]}]),
        ["split 'test', row 1, column 'tags'", "tag 'B-ORG'", "not occur in train, which knows LOC, PER", "Add rows"],
    ),
    "no entity in train": (
        rows(train=[GOOD[1]]),
        ["split 'validation', row 0", "tag 'B-PER'", "which knows none"],
    ),
    "no entity at all": (
        everywhere({"tokens": ["rain"], "tags": ["O"]}),
        ["column 'tags'", "every tag is O", "Check that this is the tag column"],
    ),
    "two tag schemes": (
        files(train="a B-PER\nb E-PER\n", test="a U-PER\n"),
        ["prefixes B, E, O, U", "one scheme", "Write all splits in one scheme"],
    ),
    "a CoNLL line without a tag": (
        files(test="anna B-PER\n\nboris\nleft O\n"),
        [
            "split 'test', row 1",
            "test.conll, line 3: 'boris'",
            "the line has too few columns: most lines have 2",
        ],
    ),
    "a CoNLL line with a space in the token": (
        files(validation="New York B-LOC\n"),
        ["split 'validation', row 0", "line 1: 'New York B-LOC': the line has too many columns", "use tabs"],
    ),
    "CoNLL files without tags": (
        files(train="anna\nleft\n"),
        ["train.conll'", "a token and its tag", "first line is 'anna'", "Separate the columns"],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_bad_data_is_refused_with_value_rule_fix_and_place(name, tmp_path):
    build, fragments = CASES[name]
    task = build(tmp_path)
    with pytest.raises(UserError) as caught:
        task.load()
    message = str(caught.value)
    assert "\n" not in message
    for fragment in fragments:
        assert fragment in message
    assert isinstance(caught.value, DataError) == message.startswith("split '")


def test_the_good_rows_of_this_table_load(tmp_path):
    loaded = rows()(tmp_path).load()
    assert [len(split) for split in loaded.splits.values()] == [2, 2, 2]


def test_extra_columns_are_left_alone(tmp_path):
    everywhere({"id": "1", **GOOD[0], "pos_tags": [1, 2, 3]})(tmp_path)
    assert NER(dataset=str(tmp_path)).load()["train"]["tokens"][:] == [GOOD[0]["tokens"]]


def test_rows_without_words_are_kept_and_counted(tmp_path):
    task = rows(test=[{"tokens": [], "tags": []}, *GOOD])(tmp_path)
    loaded = task.load()
    assert task.rows.references(loaded["test"])[0] == []
    assert task.rows.facts(loaded.splits)["test"]["rows_without_words"] == 1


def test_bad_sentences_are_left_out_and_counted_where_that_is_asked(tmp_path, capsys):
    bad = [{"tokens": ["anna", "left"], "tags": ["B-PER"]}, {"tokens": ["acme"], "tags": ["B-ORG"]}]
    task = rows(test=[bad[0], *GOOD, bad[1]])(tmp_path)
    with pytest.raises(DataError, match="1 more rows of the split.*, or leave such rows out with --on_bad_row skip"):
        task.load()
    task = replace(task, on_bad_row="skip")
    loaded = task.load()
    assert loaded["test"]["tokens"][:] == [row["tokens"] for row in GOOD] and loaded.labels[1:] == TYPES
    facts = task.rows.facts(loaded.splits)
    assert facts["test"]["skipped"] == {
        "every word has one tag": 1,
        "its type does not occur in train, which knows LOC, PER": 1,
    }
    assert facts["train"]["skipped"] == {}
    assert "test: 2 of 4 rows skipped, first row 0 (every word has one tag)" in capsys.readouterr().out


def test_no_split_loses_all_of_its_rows(tmp_path):
    task = replace(rows(test=[{"tokens": ["anna"], "tags": ["O", "O"]}])(tmp_path), on_bad_row="skip")
    with pytest.raises(DataError, match="split 'test', row 0") as refused:
        task.load()
    assert "--on_bad_row" not in str(refused.value)


def test_a_user_sees_one_line_and_exit_code_2(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.argv", ["recipe.py"])
    task = CASES["fewer tags than words"][0](tmp_path)
    with pytest.raises(SystemExit) as stopped:
        run(task.load)
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: split 'validation', row 1, column 'tags': 2 words and 1 tags")
