"""Virtual tokens before the rows, as embeddings (prompt tuning) or as keys and values in every block (prefix tuning).

No weights can hold them, so a model with them is saved as peft saves it: what was learnt, and the name of its base.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedConfig

from hfkit.errors import UserError
from hfkit.model.adapters import Adapter, refuse_unfit
from hfkit.model.conversions import is_converted
from hfkit.model.depth import Depths
from hfkit.model.probe import probe_rows
from hfkit.model.sources import MODELS, OWN_WEIGHTS, open_checkpoint, read_shapes, refuse_base
from hfkit.model.weights import load_weights, refuse_unfinished, refuse_unreadable
from hfkit.progress import loading

if TYPE_CHECKING:
    from peft import PeftModel

SAME = 1e-3  # of the largest logit: rounding, not another answer
VIRTUAL_KINDS = ("prefix", "prompt")


def add_virtual_tokens(model: nn.Module, adapter: Adapter, blocks: tuple[str, ...] = ()) -> "PeftModel":
    """The model under peft with virtual tokens before every row: they learn, and the new head, in full.

    Source: Li and Liang 2021 (prefix tuning), without the projection; Lester et al. 2021 (prompt tuning), beginning
    with embeddings of random words.

    Raises:
        UserError: peft does not put any before rows of this model, or its answers would not be those of the rows.
    """
    from peft import PrefixTuningConfig, PromptTuningConfig, get_peft_model

    base = name_of_base(model, adapter)
    depths = Depths.of(model, blocks)
    size = {"num_virtual_tokens": adapter.size, "modules_to_save": find_parts_of_head(model, depths)}
    with refuse_unfit(adapter, model):
        if adapter.kind == "prefix":
            # As if it were a model without a head: of other tasks peft runs the head by itself, with layers left out,
            # and looks for an argument of the model by a name that it no longer has.
            kind = PrefixTuningConfig(task_type="FEATURE_EXTRACTION", **size)
        else:
            # It reads the sizes of a model by the names that some configurations have for them.
            size |= {"token_dim": model.get_input_embeddings().embedding_dim, "num_layers": depths.head - 1}
            size |= {"num_attention_heads": 1, "prompt_tuning_init": "SAMPLE_VOCAB"}
            kind = PromptTuningConfig(task_type=find_task_type(model), **size)
        rows = next(run_probe(model))
        shape = model(**rows)["logits"].shape
        adapted = get_peft_model(model, kind)
        kind.base_model_name_or_path = base
        require_use(adapted, rows, shape)
    return adapted


def name_of_base(model: nn.Module, adapter: Adapter) -> str:
    """Where the model's checkpoint will be found again: an absolute path, or a Hub id.

    Raises:
        UserError: it was merged or converted, so that what it is loaded from is the cache of this machine.
    """
    place = model.config.name_or_path
    if is_converted(place):
        raise UserError(
            str(adapter),
            "it is saved with the name of its base, and this checkpoint was merged or converted into the cache",
            "Use another --adapter, such as lora",
        )
    return str(Path(place).resolve()) if Path(place).is_dir() else place


def find_task_type(model: nn.Module) -> str:
    """The name that peft has for the task of a model.

    Raises:
        LookupError: it has no name for it.
    """
    for task, auto_model in MODELS.items():
        made = auto_model._model_mapping.get(type(model.config), ())
        if type(model) in (made if isinstance(made, tuple) else (made,)):
            return task
    raise LookupError("peft puts virtual tokens before the rows of language models alone")


def find_parts_of_head(model: nn.Module, depths: Depths) -> list[str]:
    """The names of the largest modules of the head: peft names some itself, and would copy parts of them twice."""
    placed = {id(parameter): depths.parameters[name] for name, parameter in model.named_parameters()}
    found: list[str] = []
    for name, module in model.named_modules():
        own = {placed[id(parameter)] for parameter in module.parameters()}
        if own == {depths.head} and not any(name.startswith(f"{part}.") for part in found):
            found.append(name)
    return found


def run_probe(model: nn.Module) -> Iterator[dict[str, Tensor]]:
    """Rows made up for a model that it runs on: token ids, all of them read.

    Raises:
        Exception: of any kind; it runs on none.
    """
    failure: Exception = LookupError("it reads no texts")
    for rows in probe_rows(model):
        ids = rows.get("input_ids")
        if ids is None:
            continue
        # Masks are looked into, and on torch's meta device they hold nothing.
        rows = {"input_ids": ids} | ({} if ids.is_meta else {"attention_mask": torch.ones_like(ids)})
        try:
            model(**rows)
        except Exception as error:
            failure = error
            continue
        yield rows
    raise failure


def require_use(adapted: "PeftModel", rows: dict[str, Tensor], shape: torch.Size) -> None:
    """Refuse a model that makes no use of its virtual tokens or its head, or other answers of a row that is padded.

    peft computes some heads in its own way: layers of theirs were left out, or the last padding was read as a text's
    last word, without a word.

    Args:
        rows: of one length.
        shape: of the plain model's logits for them.

    Raises:
        ValueError: with the reason.
    """
    training = adapted.training
    adapted.eval()
    logits = adapted(**rows)["logits"]
    if logits.shape != shape:
        raise ValueError(f"its answers would be of the shape {tuple(logits.shape)} instead of {tuple(shape)}")
    learning = {name: one for name, one in adapted.named_parameters() if one.requires_grad}
    found = torch.autograd.grad(logits.square().sum(), list(learning.values()), allow_unused=True)
    if idle := [name for name, gradient in zip(learning, found, strict=True) if gradient is None]:
        raise ValueError(f"it does not use {idle[0]}, which is to learn")
    if not logits.is_meta:
        require_same_when_padded(adapted, rows, logits)
    adapted.train(training)


@torch.no_grad()
def require_same_when_padded(adapted: "PeftModel", rows: dict[str, Tensor], logits: Tensor) -> None:
    """Refuse a model that answers otherwise to the same rows with padding behind them.

    Raises:
        ValueError: saying so.
    """
    padding = adapted.config.pad_token_id or 0
    longer = {
        "input_ids": functional.pad(rows["input_ids"], (0, 4), value=padding),
        "attention_mask": functional.pad(rows["attention_mask"], (0, 4)),
    }
    padded = adapted(**longer)["logits"]
    padded = padded[:, : logits.shape[1]] if logits.ndim == 3 else padded
    if not torch.allclose(padded, logits, atol=SAME * logits.abs().max().item()):
        raise ValueError("its answer to a row would depend on the padding behind it")


def save_virtual_tokens(adapted: "PeftModel", folder: Path) -> None:
    """Save virtual tokens with the head, the name of the base, and the configuration that both have together."""
    adapted.save_pretrained(folder)
    (folder / "README.md").unlink()  # peft's form to fill in; the card comes with the report
    config = copy.deepcopy(adapted.config)
    config.architectures = [type(adapted.get_base_model()).__name__]
    config.save_pretrained(folder)


def load_virtual_tokens(auto_model: Any, place: str, config: PreTrainedConfig, named: str) -> "PeftModel":
    """A finished model with virtual tokens, on its base.

    Args:
        config: that in `place`.

    Raises:
        UserError: its base is missing, or weights of its head.
    """
    from peft import PeftConfig, PeftModel

    name = str(PeftConfig.from_pretrained(place).base_model_name_or_path)
    with refuse_base(named, name):
        base = open_checkpoint(name)
        model, info = load_weights(auto_model, base, config, named, ignore_mismatched_sizes=True)
    fresh = {*info["missing_keys"], *(key[0] for key in info["mismatched_keys"])}
    held = {name.removeprefix("base_model.") for name in read_shapes(Path(place, OWN_WEIGHTS))}
    refuse_unfinished(named, fresh - held)
    with refuse_unreadable(auto_model, named), loading():
        return PeftModel.from_pretrained(model, place)
