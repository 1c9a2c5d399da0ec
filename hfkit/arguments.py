"""The flags of a recipe, and how they are read: recipe literals < --config YAML < command line."""

import argparse
import difflib
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import torch
import yaml
from transformers import HfArgumentParser, TrainingArguments

from .errors import UserError
from .strategies import STRATEGIES

MOST_YAML_BYTES = 1_000_000


@dataclass(frozen=True)
class RecipeArguments:
    """What a recipe starts from."""

    checkpoint: str = field(
        default="sample", metadata={"help": "'sample', a model id on the Hub, or a folder with config.json"}
    )


@dataclass
class TransferArguments(TrainingArguments):
    """The stock training arguments, and what a strategy fixes. A field left at None takes the strategy's value."""

    strategy: Literal[tuple(STRATEGIES)] = field(  # type: ignore[valid-type]
        default="gradual",
        metadata={"help": "; ".join(f"{name}: {strategy.summary}" for name, strategy in STRATEGIES.items())},
    )
    learning_rate: float | None = field(default=None, metadata={"help": "peak rate of the top block"})
    layer_decay: float | None = field(
        default=None, metadata={"help": "each block below learns at this factor of the one above it"}
    )
    head_learning_rate: float | None = field(default=None, metadata={"help": "peak rate of the new head"})
    head_only: float | None = field(
        default=None, metadata={"help": "share of training (0 to 1) in which only the head learns"}
    )
    unfreeze_stages: int | None = field(
        default=None, metadata={"help": "groups that the blocks are thawed in, from the top down; 0 thaws none"}
    )
    unfreeze_until: float | None = field(
        default=None, metadata={"help": "share of training (0 to 1) at which the last group thaws"}
    )
    thaw_warmup: float | None = field(
        default=None, metadata={"help": "share of training over which a newly thawed group warms up"}
    )
    lora_rank: int | None = field(
        default=None, metadata={"help": "rank of low-rank adapters beside a frozen backbone; 0 trains the weights"}
    )
    pretrained: bool | None = field(
        default=None, metadata={"help": "false starts the same architecture from random weights"}
    )
    slanted_triangular: bool = field(
        default=False, metadata={"help": "the schedule of ULMFiT instead of --lr_scheduler_type"}
    )
    blocks: list[str] = field(
        default_factory=list,
        metadata={"help": "module paths of the blocks in forward order, for an architecture hfkit does not know"},
    )
    num_processes: int | None = field(
        default=None, metadata={"help": "refuse to start with another number of processes"}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "replace the checkpoints of a different run in output_dir"}
    )
    # The stock default shows a nan loss as 0.0 in the logs.
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "see transformers; off, nan is refused"})

    def __post_init__(self) -> None:
        if self.strategy not in STRATEGIES:
            raise UserError(
                f"strategy='{self.strategy}'",
                f"one of {', '.join(STRATEGIES)}",
                f"Try '{nearest(self.strategy, STRATEGIES)}'",
            )
        chosen = STRATEGIES[self.strategy]
        for name in (f.name for f in fields(chosen) if f.name != "summary"):
            if getattr(self, name) is None:
                setattr(self, name, getattr(chosen, name))
        for name in ("learning_rate", "layer_decay", "head_learning_rate"):
            rate = getattr(self, name)
            if rate is not None and not rate > 0:
                raise UserError(f"{name}={rate}", "it must be above 0", "To freeze depths use --unfreeze_stages")
        for name in ("per_device_train_batch_size", "per_device_eval_batch_size", "gradient_accumulation_steps"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}={getattr(self, name)}", "it is a count, at least 1", "Leave it out, or set 1")
        if self.num_train_epochs <= 0 and self.max_steps <= 0:
            raise UserError(f"num_train_epochs={self.num_train_epochs}", "it must be above 0", "Set 1 or more")
        if self.lora_rank < 0:
            raise UserError(f"lora_rank={self.lora_rank}", "it is a rank, or 0 for no adapters", "Try 8")
        if self.resume_from_checkpoint and not Path(self.resume_from_checkpoint, "trainer_state.json").is_file():
            raise UserError(
                f"resume_from_checkpoint={self.resume_from_checkpoint}",
                "a checkpoint is a folder with trainer_state.json in it",
                "Give the path of a folder checkpoint-<step>",
            )
        super().__post_init__()
        # Without a GPU there is nothing to pin memory for, and every epoch would warn of it.
        self.dataloader_pin_memory = self.dataloader_pin_memory and torch.cuda.is_available()
        refuse_lost_processes(self.num_processes, self.world_size)


