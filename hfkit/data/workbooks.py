"""Workbooks of Excel and LibreOffice: the rows of one sheet, every cell as the text that a person sees."""

import datetime
import re
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Dataset

from hfkit.data.headers import First, clean_names, judge_first_row, missing_header, name_columns
from hfkit.data.notes import tell
from hfkit.data.tables import make_table, refuse_other_names
from hfkit.errors import DataError, UserError, first_line
from hfkit.progress import progress

if TYPE_CHECKING:
    from python_calamine import CalamineWorkbook

SUFFIXES = (".xlsx", ".xlsm", ".xls", ".xlsb", ".ods")
MIDNIGHT = datetime.time()


def sheet_names(path: Path) -> list[str]:
    """The names of the sheets that are not hidden, in their order; of several, those that hold cells.

    Raises:
        UserError: the file is no workbook, or what reads it is not installed.
    """
    with open_workbook(path) as book:
        from python_calamine import SheetVisibleEnum

        shown = [sheet.name for sheet in book.sheets_metadata if sheet.visible == SheetVisibleEnum.Visible]
        # To see whether a sheet has cells is to read it.
        return shown if len(shown) == 1 else [name for name in shown if book.get_sheet_by_name(name).height]


@contextmanager
def open_workbook(path: Path) -> "Iterator[CalamineWorkbook]":
    """The open workbook, whose sheets are read within it: damage may show only there.

    Raises:
        UserError: the file is no workbook, or what reads it is not installed.
    """
    try:
        from python_calamine import CalamineError, CalamineWorkbook
    except ImportError as error:
        raise UserError(
            f"file '{path}'", "workbooks are read by python-calamine, which is not installed",
            'Run pip install "hfkit[excel]", or save the sheet as CSV',
        ) from error  # fmt: skip
    try:
        with CalamineWorkbook.from_path(str(path)) as book:
            yield book
    except UserError:
        raise
    except (CalamineError, OSError, ValueError) as error:
        raise UserError(
            f"file '{path}'",
            f"it cannot be read as a workbook ({first_line(error)})",
            "Take off its password if it has one, save it again, or save the sheet as CSV",
        ) from error


def read_workbook(split: str, paths: list[Path], sheet: str | None = None) -> Dataset:
    """The cells of one sheet of each workbook, all as strings, below its first row that is not empty.

    Args:
        sheet: its name; None takes the only one.

    Raises:
        UserError: there are several sheets, or none of this name; the file is no workbook.
        DataError: a sheet has no rows, or no row of names, or other ones than the first.
    """
    with progress(f"Reading {split}"):
        found = [read_sheet(split, path, sheet) for path in paths]
    refuse_other_names(split, paths, [names for names, _ in found])
    return Dataset(pa.concat_tables(make_table(rows, names) for names, rows in found))


def read_sheet(split: str, path: Path, sheet: str | None) -> tuple[list[str], list[list[str]]]:
    """The names of a sheet's columns, and its rows.

    Raises:
        UserError, DataError: see `read_workbook`.
    """
    name = choose_sheet(path, sheet)
    with open_workbook(path) as book:
        cells = book.get_sheet_by_name(name).to_python(skip_empty_area=False)
    rows = [list(map(format_cell, row)) for row in cells]
    filled = [number for number, row in enumerate(rows) if any(row)]
    place = f"the first row of sheet '{name}' of {path.name}"
    if not filled:
        raise DataError(place + " is missing", "it names every column once", "Add a first row of names", split=split)
    names, below, told = name_sheet(split, place, rows[filled[0] : filled[-1] + 1])
    if not below:
        raise DataError(f"sheet '{name}' of {path.name}", "it holds no rows", "Give every split some rows", split=split)
    for places, what in zip(find_faults(path, name), (AT_FAULT, WITHOUT_VALUE), strict=True):
        if places:
            more = f" and {len(places) - 3:,} more" if len(places) > 3 else ""
            told.append(f"{what}: {', '.join(places[:3])}{more}")
    tell(", ".join((f"{path.name}: sheet '{name}'", *told)))
    return names, below


def choose_sheet(path: Path, sheet: str | None) -> str:
    """The sheet of that name, or the only one.

    Raises:
        UserError: there is none of this name, or several.
    """
    names = sheet_names(path)
    if sheet is None and len(names) == 1:
        return names[0]
    if sheet is not None:
        with open_workbook(path) as book:
            if sheet in book.sheet_names:  # hidden ones too
                return sheet
    raise UserError(
        f"sheet '{sheet}' of '{path}'" if sheet else f"file '{path}'",
        f"{'there is none of this name' if sheet else 'rows come from one sheet'}; it has {', '.join(names) or 'none'}",
        f"Name one with --sheet, such as --sheet '{names[0]}'" if names else "Give it a sheet with rows",
    )


