"""The only loop in which a model answers rows outside of a trainer."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import PreTrainedModel

from hfkit.contract.codec import Codec
from hfkit.data.batches import evaluation_order, restore_row_order, rows_to_fetch
from hfkit.progress import track


def compute_outputs(
    codec: Codec,
    model: PreTrainedModel,
    encoded: Dataset,
    batch_size: int,
    autocast: Callable[[], AbstractContextManager] = nullcontext,
    desc: str = "answering",
) -> dict[str, np.ndarray]:
    """The outputs for every encoded row (see `Codec.outputs`), padded with -100.

    Args:
        autocast: makes the context in which a batch is computed.
    """
    # Order, batches and precision are those of the trainer's evaluation, so that rounding is the same too.
    batches = DataLoader(
        rows_to_fetch(encoded), batch_size=batch_size, sampler=evaluation_order(encoded), collate_fn=codec.collate
    )
    pieces = []
    with torch.inference_mode():
        for batch in track(batches, desc):
            batch = {name: tensor.to(model.device) for name, tensor in batch.items()}
            with autocast():
                outputs = codec.outputs(model, batch)
            pieces.append({name: to_array(tensor) for name, tensor in outputs.items()})
    return {name: restore_row_order(values, encoded) for name, values in join_batches(pieces).items()}


def to_array(tensor: Tensor) -> np.ndarray:
    """The values of a tensor; numpy has no bfloat16."""
    tensor = tensor.cpu()
    return (tensor.float() if tensor.dtype == torch.bfloat16 else tensor).numpy()


def join_batches(pieces: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """The outputs of several batches, by name, as one array each; what is narrower is padded with -100."""
    return {name: join_padded([piece[name] for piece in pieces]) for name in pieces[0]}


def join_padded(pieces: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays one below the other, (rows, ...), every other side as wide as the widest, the rest -100."""
    widest = np.max([piece.shape[1:] for piece in pieces], axis=0)
    padded = []
    for piece in pieces:
        missing = [(0, int(most) - side) for most, side in zip(widest, piece.shape[1:], strict=True)]
        padded.append(np.pad(piece, [(0, 0), *missing], constant_values=-100))
    return np.concatenate(padded)
