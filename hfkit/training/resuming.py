"""The checkpoint that a run goes on from, and its best one until then: the newest that is as it was written."""

import json
import re
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
from accelerate import PartialState
from transformers import PreTrainedModel
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import SAFE_WEIGHTS_INDEX_NAME

from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError, first_line
from hfkit.model.pickles import read_shards
from hfkit.model.weights import refuse_unreadable
from hfkit.progress import hide_records, loading
from hfkit.training.sealed import SEAL, begin, find_fault, finish, has_seal

NAME = re.compile(r"checkpoint-(\d+)")
# The stock trainer goes on without one of these, from another state, and says nothing.
NEEDED = ("optimizer*", "scheduler.pt", "rng_state*.pth")


def step_folders(folder: Path) -> list[Path]:
    """The checkpoints of a run in its output directory, whole or not, earliest step first."""
    found = [path for path in folder.glob("checkpoint-*") if NAME.fullmatch(path.name)]
    return sorted(found, key=step_of)


def step_of(checkpoint: Path) -> int:
    """The optimizer step that a checkpoint is called by."""
    return int(checkpoint.name.partition("-")[2])


def numbered_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run that can be resumed, as far as their names tell, earliest step first."""
    return [path for path in step_folders(folder) if (path / TRAINER_STATE_NAME).is_file()]


def find_checkpoint(args: TransferArguments, asked: str | bool | None) -> str | None:
    """The checkpoint that a run goes on from, whole as far as anything tells; None to begin anew.

    Args:
        asked: its path, True for the newest one, or "auto" for the newest one if there is any.

    Raises:
        UserError: there is none, or it is damaged.
    """
    if not asked:
        return None
    if asked in (True, "auto"):
        needed = asked is True or args.extend
        return newest_checkpoint(Path(args.output_dir), needed=needed, with_best=args.load_best_model_at_end)
    fault = find_fault_on_resume(Path(asked), with_best=args.load_best_model_at_end, named=True)
    require_whole(Path(asked), fault)
    return asked


def newest_checkpoint(folder: Path, *, needed: bool, with_best: bool) -> str | None:
    """The latest whole checkpoint in an output directory; None where there is none at all and none is needed.

    Damaged ones are passed over, each with a line.

    Args:
        with_best: the best checkpoint until then has to be whole too, because it will be loaded in the end.

    Raises:
        UserError: there is none, or all of them are damaged.
    """
    faults = []
    for path in reversed(step_folders(folder)):
        fault = find_fault_on_resume(path, with_best=with_best)
        if fault is None:
            return str(path)
        faults.append(f"{path.name}: {fault}")
        announce(f"Checkpoint passed over: {faults[-1]}")
    if faults:
        raise UserError(
            f"checkpoints in {folder}",
            f"one of them has to be whole ({'; '.join(faults[:3])})",
            "Check the disk, and start anew in another --output_dir",
        )
    if needed:
        fix = "Start without it, or set it to auto"
        raise UserError("resume_from_checkpoint=True", f"{folder} holds no checkpoint", fix)
    return None


def find_fault_on_resume(checkpoint: Path, *, with_best: bool, named: bool = False) -> str | None:
    """Why a run that is resumed from this checkpoint would not end as if it had not been interrupted, in words.

    Args:
        named: the user gave its path, and so may mean one without a manifest.
    """
    if not (checkpoint / TRAINER_STATE_NAME).is_file():
        return f"{TRAINER_STATE_NAME} is missing"
    sealed = has_seal(checkpoint)
    if not sealed and not named:
        return f"{SEAL} is missing, so nothing proves it whole (--resume_from_checkpoint with its path uses it)"
    if not sealed:
        if lost := [kind for kind in NEEDED if not list(checkpoint.glob(kind))]:
            return f"{lost[0]} is missing"
        announce(f"{checkpoint.name} was written without {SEAL}, by an earlier version: it is used without a check.")
    elif fault := find_fault(checkpoint):
        return fault
    try:
        state = read_state(checkpoint)
        refuse_shards_elsewhere(checkpoint)
    except UserError as error:
        return str(error)
    if NAME.fullmatch(checkpoint.name) and state["global_step"] != step_of(checkpoint):
        return f"it is a copy of the checkpoint of step {state['global_step']}"
    return find_fault_of_best(checkpoint, state, sealed=sealed) if with_best else None


def find_fault_of_best(checkpoint: Path, state: dict[str, Any], *, sealed: bool = True) -> str | None:
    """Why the best checkpoint until this one cannot be loaded in the end, in words; None if none was chosen."""
    recorded = state.get("best_model_checkpoint")
    if recorded is None:
        return None
    name = Path(str(recorded)).name
    if not NAME.fullmatch(name):
        return f"its best one is called '{name}', which is no name of a checkpoint"
    if name == checkpoint.name:
        return None
    fault = find_fault_of_weights(checkpoint.parent / name, sealed=sealed)
    return fault and f"its best one is {name}, and there {fault}"


def find_fault_of_weights(checkpoint: Path, *, sealed: bool = True) -> str | None:
    """The fault of a checkpoint whose weights alone are read; None if it is whole.

    Args:
        sealed: one without a manifest is not whole.
    """
    if not checkpoint.is_dir():
        return "nothing is left"
    if has_seal(checkpoint):
        return find_fault(checkpoint)
    if sealed:
        return f"{SEAL} is missing"
    try:
        refuse_shards_elsewhere(checkpoint)
    except UserError as error:
        return str(error)
    return None


@contextmanager
def refuse_states_with_code(checkpoint: str | None) -> Iterator[None]:
    """Refuse a state beside the weights that is a pickle of anything but tensors and numbers; it is not run.

    Raises:
        UserError: naming the checkpoint, and what the pickle names.
    """
    try:
        yield
    except UnpicklingError as error:
        named = re.search(r"GLOBAL ([\w.]+)", str(error))
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"{', '.join(NEEDED)} hold tensors and numbers, and one of them would run code"
            f" ({f'it names {named[1]}' if named else first_line(error)})",
            "Resume from a checkpoint that you have from a source you trust",
        ) from error


def refuse_shards_elsewhere(checkpoint: Path) -> None:
    """Refuse a checkpoint whose index of weights leads out of its folder.

    Raises:
        UserError: naming the index.
    """
    if (index := checkpoint / SAFE_WEIGHTS_INDEX_NAME).is_file():
        read_shards(index)


def require_whole(checkpoint: Path, fault: str | None) -> None:
    """Refuse a checkpoint with a fault.

    Raises:
        UserError: naming it.
    """
    if fault is not None:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"a checkpoint is used as it was written, and {fault}",
            "Check the disk, and resume from another one, with --resume_from_checkpoint auto from the newest whole one",
        )


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state of the trainer as a checkpoint holds it.

    Raises:
        UserError: it cannot be read.
    """
    file = checkpoint / TRAINER_STATE_NAME
    try:
        state = json.loads(file.read_text(encoding="utf-8"))
        if not (isinstance(state, dict) and isinstance(state.get("global_step"), int)):
            raise ValueError("it is not the state of a trainer")
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(
            f"file '{file}'", f"it says where a run was, and cannot be read ({first_line(error)})", "Use another one"
        ) from error
    return state


