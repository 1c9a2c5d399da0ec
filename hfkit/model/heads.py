"""A checkpoint's head is taken over by the names of its labels, never by their number.

The same model with its labels in another order, taken over by number, begins with every answer wrong.
"""

import copy
from collections.abc import Collection, Mapping, Sequence

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from hfkit.errors import UserError
from hfkit.model.surgery import redraw

SHOWN = 3  # labels in a message


def labels_of(config: PreTrainedConfig) -> list[str]:
    """The labels that a configuration names for its head, in the order of their ids."""
    return [str(label) for _, label in sorted(config.id2label.items())]


def find_label_tensors(model: PreTrainedModel) -> tuple[dict[str, Tensor], bool]:
    """The parameters and buffers whose shape depends on the number of labels, and whether each has one row per label.

    Nothing is guessed from names: the same architecture is built for one label more, without memory.
    """
    config = copy.deepcopy(model.config)
    config.num_labels = model.config.num_labels + 1
    with torch.device("meta"):
        wider = type(model)(config).state_dict()
    found = {name: tensor for name, tensor in model.state_dict().items() if tensor.shape != wider[name].shape}
    rows = all(
        (tensor.shape[0] + 1, *tensor.shape[1:]) == tuple(wider[name].shape)
        and tensor.shape[0] == model.config.num_labels
        for name, tensor in found.items()
    )
    return found, rows


@torch.no_grad()
def fit_head(model: PreTrainedModel, known: Sequence[str], wanted: Sequence[str], fresh: Collection[str]) -> str | None:
    """Give a loaded head the order of the labels that are wanted, or draw it anew; the line that says so, if any.

    Args:
        known: the labels that the checkpoint names, by their ids.
        wanted: those that `model` is for.
        fresh: the parameters that were drawn anew when the model was loaded.

    Raises:
        UserError: the architecture does not say how its head is drawn.
    """
    if list(known) == list(wanted):
        return None
    size = len(wanted)
    if not any(size in tensor.shape for name, tensor in model.state_dict().items() if name not in fresh):
        return None  # spares a checkpoint without a head what follows
    tensors, rows = find_label_tensors(model)
    if any(name in fresh for name in tensors):
        return None  # there was none, or one for another number of labels
    if rows and len(set(known)) == len(known) and set(known) == set(wanted):
        order = [known.index(label) for label in wanted]
        for tensor in tensors.values():
            tensor.copy_(tensor[order])
        return f"its head knows the same {size} labels in another order: its rows were put into the order of this run"
    modules = dict(model.named_modules())
    heads = {name.rpartition(".")[0] for name in tensors}
    if left := redraw(model, {name: modules[name] for name in modules if name in heads}):
        raise UserError(
            f"checkpoint of {type(model).__name__}",
            f"its head is for other labels, and the architecture does not say how a fresh {left[0]} is drawn",
            "Use the checkpoint that it was fine-tuned from",
        )
    return describe_fresh_head(known)


def describe_fresh_head(known: Sequence[str]) -> str:
    """The line for a head that was left behind."""
    shown = ", ".join(known[:SHOWN]) + (", …" if len(known) > SHOWN else "")
    return f"its head is for other labels ({shown}), so this run begins with a fresh head"


def wanted_labels(head_config: Mapping[str, object]) -> list[str] | None:
    """The labels that the entries for a head name, in the order of their ids; None if it has none."""
    names = head_config.get("id2label")
    return [str(label) for _, label in sorted(names.items())] if isinstance(names, Mapping) else None
