"""Finds where a model can start: which calls lie below a depth, and which of their tensors the layers above read.

What is read is discovered, not assumed. All calls below return nan, and where nan arrives at the first call above,
there is a tap. A tensor that belongs to no row, such as T5's position bias, cannot be stored by row: the call that
makes it keeps running, and the calls inside it are replaced instead. Every cut is proven on a few rows before it is
used: with nan in everything that is not a tap, the logits must be the model's own.

An example, step by step and with a drawing: docs/prefix-cache.md.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map

from hfkit.errors import first_line
from hfkit.model.depth import Depths
from hfkit.prefix.replay import (
    CannotReplay,
    Cut,
    Handler,
    Key,
    Shape,
    Size,
    StopForward,
    Tap,
    Template,
    flatten_answers,
    intercept,
    keep_one,
    mark_real_tokens,
    replace_inputs,
    replay,
)
from hfkit.prefix.traces import Call, Recording, record, trace

MOST_ROUNDS = 20  # of looking for taps: each goes one level deeper into what must keep running
# Of the largest logit. In half precision the kernels that record and those that replay may round otherwise, as one
# with gradients and one without; nan passes neither.
PROVEN_WITHIN, PROVEN_IN_HALF = 1e-5, 2e-2


@torch.no_grad()
def find_cuts(
    model: nn.Module, depths: Depths, cuts: Sequence[int], batches: Sequence[Mapping[str, Tensor]]
) -> list[Cut]:
    """How to start `model`, which is in `eval()`, at each of the depths `cuts`. Runs some dozens of forward passes.

    Args:
        batches: three of them, with different numbers of rows and, where inputs have tokens, of tokens. What changes
            between them tells which axis is which. Every cut is proven on the first one.

    Raises:
        CannotReplay: the model needs answers to run, what is read above a cut cannot be stored by row, or replaying
            does not give the same logits.
    """
    try:
        traces = [trace(model, batch) for batch in batches]
    except (ValueError, TypeError, AttributeError) as error:  # such as T5, which makes its decoder's inputs of answers
        raise CannotReplay(f"the model does not run on inputs without answers ({first_line(error)})") from error
    sizes = [Size.of(batch) for batch in batches]
    if any(calls.keys() != traces[0].keys() for calls in traces):
        raise CannotReplay("the model calls other modules for other rows")
    logits = flatten_answers(model(**batches[0]))
    return [_Search(model, depths, depth, batches[0], logits, traces, sizes).find() for depth in cuts]


class _Search:
    """The search for one cut: the calls of a model on a few rows, and what nan in some of them does to the others."""

    def __init__(
        self,
        model: nn.Module,
        depths: Depths,
        depth: int,
        batch: Mapping[str, Tensor],
        logits: Tensor,  # of the batch
        traces: Sequence[dict[Key, Call]],  # the first one is of the batch
        sizes: Sequence[Size],
    ) -> None:
        self.model, self.depths, self.depth = model, depths, depth
        self.batch, self.logits, self.traces, self.sizes = batch, logits, traces, sizes
        self.calls = traces[0]
        # Not `depths.head`: a head that is tied to the embeddings has no parameters of its own.
        self.is_head = depth == max(depths.parameters.values())
        halves = (torch.bfloat16, torch.float16)
        half = any(
            torch.is_tensor(leaf) and leaf.dtype in halves for call in self.calls.values() for leaf in call.output
        )
        self.within = PROVEN_IN_HALF if half else PROVEN_WITHIN
        # By identity: a tied weight has one name in `depths` and hangs in several modules.
        by_identity = {id(parameter): depths.parameters[name] for name, parameter in model.named_parameters()}
        self.span = {path: _span_of(module, by_identity) for path, module in model.named_modules()}
        # Set by `find`:
        self.templates: dict[Key, Template] = {}  # the calls below the cut, which are not run again
        self.starts: list[Key] = []  # the first calls above it
        self.recording = Recording()

    def find(self) -> Cut:
        """The cut, proven.

        Raises:
            CannotReplay: there is none that can be stored and proven.
        """
        first = self._find_first_above()
        self.templates = {key: self._make_template(key) for key in self._find_outermost(until=first)}
        self._replace_bare_calls(first)
        self.recording = self._record()
        # Cheap taps first. What arrives at one call is usually one tensor; what is returned may be one per block.
        for find_taps in (self._find_arriving_taps, self._find_returned_taps):
            taps = find_taps()
            # Only now: looking for taps may take templates apart (see `_keep_running`).
            cut = Cut(self.depth, self.templates, taps)
            if self._proves(cut):
                return self._narrow(cut) if len(taps) == 1 and self.is_head else cut
        raise CannotReplay("not everything that is read above the cut could be found")

    # Which calls are below, and which are the first above

    def _find_first_above(self) -> Call:
        for key, call in self.calls.items():
            span = self.span[key[0]]
            # All its parameters are above. A module that spans the cut, such as the whole encoder, starts earlier and
            # keeps running: its loop over blocks is what leads into the upper half.
            if span is not None and span[0] >= self.depth:
                return call
        raise CannotReplay("no layer above the cut is a module of its own")

    def _find_outermost(self, *, until: Call | None = None, within: Call | None = None) -> list[Key]:
        """The outermost calls with all parameters below, that end before `until` starts or that run inside `within`."""
        outermost: list[Call] = []
        for call in self.calls.values():
            span = self.span[call.key[0]]
            if span is None or span[1] >= self.depth:
                continue
            if until is not None and call.ended >= until.started:
                # A weight below can be read above as well: the shared embedding that a decoder asks a second time.
                # Such calls keep running. So the rule is about calls, not modules.
                continue
            if within is not None and not within.contains(call):
                continue
            if outermost and outermost[-1].contains(call):
                continue
            outermost.append(call)
        return [call.key for call in outermost]

    def _replace_bare_calls(self, first: Call) -> None:
        """Also skip layers without parameters (activations, pooling) below the cut; start at the first dropout above.

        They would spend time on blank tensors, and might write into them.
        """
        bare = self._find_bare_calls(until=first)
        # Not every layer without parameters may be skipped: rotary embeddings are computed once, below, and read by all
        # blocks above. Only those that are fed by the calls below depend on what is not there, and nan tells which.
        seen = self._run_with_nan(watched=bare)
        fed = [key for key in bare if any(map(_holds_nan, seen[key]))]
        last = max((self.calls[key].ended for key in self.templates), default=-1)
        # A dropout that belongs above the cut must draw in every step, as without a cache. It becomes the start.
        above = [key for key in fed if self.depths.modules[key[0]] >= self.depth and self.calls[key].started > last]
        self.starts = [*above[:1], first.key]
        before = self.calls[self.starts[0]].started
        self.templates |= {key: self._make_template(key) for key in fed if self.calls[key].ended < before}

    def _find_bare_calls(self, *, until: Call) -> list[Key]:
        """Calls without parameters and without calls inside, that end before `until` and are not inside those below."""
        below = [self.calls[key] for key in self.templates]
        return [
            key
            for key, call in self.calls.items()
            if self.span[key[0]] is None
            and call.ended < until.started
            and call.ended == call.started + 1  # the clock ticked for no other call in between
            and not any(other.contains(call) for other in below)
        ]

    def _make_template(self, key: Key) -> Template:
        """The output of the call for any batch, derived from its outputs for the traced ones."""
        repeats, leaves = self.calls[key].repeats, []
        for place, outputs in enumerate(zip(*(calls[key].output for calls in self.traces), strict=True)):
            if place in repeats:
                leaves.append(repeats[place])
            elif torch.is_tensor(outputs[0]):
                leaves.append(Shape.of(outputs, self.sizes))
            elif isinstance(outputs[0], int | float | str | bool | None):
                leaves.append(outputs[0])
            else:
                # A cache of keys and values, for generating. Training does not read it.
                leaves.append(None)
        return Template(tuple(leaves), self.calls[key].structure)

    # Where the taps are

    def _find_arriving_taps(self) -> tuple[Tap, ...]:
        """Everything that comes from below and arrives at the starts."""
        taps: list[Tap] = []
        for start in self.starts:
            for _ in range(MOST_ROUNDS):
                given = self._run_with_nan(taps=taps, ending=start)[start]
                read = [i for i, leaf in enumerate(given) if _holds_nan(leaf)]
                if any((start, leaf) in self.recording.learning for leaf in read):
                    # Such as a learnt sum over all hidden states: it changes in training while its inputs do not.
                    return ()
                shapes = {
                    leaf: Shape.of([calls[start].inputs[leaf] for calls in self.traces], self.sizes) for leaf in read
                }
                stray = [leaf for leaf in read if not shapes[leaf].is_per_row]
                if not stray:
                    break
                self._keep_running(start, stray)
            else:
                raise CannotReplay("a tensor that belongs to no row is read above the cut")
            taps += [self._make_tap(start, leaf, shapes[leaf]) for leaf in read]
        return tuple(taps)

    def _find_returned_taps(self) -> tuple[Tap, ...]:
        """Everything that calls below return and the logits depend on.

        For models whose upper half reads more than what arrives at its first call, such as states of earlier blocks.
        """
        taps = []
        for key, template in self.templates.items():
            for leaf, shape in enumerate(template.leaves):
                if not isinstance(shape, Shape) or not shape.dtype.is_floating_point:
                    continue
                # Everything has its real value but this one leaf: if nan reaches the logits, it came from here.
                others = {call: dict(values) for call, values in self.recording.outputs.items()}
                del others[key][leaf]
                if self._run_with_nan(others)[None][0].isnan().any():
                    if not shape.is_per_row:
                        raise CannotReplay("a tensor that belongs to no row is read above the cut")
                    taps.append(Tap(key, "output", leaf, shape))
        return tuple(taps)

    def _make_tap(self, start: Key, leaf: int, shape: Shape) -> Tap:
        """A tap at the call below that returns the tensor; if none returns it as it is, where it arrives.

        At its source every reader gets it: each block of a decoder reads the encoder's last state.
        """
        if (start, leaf) in self.recording.sources:
            key, place = self.recording.sources[start, leaf]
            return Tap(key, "output", place, shape)
        return Tap(start, "input", leaf, shape)

    def _keep_running(self, start: Key, stray: Sequence[int]) -> None:
        """Replace the calls that make these inputs of `start` by the calls inside them.

        The stray tensor of T5 is the position bias, which its first block returns beside the hidden state. The block
        then runs on blanks, and only its layers are replaced, until the bias is made by code that really runs.
        """
        makers = []
        for key in self.templates:
            # Only this call returns nan: does it reach the stray inputs?
            known = {call: values for call, values in self.recording.outputs.items() if call != key}
            given = self._run_with_nan(known, ending=start)[start]
            if any(_holds_nan(given[leaf]) for leaf in stray):
                makers.append(key)
        for key in makers:
            del self.templates[key]
            inside = self._find_outermost(within=self.calls[key])
            self.templates |= {part: self._make_template(part) for part in inside}
        self.recording = self._record()

    # The proof

    def _proves(self, cut: Cut) -> bool:
        """Whether the logits are the model's own, with nan in everything that is not a tap."""
        if not cut.taps:
            return False
        values = self.recording.values_of(cut.taps)
        try:
            # nan and not 0: a forgotten tensor of zeros may change the logits too little to be noticed.
            with replay(self.model, cut, values, self.sizes[0], fill=torch.nan):
                replayed = flatten_answers(self.model(**self.batch))
        except RuntimeError:  # such as writing into a blank, which has one number for all its places
            return False
        # A comparison with nan is false, so a nan in the logits proves nothing.
        return bool((replayed - self.logits).abs().max() <= self.within * self.logits.abs().max())

    def _narrow(self, cut: Cut) -> Cut:
        """The cut, reduced to the tokens of its tap that the logits depend on: the first, the last, or all of them.

        A classifier often reads one token of each text. Storing only that one saves as much as its texts are long.
        """
        tap, (value,) = cut.taps[0], self.recording.values_of(cut.taps)
        if tap.shape.rows_axis != 0 or value.ndim != 3 or tap.shape.tokens_axis not in (None, 1):
            return cut
        with torch.enable_grad():
            leaf = value.detach().clone().requires_grad_()
            with replay(self.model, cut, [leaf], self.sizes[0]):
                logits = flatten_answers(self.model(**self.batch))
            # Unequal weights: gradients of a plain sum cancel where a norm or a softmax comes last.
            weights = torch.linspace(1, 2, logits.numel(), device=logits.device)
            gradient = torch.autograd.grad((logits * weights).sum(), leaf)[0]
        read = gradient.abs().amax(-1) > 0  # (rows, tokens)
        for end in ("first", "last"):
            if torch.equal(read, keep_one(end, mark_real_tokens(self.batch, read.shape).to(read.device))):
                return replace(cut, taps=(replace(tap, reads=end),))
        return cut

    # Passes through the model

    def _run_with_nan(
        self,
        known: Mapping[Key, Mapping[int, Tensor]] | None = None,
        *,
        taps: Sequence[Tap] = (),
        watched: Sequence[Key] = (),
        ending: Key | None = None,
    ) -> dict[Key | None, list[Any]]:
        """One pass in which the calls below return nan: what some calls then see.

        Args:
            known: leaves that are returned with their values instead.
            taps: likewise, at the outputs and inputs where they are.
            watched: calls to report the outputs of.
            ending: the call to stop at, and to report the inputs of.

        Returns:
            Leaves by call; under None the logits, unless the pass was stopped before.
        """
        seen: dict[Key | None, list[Any]] = {}
        valued = list(zip(taps, self.recording.values_of(taps), strict=True))
        handlers: dict[Key, Handler] = {}
        for key in self.templates:
            of_taps = {tap.leaf: value for tap, value in valued if (tap.call, tap.side) == (key, "output")}
            handlers[key] = self._return_nan(key, {**(known or {}).get(key, {}), **of_taps})
        for key in {tap.call for tap in taps if tap.side == "input"}:
            handlers[key] = replace_inputs({tap.leaf: value for tap, value in valued if tap.call == key})

        def watch(key: Key) -> Handler:
            def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
                output = own(*args, **kwargs)
                seen[key] = tree_flatten(output)[0]
                return output

            return handler

        def end(own: Callable, args: tuple, kwargs: dict) -> Any:
            seen[ending] = tree_flatten((args, kwargs))[0]
            raise StopForward

        handlers |= {key: watch(key) for key in watched}
        if ending is not None:
            handlers[ending] = end
        with intercept(self.model, handlers):
            try:
                seen[None] = [flatten_answers(self.model(**self.batch))]
            except StopForward:
                pass
        return seen

    def _return_nan(self, key: Key, known: Mapping[int, Tensor]) -> Handler:
        """A handler that returns nan in every leaf of the call that is not known."""

        def handler(own: Callable, args: tuple, kwargs: dict) -> Any:
            output = self.templates[key].make_output(
                args, kwargs, known, fill=torch.nan, size=self.sizes[0], device=self.logits.device
            )
            # Cloned, so that each place has memory of its own: layers that still run may write into it.
            return tree_map(lambda leaf: leaf.clone() if torch.is_tensor(leaf) else leaf, output)

        return handler

    def _record(self) -> Recording:
        above = {name for name, depth in self.depths.parameters.items() if depth >= self.depth}
        return record(self.model, self.batch, self.templates, self.starts, above)


def _span_of(module: nn.Module, depths: Mapping[int, int]) -> tuple[int, int] | None:
    """Lowest and greatest depth of the module's parameters, tied ones included; None where it has none."""
    own = [depths[id(parameter)] for parameter in module.parameters()]
    return (min(own), max(own)) if own else None


def _holds_nan(leaf: Any) -> bool:
    return torch.is_tensor(leaf) and leaf.is_floating_point() and bool(leaf.isnan().any())
