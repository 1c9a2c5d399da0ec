"""A table with a row for each person's answer becomes a row for each item."""

import csv
from pathlib import Path

import pytest
from datasets import Dataset, DatasetDict

from hfkit.data.annotator_rows import gather_items
from hfkit.data.files import TEXT_TABLES, read_splits
from hfkit.data.source import Source
from hfkit.errors import UserError

ROWS = [
    ("7", "so good", "ann", "good", "3"),
    ("8", "so bad", "ann", "bad", "9"),
    ("7", "so good", "bob", "good", "4"),
    ("8", "so bad", "cy", "good", "5"),
    ("8", "so bad", "bob", "bad", "5"),
    ("8", "so bad", "ann", "good", "2"),
]
NAMES = ("id", "text", "who", "label", "seconds")


def table(*names: str) -> DatasetDict:
    columns = dict(zip(NAMES, map(list, zip(*ROWS, strict=True)), strict=True))
    return DatasetDict(train=Dataset.from_dict({name: columns[name] for name in names or NAMES}))


@pytest.mark.parametrize("names", [NAMES, ("text", "who", "label", "seconds")])
def test_rows_of_one_item_are_gathered_by_its_key_or_its_text(names):
    rows = gather_items(table(*names), "who")["train"]
    assert rows["text"][:] == ["so good", "so bad"] and "label" not in rows.column_names
    # Of ann's two answers to the second item the later one counts.
    given = [[(one["annotator"], one["label"]) for one in of_row] for of_row in rows["annotations"]]
    assert given == [[("ann", "good"), ("bob", "good")], [("cy", "good"), ("bob", "bad"), ("ann", "good")]]


def test_the_majority_or_one_person_decides(tmp_path: Path):
    with (tmp_path / "all.csv").open("w", newline="") as file:
        csv.writer(file).writerows([NAMES, *ROWS])
    source = Source(str(tmp_path / "all.csv"), annotator_column="who", item_column="text")
    assert read_splits(source, kinds=TEXT_TABLES)["train"]["label"][:] == ["good", "good"]
    source = Source(str(tmp_path / "all.csv"), annotator_column="who", annotator="bob")
    assert read_splits(source, kinds=TEXT_TABLES)["train"]["label"][:] == ["good", "bad"]


@pytest.mark.parametrize(
    ("names", "item", "fix"),
    [
        (("who", "label", "seconds"), None, "--item_column"),
        (("id", "text", "who"), None, "--annotator_column and --item_column"),
        (NAMES, "nothing", "--item_column"),
    ],
)
def test_what_cannot_be_gathered_is_refused_with_the_flag(names, item, fix):
    with pytest.raises(UserError) as error:
        gather_items(table(*names), "who", item)
    assert fix in error.value.fix


def test_a_person_is_not_asked_for_in_vain(tmp_path: Path):
    """Without answers of several people, --annotator is refused: nobody's answers would be left out."""
    (tmp_path / "all.csv").write_text("text,label\nso good,good\nso bad,bad\n")
    with pytest.raises(UserError, match="several people"):
        read_splits(Source(str(tmp_path / "all.csv"), annotator="bob"), kinds=TEXT_TABLES)
