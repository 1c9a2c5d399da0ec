"""Starts an unchanged model in the middle: what lies below a cut returns what it returned before.

A *cut* at depth k says which calls of modules below k are not run again. They return tensors of the right shape
without content. Its *taps* are the tensors that the layers above read: their stored values are put back in where they
were seen. Masks, positions, pooling, head and loss remain the model's own code, and no architecture is named here.
`hfkit.prefix.cuts` finds the cuts. With a drawing: docs/prefix-cache.md.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import count
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from hfkit.model.forwards import wrap_forwards

Key = tuple[str, int]  # path of a module, and which of its calls in one forward pass
Handler = Callable[[Callable, tuple, dict], Any]  # (the module's own forward, args, kwargs) -> output


class CannotReplay(Exception):
    """The model cannot be started at this cut. The message gives the reason."""


@dataclass(frozen=True)
class Size:
    """The two numbers of a batch that the shapes of its activations depend on."""

    rows: int
    tokens: int  # padded; 1 where inputs have no tokens

    @classmethod
    def of(cls, batch: Mapping[str, Tensor]) -> "Size":
        ids = batch.get("input_ids", batch.get("decoder_input_ids"))
        return cls(len(next(iter(batch.values()))), 1 if ids is None else ids.shape[1])


@dataclass(frozen=True)
class Axis:
    """The length of one axis: `times`, multiplied by the rows of the batch, by its tokens, or by both."""

    times: int
    by_rows: bool = False
    by_tokens: bool = False

    def length(self, size: Size) -> int:
        rows = size.rows if self.by_rows else 1
        tokens = size.tokens if self.by_tokens else 1
        return self.times * rows * tokens

    @classmethod
    def of(cls, lengths: Sequence[int], sizes: Sequence[Size]) -> "Axis":
        """The axis that has these lengths in batches of these sizes.

        Raises:
            CannotReplay: it follows neither rows nor tokens.
        """
        # Simplest first. The last pair is an axis into which a model has folded rows and tokens together.
        for by_rows, by_tokens in ((False, False), (True, False), (False, True), (True, True)):
            unit = cls(1, by_rows, by_tokens).length(sizes[0])
            if unit == 0 or lengths[0] % unit != 0:
                continue
            axis = cls(lengths[0] // unit, by_rows, by_tokens)
            if all(axis.length(size) == length for size, length in zip(sizes, lengths, strict=True)):
                return axis
        raise CannotReplay(f"an axis of length {lengths[0]} follows neither rows nor tokens")


@dataclass(frozen=True)
class Shape:
    """The shape of a tensor for any batch."""

    axes: tuple[Axis, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensors: Sequence[Tensor], sizes: Sequence[Size]) -> "Shape":
        """The shape behind one and the same tensor, as seen in several batches of different sizes.

        Raises:
            CannotReplay: an axis follows neither rows nor tokens.
        """
        axes = [Axis.of(lengths, sizes) for lengths in zip(*(tensor.shape for tensor in tensors), strict=True)]
        return cls(tuple(axes), tensors[0].dtype)

    def fill(self, value: float, size: Size, device: torch.device) -> Tensor:
        """A tensor of this shape with the same number everywhere; for integers and booleans the number is 0."""
        number = torch.tensor(value if self.dtype.is_floating_point else 0, dtype=self.dtype, device=device)
        # Expanded, not repeated: all places share one number, so that blank activations cost no memory. The price:
        # torch refuses to write into such a tensor. Where a layer tries, the cut fails its proof (see `cuts`).
        return number.expand([axis.length(size) for axis in self.axes])

    @property
    def rows_axis(self) -> int | None:
        """The position of the rows, if exactly one axis belongs to them and nothing else is folded into it."""
        found = [i for i, axis in enumerate(self.axes) if axis.by_rows]
        return found[0] if len(found) == 1 and self.axes[found[0]] == Axis(1, by_rows=True) else None

    @property
    def tokens_axis(self) -> int | None:
        found = [i for i, axis in enumerate(self.axes) if axis.by_tokens]
        return found[0] if found else None

    @property
    def is_per_row(self) -> bool:
        """Whether the tensor can be stored row by row, and token by token where it has tokens."""
        # Attention scores have two axes of tokens, and T5's position bias has none of rows: neither splits into rows.
        of_tokens = [axis for axis in self.axes if axis.by_tokens]
        return self.rows_axis is not None and of_tokens in ([], [Axis(1, by_tokens=True)])


@dataclass(frozen=True)
class SameInput:
    """An output that is one of the call's own inputs, passed through."""

    leaf: int


@dataclass(frozen=True)
class SameOutput:
    """An output that is an earlier output of the same call."""

    leaf: int


@dataclass(frozen=True)
class Template:
    """The output of a call for any batch: its structure (tuple, dict, model output) and the content of its leaves."""

    leaves: tuple[Any, ...]  # Shape, SameInput, SameOutput, or a plain value
    structure: TreeSpec

    def make_output(
        self, args: tuple, kwargs: dict, values: Mapping[int, Tensor], *, fill: float, size: Size, device: torch.device
    ) -> Any:
        """An output for a batch of this size, without running the call.

        Args:
            args, kwargs: what the call is given this time.
            values: leaves that have content.
            fill: the number in all other floating-point leaves.
        """
        given: list[Any] = []
        if any(isinstance(leaf, SameInput) for leaf in self.leaves):
            given = tree_flatten((args, kwargs))[0]
        output: list[Any] = []
        for place, leaf in enumerate(self.leaves):
            if place in values:
                output.append(values[place])
            elif isinstance(leaf, Shape):
                output.append(leaf.fill(fill, size, device))
            elif isinstance(leaf, SameOutput):
                # The very object: a model may ask `is`, or write into one and read the other.
                output.append(output[leaf.leaf])
            elif isinstance(leaf, SameInput):
                # Not a blank: a mask that a block passes on is computed by a layer that still runs.
                output.append(given[leaf.leaf])
            else:
                output.append(leaf)
        return tree_unflatten(output, self.structure)


