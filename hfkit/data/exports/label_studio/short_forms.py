"""Short forms of Label Studio, with the answers beside the data: JSON_MIN, and the same as a table of text."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.label_studio.columns import to_dataset
from hfkit.data.exports.label_studio.results import Answers, Control, Item, Tally, read_results
from hfkit.data.exports.label_studio.tasks import annotator_of, keep_newest
from hfkit.data.exports.records import read_records
from hfkit.data.notes import tell
from hfkit.errors import DataError

# What the short forms write beside the data and the answers.
BOOKKEEPING = ("annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement", "history")


class LabelStudioMin:
    """JSON_MIN: one object for each annotation, with the answers beside the data."""

    title = "Label Studio JSON_MIN"
    tried = "its documentation alone"
    left_out = "The same as of JSON; which of several people's answers is final is not written"

    def fits(self, glimpse: Glimpse) -> bool:
        marks = {"annotation_id", "created_at", "updated_at", "lead_time"}
        first = glimpse.records[:100]
        return bool(first) and all(isinstance(record, dict) and record.keys() >= marks for record in first)

    def read(self, split: str, paths: list[Path]) -> Dataset:
        return read_short(split, paths, self.title, list(read_records(split, paths)))


class LabelStudioTable:
    """CSV and TSV: JSON_MIN as a table, whose cells may hold JSON."""

    title = "Label Studio CSV"
    tried = "one export in the tests of its own converter (commit 2ef5400); otherwise its documentation"
    left_out = "The same as of JSON_MIN"

    def fits(self, glimpse: Glimpse) -> bool:
        if glimpse.suffix not in (".csv", ".tsv"):
            return False
        first = glimpse.head.partition(b"\n")[0].decode("utf-8-sig", "replace").strip()
        names = {name.strip('"') for name in first.split(delimiter_of(first))}
        return names >= {"annotation_id", "annotator", "created_at", "updated_at", "lead_time"}

    def read(self, split: str, paths: list[Path]) -> Dataset:
        return read_short(split, paths, self.title, [row for path in paths for row in read_table(split, path)])


def delimiter_of(header: str) -> str:
    return "\t" if "\t" in header else ","


def read_table(split: str, path: Path) -> Iterable[dict[str, Any]]:
    """The rows of a CSV or TSV file; cells that hold JSON lists and objects are read.

    Raises:
        DataError: it cannot be read.
    """
    import pandas

    try:
        with path.open("rb") as file:
            separator = delimiter_of(file.readline().decode("utf-8-sig", "replace"))
        table = pandas.read_csv(path, sep=separator, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (ValueError, OSError) as error:
        raise DataError(path.name, f"it cannot be read as CSV ({error})", "Export it again", split=split) from error
    columns = {name: list(map(read_cell, table[name])) for name in table.columns}
    return (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))


def read_cell(cell: str) -> Any:
    if cell[:1] in ("[", "{"):
        try:
            return json.loads(cell)
        except ValueError:
            pass
    return cell


def read_short(split: str, paths: list[Path], title: str, records: list[Mapping[str, Any]]) -> Dataset:
    """Tasks from one record for each annotation: those with one id are the answers to one task."""
    of_task: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for number, record in enumerate(records):
        task = record.get("id")
        of_task[("", number) if task in (None, "") else task].append(record)
    tally, questions = Tally(), find_questions(of_task.values())
    items = []
    for row, group in enumerate(of_task.values()):
        try:
            answers = [(record, Answers(annotator_of_short(record), read_columns(record, questions, tally)))
                       for record in group]  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            rule = f"its answers cannot be read ({type(error).__name__}: {error})"
            raise DataError(f"task {group[0].get('id')}", rule, "Export it again", split=split, row=row) from error
        data = {name: value for name, value in group[0].items() if name not in questions and name not in BOOKKEEPING}
        items.append(Item(data, keep_newest(answers, tally)))
    if len(items) < len(records):
        tell(f"{paths[0].name}: {len(records):,} annotations of {len(items):,} tasks; a row is a task, by its id")
    return to_dataset(split, paths, title, items, tally)


def annotator_of_short(record: Mapping[str, Any]) -> str | None:
    who = record.get("annotator")
    return annotator_of({"completed_by": who if who != "" else None})


def find_questions(groups: Iterable[list[Mapping[str, Any]]]) -> dict[str, str]:
    """The columns that hold answers, and the type of their results ('' for plain values).

    They are those with values of a known shape, those that stand from `id` to `annotator` in JSON_MIN, and those in
    which the annotations of one task differ.
    """
    found: dict[str, str] = {}
    first = True
    for group in groups:
        if first:
            first, names = False, list(group[0])
            if "id" in names and "annotator" in names and "id" != names[0]:
                inner = names[names.index("id") + 1 : names.index("annotator")]
                found |= dict.fromkeys((name for name in inner if name not in BOOKKEEPING), "")
        for record in group:
            for name, value in record.items():
                if isinstance(value, list | dict) and (kind := shape_of(value)):
                    found[name] = kind
        for record in group[1:]:
            for name, value in record.items():
                if name not in BOOKKEEPING and name not in found and value != group[0].get(name):
                    found[name] = ""
    return found


def shape_of(value: Any) -> str:
    """The type of results whose short form a value is; '' if it is none."""
    if isinstance(value, dict) and value.keys() == {"choices"}:
        return "choices"
    first = value[0] if isinstance(value, list) and value else None
    if isinstance(first, dict):
        shapes = {"start": "labels", "width": "rectanglelabels", "points": "polygonlabels", "rle": "brushlabels"}
        labelled = any(key.endswith("labels") for key in first)
        return next((kind for key, kind in shapes.items() if key in first and labelled), "")
    if isinstance(first, list) and first and all(isinstance(name, str) for name in first):
        return "taxonomy"
    return ""


def read_columns(record: Mapping[str, Any], questions: Mapping[str, str], tally: Tally) -> dict[Control, Any]:
    """The answers of one record of a short form."""
    results = []
    for name, kind in questions.items():
        value = record.get(name)
        if value in (None, "", []):
            continue
        if not isinstance(value, list | dict):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            values = [{"number": value} if number else {"choices": [value]}]
            kind_of_value = "number" if number else "choices"
        elif kind == "taxonomy":
            values, kind_of_value = [{"taxonomy": value}], kind
        elif kind:
            values, kind_of_value = value if isinstance(value, list) else [value], kind
        else:  # several lines of a text area
            values, kind_of_value = [{"text": value}], "textarea"
        results += [{"type": kind_of_value, "value": one, "from_name": name} for one in values]
    return read_results(results, tally)
