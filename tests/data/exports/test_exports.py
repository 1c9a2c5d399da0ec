"""Files as label tools write them: each is known by its content as one tool's, and read into general columns."""

import json
from pathlib import Path

import pytest

from hfkit.data.exports import EXPORTS, find_export, look
from hfkit.errors import DataError, UserError

ANNA = [{"start": 0, "end": 4, "label": "PER"}, {"start": 10, "end": 15, "label": "LOC"}]
TEXT = "Anna left Paris"
TASK = {"text": TEXT, "_input_hash": 1, "_task_hash": 2, "tokens": [{"text": "Anna", "start": 0, "end": 4, "id": 0}]}
CHOICE = {"text": TEXT, "_input_hash": 1, "options": [{"id": "good"}, {"id": "bad"}], "answer": "accept"}


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


# Tool and shape -> (file, title, what is in its rows)
FILES: dict[str, tuple[dict[str, str], str, list[dict]]] = {
    "doccano, spans": (
        {"a.jsonl": lines({"id": 1, "text": TEXT, "label": [[0, 4, "PER"], [10, 15, "LOC"]], "Comments": []},
                          {"id": 2, "text": "Rain", "label": []})},
        "doccano JSONL",
        [{"text": TEXT, "spans": ANNA, "id": 1}, {"text": "Rain", "spans": []}],
    ),
    "doccano, text called data": (
        {"a.jsonl": lines({"id": 1, "data": TEXT, "label": [[0, 4, "PER"], [10, 15, "LOC"]]})},
        "doccano JSONL",
        [{"text": TEXT, "spans": ANNA}],
    ),
    "doccano, relations": (
        {"a.jsonl": lines({"text": TEXT, "entities": [
            {"id": 3, "label": "PER", "start_offset": 0, "end_offset": 4},
            {"id": 4, "label": "LOC", "start_offset": 10, "end_offset": 15}], "relations": []})},
        "doccano JSONL",
        [{"text": TEXT, "spans": ANNA, "relations": []}],
    ),
    "doccano, one user": (
        {"a.json": lines({"id": 1, "text": TEXT, "meta": {}, "annotations": [
            {"label": "PER", "start_offset": 0, "end_offset": 4, "user": 7},
            {"label": "LOC", "start_offset": 10, "end_offset": 15, "user": 7}]},
            {"id": 2, "text": "Rain", "meta": {}, "annotations": []})},
        "doccano JSONL",
        [{"text": TEXT, "spans": ANNA}, {"spans": []}],
    ),
    "doccano, two users": (
        {"a.jsonl": lines({"id": 1, "text": TEXT, "annotations": [{"label": 3, "user": 1}, {"label": 4, "user": 2}]},
                          {"id": 2, "text": "Rain", "annotations": [{"label": 3, "user": 1}]})},
        "doccano JSONL",
        [{"annotations": [{"annotator": "1", "label": [3]}, {"annotator": "2", "label": [4]}]},
         {"annotations": [{"annotator": "1", "label": [3]}]}],
    ),
    "doccano, one label": (
        {"a.jsonl": lines({"id": 1, "text": TEXT, "label": ["good"]}, {"id": 2, "text": "Rain", "label": []})},
        "doccano JSONL",
        [{"text": TEXT, "label": "good"}, {"label": None}],
    ),
    "doccano, several labels": (
        {"a.jsonl": lines({"id": 1, "text": TEXT, "label": ["good", "long"]}, {"id": 2, "text": "", "label": ["bad"]})},
        "doccano JSONL",
        [{"label": ["good", "long"]}, {"label": ["bad"]}],
    ),
    "Prodigy, spans": (
        {"a.jsonl": lines({**TASK, "spans": ANNA, "answer": "accept"}, {**TASK, "spans": ANNA[:1], "answer": "reject"},
                          {**TASK, "text": "Rain", "answer": "ignore"}, {**TASK, "text": "Sun", "answer": "accept"})},
        "Prodigy JSONL",
        [{"text": TEXT, "spans": ANNA}, {"text": "Sun", "spans": []}],
    ),
    "Prodigy, choices": (
        {"a.jsonl": lines({**CHOICE, "accept": ["good"]}, {**CHOICE, "text": "Rain", "_input_hash": 2, "accept": []})},
        "Prodigy JSONL",
        [{"text": TEXT, "label": "good"}, {"label": None}],
    ),
    "Prodigy, two people": (
        {"a.jsonl": lines({**CHOICE, "accept": ["good"], "_annotator_id": "eva"},
                          {**CHOICE, "accept": ["bad"], "_annotator_id": "max"})},
        "Prodigy JSONL",
        [{"text": TEXT, "annotations": [{"annotator": "eva", "label": ["good"]},
                                        {"annotator": "max", "label": ["bad"]}]}],
    ),
    "Prodigy, yes or no": (
        {"a.jsonl": lines({"text": TEXT, "label": "good", "answer": "accept"},
                          {"text": TEXT, "label": "bad", "answer": "reject"})},
        "Prodigy JSONL",
        [{"text": TEXT, "label": "good"}],
    ),
    "spaCy, list of pairs": (
        {"a.json": json.dumps([[TEXT, {"entities": [[0, 4, "PER"], [10, 15, "LOC"]]}], ["Rain", {"entities": []}]])},
        "spaCy training data (JSON)",
        [{"text": TEXT, "spans": ANNA}, {"text": "Rain", "spans": []}],
    ),
    "spaCy, a pair a line": (
        {"a.jsonl": lines([TEXT, {"cats": {"good": 1.0, "bad": 0.0}}], ["Rain", {"cats": {"good": 0.0, "bad": 1.0}}])},
        "spaCy training data (JSON)",
        [{"text": TEXT, "label": {"good": 1.0, "bad": 0.0}}, {"label": {"good": 0.0, "bad": 1.0}}],
    ),
    "spaCy, as the annotator on the web writes it": (
        {"a.json": json.dumps({"classes": ["PER", "LOC"], "annotations": [
            [TEXT, {"entities": [[0, 4, "PER"], [10, 15, "LOC"]]}], None]})},
        "spaCy training data (JSON)",
        [{"text": TEXT, "spans": ANNA}],
    ),
    "spaCy, version 2": (
        {"a.json": json.dumps([{"id": 0, "paragraphs": [{"raw": TEXT, "sentences": [{"tokens": [
            {"orth": "Anna", "tag": "NNP", "ner": "U-PER"}, {"orth": "left", "tag": "VBD", "ner": "O"}]}]}]}])},
        "spaCy JSON of version 2",
        [{"tokens": ["Anna", "left"], "ner_tags": ["U-PER", "O"], "pos_tags": ["NNP", "VBD"]}],
    ),
    "brat": (
        {"one.txt": "Anna left\nParis", "one.ann": "T1\tPER 0 4\tAnna\nT2\tLOC 10 15\tParis\nR1\tLeft Arg1:T1 Arg2:T2\n"
         "A1\tSure T1\n#1\tAnnotatorNotes T1\tgood\nT3\tPER 0 4;10 15\tAnna Paris\nT4\tX 5 9;10 15\tleft Paris\n",
         "two.txt": "Rain"},
        "brat standoff (.ann beside .txt)",
        [{"name": "one", "text": "Anna left\nParis", "spans": [
            {"start": 0, "end": 4, "label": "PER", "text": "Anna"},
            {"start": 10, "end": 15, "label": "LOC", "text": "Paris"},
            {"start": 5, "end": 15, "label": "X", "text": "left Paris"}]}, {"name": "two", "spans": []}],
    ),
    "brat, copied to Windows": (
        {"one.txt": "Anna\r\nleft\r\nParis", "one.ann": "T1\tLOC 10 15\tParis\r\n"},
        "brat standoff (.ann beside .txt)",
        [{"text": "Anna\nleft\nParis", "spans": [{"start": 10, "end": 15, "label": "LOC", "text": "Paris"}]}],
    ),
}  # fmt: skip


