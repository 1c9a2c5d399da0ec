"""A finished run goes on for more epochs: from its last weights, by a new schedule over what is added.

Resuming alone cannot do it. The schedule and the plan of a strategy are spread over the whole training, so other epochs
mean other rates in every step that lies behind. An extension therefore says what it is: the steps before it stay as
they were, everything that had thawed by their end learns on, optimizer and schedule are new, and rows come in the order
that the epochs added would have had. It is written into the identity of the run, and an extension that is interrupted
resumes like any run.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError
from hfkit.model.unfreezing import FreezePlan
from hfkit.training.checkpoints import differences, read_identity
from hfkit.training.resuming import announce, read_state, step_folders

EXTENDED = "extended"  # in the identity of a run: one entry for each time, with the step and the epochs before
LENGTH = frozenset({"settings.num_train_epochs", "settings.max_steps"})
# The length and the schedule, which is a new one. Everything else stays that of the run.
FREE = LENGTH | {
    *("settings.learning_rate", "settings.head_learning_rate", "settings.layer_decay", "settings.warmup_steps"),
    *("settings.lr_scheduler_type", "settings.lr_scheduler_kwargs", "settings.slanted_triangular"),
}


def refuse_extension(args: TransferArguments, *, sharded: bool) -> None:
    """Refuse --extend where it has no meaning, or where nothing proves what comes of it.

    Raises:
        UserError: naming the flag beside it.
    """
    if args.extend and args.decided:
        raise UserError(
            f"extend with strategy={args.strategy}",
            "validation decides when it ends, and it had ended",
            "Start anew with more epochs in another --output_dir, or choose another --strategy there",
        )
    if args.extend and sharded:
        raise UserError("extend with FSDP", "not proven to train as whole copies do", "Use recipes/accelerate/ddp.yaml")


def find_extensions(checkpoint: Path | None, identity: dict[str, Any], args: TransferArguments) -> list[dict]:
    """How often the run of a checkpoint has been extended, and where: `step` and `epochs` that lay behind each time.

    With --extend another one may begin at the checkpoint.

    Args:
        identity: of the run that is about to begin, as it would be without extensions.

    Raises:
        UserError: --extend, and this cannot be extended, or not in this way.
    """
    saved = read_identity(checkpoint) if checkpoint is not None else {}
    before = saved.pop(EXTENDED, [])
    if checkpoint is None or not args.extend:
        return before
    state, found = read_state(checkpoint), differences(saved, identity)
    if not found and before:
        return before  # it has begun already
    if other := [difference for difference in found if place_of(difference) not in FREE]:
        raise UserError(
            f"extend {checkpoint}",
            f"only the length and the schedule of a run change when it is extended ({'; '.join(other[:5])})",
            "Give the other flags and the data that it had, or start anew in another --output_dir",
        )
    step, last = state["global_step"], state["max_steps"]
    if not has_ended(checkpoint, saved):
        raise UserError(
            f"extend {checkpoint}",
            f"a run is extended from its end, and this is step {step} of {last}",
            "Resume it without --extend and with the length it had, until it has ended",
        )
    refuse_shorter(args, saved, state)
    if step < last:
        announce(
            "The last checkpoint of the run was deleted, for --save_total_limit 1 keeps the best one:"
            f" {checkpoint.name}, step {step} of {last}, is what goes on."
        )
    return [*before, {"step": step, "epochs": float(state["epoch"])}]


def has_ended(checkpoint: Path, identity: dict[str, Any]) -> bool:
    """Whether a run ended after this checkpoint: at it, or with a report of that run beside it.

    Args:
        identity: of the run that wrote the checkpoint.
    """
    state = read_state(checkpoint)
    if state["global_step"] >= state["max_steps"]:
        return True
    # Of a finished run, --save_total_limit 1 deletes the last checkpoint unless it is the best.
    try:
        settings = json.loads((checkpoint.parent / "report.json").read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, LookupError, TypeError):
        return False
    return all(settings.get(name) == identity["settings"].get(name) for name in ("num_train_epochs", "max_steps"))


def refuse_shorter(args: TransferArguments, saved: dict[str, Any], state: dict[str, Any]) -> None:
    """Refuse an extension that adds nothing to the length of a run.

    Raises:
        UserError: naming the flag.
    """
    if args.max_steps > 0:
        name, reached = "max_steps", state["max_steps"]
    else:
        by_epochs = saved["settings"]["max_steps"] <= 0
        name, reached = "num_train_epochs", saved["settings"]["num_train_epochs"] if by_epochs else state["epoch"]
    if getattr(args, name) <= reached:
        raise UserError(
            f"extend with {name}={getattr(args, name):g}",
            f"it counts those that lie behind too, and the run has {reached:g}",
            f"Set --{name} above {reached:g}",
        )


def place_of(difference: str) -> str:
    """The setting that a difference between two identities is about."""
    return difference.partition(":")[0]


def suggest_fix(checkpoint: Path, found: Sequence[str]) -> str:
    """Name a way out where the run of a checkpoint differs from what is asked for: --extend if that would do it."""
    otherwise = "resume with the same flags and data, or start anew in another output_dir"
    other_length = {place_of(difference) for difference in found} <= LENGTH
    if not other_length or not has_ended(checkpoint, read_identity(checkpoint)):
        return otherwise.capitalize()
    return f"Add --extend to go on from the end of that run by a new schedule, {otherwise}"


def is_the_end(checkpoint: Path, folder: Path) -> bool:
    """Whether no later checkpoint lies in an output directory than this one, which lies there too."""
    return any(last.samefile(checkpoint) for last in step_folders(folder)[-1:])


def last_step_of(extensions: Sequence[dict]) -> int:
    """The optimizer step at which the last extension began; 0 without any."""
    return extensions[-1]["step"] if extensions else 0


def extend_plan(plan: FreezePlan) -> FreezePlan:
    """The plan of an extension: what has thawed by the end of a plan learns from the first step on."""
    return FreezePlan((0,), (plan.lowest[-1],))


def to_words(extensions: Sequence[dict]) -> str:
    """How a run came about: ', extended from 4 epochs (step 32)'; empty without extensions."""
    before = [
        f"{each['epochs']:g} epoch{'s' if each['epochs'] != 1 else ''} (step {each['step']})" for each in extensions
    ]
    return f", extended from {' and '.join(before)} by a new schedule" if before else ""