def name_sheet(split: str, place: str, rows: list[list[str]]) -> tuple[list[str], list[list[str]], list[str]]:
    """The names of a sheet's columns, the rows below them, and what is to be told; columns without a cell are left out.

    Raises:
        DataError: the first row is no row of names.
    """
    kept = [number for number, column in enumerate(zip(*rows, strict=True)) if any(column)]
    rows = [[row[number] for number in kept] for row in rows]
    match judge_first_row(rows[0], rows[1:]):
        case First.NAMES | First.UNCLEAR:
            names, blank = clean_names(split, place, rows[0])
            told = [f"columns without a name are called {', '.join(names[n] for n in blank)}"] if blank else []
            return names, rows[1:], told
        case First.ROW if found := name_columns(rows):
            return found, rows, [f"no row of names, its columns are {' and '.join(found)}"]
    raise missing_header(split, place, rows[0])


def format_cell(value: Any) -> str:
    """A cell as a person sees it: 1.0 is '1', times are in ISO format, a truth value is 'true' or 'false'."""
    match value:
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float():
            # Excel computes with 15 digits and shows no more.
            return str(int(value)) if value.is_integer() and abs(value) < 1e15 else format(value, ".15g")
        case datetime.datetime():
            return str(value.date()) if value.time() == MIDNIGHT else value.isoformat(sep=" ")
    return str(value)


AT_FAULT = "cells that hold an error such as #N/A are read as empty"
WITHOUT_VALUE = "formulas without a value are read as empty (open and save the file in Excel or LibreOffice)"
ERROR = re.compile(rb'<c (?=[^>]*\bt="e")[^>]*\br="(\w+)"')
CONTENT, MARKED = "content.xml", b'value-type="error"'
OFFICE = "{urn:oasis:names:tc:opendocument:xmlns:office:1.0}"
TABLE = "{urn:oasis:names:tc:opendocument:xmlns:table:1.0}"
STALE = re.compile(rb'<c (?![^>]*\bt="str")[^>]*\br="(\w+)"[^>]*><f[^>]*>[^<]*</f>(?:<v\s*/>|<v></v>)?</c>')


def find_faults(path: Path, sheet: str) -> tuple[list[str], list[str]]:
    """The cells of a sheet that hold an error, and those with a formula without its value, such as 'B5'.

    The reader gives both as empty. Only .xlsx and .ods can be asked; LibreOffice saves every value beside its formula.
    """
    try:
        with zipfile.ZipFile(path) as zipped:
            if CONTENT in zipped.namelist():
                return find_marked_cells(zipped.read(CONTENT), sheet), []
            part = find_sheet_part(zipped, sheet)
            text = zipped.read(part) if part else b""
    except (zipfile.BadZipFile, KeyError):
        text = b""
    errors = ERROR.findall(text) if b't="e"' in text else []
    stale = STALE.findall(text) if b"<f" in text else []
    return [place.decode() for place in errors], [place.decode() for place in stale]


def find_marked_cells(content: bytes, sheet: str) -> list[str]:
    """The cells of a sheet of an .ods that LibreOffice marks as errors."""
    from xml.etree import ElementTree

    if MARKED not in content:
        return []
    tables = (tag for tag in ElementTree.fromstring(content).iter() if tag.tag == f"{TABLE}table")
    table = next((tag for tag in tables if tag.get(f"{TABLE}name") == sheet), None)
    found, row = [], 0
    for line in () if table is None else table.iter(f"{TABLE}table-row"):
        column = 0
        for cell in line:
            error = any(name.endswith("}value-type") and value == "error" for name, value in cell.attrib.items())
            if error and cell.get(f"{OFFICE}string-value") == "":  # otherwise it is read as the text that it shows
                found.append(f"{name_column(column)}{row + 1}")
            column += int(cell.get(f"{TABLE}number-columns-repeated", 1))
        row += int(line.get(f"{TABLE}number-rows-repeated", 1))
    return found


def name_column(place: int) -> str:
    """The letters of a column, from 0: 'A', 'Z', 'AA'."""
    letters = ""
    while place >= 0:
        place, letter = divmod(place, 26)
        letters, place = chr(ord("A") + letter) + letters, place - 1
    return letters


def find_sheet_part(zipped: zipfile.ZipFile, sheet: str) -> str | None:
    """The file of a sheet within an .xlsx; None in other formats."""
    from xml.etree import ElementTree

    if "xl/workbook.xml" not in zipped.namelist():
        return None
    relation = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
    tags = ElementTree.fromstring(zipped.read("xl/workbook.xml")).iter()
    wanted = next((tag.get(relation) for tag in tags if tag.tag.endswith("}sheet") and tag.get("name") == sheet), None)
    for tag in ElementTree.fromstring(zipped.read("xl/_rels/workbook.xml.rels")).iter():
        if tag.get("Id") == wanted and wanted:
            target = tag.get("Target", "")
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return None
