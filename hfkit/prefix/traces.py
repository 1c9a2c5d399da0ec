"""Forward passes, written down: the calls of all modules and the shapes they handle, or the values at some of them."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import torch
from torch import Tensor, is_tensor, nn
from torch.utils._pytree import tree_flatten

from hfkit.prefix.replay import Handler, Key, SameInput, SameOutput, Shape, Tap, Template, intercept


@dataclass
class Call:
    """One call of a module in one forward pass: when it ran, and what its tensors look like, without their content."""

    key: Key
    started: int  # ticks of a clock that counts starts and ends of calls
    inputs: list[Any]  # leaves; tensors on the meta device
    ended: int = -1
    output: list[Any] = field(default_factory=list)
    structure: Any = None
    repeats: dict[int, SameInput | SameOutput] = field(default_factory=dict)  # outputs that are other leaves

    def contains(self, other: "Call") -> bool:
        """Whether the other call ran inside this one."""
        return self.started < other.started < self.ended


def trace(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[Key, Call]:
    """Every call of every module in one forward pass, in the order in which they start."""
    clock = count()
    numbers: defaultdict[str, count] = defaultdict(count)  # of the calls of each module
    calls: dict[Key, Call] = {}
    # Calls that have started and not ended, innermost last, each with its input leaves and their versions.
    running: list[tuple[Call, list[Any], dict[int, tuple[int, int]]]] = []
    hooks = []

    def start(path: str) -> Callable:
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
            leaves = tree_flatten((args, kwargs))[0]
            call = Call((path, next(numbers[path])), next(clock), _strip_content(leaves))
            calls[call.key] = call
            # torch counts the writes into a tensor: `_version` tells whether a layer changed its input in place.
            versions = {id(leaf): (i, leaf._version) for i, leaf in enumerate(leaves) if is_tensor(leaf)}
            running.append((call, leaves, versions))

        return hook

    def end(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        # `running` has kept the inputs alive until here. Otherwise a freed input could have passed its id on to an
        # output, which would then be taken for that input.
        call, _, versions = running.pop()
        leaves, call.structure = tree_flatten(output)
        first_place: dict[int, int] = {}
        for i, leaf in enumerate(leaves):
            place, version = versions.get(id(leaf), (None, None))
            if is_tensor(leaf) and id(leaf) in first_place:
                call.repeats[i] = SameOutput(first_place[id(leaf)])
            elif is_tensor(leaf) and version == leaf._version:
                # Passed through, and not written into on the way: ReLU(inplace=True) returns its input, changed.
                call.repeats[i] = SameInput(place)
            first_place.setdefault(id(leaf), i)
        call.ended, call.output = next(clock), _strip_content(leaves)

    try:
        # Hooks on all modules, the model included: its own call comes first.
        for path, module in model.named_modules():
            hooks.append(module.register_forward_pre_hook(start(path), with_kwargs=True))
            hooks.append(module.register_forward_hook(end, with_kwargs=True))
        model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _strip_content(leaves: Sequence[Any]) -> list[Any]:
    # The meta device keeps shape and dtype and no memory: a trace of a large model would not fit otherwise.
    return [leaf.to("meta") if is_tensor(leaf) else leaf for leaf in leaves]


@dataclass
class Recording:
    """One real pass: outputs of the calls below the cut, inputs of the starts, and which inputs are which outputs."""

    outputs: dict[Key, dict[int, Tensor]] = field(default_factory=dict)  # call -> leaf -> value
    inputs: dict[Key, list[Any]] = field(default_factory=dict)  # start -> leaves
    sources: dict[tuple[Key, int], tuple[Key, int]] = field(default_factory=dict)  # (start, leaf) -> (call, leaf)
    learning: set[tuple[Key, int]] = field(default_factory=set)  # (start, leaf) that parameters above the cut decide

    def values_of(self, taps: Sequence[Tap]) -> list[Tensor]:
        return [(self.inputs if tap.side == "input" else self.outputs)[tap.call][tap.leaf] for tap in taps]


def record(
    model: nn.Module,
    batch: Mapping[str, Tensor],
    below: Mapping[Key, Template],
    starts: Sequence[Key],
    above: Set[str],
) -> Recording:
    """The values of one real pass over the batch.

    It runs with gradients, for one question: a value at a start that requires a gradient was made by parameters above
    the cut. It changes in training, so it must not be stored.

    Args:
        below: the calls whose outputs are recorded, and what they return.
        starts: the calls whose inputs are recorded.
        above: names of the parameters above the cut.
    """
    recording = Recording()
    returned: list[tuple[Tensor, tuple[Key, int]]] = []

    def record_outputs(key: Key) -> Handler:
        def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
            output = own(*args, **kwargs)
            leaves = tree_flatten(output)[0]
            places = [i for i, leaf in enumerate(below[key].leaves) if isinstance(leaf, Shape)]
            recording.outputs[key] = {i: leaves[i].detach().clone() for i in places}
            returned.extend((leaves[i], (key, i)) for i in places)
            return output

        return handler

    def record_inputs(key: Key) -> Handler:
        def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
            leaves = tree_flatten((args, kwargs))[0]
            recording.inputs[key] = [leaf.detach().clone() if is_tensor(leaf) else leaf for leaf in leaves]
            for place, leaf in enumerate(leaves):
                if is_tensor(leaf) and leaf.requires_grad:
                    recording.learning.add((key, place))
                # Several calls may return the same tensor. The last one counts: those between may have written into it.
                for value, source in returned:
                    if value is leaf:
                        recording.sources[key, place] = source
            return own(*args, **kwargs)

        return handler

    handlers = {key: record_outputs(key) for key in below} | {key: record_inputs(key) for key in starts}
    marks = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
    try:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in above)
        with torch.enable_grad(), intercept(model, handlers):
            model(**batch)
    finally:
        for parameter, mark in marks:
            parameter.requires_grad_(mark)
    return recording