def find_best(checkpoint: Path) -> Path | None:
    """The best checkpoint of a run until this one; None if none was chosen, or it is gone.

    It lies beside this one, also in an output directory that was moved or copied since: of the path that the state of
    the run holds, only the name counts, so nothing elsewhere is ever loaded.
    """
    recorded = read_state(checkpoint).get("best_model_checkpoint")
    if recorded is None or not NAME.fullmatch(name := Path(str(recorded)).name):
        return None
    beside = checkpoint.parent / name
    return beside if beside.is_dir() else None


def take_along(best: Path, folder: Path) -> None:
    """Copy the best checkpoint of a run that is resumed into another output directory, where later ones look for it."""
    final = folder / best.name
    if not (final.is_dir() and has_seal(final) and find_fault(final) is None):
        finish(shutil.copytree(best, begin(final), dirs_exist_ok=True), final)


def ignore_recorded_best() -> AbstractContextManager[None]:
    """Keep the stock trainer from saying that the best checkpoint is not where the state has it: it is looked for."""
    return hide_records("transformers.trainer", r"^The best checkpoint ")


def announce(line: str) -> None:
    """Print a line, once for all processes."""
    if PartialState().is_main_process:
        print(line)


@loading()
def read_weights(model: PreTrainedModel, checkpoint: str) -> None:
    """Give `model` every weight of a checkpoint, whatever names they have there.

    `save_pretrained` writes ViT, Swin, DINOv2 and others under the older names that the Hub has. The stock trainer
    looks for the new names, finds none, warns, and goes on without those weights (transformers issue 43701).

    Raises:
        UserError: they cannot be read, or a weight is missing.
    """
    refuse_shards_elsewhere(Path(checkpoint))
    named = f"checkpoint '{checkpoint}'"
    with torch.random.fork_rng(devices=[]), refuse_unreadable(type(model), named):
        saved, info = type(model).from_pretrained(
            checkpoint, config=model.config, dtype=model.dtype, use_safetensors=True, output_loading_info=True
        )
    if info["missing_keys"]:
        raise UserError(
            named, f"it lacks weights ({', '.join(sorted(info['missing_keys'])[:3])}, …)", "Use another one"
        )
    model.load_state_dict(saved.state_dict())
