"""Blocks of a text model compute the real tokens of a batch, and nothing for its padding.

Rows that share a batch by chance are padded to the longest of them: in short texts about half of all places. Within
`skip_padding` the hidden states enter each block as one row of real tokens, and leave it in the shape of the batch.
Attention alone has to know which tokens are of one row: it gets queries, keys and values in that shape, and the masks
that the model has made. No architecture is named here, and `is_same` tells whether a model may be run like this.

Source: Zeng et al. 2022, "Boosting Distributed Training Performance of the Unpadded BERT Model".
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map
from transformers import AttentionInterface

ATTENTION, OWN = "hfkit_unpadded", "sdpa"


class Places:
    """Where the real tokens of a batch are.

    Args:
        mask: of real tokens, (..., tokens); the axes before are those of rows.
    """

    def __init__(self, mask: Tensor) -> None:
        mask = mask.reshape(-1, mask.shape[-1])
        self.rows, self.tokens = mask.shape
        self.real = mask.reshape(-1).nonzero().squeeze(1)

    @property
    def padding(self) -> int:
        """How many places are none of real tokens."""
        return self.rows * self.tokens - len(self.real)

    def holds(self, value: Any) -> bool:
        """Whether something is a tensor with numbers for each place, (rows or 1, tokens, width)."""
        return isinstance(value, Tensor) and value.ndim == 3 and value.shape[:2] in (self.shape, (1, self.tokens))

    @property
    def shape(self) -> tuple[int, int]:
        return self.rows, self.tokens

    def pack(self, value: Tensor) -> Tensor:
        """The real tokens of (rows or 1, tokens, ...), as (1, real tokens, ...)."""
        return value.expand(self.rows, *value.shape[1:]).flatten(0, 1)[self.real].unsqueeze(0)

    def unpack(self, value: Tensor) -> Tensor:
        """The inverse, (rows, tokens, ...), with 0 for padding."""
        blank = value.new_zeros(self.rows * self.tokens, *value.shape[2:])
        return blank.index_copy(0, self.real, value[0]).unflatten(0, self.shape)


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
        # On the instance, as `hfkit.prefix.replay` does it: what that one wraps around it finds shapes as ever.
        before = [vars(block).get("forward") for block in self.blocks]
        try:
            for block in self.blocks:
                vars(block)["forward"] = self._on_real_tokens(block.forward)
            yield
        finally:
            for block, own in zip(self.blocks, before, strict=True):
                if own is None:
                    vars(block).pop("forward", None)
                else:
                    vars(block)["forward"] = own

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
) -> tuple[Tensor, Tensor | None]:
    """Attention of each row to itself, of (1, heads, real tokens, width) each; see `AttentionInterface`."""
    ((unpadding, places),) = _running
    unpadding.attended += 1
    query, key, value = (places.unpack(one.transpose(1, 2)).transpose(1, 2) for one in (query, key, value))
    output, weights = AttentionInterface()[OWN](module, query, key, value, mask, **kwargs)
    return places.pack(output), weights


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
