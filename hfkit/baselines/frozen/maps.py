"""Maps of a frozen checkpoint, with features of every place of a picture, for contenders that answer about its parts.

No architecture is written down. `Depths` says which modules are the blocks, and a forward pass over noise shows which
of them give a map of places, or tokens that make one.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from accelerate import PartialState
from datasets import Dataset
from torch import Tensor, nn

from hfkit.baselines.frozen.features import frozen_backbone
from hfkit.baselines.frozen.linear import Search
from hfkit.contract.codec import Codec
from hfkit.contract.task import Loaded
from hfkit.data.columns import space_evenly
from hfkit.errors import UserError
from hfkit.model.depth import Depths
from hfkit.model.paths import base_of, find_core
from hfkit.model.saliency import Recording, find_map, find_places, first_tensor
from hfkit.progress import track

FEWEST = 2  # places a side of a map
NOISE = 2  # pictures of it: places are where they differ
MOST = {"train": 1000, "validation": 100}  # pictures that are looked at, evenly spaced
SEARCH = Search(penalties=(1e-1, 1e-2, 1e-3, 1e-4))  # of linear models on the features of places
Sides = tuple[int, int]  # height and width


@dataclass(frozen=True)
class FrozenMaps:
    """The maps of a frozen checkpoint: of blocks with maps of one size the deepest.

    Made by `FrozenMaps.of`.
    """

    codec: Codec
    model: nn.Module
    first: nn.Module  # of all blocks
    blocks: tuple[nn.Module, ...]  # that are read, in forward order
    names: tuple[str, ...]  # of those
    places: dict[Sides, Tensor | None] = field(default_factory=dict)  # by the size of pictures, if tokens make the maps

    @classmethod
    def of(cls, codec: Codec, encoded: Dataset, baseline: str) -> "FrozenMaps":
        """The maps of the codec's checkpoint.

        Args:
            encoded: pictures, the first of which is of a usual size.
            baseline: for messages.

        Raises:
            UserError: no block gives a map.
        """
        model = frozen_backbone(codec)[0].to(PartialState().device).eval()
        names, blocks = list_blocks(model)
        pixels = codec.inputs(codec.collate([encoded[0]]))["pixel_values"]
        sides = tuple(pixels.shape[2:])
        if blocks:
            seen = run_blocks(model, blocks[0], blocks, {"pixel_values": draw_noise(pixels)})
            places = find_places(seen.entry, sides)
            chosen = choose_blocks(seen.outputs, [find_map(output, places, sides) for output in seen.outputs])
        if not blocks or not chosen:
            raise UserError(
                f"baseline '{baseline}'",
                f"it reads maps of places, and no block of {type(find_core(model)).__name__} is known to give one",
                "Leave it out",
            )
        of_blocks = (tuple(kind[place] for place in chosen) for kind in (blocks, names))
        return cls(codec, model, blocks[0], *of_blocks, {sides: places})

    def read(self, encoded: Dataset, desc: str, *, batch: int) -> Iterator[tuple[dict[str, Tensor], list[Tensor]]]:
        """Of every picture in order its inputs, and the map of every block, (features, height, width).

        Args:
            batch: pictures that pass through the model together, and are padded to one size if their sizes differ.
        """
        for start in track(range(0, len(encoded), batch), desc):
            numbers = range(start, min(start + batch, len(encoded)))
            made = self.codec.collate([encoded[number] for number in numbers])
            found = self.read_batch(made)
            for place in range(len(numbers)):
                yield {name: value[place] for name, value in made.items()}, [of_block[place] for of_block in found]

    def read_batch(self, batch: Mapping[str, Tensor]) -> list[Tensor]:
        """The map of every block, (rows, features, height, width), over the pictures with their padding."""
        inputs = {name: value.to(PartialState().device) for name, value in self.codec.inputs(batch).items()}
        sides = tuple(inputs["pixel_values"].shape[2:])
        outputs = run_blocks(self.model, self.first, self.blocks, inputs).outputs
        places = self.find_places(inputs["pixel_values"]) if any(each.ndim == 3 for each in outputs) else None
        return [find_map(output, places, sides).float().cpu() for output in outputs]

    def find_places(self, pixels: Tensor) -> Tensor | None:
        """Which tokens are places in pictures of this size."""
        sides = tuple(pixels.shape[2:])
        if sides not in self.places:
            seen = run_blocks(self.model, self.first, (), {"pixel_values": draw_noise(pixels)})
            self.places[sides] = find_places(seen.entry, sides)
        return self.places[sides]


def encode_parts(codec: Codec, rows: Loaded) -> tuple[dict[str, Dataset], dict[str, Dataset]]:
    """Rows of training and validation, at most `MOST`, and all of test; and the model's inputs for them, by split."""
    parts = {split: rows[split].select(space_evenly(len(rows[split]), most)) for split, most in MOST.items()}
    parts["test"] = rows["test"]
    return parts, {split: codec.encode(part, split=split, answers=False) for split, part in parts.items()}


def list_blocks(model: nn.Module) -> tuple[list[str], list[nn.Module]]:
    """The names and modules of a model's blocks, in forward order; of blocks that run side by side the first."""
    core = find_core(model)
    base = base_of(core, [name for name, _ in core.named_parameters(remove_duplicate=False)])
    modules = dict(core.named_modules())
    names = [base + name.partition(" + ")[0] for name in Depths.of(model).names[1:-1]]
    names = [name for name in names if name in modules]
    return names, [modules[name] for name in names]


def draw_noise(pixels: Tensor) -> Tensor:
    """Pictures of noise, as large as these and on the model's device."""
    noise = torch.randn((NOISE, *pixels.shape[1:]), generator=torch.Generator().manual_seed(0))
    return noise.to(device=PartialState().device, dtype=pixels.dtype)


@torch.no_grad()
def run_blocks(
    model: nn.Module, first: nn.Module, blocks: tuple[nn.Module, ...] | list[nn.Module], inputs: Mapping[str, Tensor]
) -> Recording:
    """The outputs of blocks in a pass of the model, and what comes into the first of all."""
    seen = Recording([torch.empty(0)] * len(blocks))

    def keep_entry(module: nn.Module, given: tuple, named: Mapping[str, Any]) -> None:
        seen.entry = first_tensor([*given, *named.values()])

    def keep_output(place: int, module: nn.Module, given: tuple, output: Any) -> None:
        seen.outputs[place] = first_tensor(output)

    with ExitStack() as hooks:
        hooks.callback(first.register_forward_pre_hook(keep_entry, with_kwargs=True).remove)
        for place, block in enumerate(blocks):
            hooks.callback(block.register_forward_hook(partial(keep_output, place)).remove)
        model(**inputs)
    return seen


def choose_blocks(outputs: list[Tensor], maps: list[Tensor | None]) -> list[int]:
    """The places of the deepest block for each size of map; tokens count where no block gives a map as it is.

    The tokens of a decoder are queries, and may happen to be as many as would make a map.
    """
    # Some blocks cut pictures into more rows.
    able = [
        place
        for place, found in enumerate(maps)
        if found is not None and len(found) == NOISE and min(found.shape[2:]) >= FEWEST
    ]
    plain = [place for place in able if outputs[place].ndim == 4]
    return sorted({maps[place].shape[2:]: place for place in plain or able}.values())
