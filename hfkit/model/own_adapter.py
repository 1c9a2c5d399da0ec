"""The adapter that a checkpoint was merged from, parted from its base again and trained on."""

import copy
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from hfkit.errors import UserError
from hfkit.model.adapters import find_head, find_linear
from hfkit.model.depth import Depths
from hfkit.model.sources import OWN, OWN_WEIGHTS, open_checkpoint
from hfkit.model.weights import load_weights

if TYPE_CHECKING:
    from peft import LoraConfig

ASKED = "checkpoint_adapter=train"
MERGE = "Use --checkpoint_adapter merge, which merges it into its base and trains a new one"
PREFIX, SIDES = "base_model.model.", ("lora_A", "lora_B")  # of the names of an adapter's tensors
OWN_SETTINGS = ("r", "lora_alpha", "lora_dropout", "use_rslora", "fan_in_fan_out", "init_lora_weights")
# Those that the names of its tensors say as well, or that only describe it; of the others a plain one has none.
DESCRIBING = (
    *("task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision", "inference_mode"),
    *("target_modules", "exclude_modules", "layers_to_transform", "layers_pattern", "modules_to_save"),
    *("peft_type", "runtime_config"),
)
STARTS = (True, False, "gaussian")  # the others change the base too


def add_own_lora(
    model: nn.Module, rank: int | None = None, blocks: tuple[str, ...] = (), *, load: bool = True
) -> nn.Module:
    """The model under peft, with the adapter that its checkpoint was merged from, on the weights of that one's base.

    It computes what it did before, to rounding. As under `add_adapters`, the head trains in full.

    Args:
        rank: the one that was asked for, if any.
        load: False leaves values alone, of a model that has none (torch's meta device).

    Raises:
        UserError: its checkpoint is no adapter, or one that cannot be trained on as it is.
    """
    from peft import LoraConfig, get_peft_model

    settings, tensors = read_own(Path(model.config.name_or_path, OWN))
    if rank not in (None, settings.r):
        raise UserError(f"lora_rank={rank} with {ASKED}", f"the adapter has rank {settings.r}", "Leave out --lora_rank")
    depths = Depths.of(model, blocks)
    targets = find_targets(model, depths, tensors)
    if load:
        take_base(model, targets, settings.base_model_name_or_path)
    kept = LoraConfig(
        **{name: vars(settings)[name] for name in OWN_SETTINGS},
        target_modules=targets,  # by their full names: as a pattern they might fit layers of the head as well
        modules_to_save=find_head(model, depths),
    )
    adapted = get_peft_model(model, kept)
    # peft has put the folder of the merged checkpoint there.
    kept.base_model_name_or_path = settings.base_model_name_or_path
    if load:
        fill(adapted, targets, tensors)
    return adapted


def read_own(folder: Path) -> tuple["LoraConfig", dict[str, Tensor]]:
    """The settings and the tensors of the adapter that is kept in a merged checkpoint.

    Raises:
        UserError: there is none, or none of plain low-rank matrices.
    """
    from peft import LoraConfig, PeftConfig

    if not folder.is_dir():
        raise UserError(
            ASKED,
            "the checkpoint is no adapter",
            "Give the folder or the Hub id of one (that of a run is adapter/ in its output_dir), or leave it out",
        )
    settings = PeftConfig.from_pretrained(str(folder))
    if type(settings) is not LoraConfig:
        raise UserError(ASKED, f"the adapter is of the kind {settings.peft_type.value}, not LORA", MERGE)
    plain = LoraConfig()
    odd = [field.name for field in fields(plain) if field.name not in (*OWN_SETTINGS, *DESCRIBING)]
    odd = [name for name in odd if vars(settings)[name] != vars(plain)[name]]
    if settings.init_lora_weights not in STARTS:
        odd.append("init_lora_weights")
    if odd:
        told = ", ".join(f"{name}={vars(settings)[name]}" for name in odd[:3])
        raise UserError(ASKED, f"the adapter is more than plain low-rank matrices ({told})", MERGE)
    return settings, load_file(folder / OWN_WEIGHTS)


def find_targets(model: nn.Module, depths: Depths, tensors: dict[str, Tensor]) -> list[str]:
    """The names of the layers that an adapter stands beside.

    Raises:
        UserError: the model has no such layers below its head, or the adapter holds whole weights of others.
    """
    names = {name.removeprefix(PREFIX) for name in tensors}
    linear = [name for name in find_linear(model) if depths.modules[name] < depths.head]
    found = [name for name in linear if {f"{name}.{side}.weight" for side in SIDES} <= names]
    odd = names - {f"{name}.{side}.weight" for name in found for side in SIDES}
    if strange := sorted(name for name in odd if ".lora_" in name):
        raise UserError(
            ASKED,
            f"{type(model).__name__} has no such linear layer below its head as the adapter wants ({strange[0]})",
            MERGE,
        )
    if whole := sorted(name for name in odd if depths.parameters.get(name, depths.head) < depths.head):
        raise UserError(ASKED, f"it holds whole weights below its head ({', '.join(whole[:3])})", MERGE)
    return found


@torch.no_grad()
def take_base(model: nn.Module, targets: list[str], base: str) -> None:
    """Give layers their weights from before an adapter was merged into them.

    They are read: what is left after its product is taken out again is not the same to the last bit.
    """
    place = open_checkpoint(base)
    config = copy.deepcopy(model.config)
    whole, _ = load_weights(type(model), place, config, f"checkpoint '{base}'", ignore_mismatched_sizes=True)
    for name in targets:
        model.get_submodule(name).weight.copy_(whole.get_submodule(name).weight)


@torch.no_grad()
def fill(adapted: nn.Module, targets: list[str], tensors: dict[str, Tensor]) -> None:
    """Give the matrices of an adapter their values."""
    for name in (f"{PREFIX}{target}.{side}" for target in targets for side in SIDES):
        adapted.get_parameter(f"{name}.default.weight").copy_(tensors[f"{name}.weight"])
