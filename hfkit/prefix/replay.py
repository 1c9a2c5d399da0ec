"""Starting an unchanged model in the middle: what lies below a cut returns what it returned before.

A *cut* at depth k says which calls of modules below k are not run again (they return tensors of the right shape and of
no content), and where the *taps* are: the tensors that are read above the cut, put in where they were seen. Masks,
positions, pooling, head and loss are the model's own code, and no architecture is named.
`hfkit.prefix.cuts` finds the cuts.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

Key = tuple[str, int]  # path of a module, and which of its calls in one forward pass
Handler = Callable[[Callable, tuple, dict], Any]  # (the module's own forward, args, kwargs) -> output


class CannotReplay(Exception):
    """Why the model cannot be started at this cut, in words."""


@dataclass(frozen=True)
class Size:
    """What the shapes of a batch depend on."""

    rows: int
    tokens: int  # padded; 1 where inputs have no tokens

    @classmethod
    def of(cls, batch: Mapping[str, Tensor]) -> "Size":
        ids = batch.get("input_ids", batch.get("decoder_input_ids"))
        return cls(len(next(iter(batch.values()))), 1 if ids is None else ids.shape[1])


@dataclass(frozen=True)
class Axis:
    """The length of one axis: `times`, times the rows or the tokens of the batch, or both."""

    times: int
    by_rows: bool = False
    by_tokens: bool = False

    def length(self, size: Size) -> int:
        return self.times * (size.rows if self.by_rows else 1) * (size.tokens if self.by_tokens else 1)


@dataclass(frozen=True)
class Shape:
    """The shape of a tensor for any batch."""

    axes: tuple[Axis, ...]
    dtype: torch.dtype

    @classmethod
    def of(cls, tensors: Sequence[Tensor], sizes: Sequence[Size]) -> "Shape":
        """From one tensor of each of several batches.

        Raises:
            CannotReplay: an axis follows neither rows nor tokens.
        """
        axes = []
        for lengths in zip(*(tensor.shape for tensor in tensors), strict=True):
            fitting = (
                axis
                for by_rows, by_tokens in ((False, False), (True, False), (False, True), (True, True))
                if (one := Axis(1, by_rows, by_tokens).length(sizes[0])) and lengths[0] % one == 0
                for axis in [Axis(lengths[0] // one, by_rows, by_tokens)]
                if all(axis.length(size) == length for size, length in zip(sizes, lengths, strict=True))
            )
            axis = next(fitting, None)
            if axis is None:
                raise CannotReplay(f"an axis of length {lengths[0]} follows neither rows nor tokens")
            axes.append(axis)
        return cls(tuple(axes), tensors[0].dtype)

    def filled(self, value: float, size: Size, device: torch.device) -> Tensor:
        """One number, seen in every place without being stored there; whole numbers and truth values are 0."""
        number = torch.tensor(value if self.dtype.is_floating_point else 0, dtype=self.dtype, device=device)
        return number.expand([axis.length(size) for axis in self.axes])

    @property
    def rows_axis(self) -> int | None:
        """Where the rows are, if exactly one axis is theirs alone."""
        found = [i for i, axis in enumerate(self.axes) if axis.by_rows]
        return found[0] if len(found) == 1 and self.axes[found[0]] == Axis(1, by_rows=True) else None

    @property
    def tokens_axis(self) -> int | None:
        found = [i for i, axis in enumerate(self.axes) if axis.by_tokens]
        return found[0] if found else None

    @property
    def is_per_row(self) -> bool:
        """Whether the tensor can be stored row by row, and token by token where it has tokens."""
        of_tokens = [axis for axis in self.axes if axis.by_tokens]
        return self.rows_axis is not None and of_tokens in ([], [Axis(1, by_tokens=True)])


@dataclass(frozen=True)
class Given:
    """An output that is one of the call's inputs, handed through."""

    leaf: int


@dataclass(frozen=True)
class Same:
    """An output that is an earlier output of the same call."""

    leaf: int


@dataclass(frozen=True)
class Template:
    """What a call returns: its structure, and what stands in each leaf."""

    leaves: tuple[Any, ...]  # Shape, Given, Same, or a plain value
    structure: TreeSpec

    def output(
        self, args: tuple, kwargs: dict, values: Mapping[int, Tensor], *, fill: float, size: Size, device: torch.device
    ) -> Any:
        given = tree_flatten((args, kwargs))[0] if any(isinstance(leaf, Given) for leaf in self.leaves) else []
        made = []
        for place, leaf in enumerate(self.leaves):
            if place in values:
                made.append(values[place])
            elif isinstance(leaf, Shape):
                made.append(leaf.filled(fill, size, device))
            elif isinstance(leaf, Same):
                made.append(made[leaf.leaf])
            else:
                made.append(given[leaf.leaf] if isinstance(leaf, Given) else leaf)
        return tree_unflatten(made, self.structure)