def refuse_lost_processes(asked: int | None, started: int) -> None:
    """Refuse to train with fewer processes than the launcher was asked for.

    `accelerate launch --cpu --num_processes 2` prepares an address for several processes and then starts one.

    Raises:
        UserError: `asked` differs from `started`, or the environment shows an address but no rank.
    """
    announced = "MASTER_PORT" in os.environ and "WORLD_SIZE" not in os.environ and "RANK" not in os.environ
    if announced or (asked is not None and asked != started):
        raise UserError(
            f"{started} process{'es' * (started > 1)} started",
            f"{'several' if asked is None else asked} were asked for, and the launcher did not start them",
            "On CPU start them with: torchrun --nproc_per_node 2 recipes/<recipe>.py --use_cpu",
        )


def parse(types: tuple[type, ...], *, argv: list[str] | None = None, **literals: Any) -> tuple:
    """One value per dataclass in `types`, from the recipe's literals, a `--config` YAML file and the command line.

    Later sources win. Unknown or abbreviated flags and unknown YAML keys are refused with the nearest valid one.

    Args:
        argv: the command line without the program's name; None takes the process's own.
        literals: defaults, by flag name.

    Raises:
        UserError: an unknown key or flag, a value of the wrong type, or a config file that cannot be read.
    """
    parser = _Parser(types, allow_abbrev=False)
    parser.add_argument("--config", help="YAML file of flags; the command line wins over it")
    actions = {action.dest: action for action in parser._actions}
    # Bare `--debug` asks for tracebacks (see errors.run); with a value it is the stock flag.
    actions["debug"].nargs, actions["debug"].const = "?", []
    parser.set_defaults(**_checked(literals, actions, "the recipe"))
    config = parser.parse_known_args(argv)[0].config
    if config:
        parser.set_defaults(**_checked(_read_yaml(Path(config)), actions, config))
    namespace, unknown = parser.parse_known_args(argv)
    if unknown:
        flags = {option for action in parser._actions for option in action.option_strings}
        raise UserError(
            unknown[0], "no such flag (abbreviations are not accepted)", f"Did you mean {nearest(unknown[0], flags)}?"
        )
    values = vars(namespace)
    try:
        return tuple(kind(**{f.name: values[f.name] for f in fields(kind) if f.init}) for kind in types)
    except UserError:
        raise
    except ValueError as error:
        raise UserError("flags", " ".join(str(error).split()), "Change one of them") from error


def nearest(word: str, known) -> str:
    """The known word most like `word`."""
    return max(known, key=lambda k: difflib.SequenceMatcher(None, word.partition("=")[0], k).ratio())


class _Parser(HfArgumentParser):
    """Errors as `UserError`, so that a recipe reports them like any other."""

    def error(self, message: str) -> None:
        raise UserError("command line", message, "See --help")


def _read_yaml(file: Path) -> dict[str, Any]:
    if not file.is_file():
        raise UserError(f"config={file}", "there is no such file", "Check the path")
    if file.stat().st_size > MOST_YAML_BYTES:
        raise UserError(f"config={file}", "a config is below 1 MB", "Give a file of flags")
    try:
        values = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"config={file}", f"it is not YAML ({error})", "Mend the file") from error
    if not isinstance(values, dict):
        raise UserError(f"config={file}", "a config maps flags to values", "Write lines like 'learning_rate: 1e-4'")
    return values


def _checked(values: dict[str, Any], actions: dict[str, argparse.Action], source: str) -> dict[str, Any]:
    """`values` as the command line would have read them: YAML's '1e-5' is a string, a flag's is a number."""
    known = {name for name in actions if name not in ("help", "config")}
    checked = {}
    for name, value in values.items():
        if name not in known:
            raise UserError(f"{source}: {name}", "no such flag", f"Did you mean {nearest(name, known)}?")
        read = actions[name].type
        if read is not None and not callable(read):
            read = None
        try:
            if isinstance(value, str) and read is not None:
                value = read(value)
            elif isinstance(value, list):
                value = [read(v) if isinstance(v, str) and read is not None else v for v in value]
            elif read in (int, float) and value is not None and (isinstance(value, bool) or read(value) != value):
                raise ValueError
            elif read is float and value is not None:
                value = float(value)
        except (ValueError, TypeError, argparse.ArgumentTypeError) as error:
            kind = getattr(read, "__name__", str(read))
            raise UserError(f"{source}: {name}={value!r}", f"it must be of type {kind}", "Mend the value") from error
        checked[name] = value
    return checked
