"""`hfkit doctor`: what would go wrong, or mislead, before anything is trained."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from hfkit.errors import UserError
from hfkit.runtime.commands import ANEW, run

OWN_FLAGS = ("--recipe", "--task", "--most_rows", "--export", "--export_file", "--json", "--strict")


class Tool(StrEnum):
    """A label tool that rows are written for."""

    labelstudio = "labelstudio"


def doctor(
    context: typer.Context,
    recipe: Annotated[str | None, typer.Option(help="a recipe, whose task and flags are looked at")] = None,
    task: Annotated[str | None, typer.Option(help="the task of the data, without a recipe")] = None,
    most_rows: Annotated[
        int | None,
        typer.Option(
            "--most_rows", min=1, help="rows of each split to look at; default: 200,000, or 5,000 with pictures"
        ),
    ] = None,
    export: Annotated[
        Tool | None, typer.Option(help="write the rows at fault and in conflict as tasks of this label tool")
    ] = None,
    export_file: Annotated[
        Path | None,
        typer.Option("--export_file", help="where to, beside its .xml of a configuration; default: hfkit_tasks.json"),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON document, for programs")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="end with 1 where there is a warning, too")] = False,
) -> None:
    """Look at the environment, and with a task at its data and the checkpoint, for what would go wrong or mislead.

    Versions, devices, processes, memory, disks, the Hub and trackers; columns, every bad row, labels, repeats within
    and across splits, equal inputs with unequal answers, balance, tag scheme, encoding, lengths and pixels against what
    the model reads, units that two splits share; architecture, weights, vocabulary, and memory for training.

    Every flag of a recipe is accepted, and so is --config FILE.yaml. Only what is named here is read, and nothing is
    written but the tasks of --export: rows at fault, and equal inputs with unequal answers, with their present answers
    as predictions and the reason in `meta`, for people to settle in Label Studio. hfkit/doctor/findings.py says what
    the JSON holds.

        hfkit doctor
        hfkit doctor --task ner --dataset entities --checkpoint runs/bert-ner
        hfkit doctor --recipe recipes/bert_sentiment.py --dataset reviews --checkpoint runs/bert-sentiment --json
        hfkit doctor --task ner --dataset entities --export labelstudio --export_file build/tasks.json
        hfkit doctor --recipe recipes/vit_images.py --checkpoint runs/vit-images --most_rows 500

    Exit codes: 0 no error; 1 an error was found, or with --strict a warning; 2 the command cannot be followed.
    """

    def examine() -> None:
        to = _choose_file(export, export_file, rows=recipe is not None or task is not None)
        _examine(context.args, recipe, task, most_rows, to, as_json=as_json, strict=strict)

    run(examine, ANEW)


def _choose_file(export: Tool | None, file: Path | None, *, rows: bool) -> Path | None:
    """Where rows are written; None: nowhere.

    Raises:
        UserError: it is not said for which tool, or there is no task whose rows are looked at.
    """
    if export is None and file is not None:
        raise UserError("--export_file", "it is not said for which tool", "Add --export labelstudio, or leave it out")
    if export is not None and not rows:
        raise UserError("--export", "rows belong to a task", "Add --task or --recipe, and --dataset")
    return None if export is None else file or Path("hfkit_tasks.json")


def _examine(
    flags: list[str],
    recipe: str | None,
    task: str | None,
    most_rows: int | None,
    export_file: Path | None,
    *,
    as_json: bool,
    strict: bool,
) -> None:
    import json
    import os

    from rich.console import Console

    from hfkit.arguments.trackers import accept_missing_trackers
    from hfkit.doctor.checkup import examine
    from hfkit.doctor.machine import launcher_finding
    from hfkit.progress import reserve_stdout
    from hfkit.runtime.processes import take_rank

    launcher, rank = launcher_finding(os.environ), take_rank()
    if rank is not None and rank.rank > 0:
        return
    with reserve_stdout():
        with accept_missing_trackers():
            examined, given, args = _parse_arguments(flags, recipe, task)
        checkup = examine(examined, given, args, launcher=launcher, most_rows=most_rows, export_file=export_file)
    if as_json:
        print(json.dumps(checkup.document(strict=strict), indent=1, allow_nan=False, default=float))
    else:
        checkup.show(Console(), strict=strict)
    if code := checkup.exit_code(strict=strict):
        raise SystemExit(code)


def _parse_arguments(flags: list[str], recipe: str | None, name: str | None) -> tuple:
    """The task, or None for the environment alone; what a recipe starts from; and how it would train.

    Raises:
        UserError: flags that cannot be read, or a dataset or checkpoint that is not there.
    """
    from hfkit.arguments.parse import parse
    from hfkit.arguments.recipe import RecipeArguments
    from hfkit.arguments.training import TransferArguments
    from hfkit.inference.saved import find_task
    from hfkit.ledger.arguments import load_recipe
    from hfkit.tasks import TASKS

    if recipe is not None and name is not None:
        raise UserError("--recipe and --task", "a recipe has its task", "Leave one of them out")
    if recipe is None and name is None:
        if any(flag.startswith(("--dataset", "--checkpoint")) for flag in flags):
            fix = f"Add --recipe FILE, or --task with one of {', '.join(task.key for task in TASKS)}"
            raise UserError("--dataset, --checkpoint", "the task decides how they are read", fix)
        given, args = parse((RecipeArguments, TransferArguments), argv=flags, own_flags=OWN_FLAGS)
        return None, given, args
    if recipe is not None:
        given, task, args = load_recipe(recipe)(flags)
    else:
        kinds = (RecipeArguments, find_task(name), TransferArguments)
        given, task, args = parse(kinds, argv=flags, own_flags=OWN_FLAGS)
    task.path(given.checkpoint)  # refuses what is not there
    if task.dataset != "sample":
        from hfkit.data.places import find_place

        find_place(task.source)
    return task, given, args