@dataclass(frozen=True)
class Tap:
    """A tensor that is read above the cut: where it is, how it is laid out, and which tokens of it matter."""

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
def intercepted(model: nn.Module, handlers: Mapping[Key, Handler]) -> Iterator[None]:
    """Within it the named calls of one forward pass go to their handlers."""
    by_module: dict[str, dict[int, Handler]] = {}
    for (path, nth), handler in handlers.items():
        by_module.setdefault(path, {})[nth] = handler
    modules = {path: model.get_submodule(path) for path in by_module}
    before = {path: module.__dict__.get("forward") for path, module in modules.items()}

    def counted(own: Callable, of_call: dict[int, Handler]) -> Callable:
        calls = iter(range(1_000_000))

        def forward(*args: Any, **kwargs: Any) -> Any:
            handler = of_call.get(next(calls))
            return own(*args, **kwargs) if handler is None else handler(own, args, kwargs)

        return forward

    try:
        for path, module in modules.items():
            module.__dict__["forward"] = counted(module.forward, by_module[path])
        yield
    finally:
        for path, module in modules.items():
            if before[path] is None:
                module.__dict__.pop("forward", None)
            else:
                module.__dict__["forward"] = before[path]


def replaying(
    model: nn.Module, cut: Cut, values: Sequence[Tensor], size: Size, *, fill: float = 0.0
) -> "contextmanager[None]":
    """Within it the next forward pass of `model` starts at the cut.

    Args:
        values: of the taps, in their own layout.
        fill: what stands where nothing is read.
    """
    device = values[0].device
    of_call: dict[Key, dict[int, Tensor]] = {}
    at_input: dict[Key, dict[int, Tensor]] = {}
    for tap, value in zip(cut.taps, values, strict=True):
        (of_call if tap.side == "output" else at_input).setdefault(tap.call, {})[tap.leaf] = value

    def of_template(template: Template, known: Mapping[int, Tensor]) -> Handler:
        return lambda own, args, kwargs: template.output(args, kwargs, known, fill=fill, size=size, device=device)

    handlers = {key: of_template(template, of_call.get(key, {})) for key, template in cut.below.items()}
    return intercepted(model, handlers | {key: with_inputs(known) for key, known in at_input.items()})


def with_inputs(known: Mapping[int, Tensor]) -> Handler:
    """Calls the module with these leaves of its inputs replaced."""

    def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
        leaves, structure = tree_flatten((args, kwargs))
        args, kwargs = tree_unflatten([known.get(i, leaf) for i, leaf in enumerate(leaves)], structure)
        return own(*args, **kwargs)

    return handler


class Enough(Exception):
    """All taps are read: the rest of the forward pass is not needed."""


def read_taps(model: nn.Module, taps: Sequence[Tap], batch: Mapping[str, Tensor]) -> list[Tensor]:
    """The values of the taps, from one real forward pass that ends with the last of them."""
    found: dict[Tap, Tensor] = {}

    def reader(here: Sequence[Tap]) -> Handler:
        def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
            # Copies: layers above may write into what they are given.
            found.update({t: tree_flatten((args, kwargs))[0][t.leaf].clone() for t in here if t.side == "input"})
            if len(found) == len(set(taps)):
                raise Enough
            output = own(*args, **kwargs)
            found.update({t: tree_flatten(output)[0][t.leaf].clone() for t in here if t.side == "output"})
            if len(found) == len(set(taps)):
                raise Enough
            return output

        return handler

    handlers = {key: reader([tap for tap in taps if tap.call == key]) for key in {tap.call for tap in taps}}
    with intercepted(model, handlers):
        try:
            model(**batch)
        except Enough:
            pass
    return [found[tap] for tap in taps]


def answers(output: Mapping[str, Any]) -> Tensor:
    """The logits of a model's output, and boxes beside them, as one vector."""
    return torch.cat([value.flatten() for name, value in output.items() if "logits" in name or "pred" in name])


def real_tokens(batch: Mapping[str, Tensor], shape: Sequence[int]) -> Tensor:
    """Which tokens are no padding, (rows, tokens); all of them where the batch has no mask of that shape."""
    mask = batch.get("attention_mask")
    return mask.bool() if mask is not None and list(mask.shape) == list(shape) else torch.ones(shape, dtype=torch.bool)


def only(reads: Literal["first", "last"], real: Tensor) -> Tensor:
    """`real`, (rows, tokens), with nothing but its first or last true place in each row."""
    order = real.cumsum(1)
    return real & (order == (1 if reads == "first" else order[:, -1:]))
