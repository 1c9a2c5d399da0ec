"""Finding where a model can be started: which calls lie below a depth, and which of their tensors are read above it.

Which tensors are read is found, not assumed: everything below returns nan, and where nan arrives at the first call
above, there is a tap. A tensor that belongs to no row, such as T5's position bias, cannot be stored by row: the call
that makes it keeps running, with its own parts replaced instead. Every cut is proven on a few rows before it is used:
with nan in all that is not a tap, the logits must be the model's own.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from hfkit.prefix.replay import (
    CannotReplay,
    Cut,
    Enough,
    Given,
    Handler,
    Key,
    Same,
    Shape,
    Size,
    Tap,
    Template,
    answers,
    intercepted,
    only,
    real_tokens,
    replaying,
    with_inputs,
)

MOST_ROUNDS = 20  # of looking for taps: each goes one level deeper into what must keep running


@dataclass
class _Call:
    """One call of a module in one forward pass: when, and what its tensors look like, without their content."""

    key: Key
    started: int
    inputs: list[Any]  # leaves; tensors on the meta device
    ended: int = -1
    output: list[Any] = field(default_factory=list)
    structure: Any = None
    again: dict[int, Given | Same] = field(default_factory=dict)  # leaves of the output that are other leaves


@torch.no_grad()
def find_cuts(
    model: nn.Module,
    depths: Mapping[str, int],
    module_depths: Mapping[str, int],
    cuts: Sequence[int],
    batches: Sequence[Mapping[str, Tensor]],
) -> list[Cut]:
    """How to start `model`, which is in `eval()`, at each of the depths `cuts`.

    Args:
        depths, module_depths: as `hfkit.model.depth` gives them.
        batches: three of them, of different numbers of rows and, where inputs have tokens, of tokens: what changes
            between them tells which axis is which. The first one is what every cut is proven on.

    Raises:
        CannotReplay: what is read above a cut cannot be stored by row, or replaying does not give the same logits.
    """
    traces = [_trace(model, batch) for batch in batches]
    sizes = [Size.of(batch) for batch in batches]
    if any(trace.keys() != traces[0].keys() for trace in traces):
        raise CannotReplay("the model calls other modules for other rows")
    return [_find(_Search(model, depths, module_depths, depth, batches[0], traces, sizes)) for depth in cuts]


def _find(search: "_Search") -> Cut:
    for find in (search.arriving, search.returned):
        taps = find()
        cut = Cut(search.depth, search.templates, taps)
        if search.proves(cut):
            return search.narrowed(cut) if len(taps) == 1 and search.is_head else cut
    raise CannotReplay("not everything that is read above the cut could be found")


class _Search:
    """The calls of a model on a few rows, and what nan in some of them does to the others."""

    def __init__(
        self,
        model: nn.Module,
        depths: Mapping[str, int],
        module_depths: Mapping[str, int],
        depth: int,
        batch: Mapping[str, Tensor],
        traces: Sequence[dict[Key, _Call]],
        sizes: Sequence[Size],
    ) -> None:
        self.model, self.depth, self.batch, self.traces, self.sizes = model, depth, batch, traces, sizes
        self.depths = depths
        self.calls, self.logits, self.is_head = traces[0], answers(model(**batch)), depth == max(depths.values())
        by_identity = {id(parameter): depths[name] for name, parameter in model.named_parameters()}
        self.span = {path: _span(module, by_identity) for path, module in model.named_modules()}
        self.first = next((key for key in self.calls if self.span[key[0]] and self.span[key[0]][0] >= depth), None)
        if self.first is None:
            raise CannotReplay("no layer above the cut is a module of its own")
        below = self._outermost(until=self.calls[self.first].started)
        self.templates = {key: self._template(key) for key in below}
        self._take_what_they_feed(module_depths)
        self._record()

    def _take_what_they_feed(self, module_depths: Mapping[str, int]) -> None:
        """Activations and pooling among the layers below are replaced with them; the first dropout above is the start.

        They would cost time on what is not there, and may write in place.
        """
        bare = self._bare(until=self.calls[self.first].started)
        seen = self.poisoned(watched=bare)
        fed = [key for key in bare if any(map(_holds_nan, seen[key]))]
        last = max((self.calls[key].ended for key in self.templates), default=-1)
        above = [key for key in fed if module_depths[key[0]] >= self.depth and self.calls[key].started > last]
        self.starts = [*above[:1], self.first]
        before = self.calls[self.starts[0]].started
        self.templates |= {key: self._template(key) for key in fed if self.calls[key].ended < before}

    def arriving(self) -> tuple[Tap, ...]:
        """What arrives at the first call above, and at the first one with parameters, from what is below."""
        taps: list[Tap] = []
        for start in self.starts:
            for _ in range(MOST_ROUNDS):
                given = self.poisoned(taps=taps, ending=start)[start]
                read = [i for i, leaf in enumerate(given) if _holds_nan(leaf)]
                if any((start, leaf) in self.learning for leaf in read):
                    return ()  # such as a learnt sum over layers: it changes while what it sums does not
                shapes = {leaf: self._shape([trace[start].inputs[leaf] for trace in self.traces]) for leaf in read}
                stray = [leaf for leaf in read if not shapes[leaf].is_per_row]
                if not stray:
                    break
                self._keep_running(start, stray)
            else:
                raise CannotReplay("a tensor that belongs to no row is read above the cut")
            taps += [self._tap(leaf, shapes[leaf], start) for leaf in read]
        return tuple(taps)

    def returned(self) -> tuple[Tap, ...]:
        """Everything that calls below return and the logits depend on: what arrives is then not all that is read."""
        taps = []
        for key, template in self.templates.items():
            for leaf, shape in enumerate(template.leaves):
                if not isinstance(shape, Shape) or not shape.dtype.is_floating_point:
                    continue
                others = {each: dict(values) for each, values in self.values.items()}
                del others[key][leaf]
                if self.poisoned(others)[None][0].isnan().any():
                    if not shape.is_per_row:
                        raise CannotReplay("a tensor that belongs to no row is read above the cut")
                    taps.append(Tap(key, "output", leaf, shape))
        return tuple(taps)

    def proves(self, cut: Cut) -> bool:
        """Whether the logits are the model's own, with nan in all that is not a tap."""
        if not cut.taps:
            return False
        try:
            with replaying(self.model, cut, self._recorded(cut.taps), self.sizes[0], fill=torch.nan):
                replayed = answers(self.model(**self.batch))
        except RuntimeError:  # such as writing into what is not stored
            return False
        return bool((replayed - self.logits).abs().max() <= 1e-5 * self.logits.abs().max())

    def narrowed(self, cut: Cut) -> Cut:
        """The cut, with which tokens of its tap the logits depend on: the first, the last, or all of them."""
        tap, (value,) = cut.taps[0], self._recorded(cut.taps)
        if tap.shape.rows_axis != 0 or value.ndim != 3 or tap.shape.tokens_axis not in (None, 1):
            return cut
        with torch.enable_grad():
            leaf = value.detach().clone().requires_grad_()
            with replaying(self.model, cut, [leaf], self.sizes[0]):
                logits = answers(self.model(**self.batch))
            weights = torch.linspace(1, 2, logits.numel(), device=logits.device)
            gradient = torch.autograd.grad((logits * weights).sum(), leaf)[0]
        read = gradient.abs().amax(-1) > 0  # (rows, tokens)
        for reads in ("first", "last"):
            if torch.equal(read, only(reads, real_tokens(self.batch, read.shape).to(read.device))):
                return replace(cut, taps=(replace(tap, reads=reads),))
        return cut

    def poisoned(
        self,
        known: Mapping[Key, Mapping[int, Tensor]] | None = None,
        *,
        taps: Sequence[Tap] = (),
        watched: Sequence[Key] = (),
        ending: Key | None = None,
    ) -> dict[Key | None, list[Any]]:
        """What the `watched` calls return, what the call `ending` is given, and under None the logits.

        All calls below return nan, except the leaves that are `known`; `taps` have their values.
        """
        seen: dict[Key | None, list[Any]] = {}
        handlers = {key: self._poison(key, (known or {}).get(key, {}), taps) for key in self.templates}
        for key in {tap.call for tap in taps if tap.side == "input"}:
            handlers[key] = with_inputs({tap.leaf: v for tap, v in self._valued(taps) if tap.call == key})

        def watch(key: Key) -> Handler:
            def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
                output = own(*args, **kwargs)
                seen[key] = tree_flatten(output)[0]
                return output

            return handler

        def end(own: Callable, args: tuple, kwargs: dict) -> Any:
            seen[ending] = tree_flatten((args, kwargs))[0]
            raise Enough

        handlers |= {key: watch(key) for key in watched}
        with intercepted(self.model, handlers if ending is None else handlers | {ending: end}):
            try:
                seen[None] = [answers(self.model(**self.batch))]
            except Enough:
                pass
        return seen

    def _poison(self, key: Key, known: Mapping[int, Tensor], taps: Sequence[Tap]) -> Handler:
        known = {**known, **{tap.leaf: v for tap, v in self._valued(taps) if (tap.call, tap.side) == (key, "output")}}

        def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
            device = self.logits.device
            made = self.templates[key].output(args, kwargs, known, fill=torch.nan, size=self.sizes[0], device=device)
            # Stored in full: layers that are not replaced may write into it.
            return tree_map(lambda leaf: leaf.clone() if torch.is_tensor(leaf) else leaf, made)

        return handler

    def _keep_running(self, start: Key, stray: Sequence[int]) -> None:
        """Replace the calls that make these inputs of `start` by the calls inside them."""
        makers = []
        for key in self.templates:
            given = self.poisoned({k: v for k, v in self.values.items() if k != key}, ending=start)[start]
            makers += [key] * any(_holds_nan(given[leaf]) for leaf in stray)
        for key in makers:
            del self.templates[key]
            self.templates |= {part: self._template(part) for part in self._outermost(within=self.calls[key])}
        self._record()

    def _outermost(self, *, until: int | None = None, within: _Call | None = None) -> list[Key]:
        """The outermost calls with all parameters below: that end before `until`, or that run inside `within`."""
        found: list[_Call] = []
        for call in self.calls.values():
            inside = within is None or within.started < call.started < within.ended
            span = self.span[call.key[0]]
            if not inside or (until is not None and not call.ended < until) or span is None or span[1] >= self.depth:
                continue
            if not (found and call.started < found[-1].ended):
                found.append(call)
        return [call.key for call in found]

    def _bare(self, *, until: int) -> list[Key]:
        """Calls without parameters and without calls inside, that end before `until` and run outside those below."""
        below = [self.calls[key] for key in self.templates]
        return [
            key
            for key, call in self.calls.items()
            if self.span[key[0]] is None
            and call.ended < until
            and call.ended == call.started + 1
            and not any(other.started < call.started < other.ended for other in below)
        ]

    def _template(self, key: Key) -> Template:
        """What the call returns for any batch, from what it returned for each of several."""
        again, leaves = self.calls[key].again, []
        for place, same in enumerate(zip(*(trace[key].output for trace in self.traces), strict=True)):
            if place in again:
                leaves.append(again[place])
            elif torch.is_tensor(same[0]):
                leaves.append(self._shape(same))
            else:
                # Besides plain values there are caches of keys and values: nothing that is trained reads them.
                leaves.append(same[0] if isinstance(same[0], (int, float, str, bool, type(None))) else None)
        return Template(tuple(leaves), self.calls[key].structure)

    def _shape(self, tensors: Sequence[Tensor]) -> Shape:
        return Shape.of(tensors, self.sizes)

    def _record(self) -> None:
        """The values of one real pass: what calls below return, what the starts are given, and what of that is that."""
        self.values: dict[Key, dict[int, Tensor]] = {}
        self.given: dict[Key, list[Any]] = {}
        self.sources: dict[tuple[Key, int], tuple[Key, int]] = {}
        self.learning: set[tuple[Key, int]] = set()  # inputs of the starts that parameters above the cut decide
        returned: list[tuple[Tensor, tuple[Key, int]]] = []

        def below(key: Key) -> Handler:
            def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
                output = own(*args, **kwargs)
                leaves = tree_flatten(output)[0]
                places = [i for i, leaf in enumerate(self.templates[key].leaves) if isinstance(leaf, Shape)]
                self.values[key] = {i: leaves[i].detach().clone() for i in places}
                returned.extend((leaves[i], (key, i)) for i in places)
                return output

            return handler

        def start(key: Key) -> Handler:
            def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
                leaves = tree_flatten((args, kwargs))[0]
                self.given[key] = [leaf.detach().clone() if torch.is_tensor(leaf) else leaf for leaf in leaves]
                self.learning |= {(key, i) for i, v in enumerate(leaves) if torch.is_tensor(v) and v.requires_grad}
                for place, leaf in enumerate(leaves):
                    # Of several that return it the last: those between may have written into it.
                    self.sources.update(((key, place), source) for value, source in returned if value is leaf)
                return own(*args, **kwargs)

            return handler

        handlers = {key: below(key) for key in self.templates} | {key: start(key) for key in self.starts}
        marks = [(parameter, parameter.requires_grad) for parameter in self.model.parameters()]
        try:
            for name, parameter in self.model.named_parameters():
                parameter.requires_grad_(self.depths[name] >= self.depth)
            with torch.enable_grad(), intercepted(self.model, handlers):
                self.model(**self.batch)
        finally:
            for parameter, mark in marks:
                parameter.requires_grad_(mark)

    def _tap(self, leaf: int, shape: Shape, start: Key) -> Tap:
        """Where the tensor comes from, if a call below returns it as it is; else where it arrives.

        At its source every reader gets it: the encoder's last state is read by each block of the decoder.
        """
        if (start, leaf) in self.sources:
            key, place = self.sources[start, leaf]
            return Tap(key, "output", place, shape)
        return Tap(start, "input", leaf, shape)

    def _valued(self, taps: Sequence[Tap]) -> list[tuple[Tap, Tensor]]:
        return list(zip(taps, self._recorded(taps), strict=True))

    def _recorded(self, taps: Sequence[Tap]) -> list[Tensor]:
        return [(self.given if tap.side == "input" else self.values)[tap.call][tap.leaf] for tap in taps]


