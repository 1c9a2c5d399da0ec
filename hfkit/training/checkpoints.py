"""The identity of a run, and the refusal to mix two of them, on resume or in an output directory."""

import json
import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset
from torch import Tensor

from hfkit.arguments.strategies import STRATEGIES
from hfkit.data.digests import rows_digest
from hfkit.errors import UserError
from hfkit.model.digests import digest
from hfkit.runtime.durable import write_file
from hfkit.runtime.files import read_object
from hfkit.training.resuming import numbered_checkpoints
from hfkit.training.sealed import delete, delete_unfinished

RUN_FILE = "hfkit_run.json"
TRAINED = "hfkit_trained"  # a folder, see `hfkit.training.trained`
SOUP = "hfkit_soup"  # likewise, see `hfkit.training.averages.soup`

# Settings that decide the weights. The others (where to write, what to log, how to evaluate) may differ on resume.
DECIDING = (
    *("learning_rate", "layer_decay", "head_learning_rate", "fit_head", "head_only", "unfreeze_stages"),
    *("unfreeze_until", "thaw_warmup", "pretrained", "slanted_triangular", "blocks", "seed", "data_seed"),
    *("reinit_blocks", "train_blocks", "ema", "soup", "wise_ft"),
    *("adapter", "lora_rank", "oft_block_size", "virtual_tokens", "quantize", "checkpoint_adapter"),
    *("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps"),
    *("optim", "optim_args", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm"),
    *("lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "label_smoothing_factor", "neftune_noise_alpha"),
    *("bf16", "fp16", "tf32", "full_determinism", "dataloader_drop_last", "train_sampling_strategy"),
    *("average_tokens_across_devices", "ignore_data_skip", "load_best_model_at_end", "metric_for_best_model"),
    *("keep_weights", "freeze_embeddings"),
    *("unpad", "prefix_cache", "cache_dtype", "cache_views"),
    *("r_drop", "mixout", "focal_loss", "balanced_sampler", "find_rate"),
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
    write_file(folder / RUN_FILE, json.dumps(identity, indent=1, sort_keys=True) + "\n")


def read_identity(folder: Path) -> dict:
    """The identity of the run that wrote `folder`.

    Raises:
        UserError: the run file cannot be read.
    """
    return read_object(folder / RUN_FILE, f"{folder / RUN_FILE}", "It says which run wrote the folder: use another")


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


def refuse_other_results(folder: Path, identity: dict, *, overwrite: bool, extends: bool = False) -> None:
    """Refuse an output directory with results of another run, unless they may be overwritten. Nothing is changed.

    Args:
        extends: this run goes on from the last checkpoint in it, which is that of a run it extends.

    Raises:
        UserError: naming what differs.
    """
    found = [] if extends else _find_differences(folder, identity)
    if found and not overwrite and find_results(folder):
        raise UserError(
            f"output_dir={folder}",
            f"it holds results of a different run ({'; '.join(found[:3])})",
            "Choose another --output_dir, resume with the same flags and data, or add --overwrite_output_dir to replace"
            " that run",
        )


def claim_output_directory(folder: Path, identity: dict, *, extends: bool = False) -> None:
    """Make `folder` this run's own, cleared of another one's results, and of what a killed run left unfinished.

    Args:
        extends: as for `refuse_other_results`, which comes first.
    """
    if not extends and _find_differences(folder, identity):
        for path in find_results(folder):
            path.unlink() if path.is_file() else shutil.rmtree(path)
    elif (trained := folder / TRAINED).is_dir():
        delete(trained)  # this run trains, so it is out of date
    delete_unfinished(folder)
    write_identity(folder, identity)


def _find_differences(folder: Path, identity: dict) -> list[str]:
    """By what the run that wrote a folder differs from this one, in words."""
    if not os.path.lexists(folder / RUN_FILE):
        return ["it does not say which"]
    return differences(read_identity(folder), identity)


def find_results(folder: Path) -> list[Path]:
    """The results of a run in its output directory."""
    patterns = ("adapter", "adapter_*", "model*.safetensors", "report.*", TRAINED, SOUP)
    return [*numbered_checkpoints(folder), *(path for pattern in patterns for path in folder.glob(pattern))]
