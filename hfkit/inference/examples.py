"""The rows that a report shows, as rows that its model can be asked about again."""

import base64
import json
from pathlib import Path
from typing import Any

from hfkit.contract.task import JOINT


def report_of(folder: Path) -> dict[str, Any]:
    """The report.json of a finished run; {} where there is none."""
    file = folder / "report.json"
    return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def examples(report: dict[str, Any]) -> list[dict[str, Any]]:
    """Rows of `text` (of pairs also `text_pair`), `tokens` or `image` (its bytes), as `Task.unanswered` takes them."""
    return [row for error in report.get("errors", []) if (row := example(error))]


def example(error: dict[str, Any]) -> dict[str, Any]:
    """What an entry of `errors` shows, without its answers."""
    if "tokens" in error:
        return {"tokens": error["tokens"]}
    if error["picture"]:
        return {"image": {"bytes": base64.b64decode(error["picture"].partition(",")[2]), "path": None}}
    first, joint, second = error["text"].partition(JOINT)
    return {"text": first, "text_pair": second} if joint else {"text": first}


def of_pairs(report: dict[str, Any]) -> bool:
    """Whether the run classified pairs of texts."""
    named = report.get("settings", {}).get("text_pair_column")
    return bool(named) or any("text_pair" in row for row in examples(report))
