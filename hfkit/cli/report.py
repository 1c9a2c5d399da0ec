"""`hfkit report`: the pages of a finished run or comparison, rendered again from its record."""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, run

MAKE_AGAIN = "Make it again by the command that stands in it, or read it with the version that wrote it"


def report(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="output_dir of a run or an evaluation, or compare_dir of a comparison")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="print the results as JSON, and nothing else")] = False,
) -> None:
    """Write the pages beside report.json or ledger.json again, from the record alone and by the present templates.

        hfkit report runs/bert-sentiment
        hfkit report runs/bert-ner --json

    Exit codes: 0 written; 2 there is no record that this version reads, or the folder cannot be written.
    """
    run(lambda: _write(folder, as_json=as_json), ANEW)


def _write(folder: Path, *, as_json: bool) -> None:
    from hfkit.report.report import write_files

    # A comparison on several test sets has a ledger for each.
    records = [*folder.glob("report.json"), *sorted(folder.glob("ledger*.json"))]
    if not records:
        raise UserError(
            f"folder '{folder}'",
            "there is no report.json and no ledger.json",
            "Give the output_dir of a run that has ended, or the compare_dir of a comparison",
        )
    pages = {path: render_record(path) for path in records}
    for files in pages.values():
        write_files(folder, files)
    if as_json:
        results = [summarise(path, files) for path, files in pages.items()]
        print(json.dumps(results[0] if len(results) == 1 else results, indent=1, ensure_ascii=False))
        return
    for path, files in pages.items():
        print(f"{path.name}: {', '.join(str(folder / name) for name in files if name != path.name)}")


def render_record(path: Path) -> dict[str, str]:
    """A record's files by name, itself among them.

    Raises:
        UserError: it is no record, or one of another version.
    """
    from hfkit.ledger.pages import render_ledger
    from hfkit.report.report import render
    from hfkit.report.schema import validate
    from hfkit.runtime.files import read_object

    try:
        record = read_object(path, f"file '{path}'", MAKE_AGAIN)
        if path.name == "report.json":
            validate(record)
            files = render(record)
        else:
            files = render_ledger(record)
    except UserError:
        raise
    # A record of another version, or one changed by hand, may lack anything.
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        rule = f"it is no record that this version of hfkit reads ({error})"
        raise UserError(f"file '{path}'", rule, MAKE_AGAIN) from error
    return {path.stem + Path(name).suffix: text for name, text in files.items()}


def summarise(path: Path, files: dict[str, str]) -> dict[str, Any]:
    """The results in a record for a program, and where its files are."""
    record = json.loads(files[path.name])
    first = next((one for one in record["contenders"] if one["difference"] is None), None)  # that all are compared with
    verdict = record["verdict"]
    return {
        "schema": record["schema"],
        "task": record["task"],
        "rows": record["rows"],
        "contender": first and first["name"],
        "headline": first and first["headline"],
        "interval": first and first["interval"],
        "verdict": verdict if isinstance(verdict, str) else " ".join(one["text"] for one in verdict["sentences"]),
        "contenders": [{"name": one["name"], "scores": scores_of(one)} for one in record["contenders"]],
        "files": [str(path.with_name(name)) for name in files],
    }


def scores_of(contender: dict[str, Any]) -> dict[str, float]:
    """All scores of a contender in a report; in a ledger the one that decides."""
    return contender.get("scores") or {"headline": contender["headline"]}
