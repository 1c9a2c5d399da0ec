"""The identity of a run, and the refusal to mix two of them, on resume or in an output directory."""

import json
import logging
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from torch import Tensor
from transformers import PreTrainedModel
from transformers.trainer import TRAINER_STATE_NAME

from hfkit.arguments.strategies import STRATEGIES
from hfkit.data.digests import rows_digest
from hfkit.errors import UserError
from hfkit.model.digests import digest
from hfkit.progress import loading
from hfkit.training.sealed import SEAL, find_fault, has_seal

RUN_FILE = "hfkit_run.json"

# Settings that decide the weights. The others (where to write, what to log, how to evaluate) may differ on resume.
DECIDING = (
    *("learning_rate", "layer_decay", "head_learning_rate", "head_only", "unfreeze_stages", "unfreeze_until"),
    *("thaw_warmup", "lora_rank", "pretrained", "slanted_triangular", "blocks", "seed", "data_seed"),
    *("reinit_blocks", "train_blocks"),
    *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "label_smoothing_factor", "neftune_noise_alpha"),
    *("bf16", "fp16", "tf32", "full_determinism", "dataloader_drop_last", "train_sampling_strategy"),
    *("average_tokens_across_devices", "ignore_data_skip", "load_best_model_at_end", "metric_for_best_model"),
    *("prefix_cache", "cache_dtype", "cache_views"),
)
# Where validation decides after each stage, also when that is asked.
OF_DECISIONS = ("strategy", "eval_strategy", "eval_steps")
# Settings that another version knows and this one does not are no difference between two runs.
VERSIONED = ("settings", "model", "task")
LOOKED_AT = 1024  # leading values of each weight that tell one checkpoint from another


def deciding(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """The settings that decide the weights of a run with these."""
    strategy = STRATEGIES.get(arguments.get("strategy", ""))
    return DECIDING + OF_DECISIONS if strategy is not None and strategy.decided else DECIDING


def run_identity(
    arguments: dict[str, Any],
    *,
    task: dict[str, Any],
    model_config: dict[str, Any],
    weights: Iterable[Tensor],
    rows: Iterable[Dataset],
    world_size: int,
    groups: list[dict],
) -> dict[str, Any]:
    """Everything that decides the weights of a run, as JSON values.

    Args:
        arguments: the training arguments as a plain dict.
        task: the task's settings, besides the name of its dataset: `rows` say what was in it.
        weights: the beginnings of those that the run starts from and does not draw itself.
        rows: what is trained on, and what the best epoch is chosen on.
        groups: the optimizer's groups with `name` and `params`.
    """
    # Saving a model writes its class into its config: a second training of it is of the same model.
    unrelated = ("_name_or_path", "transformers_version", "architectures")
    without_places = {key: value for key, value in model_config.items() if key not in unrelated}
    identity = {
        "settings": {key: arguments[key] for key in deciding(arguments) if key in arguments},
        "task": {key: value for key, value in task.items() if not key.startswith("dataset")},
        "model": without_places,
        "weights": digest(weights).hex(),
        "rows": [rows_digest(split) for split in rows],
        "world_size": world_size,
        "groups": {group["name"]: len(group["params"]) for group in groups},
    }
    return json.loads(json.dumps(identity, default=str, sort_keys=True))


def differences(saved: dict, current: dict) -> list[str]:
    """The places where two identities differ: 'settings.seed: 0 then, 1 now'."""
    found = []
    for section in sorted({*saved, *current}):
        then, now = saved.get(section), current.get(section)
        if not (isinstance(then, dict) and isinstance(now, dict)):
            then, now, prefix = {section: then}, {section: now}, ""
        else:
            prefix = f"{section}."
        names = {*then} & {*now} if section in VERSIONED else {*then, *now}
        found += [
            f"{prefix}{name}: {then.get(name)!r} then, {now.get(name)!r} now"
            for name in sorted(names)
            if then.get(name) != now.get(name)
        ]
    return found


def write_identity(folder: Path, identity: dict) -> None:
    """Write the run file whole or not at all."""
    folder.mkdir(parents=True, exist_ok=True)
    unfinished = folder / f"_{RUN_FILE}"
    unfinished.write_text(json.dumps(identity, indent=1, sort_keys=True) + "\n")
    os.replace(unfinished, folder / RUN_FILE)


def read_identity(folder: Path) -> dict:
    """The identity of the run that wrote `folder`.

    Raises:
        UserError: the run file cannot be read.
    """
    try:
        return json.loads((folder / RUN_FILE).read_text())
    except (OSError, ValueError) as error:
        raise UserError(
            f"{folder / RUN_FILE}", f"it says which run wrote the folder, and cannot be read ({error})", "Use another"
        ) from error


def numbered_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run that can be resumed, as far as their names tell, earliest step first."""
    return [path for path in step_folders(folder) if (path / TRAINER_STATE_NAME).is_file()]


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


def step_folders(folder: Path) -> list[Path]:
    """The checkpoints of a run in its output directory, whole or not, earliest step first."""
    found = [path for path in folder.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+", path.name)]
    return sorted(found, key=lambda path: int(path.name.partition("-")[2]))


def find_fault_on_resume(checkpoint: Path, *, with_best: bool) -> str | None:
    """Why a run that is resumed from this checkpoint would not end as if it had not been interrupted, in words."""
    if not (checkpoint / TRAINER_STATE_NAME).is_file():
        return f"{TRAINER_STATE_NAME} is missing"
    if not has_seal(checkpoint):
        announce(f"{checkpoint.name} was written without {SEAL}, by an earlier version: it is used without a check.")
    elif fault := find_fault(checkpoint):
        return fault
    best = find_best(checkpoint) if with_best else None
    if best is not None and best.name != checkpoint.name and (fault := find_fault_of_best(best)):
        return f"its best one is {best.name}, and there {fault}"
    return None


def find_best(checkpoint: Path) -> Path | None:
    """The best checkpoint of a run until this one; None if none was chosen.

    It lies beside this one, also in an output directory that was moved or copied since: of the absolute path that the
    state of the run holds, the name counts. Only a run that was resumed into another directory has it elsewhere.
    """
    recorded = read_state(checkpoint).get("best_model_checkpoint")
    if recorded is None:
        return None
    beside = checkpoint.parent / Path(recorded).name
    return beside if beside.is_dir() else Path(recorded)


def read_state(checkpoint: Path) -> dict[str, Any]:
    """The state of the trainer as a checkpoint holds it."""
    return json.loads((checkpoint / TRAINER_STATE_NAME).read_text())


def spell_as(folder: Path, checkpoint: Path) -> Path:
    """The path of a checkpoint as one in `folder`, if it lies there, however its own path is spelt.

    The rotation of checkpoints compares paths as text: by another spelling, the best one would be deleted.
    """
    return folder / checkpoint.name if checkpoint.parent.samefile(folder) else checkpoint


@contextmanager
def ignore_recorded_best() -> Iterator[None]:
    """Keep the stock trainer from saying that the best checkpoint is not where the state has it: it is looked for."""
    log = logging.getLogger("transformers.trainer")
    log.addFilter(_not_on_best)
    try:
        yield
    finally:
        log.removeFilter(_not_on_best)


def _not_on_best(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith("The best checkpoint ")


def find_fault_of_best(checkpoint: Path) -> str | None:
    """The fault of a checkpoint whose weights alone are read; None if it is whole, or without a manifest."""
    if not checkpoint.is_dir():
        return "nothing is left"
    return find_fault(checkpoint) if has_seal(checkpoint) else None


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
        UserError: a weight is missing.
    """
    with torch.random.fork_rng(devices=[]):
        saved, info = type(model).from_pretrained(
            checkpoint, config=model.config, dtype=model.dtype, use_safetensors=True, output_loading_info=True
        )
    if info["missing_keys"]:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"it lacks weights ({', '.join(sorted(info['missing_keys'])[:3])}, …)",
            "Use another one",
        )
    model.load_state_dict(saved.state_dict())


