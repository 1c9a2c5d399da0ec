"""A class for every patch by a linear model on the frozen checkpoint, to which fine-tuning has to add something.

Caron et al. 2021 (DINO), Oquab et al. 2023 (DINOv2): the logits of patches are enlarged to the pixels of the picture.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F

from hfkit.baselines.base import Answers, Baseline
from hfkit.baselines.frozen.linear import Features, fit_penalties, measure_spread, unscale
from hfkit.baselines.frozen.maps import SEARCH, FrozenMaps, encode_parts
from hfkit.baselines.logits import learnt_target, score_of
from hfkit.baselines.pixel_classes import NONE, sizes_of
from hfkit.contract.abilities import Pixelwise
from hfkit.contract.target import Target, names_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

BATCH = 16  # pictures
PATCHES = 100_000  # of all training pictures together, of each size of map


class Fitted(NamedTuple):
    """A linear model on the features of one of the blocks, and how it does on validation."""

    score: float
    block: int
    penalty: float
    probe: nn.Linear


@dataclass(frozen=True)
class PatchProbe(Baseline):
    """Logistic regression of the class of most of a patch's pixels on features of the frozen checkpoint there.

    A patch is a place on a map of the checkpoint. Where its blocks give maps of several sizes, the deepest of each size
    is tried, and the one that is best on validation is taken. For tasks with a class for every pixel.
    """

    checkpoint: str

    name: ClassVar[str] = "patch probe"
    description: ClassVar[str] = "logistic regression of each patch's class on features of the frozen checkpoint"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the map and the penalty that did best on validation.

        Raises:
            UserError: answers are of another kind, or the checkpoint gives no map.
        """
        if not isinstance(task.rows, Pixelwise):
            raise UserError(f"baseline '{self.name}'", "it gives every pixel of a picture a class", "Leave it out")
        codec = task.codec(self.checkpoint, learnt_target(task, rows))
        parts, encoded = encode_parts(codec, rows)
        maps = FrozenMaps.of(codec, encoded["train"], self.name)
        learnt = read_patches(maps, encoded["train"], parts["train"], task.rows, f"{self.name}: train")
        painter = Painter(task, codec.target)
        read = [found for _, found in maps.read(encoded["validation"], f"{self.name}: validation", batch=BATCH)]
        best = task.judge.headline.best(
            list(try_fits(task, learnt, read, parts["validation"], painter, self.name)), lambda one: one.score
        )
        sizes = sizes_of(parts["test"])
        painted = [
            painter.paint(best.probe, found[best.block], size)
            for (_, found), size in zip(
                maps.read(encoded["test"], f"{self.name}: test", batch=BATCH), sizes, strict=True
            )
        ]
        facts = {
            "block": maps.names[best.block],
            "map": list(read[0][best.block].shape[1:]),
            "penalty": best.penalty,
            "patches": len(learnt[best.block].targets),
            "validation": best.score,
        }
        return Answers(painted, facts=facts)


@dataclass(frozen=True)
class Painter:
    """Answers of a task from logits of patches."""

    task: Task
    target: Target

    @torch.no_grad()
    def paint(self, probe: nn.Linear, found: Tensor, size: Sequence[int]) -> Any:
        """The answer to a picture: logits enlarged to its own size, and the best class of every pixel.

        Args:
            found: its map, (features, height, width).
            size: its width and height.
        """
        logits = probe(found.permute(1, 2, 0)).permute(2, 0, 1)
        grown = F.interpolate(logits[None], (size[1], size[0]), mode="bilinear", align_corners=False)[0]
        return self.task.rows.to_map(grown.argmax(0).to(torch.uint8).numpy(), self.target)


def read_patches(maps: FrozenMaps, encoded: Dataset, rows: Dataset, pixelwise: Pixelwise, desc: str) -> list[Features]:
    """For every block features of patches with a class, about as many of each picture, drawn by its number."""
    each = max(1, PATCHES // len(rows))
    parts: list[list[tuple[Tensor, Tensor]]] = [[] for _ in maps.blocks]
    for number, (_, found) in enumerate(maps.read(encoded, desc, batch=BATCH)):
        gold = pixelwise.read_map(rows[number])
        for kept, of_block in zip(parts, found, strict=True):
            classes = find_majorities(gold, tuple(of_block.shape[1:])).ravel()
            known = np.flatnonzero(classes != NONE)
            known = np.sort(np.random.default_rng(number).permutation(known)[:each])
            kept.append((of_block.flatten(1).T[known], torch.from_numpy(classes[known]).long()))
    return [
        Features(*(torch.cat(side) for side in zip(*kept, strict=True)), np.ones(len(kept), dtype=bool))
        for kept in parts
    ]


def find_majorities(gold: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """The class of most pixels with one in every patch, uint8 of this shape; `NONE` where none has one.

    Args:
        gold: of every pixel, uint8.
    """
    row, column = (np.arange(side) * parts // side for side, parts in zip(gold.shape, shape, strict=True))
    patch = row[:, None] * shape[1] + column
    counts = np.bincount((patch * (NONE + 1) + gold).ravel(), minlength=shape[0] * shape[1] * (NONE + 1))
    counts = counts.reshape(*shape, NONE + 1)[..., :NONE]
    return np.where(counts.any(-1), counts.argmax(-1), NONE).astype(np.uint8)


def try_fits(
    task: Task, learnt: list[Features], read: list[list[Tensor]], rows: Dataset, painter: Painter, name: str
) -> Iterator[Fitted]:
    """A linear model on the patches of every block, with every penalty.

    Args:
        read: of every validation picture its maps.
        rows: the loaded validation rows.
    """
    references, sizes = task.rows.references(rows), list(sizes_of(rows))
    for block, patches in enumerate(learnt):
        linear = nn.Linear(patches.inputs.shape[1], len(names_of(painter.target)))
        mean, spread = measure_spread(patches.inputs)
        scaled = patches._replace(inputs=(patches.inputs - mean) / spread)
        for penalty in fit_penalties(linear, scaled, F.cross_entropy, SEARCH, desc=f"{name}: fitting"):
            probe = unscale(linear, mean, spread)
            ours = [painter.paint(probe, found[block], size) for found, size in zip(read, sizes, strict=True)]
            yield Fitted(score_of(task, ours, references), block, penalty, probe)