def _trace(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[Key, _Call]:
    """Every call of every module in one forward pass, in the order in which they start."""
    clock, counts = iter(range(10_000_000)), {}
    calls: dict[Key, _Call] = {}
    running: list[tuple[_Call, list[Any], dict[int, tuple[int, int]]]] = []
    hooks = []

    def before(path: str) -> Callable:
        def hook(module: nn.Module, args: tuple, kwargs: dict) -> None:
            counts[path] = counts.get(path, -1) + 1
            leaves = tree_flatten((args, kwargs))[0]
            call = _Call((path, counts[path]), next(clock), _without_content(leaves))
            calls[call.key] = call
            versions = {id(leaf): (i, leaf._version) for i, leaf in enumerate(leaves) if torch.is_tensor(leaf)}
            running.append((call, leaves, versions))

        return hook

    def after(module: nn.Module, args: tuple, kwargs: dict, output: Any) -> None:
        call, _, versions = running.pop()  # the inputs were kept alive until here: their identities are their own
        leaves, call.structure = tree_flatten(output)
        seen: dict[int, int] = {}
        for i, leaf in enumerate(leaves):
            place, version = versions.get(id(leaf), (None, None))
            if torch.is_tensor(leaf) and id(leaf) in seen:
                call.again[i] = Same(seen[id(leaf)])
            elif torch.is_tensor(leaf) and version == leaf._version:  # and was not written into
                call.again[i] = Given(place)
            seen.setdefault(id(leaf), i)
        call.ended, call.output = next(clock), _without_content(leaves)

    try:
        for path, module in model.named_modules():
            hooks.append(module.register_forward_pre_hook(before(path), with_kwargs=True))
            hooks.append(module.register_forward_hook(after, with_kwargs=True))
        model(**batch)
    finally:
        for hook in hooks:
            hook.remove()
    return calls


def _without_content(leaves: Sequence[Any]) -> list[Any]:
    return [leaf.to("meta") if torch.is_tensor(leaf) else leaf for leaf in leaves]


def _span(module: nn.Module, depths: Mapping[int, int]) -> tuple[int, int] | None:
    """Lowest and greatest depth of the module's parameters, tied ones too; None where it has none."""
    own = [depths[id(parameter)] for parameter in module.parameters()]
    return (min(own), max(own)) if own else None


def _holds_nan(leaf: Any) -> bool:
    return torch.is_tensor(leaf) and leaf.is_floating_point() and bool(leaf.isnan().any())