@dataclass(frozen=True)
class Tap:
    """A tensor that is read above the cut: where it is, how it is laid out, and which of its tokens matter."""

    # Careful with names and defaults: the repr of the taps is part of a store's key, and a change rebuilds every store.
    call: Key
    side: Literal["input", "output"]
    leaf: int
    shape: Shape
    reads: Literal["all", "first", "last"] = "all"


@dataclass(frozen=True)
class Cut:
    """How to start a model at `depth`."""

    depth: int
    below: Mapping[Key, Template]  # the calls that are not run again
    taps: tuple[Tap, ...]


@contextmanager
def intercept(model: nn.Module, handlers: Mapping[Key, Handler]) -> Iterator[None]:
    """Within it the named calls of ONE forward pass go to their handlers; all other calls run as usual."""
    by_module: dict[str, dict[int, Handler]] = {}
    for (path, nth), handler in handlers.items():
        by_module.setdefault(path, {})[nth] = handler

    def count_calls(of_call: dict[int, Handler], own: Callable) -> Callable:
        # A shared module is called several times: ALBERT's one block N times, T5's embeddings by encoder and decoder.
        # Which call it is decides what it returns, so a second forward pass would find all numbers used up.
        calls = count()

        def forward(*args: Any, **kwargs: Any) -> Any:
            handler = of_call.get(next(calls))
            return own(*args, **kwargs) if handler is None else handler(own, args, kwargs)

        return forward

    wrappers = [(model.get_submodule(path), partial(count_calls, of_call)) for path, of_call in by_module.items()]
    with wrap_forwards(wrappers):
        yield


def replay(
    model: nn.Module, cut: Cut, values: Sequence[Tensor], size: Size, *, fill: float = 0.0
) -> AbstractContextManager[None]:
    """Within it the next forward pass of `model` starts at the cut.

    Args:
        values: of the taps, in their own layout.
        fill: the number wherever nothing is read. nan proves that nothing is.
    """
    device = values[0].device
    of_output: dict[Key, dict[int, Tensor]] = {}
    of_input: dict[Key, dict[int, Tensor]] = {}
    for tap, value in zip(cut.taps, values, strict=True):
        side = of_output if tap.side == "output" else of_input
        side.setdefault(tap.call, {})[tap.leaf] = value

    def return_template(template: Template, known: Mapping[int, Tensor]) -> Handler:
        return lambda own, args, kwargs: template.make_output(args, kwargs, known, fill=fill, size=size, device=device)

    handlers = {key: return_template(template, of_output.get(key, {})) for key, template in cut.below.items()}
    return intercept(model, handlers | {key: replace_inputs(known) for key, known in of_input.items()})


def replace_inputs(known: Mapping[int, Tensor]) -> Handler:
    """A handler that runs the module with these leaves of its inputs replaced."""

    def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
        leaves, structure = tree_flatten((args, kwargs))
        args, kwargs = tree_unflatten([known.get(i, leaf) for i, leaf in enumerate(leaves)], structure)
        return own(*args, **kwargs)

    return handler


class StopForward(Exception):
    """Everything of interest was seen: the rest of the forward pass is not needed."""


def read_taps(model: nn.Module, taps: Sequence[Tap], batch: Mapping[str, Tensor]) -> list[Tensor]:
    """The values of the taps, from one real forward pass that ends with the last of them."""
    read: dict[Tap, Tensor] = {}
    wanted = len(set(taps))  # cuts may share a tap

    def read_at_call(here: Sequence[Tap]) -> Handler:
        def read_leaves(side: str, structure: Any) -> None:
            leaves = tree_flatten(structure)[0]
            # Copies: layers above may write into what they are given.
            read.update({tap: leaves[tap.leaf].clone() for tap in here if tap.side == side})
            if len(read) == wanted:
                raise StopForward

        def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
            read_leaves("input", (args, kwargs))
            output = own(*args, **kwargs)
            read_leaves("output", output)
            return output

        return handler

    handlers = {key: read_at_call([tap for tap in taps if tap.call == key]) for key in {tap.call for tap in taps}}
    with intercept(model, handlers):
        try:
            model(**batch)
        except StopForward:
            pass
    return [read[tap] for tap in taps]


def flatten_answers(output: Mapping[str, Any]) -> Tensor:
    """The logits in a model's output, and the boxes of a detector, as one vector."""
    return torch.cat([value.flatten() for name, value in output.items() if "logits" in name or "pred" in name])


def mark_real_tokens(batch: Mapping[str, Tensor], shape: Sequence[int]) -> Tensor:
    """Which tokens are not padding, (rows, tokens); all of them where the batch has no mask of that shape."""
    mask = batch.get("attention_mask")
    if mask is None or list(mask.shape) != list(shape):
        return torch.ones(shape, dtype=torch.bool)
    return mask.bool()


def keep_one(end: Literal["first", "last"], real: Tensor) -> Tensor:
    """`real`, (rows, tokens), reduced to the first or the last true place of each row."""
    order = real.cumsum(1)
    return real & (order == (1 if end == "first" else order[:, -1:]))
