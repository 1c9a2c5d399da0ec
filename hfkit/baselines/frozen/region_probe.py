"""Boxes of objects by a linear model on the frozen checkpoint, to which fine-tuning has to add something.

As the detectors before those that learn where to look (Girshick et al. 2014, R-CNN): a picture is cut into segments of
like colour (Felzenszwalb and Huttenlocher 2004), their boxes are classified one by one, and of boxes that lie on one
another the surest is kept. For tasks whose rows and answers are those of `hfkit.baselines.mean_boxes`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn import functional as F

from hfkit.baselines.base import Answers, Baseline, column_of, require_package
from hfkit.baselines.frozen.linear import Features, fit_penalties, measure_spread, unscale
from hfkit.baselines.frozen.maps import SEARCH, FrozenMaps, encode_parts
from hfkit.baselines.logits import learnt_target, score_of
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task

SIDE = 256  # pixels of the longer side at which larger pictures are cut into segments
SCALES = (30, 100, 300)  # of segments: larger ones join more
SMALLEST = 12  # pixels of a segment
LEAST_SIDE = 3  # pixels of a box
MOST_BOXES = 300  # of a picture that are looked at
GRID = 2  # cells a side of a box, whose features stand side by side
IS, IS_NOT = 0.5, 0.3  # overlaps with a gold box, from which a box is of its class, and up to which it is of none
ON, BESIDE = 12, 40  # boxes of classes, and of none, of each training picture
REPEATED = 0.4  # overlap with a surer box of the class, beyond which a box is left out
MOST_ANSWERS = 100  # boxes of a picture, as in COCO's evaluation


class Looked(NamedTuple):
    """A picture's boxes (left, top, right, bottom in pixels), and their features, (boxes, features)."""

    boxes: Tensor
    features: Tensor


class Fitted(NamedTuple):
    """A linear model, and how it does on validation."""

    score: float
    penalty: float
    probe: nn.Linear


