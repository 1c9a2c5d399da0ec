"""Which places of a picture an answer of a model rests on: Grad-CAM, and attention weighted by gradients.

No architecture is written down. `Depths` says which modules are the blocks, and a forward pass over noise shows what
they give: a map of places, or tokens. Tokens that a picture does not reach before the first block are no places: the
class token, registers. The way is chosen once for a model, by where the gradient of its logits arrives at the output of
the last block:

* At places: Grad-CAM (Selvaraju et al. 2017) there. Every channel counts by the mean of its gradient over the places.
  If the map of the last block is smaller than `FEWEST` a side, the deepest block with a map of that size is taken.
* At tokens that are no places, because the head reads a class token: the attention of all blocks, each weighted by its
  positive gradients, joined from the first to the last (Chefer et al. 2021, equations 5 and 6), and read from the
  tokens that the head reads. If the model gives no attention, Grad-CAM at the output of the block before the last.

Both are hints, not proofs: they show places with a say in the answer, not how the model would answer without them.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfkit.errors import UserError, first_line
from hfkit.model.depth import Depths
from hfkit.model.paths import base_of, find_core

FEWEST = 4  # places a side, below which an earlier block says more
BESIDE = 0.1  # share of the gradient at tokens that are no places, from where the head reads a summary of them
MOST_BESIDE = 1  # tokens before the places that enter after the first block: a class token
Score = Callable[[Any], Tensor]  # a model's output -> the number to explain, (rows,)


@dataclass(frozen=True)
class Explainer:
    """Finds the places that an output of a model rests on. The model is left as it was, gradients and hooks included.

    Made by `Explainer.of`.
    """

    model: nn.Module
    sides: tuple[int, int]  # of the model's pictures: height, width
    blocks: tuple[nn.Module, ...]  # in forward order
    way: Literal["map", "attention", "before"]
    block: int  # the number of the one whose output is looked at
    places: Tensor | None  # (tokens,) which of the tokens before the first block are places; None: it takes a map

    @classmethod
    def of(cls, model: nn.Module, pixels: Tensor, logits: Score) -> "Explainer":
        """The explainer of a model.

        Args:
            pixels: as the model takes them, (rows, channels, height, width); only their shape and kind count.
            logits: the model's output -> its logits, (rows, labels).

        Raises:
            UserError: its blocks are not known, or give nothing that belongs to places of a picture.
        """
        blocks = find_blocks(model)
        with explain_failure(model), record(model, blocks) as seen:
            noise = torch.randn((2, *pixels.shape[1:]), generator=torch.Generator().manual_seed(0)).to(pixels)
            first = logits(model(pixel_values=noise.requires_grad_()))[:, 0].sum()
            last, sides = seen.outputs[-1], tuple(noise.shape[2:])
            places = find_places(seen.entry, sides)
            maps = [find_map(output, places, sides) for output in seen.outputs]
            if not any(each is not None for each in maps):
                raise refusal(model, f"its last block gives {tuple(last.shape)}, in which no places of a picture show")
            if last.ndim == 4 or maps[-1] is None:
                return cls(model, sides, blocks, "map", choose_block(maps), places)
            (gradient,) = torch.autograd.grad(first, last)
            noise = noise.detach()
        return cls.of_tokens(model, blocks, gradient, places, noise)

    @classmethod
    def of_tokens(
        cls, model: nn.Module, blocks: tuple[nn.Module, ...], gradient: Tensor, places: Tensor | None, noise: Tensor
    ) -> "Explainer":
        """The same for a model whose last block gives tokens, from the gradient there, (rows, tokens, channels)."""
        last, sides = len(blocks) - 1, tuple(noise.shape[2:])
        size = gradient.norm(dim=-1).sum(0)
        beside = beside_places(size, places, sides)
        if size[beside].sum() <= BESIDE * size.sum():
            return cls(model, sides, blocks, "map", last, places)
        if attends_globally(model, noise, len(size)):
            return cls(model, sides, blocks, "attention", last, places)
        if last == 0:
            raise refusal(model, "its head reads none of the places, and it gives no attention")
        return cls(model, sides, blocks, "before", last - 1, places)

    def maps(self, pixels: Tensor, score: Score) -> Tensor:
        """How much every place speaks for the score, from 0 to 1: (rows, height, width) over the model's pictures.

        1 is the place of each row with the most; a row for whose score no place speaks has zeros.

        Raises:
            UserError: the model fails.
        """
        read = self.read_attention if self.way == "attention" else self.read_map
        with explain_failure(self.model):
            found = read(pixels, score).detach().float().clamp(min=0)
        most = found.amax((1, 2), keepdim=True)
        return torch.where(most > 0, found / most, 0.0)

    def read_map(self, pixels: Tensor, score: Score) -> Tensor:
        with record(self.model, self.blocks) as seen:
            scores = score(self.model(pixel_values=pixels.detach().clone().requires_grad_()))
            output = seen.outputs[self.block]
            (gradient,) = torch.autograd.grad(scores.sum(), output)
        values, slopes = (find_map(each, self.places, self.sides) for each in (output, gradient))
        return (slopes.mean((2, 3), keepdim=True) * values).sum(1)

    def read_attention(self, pixels: Tensor, score: Score) -> Tensor:
        with use_eager_attention(self.model), record(self.model, self.blocks) as seen:
            found = self.model(pixel_values=pixels.detach().clone().requires_grad_(), output_attentions=True)
            attention = list(found.attentions)
            *slopes, at_last = torch.autograd.grad(score(found).sum(), [*attention, seen.outputs[-1]])
        tokens = attention[0].shape[-1]
        joined = torch.eye(tokens, device=pixels.device).expand(len(pixels), tokens, tokens)
        for weights, slope in zip(attention, slopes, strict=True):  # (rows, heads, tokens, tokens)
            joined = joined + (weights * slope).clamp(min=0).mean(1) @ joined
        joined = joined - torch.eye(tokens, device=pixels.device)  # of itself every token is full
        readers = at_last.norm(dim=-1)  # (rows, tokens)
        read = (readers / readers.sum(-1, keepdim=True).clamp(min=1e-12)).unsqueeze(1) @ joined  # (rows, 1, tokens)
        return find_map(read.transpose(1, 2), self.places, self.sides).squeeze(1)


@dataclass
class Recording:
    """The tensors that pass through the blocks of a model."""

    outputs: list[Tensor]  # of the blocks, in forward order
    entry: Tensor | None = None  # into the first block


@contextmanager
def record(model: nn.Module, blocks: Sequence[nn.Module]) -> Iterator[Recording]:
    """Record what the blocks give, with gradients, as in evaluation; mode and hooks are then those from before."""
    training = [module for module in model.modules() if module.training]
    seen = Recording([torch.empty(0)] * len(blocks))

    def keep_entry(module: nn.Module, given: tuple, named: Mapping[str, Any]) -> None:
        seen.entry = first_tensor([*given, *named.values()])

    def keep_output(place: int, module: nn.Module, given: tuple, output: Any) -> None:
        seen.outputs[place] = first_tensor(output)

    with ExitStack() as hooks, torch.inference_mode(False), torch.enable_grad():
        try:
            model.eval()
            hooks.callback(blocks[0].register_forward_pre_hook(keep_entry, with_kwargs=True).remove)
            for place, block in enumerate(blocks):
                hooks.callback(block.register_forward_hook(partial(keep_output, place)).remove)
            yield seen
        finally:
            for module in training:
                module.training = True


@contextmanager
def use_eager_attention(model: nn.Module) -> Iterator[None]:
    """Let the model compute its attention in the way that can tell it."""
    core = find_core(model)
    before = core.config._attn_implementation
    core.set_attn_implementation("eager")
    try:
        yield
    finally:
        core.set_attn_implementation(before)


@contextmanager
def explain_failure(model: nn.Module) -> Iterator[None]:
    """Say in one line that a model cannot be explained: what the model does to gradients is its own affair."""
    try:
        yield
    except UserError:
        raise
    except (RuntimeError, TypeError, ValueError, NotImplementedError, IndexError) as error:
        raise refusal(model, f"it fails ({type(error).__name__}: {first_line(error)})") from error


def refusal(model: nn.Module, why: str) -> UserError:
    rule = f"the places that it looks at cannot be found: {why}"
    return UserError(f"model {type(find_core(model)).__name__}", rule, "Ask it without --explain")


def find_blocks(model: nn.Module) -> tuple[nn.Module, ...]:
    """The blocks of a model in forward order.

    Raises:
        UserError: they are not known.
    """
    core = find_core(model)
    base = base_of(core, [name for name, _ in core.named_parameters(remove_duplicate=False)])
    modules = dict(core.named_modules())
    names = [base + name for name in Depths.of(model).names[1:-1]]
    if not names or any(name not in modules for name in names):
        raise refusal(model, "its blocks are no modules")
    return tuple(modules[name] for name in names)


def first_tensor(given: Any) -> Tensor:
    """The first tensor of floating point: the hidden states among what a module takes or gives."""
    if isinstance(given, Tensor) or not isinstance(given, Mapping | Sequence):
        given = (given,)
    values = given.values() if isinstance(given, Mapping) else given
    tensors = (value for value in values if isinstance(value, Tensor) and value.is_floating_point())
    return next(tensors, torch.empty(0))


def choose_block(maps: Sequence[Tensor | None]) -> int:
    """The deepest block with a map of `FEWEST` places a side, or else with the largest map."""
    sides = [0 if found is None else min(found.shape[2:]) for found in maps]
    wanted = min(FEWEST, max(sides))
    return max(place for place, side in enumerate(sides) if side >= wanted)


def find_map(given: Tensor, places: Tensor | None, sides: tuple[int, int]) -> Tensor | None:
    """The output of a block as a map, (rows, channels, height, width); None if it is none.

    Args:
        given: a map with the channels first or last, or (rows, tokens, channels).
        places: which tokens are places, if so many come.
        sides: height and width of the picture, whose shape the map has.
    """
    if given.ndim == 4:
        first, last = (has_shape_of(given.shape[at : at + 2], sides) for at in (2, 1))
        return given if first else given.permute(0, 3, 1, 2) if last else None
    if given.ndim != 3:
        return None
    kept = keep_places(given.shape[1], places, sides)
    if kept is None:
        return None
    rows, columns = find_grid(int(kept.sum()), sides)
    return given[:, kept.to(given.device)].transpose(1, 2).unflatten(2, (rows, columns))


def has_shape_of(map_sides: Sequence[int], sides: tuple[int, int]) -> bool:
    """Whether a map has the shape of a picture, but for the places at its edge, and is no larger."""
    (height, width), (tall, wide) = map_sides, sides
    return height <= tall and width <= wide and abs(height * wide - width * tall) <= max(sides)


def find_grid(count: int, sides: tuple[int, int]) -> tuple[int, int] | None:
    """The rows and columns of so many places over a picture; None if they make no grid."""
    for rows in range(1, count + 1):
        if count % rows == 0 and has_shape_of((rows, count // rows), sides):
            return rows, count // rows
    return None


def find_places(entry: Tensor | None, sides: tuple[int, int]) -> Tensor | None:
    """Which tokens before the first block are places, (tokens,): those in which two pictures differ.

    A map counts as tokens of which all are places. None if no places show.
    """
    if entry is None or len(entry) != 2:
        return None
    if (as_map := find_map(entry, None, sides)) is not None:
        return torch.ones(as_map.shape[2] * as_map.shape[3], dtype=torch.bool)
    if entry.ndim != 3:
        return None
    reached = (entry[0] != entry[1]).any(-1).cpu()
    return reached if find_grid(int(reached.sum()), sides) else None


def keep_places(tokens: int, places: Tensor | None, sides: tuple[int, int]) -> Tensor | None:
    """Which of so many tokens are places; None if that is not known.

    Where blocks join tokens, two by two or more, there are fewer of them than before the first block.
    """
    if places is None:
        return None
    if len(places) == tokens:
        return places
    for beside in range(MOST_BESIDE + 1):
        times = int(places.sum()) / max(tokens - beside, 1)
        if times > 1 and (times**0.5).is_integer() and find_grid(tokens - beside, sides):
            return torch.arange(tokens) >= beside
    return None


def beside_places(size: Tensor, places: Tensor | None, sides: tuple[int, int]) -> Tensor:
    """Which tokens are no places, (tokens,)."""
    return ~keep_places(len(size), places, sides).to(size.device)


def attends_globally(model: nn.Module, pixels: Tensor, tokens: int) -> bool:
    """Whether the model gives the attention of all its blocks between all tokens."""
    core = find_core(model)
    if not isinstance(core, PreTrainedModel) or core.config.sub_configs:
        return False
    try:
        with use_eager_attention(model), torch.no_grad():
            found = model(pixel_values=pixels, output_attentions=True)
        attention = found.attentions or ()
    except (RuntimeError, TypeError, ValueError, NotImplementedError, AttributeError):
        return False
    return bool(attention) and all(
        weights is not None and weights.ndim == 4 and weights.shape[-2:] == (tokens, tokens) for weights in attention
    )
