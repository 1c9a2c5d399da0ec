"""Workbooks: cells as a person sees them, sheets asked for, and everything that cannot be seen told."""

import base64
import zipfile
import zlib

import pytest

from hfkit.data.files import read_one_split, read_splits
from hfkit.data.source import Source
from hfkit.data.workbooks import format_cell, name_column, read_workbook, sheet_names
from hfkit.errors import DataError, UserError
from tests.fixtures.workbooks import XLS, write_ods, write_xlsx

TABLE = [["text", "label"], ["a", "x"], ["b", "y"]]


def read(path, sheets, **options):
    write_xlsx(path, sheets)
    return read_workbook("train", [path], **options)


def test_cells_are_what_a_person_sees(tmp_path, capsys):
    rows = [[], ["text", "n", None, "kind"], ["a", 1, 5, True], ["b", 1.5], [], ["NA", 0.1 + 0.2, None, 1e20], [" "]]
    found = read(tmp_path / "some.xlsx", {"Sheet1": rows + [[], [""]]})
    assert found.column_names == ["text", "n", "column_3", "kind"]
    assert [list(row.values()) for row in found] == [
        ["a", "1", "5", "true"],
        ["b", "1.5", "", ""],
        ["", "", "", ""],
        ["NA", "0.3", "", "1e+20"],
        [" ", "", "", ""],
    ]
    assert "some.xlsx: sheet 'Sheet1', columns without a name are called column_3" in capsys.readouterr().out


def test_other_programs_write_the_same_cells(tmp_path):
    write_ods(tmp_path / "some.ods", [["text", "label"], ["é", 2]])
    (tmp_path / "some.xls").write_bytes(zlib.decompress(base64.b85decode(XLS)))
    for path in sorted(tmp_path.iterdir()):
        assert read_workbook("train", [path]).to_list() == [{"text": "é", "label": "2"}]


def test_times_are_in_iso_format(tmp_path):
    from datetime import date, datetime, time

    times = [date(2024, 1, 5), datetime(2024, 1, 5), datetime(2024, 1, 5, 3, 4), time(3, 4)]
    assert list(map(format_cell, times)) == ["2024-01-05", "2024-01-05", "2024-01-05 03:04:00", "03:04:00"]


def test_errors_and_formulas_without_a_value_are_told_by_their_cells(tmp_path, capsys):
    error, stale, empty = (
        b'<c r="{place}" t="e"><v>#N/A</v></c>',
        b'<c r="{place}"><f>1+1</f><v></v></c>',
        b'<c r="{place}" t="str"><f>IF(1,"","")</f><v></v></c>',  # its value is an empty text
    )
    rows = read(tmp_path / "some.xlsx", {"S": [*TABLE, ["c", error], ["d", stale], ["e", empty], ["f", "z"]]})
    assert rows["label"][:] == ["x", "y", "", "", "", "z"]
    told = capsys.readouterr().out
    assert "error such as #N/A are read as empty: B4," in told and "LibreOffice): B5\n" in told


def test_errors_in_a_workbook_of_libreoffice_are_told_by_their_cells(tmp_path, capsys):
    error = b'<table:table-cell office:value-type="string" office:string-value="" calcext:value-type="error"/>'
    empty = b'<table:table-cell table:number-columns-repeated="2"/>'
    rows = [["text", "label", "more", "other"], ["a", empty, error], ["b", "c", 1, error], ["d", "e", 2, "f"]]
    write_ods(tmp_path / "some.ods", rows)
    read_workbook("train", [tmp_path / "some.ods"])
    assert "cells that hold an error such as #N/A are read as empty: D2, D3" in capsys.readouterr().out
    assert [name_column(place) for place in (0, 25, 26, 701, 702)] == ["A", "Z", "AA", "ZZ", "AAA"]


def test_one_of_several_sheets_is_asked_for(tmp_path):
    write_xlsx(path := tmp_path / "some.xlsx", {"a": TABLE, "b": TABLE[:2], "c": [], "d": TABLE}, hidden=("d",))
    assert sheet_names(path) == ["a", "b"]
    assert len(read_workbook("train", [path], "b")) == 1 and len(read_workbook("train", [path], "d")) == 2
    with pytest.raises(UserError, match="it has a, b. Name one with --sheet, such as --sheet 'a'"):
        read_workbook("train", [path])
    with pytest.raises(UserError, match="sheet 'x' of .*there is none of this name"):
        read_workbook("train", [path], "x")


def test_sheets_named_after_splits_are_splits(tmp_path, capsys):
    write_xlsx(path := tmp_path / "some.xlsx", {"train": TABLE, "Dev": TABLE[:2], "notes": TABLE})
    splits = read_splits(Source(str(path)), kinds={".xlsx": "workbook"})
    assert {split: len(rows) for split, rows in splits.items()} == {"train": 2, "validation": 1}
    assert "not read, beside the splits: notes" in capsys.readouterr().out
    assert len(read_one_split(Source(str(path)), "validation", kinds={".xlsx": "workbook"})["test"]) == 1
    assert len(read_splits(Source(str(path), sheet="Dev"), kinds={".xlsx": "workbook"})["train"]) == 1


@pytest.mark.parametrize(
    ("sheets", "message"),
    [
        ({"S": [["text", "text"], ["a", "b"]]}, "the first row of sheet 'S' of some.xlsx is text, text.*comes twice"),
        ({"S": [["text", "label"]]}, "it holds no rows"),
        ({"S": [["It was good for us all", 1, 2], ["It was bad for us too", 0, 2]] * 2}, "looks like a row"),
    ],
)
def test_a_sheet_without_rows_or_names_is_refused(sheets, message, tmp_path):
    with pytest.raises(DataError, match=message):
        read(tmp_path / "some.xlsx", sheets)


def test_a_sheet_without_names_has_texts_and_labels(tmp_path):
    rows = [["It was good for us", 1], ["It was bad for us", 0], ["No, really", 1], ["Never again", 0]]
    rows = read(tmp_path / "some.xlsx", {"S": rows})
    assert rows["label"][:] == ["1", "0", "1", "0"] and rows[0]["text"] == "It was good for us"


def test_a_sheet_that_shows_its_damage_when_it_is_read_is_refused(tmp_path):
    write_xlsx(tmp_path / "whole.xlsx", {"Sheet1": TABLE})
    with zipfile.ZipFile(tmp_path / "whole.xlsx") as whole, zipfile.ZipFile(tmp_path / "cut.xlsx", "w") as cut:
        for name in whole.namelist():
            text = whole.read(name)
            cut.writestr(name, text.replace(b">a<", b">&unknown;<") if b">a<" in text else text)
    with pytest.raises(UserError, match=r"cut\.xlsx': it cannot be read as a workbook"):
        read_workbook("train", [tmp_path / "cut.xlsx"])


def test_what_is_no_workbook_is_refused(tmp_path):
    (tmp_path / "some.xlsx").write_bytes(b"text,label")
    with pytest.raises(UserError, match="cannot be read as a workbook"):
        read_workbook("train", [tmp_path / "some.xlsx"])