def write(folder: Path, files: dict[str, str]) -> list[Path]:
    for name, text in files.items():
        (folder / name).write_bytes(text.encode())
    return sorted(path for path in folder.iterdir() if path.suffix != ".ann")


@pytest.mark.parametrize("name", FILES)
def test_an_export_is_known_by_its_content_and_read_into_general_columns(name, tmp_path):
    files, title, rows = FILES[name]
    paths = write(tmp_path, files)
    assert [export.title for export in EXPORTS if export.fits(look(paths))] == [title]
    found = find_export(paths).read("train", paths)
    assert len(found) == len(rows)
    for row, expected in zip(found, rows, strict=True):
        assert {key: row[key] for key in expected} == expected


@pytest.mark.parametrize(
    "name, text",
    {
        "words and tags": ("a.jsonl", lines({"tokens": ["a"], "ner_tags": ["O"]})),
        "texts and labels": ("a.jsonl", lines({"id": 1, "text": "a", "label": "good"})),
        "spans without a tool": ("a.jsonl", lines({"text": TEXT, "spans": ANNA})),
        "a column of scores": ("a.jsonl", lines({"text": TEXT, "cats": {"good": 1.0}})),
        "translations of doccano": (
            "a.jsonl",
            lines({"id": 1, "text": "a", "annotations": [{"text": "b", "user": 1}]}),
        ),
        "a list of numbers": ("a.json", "[1, 2]"),
        "nothing": ("a.jsonl", ""),
        "a text": ("a.txt", "Anna left"),
    }.values(),
)
def test_other_files_are_no_exports(name, text, tmp_path):
    assert find_export(write(tmp_path, {name: text})) is None


