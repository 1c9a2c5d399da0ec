"""Settings that the schedule, the optimizer or the compiler would fail on in mid-run, or never read: refused."""

import copy
import re
from typing import Any, Protocol

import torch
from accelerate.utils import DynamoBackend
from transformers import Trainer, get_scheduler

from hfkit.arguments.parse import require_choice
from hfkit.errors import UserError, one_line

COMPILERS = [backend.value.lower() for backend in DynamoBackend]
COMPILER_MODES = ("default", "reduce-overhead", "max-autotune", "max-autotune-no-cudagraphs")
MAPPINGS = ("lr_scheduler_kwargs", "gradient_checkpointing_kwargs", "liger_kernel_config")


class Stock(Protocol):
    """The flags that this module looks at."""

    lr_scheduler_type: Any
    lr_scheduler_kwargs: dict[str, Any] | str | None
    optim: Any
    optim_args: str | None
    optim_target_modules: Any
    label_names: list[str] | None
    fsdp: Any
    fsdp_config: Any
    torch_compile_backend: str | None
    torch_compile_mode: str | None


def refuse_unfit(flags: Stock) -> None:
    """Refuse values that transformers itself does not look at before it needs them.

    Args:
        flags: before transformers has completed them.

    Raises:
        UserError: naming the flag.
    """
    for name in MAPPINGS:
        value = vars(flags).get(name)
        text = isinstance(value, str) and value.lstrip().startswith("{")  # transformers reads it, or says why not
        if value is not None and not text and not isinstance(value, dict):
            raise UserError(f"{name}={value!r:.60}", "it is an object in JSON", 'Write {"name": value}, in quotes')
    if flags.fsdp_config is not None and not flags.fsdp:
        raise UserError("fsdp_config", "without --fsdp it is without effect", "Add --fsdp, or leave both out")
    if flags.label_names is not None:
        raise UserError("label_names", "the task says which inputs are answers, and this is not read", "Leave it out")
    if flags.torch_compile_backend is not None:
        require_choice("torch_compile_backend", flags.torch_compile_backend.lower(), COMPILERS)
    if flags.torch_compile_mode is not None:
        require_choice("torch_compile_mode", flags.torch_compile_mode, COMPILER_MODES)


def refuse_unread(flags: Stock) -> None:
    """Refuse settings of the schedule and the optimizer that these do not take.

    Args:
        flags: completed by transformers.

    Raises:
        UserError: naming the setting.
    """
    if flags.optim_target_modules and not re.search("galore|apollo", flags.optim.value):
        rule = f"the optimizer {flags.optim.value} reads none, and they would be without effect"
        raise UserError(f"optim_target_modules={flags.optim_target_modules}", rule, "Leave them out")
    settings = dict(flags.lr_scheduler_kwargs or {})
    try:
        get_scheduler(flags.lr_scheduler_type, torch.optim.SGD([torch.zeros(1)], lr=1.0), 1, 10, settings)
    except Exception as error:  # of any kind: every schedule has its own arguments
        named = f"lr_scheduler_type={flags.lr_scheduler_type.value}, lr_scheduler_kwargs={settings}"
        raise UserError(named, one_line(error), "Change --lr_scheduler_kwargs, or take another schedule") from error
    parts = [part for part in (flags.optim_args or "").split(",") if part.strip()]
    for part in parts:
        others = ",".join(other for other in parts if other is not part)
        if read_optimizer(flags, flags.optim_args) == read_optimizer(flags, others):
            raise UserError(
                f"optim_args={flags.optim_args}",
                f"the optimizer {flags.optim.value} reads no '{part}', which would be without effect",
                "Leave it out, or take another --optim",
            )


def read_optimizer(flags: Stock, optim_args: str | None) -> Any:
    """The values that the optimizer is built from with these settings; an object where it needs the model for that.

    Raises:
        UserError: a setting cannot be read.
    """
    asked = copy.copy(flags)
    asked.optim_args = optim_args or None
    try:
        return Trainer.get_optimizer_cls_and_kwargs(asked)
    except ImportError:  # who builds it says which package is missing
        return object()
    except ValueError as error:
        if "model" in str(error):
            return object()
        raise UserError(f"optim_args={optim_args}", one_line(error), "Write name=value, with commas between") from error
