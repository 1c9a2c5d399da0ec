"""How activations are stored: those of real tokens, one after the other, without padding; and back into a batch."""

from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from hfkit.prefix.replay import Size, Tap, keep_one, mark_real_tokens


def is_per_token(tap: Tap) -> bool:
    """Whether one activation is stored per token of a text, rather than one per row."""
    return tap.shape.tokens_axis is not None and tap.reads == "all"


def width_of(tap: Tap) -> int:
    """How many numbers one stored activation has."""
    skipped = {tap.shape.rows_axis, tap.shape.tokens_axis}
    if tap.shape.tokens_axis is None and tap.reads != "all":
        skipped.add(1)  # a picture's patches, of which one is read: their number is fixed, so the axis has no tokens
    return int(np.prod([axis.times for i, axis in enumerate(tap.shape.axes) if i not in skipped]))


def pack(tap: Tap, value: Tensor, batch: Mapping[str, Tensor]) -> tuple[Tensor, np.ndarray]:
    """A tap's value as it is stored, (activations, width) without padding, and how many activations each row has."""
    value = move_rows_first(tap, value)
    mask = mark_stored_places(tap, value.shape, batch)
    if mask is None:
        return value.reshape(len(value), -1), np.ones(len(value), dtype=np.int64)
    return value[mask].reshape(int(mask.sum()), -1), mask.sum(1).cpu().numpy()


def unpack(tap: Tap, flat: Tensor, batch: Mapping[str, Tensor], size: Size) -> Tensor:
    """The inverse of `pack`, in the layout of the model; 0 where nothing was stored.

    The batch may be padded to another length than the one in which the activations were computed.
    """
    lengths = [axis.length(size) for axis in tap.shape.axes]
    shape = [lengths.pop(tap.shape.rows_axis)]
    if tap.shape.tokens_axis is not None:
        # The axis of rows is gone from `lengths`, so those behind it have moved up.
        behind_rows = tap.shape.tokens_axis > tap.shape.rows_axis
        shape.append(lengths.pop(tap.shape.tokens_axis - (1 if behind_rows else 0)))
    shape += lengths
    mask = mark_stored_places(tap, shape, batch)
    if mask is None:
        value = flat.view(shape)
    else:
        value = flat.new_zeros(shape)
        value.view(-1, flat.shape[1]).index_copy_(0, mask.reshape(-1).nonzero().squeeze(1).to(flat.device), flat)
    return move_rows_first(tap, value, undo=True)


def move_rows_first(tap: Tap, value: Tensor, *, undo: bool = False) -> Tensor:
    """The value with its axis of rows first and that of tokens, if any, second; `undo` moves them back."""
    rows, tokens = tap.shape.rows_axis, tap.shape.tokens_axis
    second = None
    if tokens is not None:
        # Once the rows are first, all axes that stood before them are one place further back.
        second = tokens + 1 if tokens < rows else tokens
    if undo:
        return (value if second is None else value.movedim(1, second)).movedim(0, rows)
    value = value.movedim(rows, 0)
    return value if second is None else value.movedim(second, 1)


def mark_stored_places(tap: Tap, shape: Sequence[int], batch: Mapping[str, Tensor]) -> Tensor | None:
    """Which places of a value of `shape`, (rows, tokens, …), are stored, (rows, tokens); None: each row as a whole."""
    if tap.shape.tokens_axis is None and tap.reads == "all":
        return None
    real = mark_real_tokens(batch, shape[:2])
    return real if tap.reads == "all" else keep_one(tap.reads, real)
