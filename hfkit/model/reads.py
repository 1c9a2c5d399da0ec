"""The order in which a forward pass first reads the parameters, and what had run before each of them.

The pass runs on a copy of the modules that shares the weights, so that it leaves no trace: no cache, no counter, no
hook that fires, and no attention that a short input switched to another kind (BigBird).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

# What gives a parameter another shape, type or place is not yet a use of it.
COPIES = {torch.ops.aten.clone.default, torch.ops.aten._to_copy.default}
# Replaced while it is trained (see unfreezing.py); and transformers' note that it has set hooks of its own, without
# which it sets them again, on the copy.
OF_THIS_INSTANCE = ("train", "zero_grad", "_output_capturing_hooks_installed")
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_forward_hooks_with_kwargs", "_forward_hooks_always_called")


@dataclass(frozen=True)
class Reads:
    """The parameters of one model in the order of their first reads, and what each of them was given.

    Sets of parameters are integers with one bit for each: bit `i` is `names[i]`.
    """

    names: tuple[str, ...]  # every parameter, in order of registration
    order: tuple[int, ...]  # of those that were read: the first one read comes first
    given: Mapping[int, int]  # parameter -> all whose results were part of its input, near and far

    @property
    def read(self) -> int:
        """The set of those that were read."""
        return union(1 << i for i in self.order)

    def given_to(self, parameters: int) -> int:
        """All that the parameters of a set were given, near and far."""
        return union(self.given.get(i, 0) for i in members(parameters))

    def feeds(self, below: int, above: int) -> bool:
        """Whether a parameter of the set `above` was given a result of one in `below` that it does not share."""
        return any(self.given.get(i, 0) & below for i in members(above & ~below))


def union(sets: Iterable[int]) -> int:
    return reduce(or_, sets, 0)


def members(parameters: int) -> Iterator[int]:
    """The numbers of the parameters in a set, ascending."""
    while parameters:
        lowest = parameters & -parameters
        yield lowest.bit_length() - 1
        parameters ^= lowest


@torch.no_grad()
def record_reads(model: nn.Module, inputs: Mapping[str, Tensor], *, without_values: bool = False) -> Reads:
    """Run a forward pass in `eval()` and record it. The model and the generators stay as they are.

    Args:
        without_values: run on shapes alone (torch's device "meta"), which costs neither memory nor arithmetic. Where
            values decide what is run, they are taken to be one.
    """
    names = tuple(name for name, _ in model.named_parameters())
    copied = _share_weights(model, without_values, {}, {}).eval()
    parameters = list(copied.parameters())
    if without_values:
        inputs = {name: value.to("meta") for name, value in inputs.items()}
    cards = {parameter.device for parameter in parameters if parameter.device.type == "cuda"}
    recorder = _Recorder(parameters)
    with torch.random.fork_rng(devices=list(cards)), recorder:
        copied(**inputs)
    return Reads(names, tuple(recorder.given), recorder.given)


def _share_weights(
    module: nn.Module, without_values: bool, modules: dict[int, nn.Module], weights: dict[int, nn.Parameter]
) -> nn.Module:
    """A copy of the module with the same parameters, or with their shapes, buffers of its own and no hooks.

    Args:
        modules, weights: what is copied already, by the identity of the original.
    """
    if id(module) in modules:
        return modules[id(module)]
    copied = modules[id(module)] = module.__class__.__new__(module.__class__)
    own = copied.__dict__
    own.update(module.__dict__)
    for hooks in HOOKS:
        own[hooks] = type(module.__dict__[hooks])()
    for name in OF_THIS_INSTANCE:
        own.pop(name, None)
    own["_parameters"] = {}
    for name, weight in module._parameters.items():
        if weight is not None and without_values:
            weight = weights.setdefault(id(weight), nn.Parameter(weight.to("meta"), requires_grad=False))
        own["_parameters"][name] = weight
    own["_buffers"] = {
        name: buffer if buffer is None else buffer.to("meta") if without_values else buffer.clone()
        for name, buffer in module._buffers.items()
    }
    own["_modules"] = {
        name: child if child is None else _share_weights(child, without_values, modules, weights)
        for name, child in module._modules.items()
    }
    return copied


class _Recorder(TorchDispatchMode):
    """Notes for every tensor which parameters it was computed from, and for every parameter what it first met."""

    def __init__(self, parameters: Sequence[nn.Parameter]) -> None:
        super().__init__()
        self.given: dict[int, int] = {}  # in order of first touch
        self._unused: set[int] = set(range(len(parameters)))  # touched or not, but not combined with anything yet
        self._numbers = {id(parameter): i for i, parameter in enumerate(parameters)}
        # A loader may cut several parameters out of one storage: a view of it is told by where it begins.
        self._storages: dict[StorageWeakRef, list[tuple[int, int, int]]] = {}
        for i, parameter in enumerate(parameters):
            start = parameter.storage_offset()
            place = (start, start + parameter.numel(), i)
            self._storages.setdefault(_storage_of(parameter), []).append(place)
        self._sources: dict[StorageWeakRef, int] = {}  # of every tensor that is no parameter: a set of parameters

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        own, given = 0, 0
        tensors = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
        for tensor in tensors:
            if (i := self._number_of(tensor)) is not None:
                self.given.setdefault(i, 0)
                own |= 1 << i
            else:
                given |= self._sources.get(_storage_of(tensor), 0)
        result = self._call(operation, args, kwargs, tensors)
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if len(tensors) == 1 and own:
            if operation in COPIES:
                # The copy stands for the parameter: half precision, or another layout.
                number = own.bit_length() - 1
                self._storages.setdefault(_storage_of(made[0]), []).append((0, made[0].numel(), number))
                return result
            if made and all(self._number_of(tensor) is not None for tensor in made):
                return result  # a view
        for i in members(own):
            if i in self._unused:
                self._unused.discard(i)
                self.given[i] = given
        for tensor in made:
            if self._number_of(tensor) is None:
                storage = _storage_of(tensor)
                self._sources[storage] = self._sources.get(storage, 0) | own | given
        return result

    def _number_of(self, tensor: Tensor) -> int | None:
        if (number := self._numbers.get(id(tensor))) is not None:
            return number
        places = self._storages.get(_storage_of(tensor))
        if places is None:
            return None
        start = tensor.storage_offset()
        return next((number for first, end, number in places if first <= start < max(end, first + 1)), None)

    @staticmethod
    def _call(operation, args, kwargs, tensors: list[Tensor]):
        try:
            return operation(*args, **kwargs)
        except (NotImplementedError, RuntimeError):
            if not any(tensor.is_meta for tensor in tensors):
                raise
            # Only values decide, such as where a mask is true, and there are none: let them all be one.
            args, kwargs = tree_map_only(Tensor, _fill_with_ones, (args, kwargs))
            return tree_map_only(Tensor, lambda made: made.to("meta"), operation(*args, **kwargs))


def _fill_with_ones(tensor: Tensor) -> Tensor:
    return torch.ones(tensor.shape, dtype=tensor.dtype) if tensor.is_meta else tensor


def _storage_of(tensor: Tensor) -> StorageWeakRef:
    """A key for the memory of a tensor, which stays its own even after the memory is freed."""
    return StorageWeakRef(tensor.untyped_storage())