def test_a_column_of_several_types_and_half_a_character_are_kept(tmp_path):
    records = [{"id": 1, "text": "a \ud83d b", "label": [[0, "x", "PER"]]}, {"id": "two", "text": "Rain", "label": []}]
    paths = write(tmp_path, {"a.jsonl": lines(*records)})
    found = find_export(paths).read("train", paths)
    assert found["id"][:] == [1, "two"] and found["text"][:] == ["a ? b", "Rain"]
    assert found["spans"][:] == [[{"start": 0, "end": "x", "label": "PER"}], []]


def test_what_is_left_out_is_told(tmp_path, capsys):
    for name in ("Prodigy, spans", "brat"):
        (tmp_path / name).mkdir()
        paths = write(tmp_path / name, FILES[name][0])
        find_export(paths).read("train", paths)
    told = capsys.readouterr().out
    assert (
        "2 tasks of Prodigy were accepted" in told and "1 with the answer 'reject', 1 with the answer 'ignore'" in told
    )
    for left in ("1 relations", "1 attributes", "1 notes", "1 spans of several pieces", "1 texts without an .ann"):
        assert left in told


def test_a_broken_line_is_named(tmp_path):
    paths = write(tmp_path, {"a.jsonl": FILES["doccano, spans"][0]["a.jsonl"] + '{"id": 3, "te\n'})
    with pytest.raises(DataError, match="a.jsonl, line 3: it is no JSON"):
        find_export(paths).read("train", paths)
    (tmp_path / "brat").mkdir()
    paths = write(tmp_path / "brat", {"one.txt": "Anna", "one.ann": "T1 PER 0 4 Anna\n"})
    with pytest.raises(DataError, match=r"one.ann, line 1: 'T1 PER 0 4 Anna': a line is an annotation of brat"):
        find_export(paths).read("train", paths)


def test_docbin_is_read_by_spacy_and_refused_without_it(tmp_path, monkeypatch):
    (tmp_path / "train.spacy").write_bytes(b"")
    (export,) = [one for one in EXPORTS if one.fits(look([tmp_path / "train.spacy"]))]
    monkeypatch.setitem(__import__("sys").modules, "spacy", None)
    with pytest.raises(UserError, match="which is not installed. pip install spacy"):
        export.read("train", [tmp_path / "train.spacy"])


@pytest.mark.slow
def test_docbin_gives_entities_and_labels(tmp_path):
    import spacy

    text = spacy.blank("en").make_doc(TEXT)
    text.ents = [text.char_span(0, 4, "PER"), text.char_span(10, 15, "LOC")]
    text.cats = {"good": 1.0}
    spacy.tokens.DocBin(docs=[text], store_user_data=True).to_disk(tmp_path / "train.spacy")
    (row,) = find_export([tmp_path / "train.spacy"]).read("train", [tmp_path / "train.spacy"])
    assert row == {"text": TEXT, "spans": ANNA, "label": {"good": 1.0}}
    (tmp_path / "train.spacy").write_bytes(b"no DocBin")
    with pytest.raises(DataError, match="it is no DocBin"):
        find_export([tmp_path / "train.spacy"]).read("train", [tmp_path / "train.spacy"])
