"""The rows that a report shows, as rows that its model can be asked about again."""

import base64
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfkit.data.text.texts import JOINT
from hfkit.runtime.files import read_object


def read_report(folder: Path) -> dict[str, Any]:
    """The report.json of a finished run; {} without one."""
    file = folder / "report.json"
    return read_object(file, f"file '{file}'", "Take it away") if os.path.lexists(file) else {}


def report_rows(report: Mapping[str, Any], columns: Sequence[str]) -> list[dict[str, Any]]:
    """The rows of a report's mistakes, without answers, as `Rows.to_predict` takes them.

    Args:
        columns: of a row of texts or of a picture (its bytes); a row of words has `tokens`.
    """
    found = (mistake_row(mistake, columns) for mistake in report.get("errors", []))
    return [row for row in found if row is not None]


def mistake_row(mistake: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any] | None:
    """The row of one mistake; None if the report does not hold a value for each of the columns."""
    if mistake.get("picture"):
        return {columns[0]: {"bytes": base64.b64decode(mistake["picture"].partition(",")[2]), "path": None}}
    if "text" not in mistake:
        return {"tokens": mistake["tokens"]} if len(columns) == 1 else None
    texts = mistake["text"].split(JOINT) if len(columns) > 1 else [mistake["text"]]
    return dict(zip(columns, texts, strict=True)) if len(texts) == len(columns) else None
