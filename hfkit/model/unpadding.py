"""Blocks of a text model compute the real tokens of a batch, and nothing for its padding.

Rows that share a batch by chance are padded to the longest of them: in short texts about half of all places. Within
`skip_padding` the hidden states enter each block as one row of real tokens, and leave it in the shape of the batch.
Attention alone has to know which tokens are of one row: it gets queries, keys and values in that shape, and the masks
that the model has made. No architecture is named here, and `is_same` tells whether a model may be run like this.

Source: Zeng et al. 2022, "Boosting Distributed Training Performance of the Unpadded BERT Model".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map
from transformers import AttentionInterface

from hfkit.model.forwards import wrap_forwards

ATTENTION, OWN = "hfkit_unpadded", "sdpa"
# What it costs to attend in one more part, in pairs of tokens that a row of its heads compares.
PART = 4000


class Part(NamedTuple):
    """Rows of a batch that attend together, in the window of columns in which they have tokens."""

    rows: Tensor
    tokens: slice  # theirs, among the real tokens of the batch
    window: slice
    places: Tensor  # of the tokens in (rows, window), flat


class Places:
    """Where the real tokens of a batch are. They are numbered row by row, from the longest row to the shortest.

    Args:
        mask: of real tokens, (..., tokens); the axes before are those of rows.
        part: what a part of its own costs in attention, in pairs of tokens.
    """

    def __init__(self, mask: Tensor, part: int = PART) -> None:
        mask = mask.reshape(-1, mask.shape[-1]).bool()
        self.rows, self.tokens = mask.shape
        lengths, order = mask.sum(1).sort(descending=True, stable=True)
        row, column = mask[order].nonzero(as_tuple=True)
        self.real = order[row] * self.tokens + column
        self.parts = []
        begins = [0, *lengths.cumsum(0).tolist()]  # of the tokens of each row, and the end of the last
        for first, end in split_rows(lengths.tolist(), part):
            inside = slice(begins[first], begins[end])
            columns = column[inside]
            window = slice(int(columns.min()), int(columns.max()) + 1)
            places = (row[inside] - first) * (window.stop - window.start) + columns - window.start
            self.parts.append(Part(order[first:end], inside, window, places))

    @property
    def padding(self) -> int:
        """How many places are none of real tokens."""
        return self.rows * self.tokens - len(self.real)

    def holds(self, value: Any) -> bool:
        """Whether something is a tensor with numbers for each place, (rows or 1, tokens, width)."""
        shapes = ((self.rows, self.tokens), (1, self.tokens))
        return isinstance(value, Tensor) and value.ndim == 3 and value.shape[:2] in shapes

    def pack(self, value: Tensor) -> Tensor:
        """The real tokens of (rows or 1, tokens, width), as (1, real tokens, width)."""
        return value.expand(self.rows, -1, -1).flatten(0, 1).index_select(0, self.real).unsqueeze(0)

    def unpack(self, value: Tensor) -> Tensor:
        """The inverse, (rows, tokens, width), with 0 for padding."""
        return scatter(value[0], self.real, self.rows, self.tokens)


def split_rows(lengths: list[int], part: int) -> list[tuple[int, int]]:
    """First rows and ends of the parts in which falling lengths cost least; rows without tokens are in none.

    Rows cost the square of the longest among them, and each part as much as `part` pairs of tokens.
    """
    count = sum(length > 0 for length in lengths)
    ends = [end for end in range(1, count) if lengths[end] < lengths[end - 1]] + [count]
    best = {0: (0, 0)}  # end of the rows so far -> least cost, start of the last part
    for end in ends:
        best[end] = min((cost + (end - start) * lengths[start] ** 2 + part, start) for start, (cost, _) in best.items())
    parts, end = [], count
    while end:
        start = best[end][1]
        parts.insert(0, (start, end))
        end = start
    return parts


def scatter(values: Tensor, places: Tensor, rows: int, columns: int) -> Tensor:
    """Values, (places, ...), at flat places of (rows, columns, ...), and 0 elsewhere."""
    blank = values.new_zeros(rows * columns, *values.shape[1:])
    return blank.index_copy(0, places, values).unflatten(0, (rows, columns))


class Unpadding:
    """The blocks of a model that may compute real tokens alone.

    Args:
        blocks: the modules; each takes hidden states, (rows, tokens, width), and returns others of that shape.

    Raises:
        ValueError: their attention is none that can be told from which rows its tokens are.
    """

    def __init__(self, blocks: Sequence[nn.Module]) -> None:
        self.blocks = tuple(blocks)
        inside = [module for block in blocks for module in block.modules()]
        configs = {id(config): config for module in inside if (config := vars(module).get("config")) is not None}
        self.configs = tuple(configs.values())
        if not configs or any(config._attn_implementation != OWN for config in self.configs):
            raise ValueError("its attention is none of transformers' exchangeable ones")
        self.places: Places | None = None  # of the batch that is computed
        self.attended = 0  # calls of attention with tokens of several rows

    @contextmanager
    def around_blocks(self) -> Iterator[None]:
        """Within it the blocks can do without padding; they do so within `skip_padding`, which stands inside."""
        # As `hfkit.prefix.replay` does it: what that one wraps around it finds shapes as ever.
        with wrap_forwards([(block, self._on_real_tokens) for block in self.blocks]):
            yield

    @contextmanager
    def skip_padding(self, places: Places) -> Iterator[None]:
        """Within it forward and backward passes of one batch, with these places, leave its padding out."""
        self.places = places
        try:
            yield
        finally:
            self.places = None

    def _on_real_tokens(self, forward: Callable) -> Callable:
        def run(*args: Any, **kwargs: Any) -> Any:
            places = self.places
            if places is None or not any(map(places.holds, tree_leaves((args, kwargs)))):
                return forward(*args, **kwargs)

            def pack(value: Any) -> Any:
                return places.pack(value) if places.holds(value) else value

            def unpack(value: Any) -> Any:
                packed = isinstance(value, Tensor) and value.ndim == 3 and value.shape[:2] == (1, len(places.real))
                return places.unpack(value) if packed else value

            with self._attending_by_rows(places):
                args, kwargs = tree_map(pack, (args, kwargs))
                return tree_map(unpack, forward(*args, **kwargs))

        return run

    @contextmanager
    def _attending_by_rows(self, places: Places) -> Iterator[None]:
        before, _running[:] = list(_running), [(self, places)]
        for config in self.configs:
            config._attn_implementation = ATTENTION
        try:
            yield
        finally:
            _running[:] = before
            for config in self.configs:
                config._attn_implementation = OWN


_running: list[tuple[Unpadding, Places]] = []  # the block that computes at the moment


def attend_by_rows(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **kwargs: Any
) -> tuple[Tensor, None]:
    """Attention of each row to itself, of (1, heads, real tokens, width) each; see `AttentionInterface`."""
    ((unpadding, places),) = _running
    unpadding.attended += 1
    outputs = []
    for part in places.parts:
        columns = part.window.stop - part.window.start
        theirs = [
            scatter(one[0, :, part.tokens].transpose(0, 1), part.places, len(part.rows), columns).transpose(1, 2)
            for one in (query, key, value)
        ]
        output, _ = AttentionInterface()[OWN](module, *theirs, crop(mask, part, places), **kwargs)
        outputs.append(output.flatten(0, 1).index_select(0, part.places))
    return torch.cat(outputs).unsqueeze(0), None


def crop(mask: Tensor | None, part: Part, places: Places) -> Tensor | None:
    """The mask of a part: (rows or 1, heads or 1, queries or 1, keys)."""
    if mask is None:
        return None
    mask = mask if len(mask) == 1 else mask.index_select(0, part.rows)
    queries = part.window if mask.shape[2] == places.tokens else slice(None)
    return mask[:, :, queries, part.window]


AttentionInterface.register(ATTENTION, attend_by_rows)


def is_same(unpadding: Unpadding, places: Places, run: Callable[[], Tensor], tolerance: float) -> str | None:
    """Whether a pass gives the same numbers without padding; None if it does, else the reason in words.

    Args:
        run: a pass of the model over a batch with these places, without dropout.
        tolerance: how far numbers may lie apart, as a share of the largest.
    """
    padded, unpadding.attended = run(), 0
    try:
        with unpadding.around_blocks(), unpadding.skip_padding(places):
            packed = run()
    except (RuntimeError, ValueError, IndexError, TypeError) as error:
        return f"its blocks do not run on the tokens of several rows ({type(error).__name__})"
    if unpadding.attended < len(unpadding.blocks):
        return "not all of its blocks take hidden states of rows and tokens"
    apart = (padded - packed).abs().max() / padded.abs().max().clamp_min(1e-12)
    # `not <=`, and not `>`: a nan is no match either.
    return None if apart <= tolerance else f"its logits would lie {apart.item():.2g} of the largest away"