def require_same_run(checkpoint: Path, identity: dict, *, otherwise: Callable[[list[str]], str]) -> None:
    """Refuse to resume from a checkpoint that another run wrote, naming what differs.

    Args:
        otherwise: what could be done, for the differences that were found.

    Raises:
        UserError: the checkpoint has no identity, or another one.
    """
    if not (checkpoint / RUN_FILE).is_file():
        raise UserError(
            f"resume_from_checkpoint={checkpoint}", f"a checkpoint of hfkit holds {RUN_FILE}", "Resume from another one"
        )
    found = differences(read_identity(checkpoint), identity)
    if found:
        raise UserError(
            f"resume_from_checkpoint={checkpoint}",
            f"it was written by a different run ({'; '.join(found[:5])}), and mixing them would train neither",
            otherwise(found),
        )


def claim_output_directory(folder: Path, identity: dict, *, overwrite: bool, extends: bool = False) -> None:
    """Make `folder` this run's own: fresh, or left by the same run, or cleared of another's results if told so.

    Args:
        extends: this run goes on from the last checkpoint in it, which is that of a run it extends.

    Raises:
        UserError: it holds results of a different run.
    """
    results = [
        *numbered_checkpoints(folder),
        *(path for pattern in ("adapter", "model*.safetensors", "report.*") for path in folder.glob(pattern)),
    ]
    known = (folder / RUN_FILE).is_file()
    found = differences(read_identity(folder), identity) if known else ["it does not say which"]
    if extends:
        found = []
    if found and results and not overwrite:
        raise UserError(
            f"output_dir={folder}",
            f"it holds results of a different run ({'; '.join(found[:3])})",
            "Choose another --output_dir, resume with the same flags and data, or add --overwrite_output_dir to replace"
            " that run",
        )
    for path in results if found else []:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    write_identity(folder, identity)