@dataclass(frozen=True)
class RegionProbe(Baseline):
    """Logistic regression of the class of a segment's box, or of none, on features of the frozen checkpoint there.

    Boxes are those of segments at several scales, and of two neighbours together. A score is the probability of the
    class, and boxes above a half are kept.
    """

    checkpoint: str

    name: ClassVar[str] = "region probe"
    description: ClassVar[str] = "logistic regression on frozen features of the boxes of segments of like colour"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the penalty that did best on validation.

        Raises:
            UserError: answers are of another kind, the checkpoint gives no map, or scikit-image is not installed.
        """
        require_package("region-probe")
        for column in ("image", "boxes", "labels", "width", "height"):
            column_of(rows, column, self.name)
        codec = task.codec(self.checkpoint, learnt_target(task, rows))
        names = names_of(codec.target)
        parts, encoded = encode_parts(codec, rows)
        maps = FrozenMaps.of(codec, encoded["train"], self.name)

        def look(split: str) -> Iterator[Looked]:
            return look_at(maps, encoded[split], parts[split], f"{self.name}: {split}", gold=split == "train")

        learnt = join_examples(look("train"), parts["train"], names)
        held_out, references = list(look("validation")), task.rows.references(parts["validation"])
        linear = nn.Linear(learnt.inputs.shape[1], len(names) + 1)
        mean, spread = measure_spread(learnt.inputs)
        scaled = learnt._replace(inputs=(learnt.inputs - mean) / spread)
        tries = []
        for penalty in fit_penalties(linear, scaled, F.cross_entropy, SEARCH, desc=f"{self.name}: fitting"):
            probe = unscale(linear, mean, spread)
            ours = [answer(probe, looked, names) for looked in held_out]
            tries.append(Fitted(score_of(task, ours, references), penalty, probe))
        best = task.judge.headline.best(tries, lambda one: one.score)
        facts = {
            "blocks": list(maps.names),
            "boxes": len(learnt.targets),
            "boxes_of_objects": int((learnt.targets < len(names)).sum()),
            "penalty": best.penalty,
            "validation": best.score,
        }
        return Answers([answer(best.probe, looked, names) for looked in look("test")], facts=facts)


def look_at(maps: FrozenMaps, encoded: Dataset, rows: Dataset, desc: str, *, gold: bool) -> Iterator[Looked]:
    """The boxes of segments of every picture with their features; with `gold` the gold boxes come first."""
    from hfkit.data.images.pictures import decode_image

    # One by one: beside others a picture may be padded, and the map would reach beyond it.
    for number, (inputs, found) in enumerate(maps.read(encoded, desc, batch=1)):
        row = rows[number]
        boxes = propose_boxes(np.asarray(decode_image(row["image"], Path(), 3)))
        if gold:
            boxes = np.concatenate([np.asarray(row["boxes"], dtype=float).reshape(-1, 4), boxes])
        shares = torch.from_numpy(boxes / np.tile([row["width"], row["height"]], 2)).float()
        yield Looked(torch.from_numpy(boxes).float(), read_boxes(found, shares * reach_of(inputs)))


def reach_of(inputs: Mapping[str, Tensor]) -> Tensor:
    """How much of its width and height a picture fills of what the model reads, twice, (4,)."""
    mask = inputs.get("pixel_mask")
    if mask is None:
        return torch.ones(4)
    return torch.stack([mask.amax(0).float().mean(), mask.amax(1).float().mean()]).repeat(2)


def read_boxes(maps: Sequence[Tensor], shares: Tensor) -> Tensor:
    """The features of boxes on every map, side by side, (boxes, features).

    Args:
        maps: of one picture, (features, height, width) each.
        shares: left, top, right and bottom of the boxes in shares of the maps.
    """
    from torchvision.ops import roi_align

    parts = []
    for of_block in maps:
        sides = torch.tensor([of_block.shape[2], of_block.shape[1]]).repeat(2)
        cells = roi_align(of_block[None], [shares * sides], GRID, sampling_ratio=2, aligned=True)
        parts.append(cells.flatten(1))
    return torch.cat(parts, dim=1)


def propose_boxes(pixels: np.ndarray) -> np.ndarray:
    """The boxes of a picture's segments at all scales, then those of every two that touch, (boxes, 4).

    Args:
        pixels: uint8, (height, width, 3).
    """
    from PIL import Image
    from skimage.segmentation import felzenszwalb

    height, width = pixels.shape[:2]
    factor = min(1.0, SIDE / max(height, width))
    if factor < 1:
        size = max(1, round(width * factor)), max(1, round(height * factor))
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    single, joined = [], []
    for scale in SCALES:
        segments = felzenszwalb(pixels, scale=scale, sigma=0.8, min_size=SMALLEST, channel_axis=-1)
        boxes = enclose_segments(segments)
        single.append(boxes)
        joined.append(join_boxes(boxes, *find_neighbours(segments).T))
    boxes = np.unique(np.concatenate(single), axis=0)
    others = np.unique(np.concatenate(joined), axis=0)
    boxes = np.concatenate([boxes, others[~(others[:, None] == boxes[None]).all(2).any(1)]])
    boxes = boxes[(boxes[:, 2:] - boxes[:, :2]).min(1) >= LEAST_SIDE][:MOST_BOXES]
    return boxes * np.tile([width / pixels.shape[1], height / pixels.shape[0]], 2)


def enclose_segments(segments: np.ndarray) -> np.ndarray:
    """The box of every segment, by its number, (segments, 4).

    Args:
        segments: the number of every pixel's segment, from 0 on.
    """
    from scipy.ndimage import find_objects

    found = find_objects(segments + 1)
    return np.array([[across.start, down.start, across.stop, down.stop] for down, across in found], dtype=float)


def find_neighbours(segments: np.ndarray) -> np.ndarray:
    """The numbers of every two segments that touch, (pairs, 2)."""
    sides = ((segments[:, :-1], segments[:, 1:]), (segments[:-1], segments[1:]))
    one, other = (np.concatenate([pair[side].ravel() for pair in sides]) for side in (0, 1))
    touching, count = one != other, int(segments.max()) + 1
    # As one number each: sorting pairs took ten times as long.
    pairs = np.unique(np.minimum(one, other)[touching] * count + np.maximum(one, other)[touching])
    return np.stack([pairs // count, pairs % count], axis=1)


def join_boxes(boxes: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """The boxes around every two of these numbers, (pairs, 4)."""
    begin = np.minimum(boxes[one, :2], boxes[other, :2])
    return np.concatenate([begin, np.maximum(boxes[one, 2:], boxes[other, 2:])], axis=1)


def join_examples(looked: Iterator[Looked], rows: Dataset, names: Sequence[str]) -> Features:
    """The features of boxes that lie on a gold box of one object, with its class, and of some that lie on none.

    Boxes that lie beside an object in part teach neither. The others are drawn by the number of their picture.
    """
    inputs, targets = [], []
    numbers = {name: number for number, name in enumerate(names)}
    for number, (of_row, row) in enumerate(zip(looked, rows, strict=True)):
        classes = match_boxes(of_row.boxes, row, numbers)
        draw = np.random.default_rng(number)
        on, beside = (np.flatnonzero(kind) for kind in ((classes >= 0) & (classes < len(names)), classes == len(names)))
        kept = np.sort(np.concatenate([draw.permutation(on)[:ON], draw.permutation(beside)[:BESIDE]]))
        inputs.append(of_row.features[kept])
        targets.append(torch.from_numpy(classes[kept]))
    return Features(torch.cat(inputs), torch.cat(targets), np.ones(len(inputs), dtype=bool))


def match_boxes(boxes: Tensor, row: Mapping[str, Any], numbers: Mapping[str, int]) -> np.ndarray:
    """The class of each box, the number after the last for none, and -1 if it is in doubt, (boxes,)."""
    from torchvision.ops import box_iou

    gold = torch.as_tensor(row["boxes"], dtype=torch.float32).reshape(-1, 4)
    if not len(gold):
        return np.full(len(boxes), len(numbers))
    classes = np.array([numbers[label] for label in row["labels"]])
    classes[np.asarray(row.get("crowd", [False] * len(gold)), dtype=bool)] = -1
    shared = box_iou(boxes, gold).numpy()
    most = shared.max(axis=1)
    return np.where(most >= IS, classes[shared.argmax(axis=1)], np.where(most < IS_NOT, len(numbers), -1))


@torch.no_grad()
def answer(probe: nn.Linear, looked: Looked, names: Sequence[str]) -> dict[str, Any]:
    """The boxes of a picture with their classes and scores, the surest first, as the judge takes them."""
    from torchvision.ops import batched_nms

    scores, classes = probe(looked.features).softmax(-1)[:, :-1].max(-1)
    order = batched_nms(looked.boxes, scores, classes, REPEATED)[:MOST_ANSWERS]
    sure = scores[order].double().numpy()
    labels = [names[number] for number in classes[order].tolist()]
    return {
        "boxes": looked.boxes[order].double().numpy(),
        "labels": labels,
        "scores": sure,
        "kept": int((sure > 0.5).sum()),
    }
