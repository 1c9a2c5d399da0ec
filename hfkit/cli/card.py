"""`hfkit card`: writing a model card from a run's report, and checking one against it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from hfkit.cli.help import Command, Group
from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, FAILED, run

card = typer.Typer(cls=Group, no_args_is_help=True, help="Write the model card of a finished run, or check one.")

Folder = Annotated[Path, typer.Argument(metavar="DIR", help="the output_dir of a finished run")]


@card.command(cls=Command)
def write(
    folder: Folder,
    model: Annotated[str | None, typer.Option(help="the model's name, such as its id on the Hub")] = None,
) -> None:
    """Write DIR/README.md again from DIR/report.json, and the card of its adapters if it has any.

    Changes by hand are lost.

    Exit codes: 0 written; 2 there is no report that this version reads, or the folder cannot be written.

        hfkit card write runs/bert-ner
        hfkit card write runs/bert-sentiment --model somebody/reviews
    """

    def main() -> None:
        from hfkit.hub.card import write_card

        has_report = (folder / "report.json").is_file()  # without one, that is the message
        if has_report and not any((folder / name).is_file() for name in ("config.json", "adapter_config.json")):
            rule = "its report is of an evaluation: no model lies beside it, and a card is a model's"
            raise UserError(f"folder '{folder}'", rule, "Give the output_dir of a run that has ended")
        print(write_card(folder, model=model))

    run(main, ANEW)


@card.command(cls=Command)
def lint(
    folder: Folder,
    online: Annotated[
        bool, typer.Option("--online/--offline", help="also ask the Hub, which is sent the card, and try every link")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document: faults, unchecked")] = False,
) -> None:
    """Check the card in DIR: its metadata, every number in it against report.json, its links and its code.

    Words may be changed, and sections under new headings added. Each fault is printed on a line, with its place.

    Exit codes: 0 nothing is wrong; 1 something is; 2 there is no card.

        hfkit card lint runs/bert-ner
        hfkit card lint runs/vit-images --json
    """

    def main() -> None:
        from hfkit.hub.lint import examine

        findings = examine(folder, online=online)
        if as_json:
            print(json.dumps(findings._asdict(), ensure_ascii=False, indent=1))
        else:
            for fault in findings.faults:
                print(fault)
            for check in findings.unchecked:
                typer.echo(f"not checked: {check}", err=True)
        if findings.faults:
            raise SystemExit(FAILED)

    run(main, ANEW)
