"""What identifies a run, and the refusal to mix two of them: on resume and in an output directory."""

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

from .errors import UserError

RUN_FILE = "hfkit_run.json"

# Where and how often things are written changes no weight, and is free to differ on resume.
NOT_PART_OF_A_RUN = {
    "output_dir", "overwrite_output_dir", "resume_from_checkpoint", "run_name", "disable_tqdm", "report_to", "debug",
    "logging_strategy", "logging_steps", "logging_first_step", "log_level", "log_level_replica", "log_on_each_node",
    "save_strategy", "save_steps", "save_total_limit", "save_on_each_node", "push_to_hub", "hub_model_id", "hub_token",
    "hub_strategy", "hub_private_repo", "hub_always_push", "hub_revision", "dataloader_num_workers",
    "dataloader_pin_memory", "dataloader_prefetch_factor", "dataloader_persistent_workers",
    "per_device_eval_batch_size", "num_processes", "project", "use_cpu", "ddp_timeout", "ddp_backend",
}  # fmt: skip


def rows_digest(rows, *, most: int = 256) -> str:
    """16 hex digits of a dataset's length and of up to `most` rows spread evenly over it."""
    hasher = hashlib.blake2b(repr((len(rows), sorted(rows.column_names))).encode(), digest_size=8)
    for i in range(0, len(rows), max(1, len(rows) // most)):
        hasher.update(repr(sorted(rows[i].items())).encode())
    return hasher.hexdigest()


def run_identity(arguments: dict[str, Any], *, model_config: dict, rows, world_size: int, groups: list[dict]) -> dict:
    """Everything that decides the weights of a run, as JSON values, with the names of the optimizer's groups.

    Args:
        arguments: the training arguments as a plain dict.
        groups: the optimizer's groups with `name`, `lr` and `params`.
    """
    settings = {key: value for key, value in arguments.items() if key not in NOT_PART_OF_A_RUN}
    identity = {
        "settings": settings,
        "model": {
            key: value for key, value in model_config.items() if key not in ("_name_or_path", "transformers_version")
        },
        "rows": rows_digest(rows),
        "world_size": world_size,
        "groups": {group["name"]: len(group["params"]) for group in groups},
    }
    return json.loads(json.dumps(identity, default=str, sort_keys=True))


def differences(saved: dict, current: dict, prefix: str = "") -> list[str]:
    """The places where two identities differ: 'settings.seed: 0 then, 1 now'."""
    found = []
    for key in sorted({*saved, *current}):
        then, now = saved.get(key), current.get(key)
        if isinstance(then, dict) and isinstance(now, dict):
            found += differences(then, now, f"{prefix}{key}.")
        elif then != now:
            found.append(f"{prefix}{key}: {then!r} then, {now!r} now")
    return found


def write_identity(folder: Path, identity: dict) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / RUN_FILE).write_text(json.dumps(identity, indent=1, sort_keys=True) + "\n")


def newest_checkpoint(folder: Path) -> str:
    """The checkpoint of the latest step in an output directory.

    Raises:
        UserError: there is none.
    """
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]))
    if not found:
        raise UserError("resume_from_checkpoint=True", f"{folder} holds no checkpoint", "Start without it")
    return str(found[-1])


def require_same_run(checkpoint: Path, identity: dict) -> None:
    """Refuse to resume from a checkpoint that another run wrote, naming what differs.

    Raises:
        UserError: the checkpoint has no identity, or another one.
    """
    file = checkpoint / RUN_FILE
    if not file.is_file():
        raise UserError(
            f"resume_from_checkpoint={checkpoint}", f"a checkpoint of hfkit holds {RUN_FILE}", "Resume from another one"
        )
    found = differences(json.loads(file.read_text()), identity)
    if found:
        raise UserError(
            f"resume_from_checkpoint={checkpoint}",
            f"it was written by a different run ({'; '.join(found[:5])}), and mixing them would train neither",
            "Resume with the same flags and data, or start anew in another output_dir",
        )


def require_writable(folder: Path) -> None:
    """Make the folder, and refuse it now rather than after training.

    Raises:
        UserError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".hfkit-write-test"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UserError(
            f"output_dir={folder}", f"it cannot be written ({error.strerror})", "Choose another --output_dir"
        ) from error


def claim_output_directory(folder: Path, identity: dict, *, resumes: bool, overwrite: bool) -> None:
    """Make `folder` this run's own: fresh, or left by the same run, or emptied of another's checkpoints if told so.

    Raises:
        UserError: it holds a different run.
    """
    file = folder / RUN_FILE
    if file.is_file():
        found = differences(json.loads(file.read_text()), identity)
        if found and not overwrite:
            raise UserError(
                f"output_dir={folder}",
                f"it holds a different run ({'; '.join(found[:3])})",
                f"{'Resume with the same flags and data, choose' if resumes else 'Choose'} another --output_dir, "
                "or add --overwrite_output_dir to replace that run",
            )
        if found and not resumes:
            for checkpoint in folder.glob("checkpoint-*"):
                shutil.rmtree(checkpoint)
    write_identity(folder, identity)
