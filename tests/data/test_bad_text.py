"""Bad texts and labels: each kind ends in one error with value, rule, fix and place, or is skipped and counted."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value

from hfkit.errors import DataError, UserError
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.answers import NoAnswer
from hfkit.tasks.classification.kinds import KINDS
from tests.fixtures.encoding import make_loaded, prepare
from tests.tiny import text as tiny

SPLITS = ("train", "validation", "test")
TWO = [{"text": "a fine day", "label": "good"}, {"text": "a poor day", "label": "bad"}]
SETS = [{"text": "a fine day", "labels": ["good", "day"]}, {"text": "so so", "labels": []}]
NUMBERS = [{"text": "a fine day", "label": 3}, {"text": "a poor day", "label": 1}]


def rows(good: list[dict] = TWO, flags: dict[str, Any] | None = None, **splits: list[dict]) -> Callable:
    """Good rows in every split, followed by those given, as JSON lines."""

    def build(folder: Path, **more: Any) -> TextClassification:
        for split in SPLITS:
            lines = "".join(json.dumps(row) + "\n" for row in good + splits.get(split, []))
            (folder / f"{split}.jsonl").write_text(lines)
        return TextClassification(dataset=str(folder), **{**(flags or {}), **more})

    return build


def only(*columns: str, label: Any = "good", other: Any = "bad", **flags: Any) -> Callable:
    """Two rows in every split, with a text in each of the columns."""
    good = [{**dict.fromkeys(columns, "one"), "label": label}, {**dict.fromkeys(columns, "two"), "label": other}]
    return rows(good, flags)


def text(value: Any, **flags: Any) -> Callable:
    return rows(flags=flags, validation=[{"text": value, "label": "good"}])


def label(value: Any, good: list[dict] = TWO, column: str = "label", **flags: Any) -> Callable:
    return rows(good, flags, validation=[{"text": "a day", column: value}])


def class_ids(*ids: int) -> Callable:
    """Labels as numbers of the classes bad and good, stored without a check as some writers do."""

    def build(folder: Path, **flags: Any) -> TextClassification:
        features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
        for split in SPLITS:
            table = Dataset.from_dict({"text": ["one", "two", "three"], "label": list(ids)})
            table.info.features = features
            Dataset(table.data, info=table.info).to_parquet(str(folder / f"{split}.parquet"))
        return TextClassification(dataset=str(folder), **flags)

    return build


def file(content: bytes, name: str = "validation.csv", **flags: Any) -> Callable:
    def build(folder: Path, **more: Any) -> TextClassification:
        suffix = Path(name).suffix
        separator = "\t" if suffix == ".tsv" else ","
        for split in SPLITS:
            (folder / f"{split}{suffix}").write_text(f"text{separator}label\none{separator}a\ntwo{separator}b\n")
        (folder / name).write_bytes(content)
        return TextClassification(dataset=str(folder), **{**flags, **more})

    return build


ROWS = {  # rows at fault, all of them the third of validation
    "an empty text": (text(""), "column 'text': ''", "every row has a text"),
    "a blank text": (text(" \n\t"), "column 'text'", "every row has a text"),
    "no text": (text(None), "column 'text': null", "every row has a text"),
    "no second text": (
        rows(
            [{"premise": "a", "hypothesis": "b", "label": "x"}, {"premise": "c", "hypothesis": "d", "label": "y"}],
            validation=[{"premise": "a", "hypothesis": None, "label": "x"}],
        ),
        "column 'hypothesis': null",
        "every row has a text",
    ),
    "no label": (label(None), "column 'label': null", "every row has a label"),
    "a label of spaces": (label("  "), "column 'label': '  '", "every row has a label"),
    "a number among names": (label("3"), "column 'label': '3'", "a name or a number"),
    "several labels in a cell": (label("['good', 'bad']"), "'['good', 'bad']'", "one label", "--problem multi-label"),
    "a label that train lacks": (label("odd"), "column 'label': 'odd'", "in train, which knows bad, good", "Add such"),
    "no list of labels": (label(None, SETS, "labels", problem="multi-label"), "column 'labels': null", "a list"),
    "a label without a name": (label([None], SETS, "labels", problem="multi-label"), "has a label"),
    "a label twice": (
        label(["day", "day"], SETS, "labels", problem="multi-label"),
        "each of its labels once",
        "0 or 1",
    ),
    "one of several that train lacks": (label(["odd"], SETS, "labels", problem="multi-label"), "'odd' does not occur"),
    "no number": (label(None, NUMBERS, problem="regression"), "column 'label': null", "every row has a number"),
    "a name for a number": (
        label("two", [{**row, "label": str(row["label"])} for row in NUMBERS], problem="regression"),
        "column 'label': 'two'",
        "a finite number",
        "--problem single-label",
    ),
    "an infinite number": (
        label("inf", [{**row, "label": str(row["label"])} for row in NUMBERS], problem="regression"),
        "column 'label': 'inf'",
        "a finite number",
    ),
    "the number that stands for none": (
        label(-100.0, NUMBERS, problem="regression"),
        "column 'label': -100.0",
        "-100 stands for no answer",
    ),
    "a grade that stands for none": (label(-100, NUMBERS, problem="ordinal"), "-100 stands for no answer"),
    "half a grade": (label(1.5, NUMBERS, problem="ordinal"), "column 'label': 1.5", "whole number", "regression"),
}


@pytest.mark.parametrize("kind", ROWS)
def test_a_bad_row_is_named_by_split_row_and_column_or_left_out_and_counted(kind, tmp_path):
    build, *fragments = ROWS[kind]
    with pytest.raises(DataError) as error:
        build(tmp_path).load()
    for fragment in ("split 'validation', row 2, ", "--on_bad_row skip", *fragments):
        assert fragment in str(error.value)
    task = build(tmp_path, on_bad_row="skip")
    loaded = task.load()
    assert [len(rows) for rows in loaded.splits.values()] == [2, 2, 2]
    facts = task.rows.facts(loaded.splits)
    assert list(facts["validation"]["skipped"].values()) == [1] and facts["test"]["skipped"] == {}


@pytest.mark.parametrize("problem", ["regression", "ordinal"])
@pytest.mark.parametrize("value", ["two", "", " ", "nan", "inf", "-inf", "-100", "1e39", "true", None])
def test_numbers_and_grades_refuse_the_same_values(value, problem):
    with pytest.raises(NoAnswer):
        KINDS[problem].reader(None)(value)


@pytest.mark.parametrize("problem", ["regression", "ordinal"])
@pytest.mark.parametrize("value", [True, math.nan, math.inf, -100, -100.0, [1], {"a": 1}])
def test_so_they_do_where_values_have_types(value, problem):
    with pytest.raises(NoAnswer):
        KINDS[problem].reader(None)(value)


@pytest.mark.parametrize("value", [3, 3.0, "3", " 3 ", "3.0"])
def test_a_whole_number_may_be_written_in_any_way(value):
    assert [KINDS[problem].reader(None)(value) for problem in ("regression", "ordinal")] == [3, 3]


DATASETS = {
    "one class": (
        only("text", other="good"),
        UserError,
        ["every row of train has the answer 'good'", "--label_column"],
    ),
    "one class in train, two elsewhere": (
        rows([{"text": "one", "label": "good"}] * 2, validation=[{"text": "two", "label": "bad"}]),
        UserError,
        ["every row of train has the answer 'good'", "--label_column"],
    ),
    "one number": (only("text", label=2, other=2, problem="regression"), UserError, ["the answer 2.0"]),
    "no row with a label": (only("text", label=None, other=None), DataError, ["split 'train', row 0", "has a label"]),
    "lists for single labels": (
        rows([{"text": "one", "label": ["a"]}, {"text": "two", "label": []}]),
        UserError,
        ["problem=single-label with column 'label'", "it holds lists", "--problem multi-label"],
    ),
    "single labels for lists": (
        only("text", problem="multi-label"),
        UserError,
        ["problem=multi-label with column 'label'", "no lists", "--problem single-label"],
    ),
    "fractions for classes": (
        only("text", label=0.5, other=1.0),
        UserError,
        ["numbers with fractions", "--problem regression"],
    ),
    "fractions as strings for classes": (only("text", label="0.5", other="1"), UserError, ["numbers with fractions"]),
    "an id without a name": (class_ids(0, 1, -1), DataError, ["row 2, column 'label': -1", "ids from 0 to 1"]),
    "no such label out of scope": (
        only("text", out_of_scope="oos"),
        UserError,
        ["out_of_scope='oos'", "train, which knows bad, good"],
    ),
    "no column of texts": (only("words"), UserError, ["columns words, label", "--text_column"]),
    "no column of labels": (rows([{"text": "one", "kind": 1}]), UserError, ["columns text, kind", "--label_column"]),
    "two columns of labels": (only("text", "labels"), UserError, ["label or labels", "2 are", "--label_column"]),
    "a text beside a pair": (
        only("text", "premise", "hypothesis"),
        UserError,
        ["premise and hypothesis, text", "_pair"],
    ),
    "only the second of a pair": (only("a", "b", text_pair_column="b"), UserError, ["Add --text_column"]),
    "a column that is not there": (only("text", text_column="body"), DataError, ["the column 'body'", "--text_column"]),
    "a text for a label": (only("text", label_column="text"), UserError, ["texts and labels are two columns"]),
    "fewer rows than labels": (only("text", max_train_rows=1), UserError, ["max_train_rows 1", "Set it to 2 or more"]),
    "another encoding": (
        file("text,label\nCafé,a\n".encode("latin-1"), encoding="utf-8"),
        UserError,
        ["validation.csv", "not utf-8: byte 14 is 0xe9", "--encoding cp1252"],
    ),
    "no such encoding": (
        file(b"text,label\none,a\n", encoding="klingon"),
        UserError,
        ["encoding 'klingon'", "utf-16"],
    ),
    "a line too long": (
        file(b"text,label\none,a\nwell, two,b\n"),
        DataError,
        ["split 'validation', row 1", "3 columns in line 3 of validation.csv, beginning 'well'", '"quotes"'],
    ),
    "a quote left open": (file(b'text,label\n"one,a\n'), DataError, ["split 'validation'", "line 2", '"quotes"']),
    "two separators": (file(b"a,b;c,d\n1,2;3,4\n"), DataError, ["split 'validation'", "';' or ','", "sep=;"]),
    "a file with nothing in it": (file(b""), DataError, ["split 'validation'", "first line", "missing"]),
    "a file without rows": (file(b"text,label\n"), DataError, ["split 'validation'", "no rows"]),
    "two columns of one name": (file(b"text,text\na,b\n"), DataError, ["split 'validation'", "text, text", "once"]),
    "a share that leaves nothing": (
        lambda folder: sharing(folder, 0.1),
        UserError,
        ["validation_share=0.1", "there are 2, where every class keeps a row", "--validation_share"],
    ),
    "no validation split": (
        lambda folder: sharing(folder, 0.0),
        UserError,
        ["the split 'validation' is missing", "valid or dev", "--validation_share 0.1"],
    ),
}


def sharing(folder: Path, share: float) -> TextClassification:
    task = rows()(folder, validation_share=share)
    (folder / "validation.jsonl").unlink()
    return task


@pytest.mark.parametrize("kind", DATASETS)
def test_a_bad_dataset_is_refused_with_value_rule_and_fix(kind, tmp_path):
    build, expected, fragments = DATASETS[kind]
    with pytest.raises(expected) as error:
        build(tmp_path).load()
    assert type(error.value) is expected
    for fragment in fragments:
        assert fragment in str(error.value)


@pytest.mark.parametrize(
    "flags, fragment",
    [
        ({"validation_share": 1.0}, "validation_share=1.0"),
        ({"problem": "regression", "class_weights": "balanced"}, "class_weights with problem=regression"),
        ({"problem": "multi-label", "out_of_scope": "none"}, "out_of_scope with problem=multi-label"),
    ],
)
def test_flags_that_do_not_fit_are_refused_before_anything_is_read(flags, fragment):
    with pytest.raises(UserError, match=fragment):
        TextClassification(dataset="nowhere/at-all", **flags)


def test_only_named_ids_can_be_unknown_and_gaps_are_fine(tmp_path):
    assert TextClassification(dataset=tiny.folder_of(numbered(Value("int64")), tmp_path)).load()["train"]["label"][
        :
    ] == [
        "-1",
        "7",
    ]
    named = List(ClassLabel(names=["zero", "one"]))
    splits = numbered(Value("int64")).map(lambda row: {"label": [1, 0] if row["label"] == 7 else []})
    task = TextClassification(
        dataset=tiny.folder_of(splits.cast_column("label", named), tmp_path), problem="multi-label"
    )
    assert task.load()["train"]["label"][:] == [[], ["one", "zero"]]


def numbered(feature):
    features = Features({"text": Value("string"), "label": feature})
    rows = {"text": ["one", "two"], "label": [-1, 7]}
    return DatasetDict({split: Dataset.from_dict(rows, features=features) for split in SPLITS})


@pytest.mark.parametrize("max_length", [2, 65])
def test_lengths_that_do_not_fit_the_model_are_refused(checkpoint, max_length):
    task = TextClassification(max_length=max_length)
    with pytest.raises(UserError, match=f"max_length {max_length}: .* its 2 special tokens and at most the 64"):
        prepare(task, checkpoint, make_loaded(tiny.review_splits(2, 2, 2), ["negative", "positive"]))


@pytest.mark.parametrize("column", ["text", "label"])
def test_a_column_of_pictures_is_refused_before_any_is_opened(column, tmp_path):
    address = {"bytes": None, "path": "http://127.0.0.1:9/x.png"}
    kept = {name: Image(decode=False) if name == column else Value("string") for name in ("text", "label")}
    about = {"info": {"features": Features({**kept, column: Image()}).to_dict()}}
    for split in SPLITS:
        table = Dataset.from_list([{**row, column: address} for row in TWO], features=Features(kept)).data.table
        # Not to_parquet, which would fetch the pictures and put them into the file.
        pq.write_table(table.replace_schema_metadata({"huggingface": json.dumps(about)}), tmp_path / f"{split}.parquet")
    with pytest.raises(UserError, match=f"column '{column}': .* values of Image"):
        TextClassification(dataset=str(tmp_path)).load()
