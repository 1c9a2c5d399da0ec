"""A column that says which split a row belongs to divides a table, if it says nothing else."""

import json

import pytest

from hfkit.data.files import TEXT_TABLES, read_one_split
from hfkit.errors import UserError
from hfkit.tasks import TextClassification

NAMES = ("train", "Train", "train", "train", "dev", "test")


def write(path, name: str = "split", values=NAMES, rows: int = 60):
    lines = [
        {"text": f"anna saw rain {row}", "label": "ab"[row // len(values) % 2], name: values[row % len(values)]}
        for row in range(rows)
    ]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def sizes(path, **flags) -> dict[str, int]:
    loaded = TextClassification(dataset=str(path), **flags).load()
    return {split: len(rows) for split, rows in loaded.splits.items()}


@pytest.mark.parametrize("name", ["split", "Set", "data_split", "subset"])
def test_a_table_is_divided_by_a_column_of_splits(name, tmp_path, capsys):
    path = write(tmp_path / "rows.jsonl", name)
    assert sizes(path) == {"train": 40, "validation": 10, "test": 10}
    assert f"column '{name}' divides the rows: train 40, validation 10, test 10\n" in capsys.readouterr().out
    assert sizes(path, split_column="none") == {"train": 42, "validation": 6, "test": 12}  # as any other table


@pytest.mark.parametrize("place", ["rows.jsonl", ""], ids=["a file", "its folder"])
def test_one_split_of_such_a_table_is_taken_by_its_name(place, tmp_path):
    write(tmp_path / "rows.jsonl")
    source = TextClassification(dataset=str(tmp_path / place)).source
    found = {name: len(read_one_split(source, name, kinds=TEXT_TABLES)["test"]) for name in (None, "dev", "train")}
    assert found == {None: 10, "dev": 10, "train": 40}
    with pytest.raises(UserError, match="the data has none of this name; found: train, validation, test"):
        read_one_split(source, "nosuch", kinds=TEXT_TABLES)


def test_what_is_not_certain_is_asked_for(tmp_path, capsys):
    path = write(tmp_path / "rows.jsonl", values=(*NAMES, "extra", "test", "train", "train"))
    with pytest.raises(UserError, match=r"in row 6 it is 'extra', which is none\. Set --split_column split to leave"):
        sizes(path)
    assert sizes(path, split_column="Split") == {"train": 36, "validation": 6, "test": 12}
    assert "of no split, and left out: 6 rows" in capsys.readouterr().out
    with pytest.raises(UserError, match="there is no such column; found: text, label, split"):
        sizes(path, split_column="fold")
    with pytest.raises(UserError, match="none of its values is one of train"):
        sizes(path, split_column="label")


def test_files_of_splits_are_not_divided_once_more(tmp_path):
    for split in ("train", "test"):
        write(tmp_path / f"{split}.jsonl")
    assert sizes(tmp_path)["test"] == 60
    with pytest.raises(UserError, match="split_column='split': the dataset is divided by its files into train, test"):
        sizes(tmp_path, split_column="split")


def test_other_columns_of_that_name_divide_nothing(tmp_path):
    path = write(tmp_path / "rows.jsonl", "set", values=("spoons", "forks"))
    assert sizes(path) == {"train": 42, "validation": 6, "test": 12}
