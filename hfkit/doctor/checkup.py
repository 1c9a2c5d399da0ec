"""All checks before a training, in one go. Nothing is trained, and nothing written or downloaded beyond what the user
named.
"""

import platform
from dataclasses import replace
from pathlib import Path

from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Codec
from hfkit.contract.rows import Media
from hfkit.contract.task import Task
from hfkit.doctor.answers import examine_answers
from hfkit.doctor.findings import Checkup, Finding
from hfkit.doctor.likeness import examine_likeness
from hfkit.doctor.machine import examine_machine
from hfkit.doctor.medical import examine_burnt_in
from hfkit.doctor.model import examine_model
from hfkit.doctor.packages import examine_packages
from hfkit.doctor.people import examine_people
from hfkit.doctor.pictures import examine_pictures
from hfkit.doctor.places import examine_places, tracker_findings
from hfkit.doctor.relabelling import export_rows
from hfkit.doctor.repeats import examine_repeats, examine_units
from hfkit.doctor.rows import Rows, read_rows
from hfkit.doctor.tags import examine_tags
from hfkit.doctor.texts import examine_encoding, examine_lengths

NOTHING_READ = Finding("data", "export", "error", "no row was written for a label tool, for none could be read")
GUESSED = 2  # labels of a head if the data could not be read


def examine(
    task: Task | None,
    recipe: RecipeArguments,
    args: TransferArguments,
    *,
    launcher: Finding,
    most_rows: int | None = None,
    export_file: Path | None = None,
) -> Checkup:
    """Environment, and with a task its data and the checkpoint.

    Args:
        launcher: the finding on the processes of a launcher.
        most_rows: of each split to look at; None: as many as a short while allows.
        export_file: where rows that people should look at again are written for a label tool; None: nowhere.

    Raises:
        UserError: that file is there already, or cannot be written.
    """
    checkup = Checkup()
    findings, versions = examine_packages(extras_of(task, recipe), platform.python_version())
    more, machine = examine_machine(use_cpu=args.use_cpu)
    places, there = examine_places(Path(args.output_dir), args.cache_place, pushes=args.push_to_hub)
    checkup.facts["environment"] = {**versions, **machine, **there}
    checkup.findings = [*findings, launcher, *more, *places, *tracker_findings(args.report_to)]
    if task is None:
        return checkup
    checkup.task, checkup.dataset, checkup.checkpoint = task.key, task.dataset, recipe.checkpoint
    # Of all rows: they are right or wrong whether or not a run takes them.
    task = replace(task, max_train_rows=None)
    found, rows = read_rows(task, most_rows)
    target = rows.loaded.target if rows else task.guess_target(GUESSED)
    of_model, facts, codec = examine_model(task, recipe, args, target)
    checkup.facts["model"] = facts
    checkup.findings += found
    if rows is not None:
        of_rows, checkup.facts["data"] = examine_rows(rows, codec)
        checkup.findings += of_rows
    if export_file is not None:
        checkup.findings.append(export_rows(rows, export_file) if rows else NOTHING_READ)
    checkup.findings += of_model
    return checkup


def examine_rows(rows: Rows, codec: Codec | None) -> tuple[list[Finding], dict]:
    """Every check of the rows; each looks at the columns that it knows."""
    people, agreement = examine_people(rows)
    found = [*examine_answers(rows), *people, *examine_tags(rows), *examine_repeats(rows), *examine_units(rows)]
    found += [*examine_likeness(rows), *examine_encoding(rows)]
    pictures, sides = examine_pictures(rows, codec)
    pictures += examine_burnt_in(rows)
    lengths, tokens = examine_lengths(rows, codec) if codec is not None else ([], {})
    return [*found, *pictures, *lengths], {**rows.facts, **agreement, **sides, **({"tokens": tokens} if tokens else {})}


def extras_of(task: Task | None, recipe: RecipeArguments) -> set[str]:
    """The extras of hfkit that a run needs."""
    if task is None:
        return set()
    wanted = {
        "sample": recipe.checkpoint == "sample" and task.sample.checkpoint == "sample-text",
        "vision": task.rows.media is Media.IMAGE,
        "few-shot": "setfit" in recipe.baseline,
    }
    return {extra for extra, needed in wanted.items() if needed}
