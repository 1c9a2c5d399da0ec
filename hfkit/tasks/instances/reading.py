"""The objects in a model's output, as the image processor of its checkpoint reads them."""

import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import interpolate
from transformers.modeling_outputs import ModelOutput

from hfkit.data.images.runs import encode_runs

CLASSES, MASKS = "class_queries_logits", "masks_queries_logits"  # of a model's output, by query
MOST = 100  # objects of a picture, the likeliest ones, as in COCO's evaluation


class Instances(NamedTuple):
    """The objects found in a picture, the likeliest first."""

    scores: list[float]
    classes: list[int]
    runs: list[str]  # compressed counts of COCO's run lengths


def read_instances(
    processor: Any, output: Mapping[str, Tensor], row: int, size: tuple[int, int], reach: Sequence[float] = (1.0, 1.0)
) -> Instances:
    """The objects in one picture of a batch, at its own size, whatever their scores.

    They are those of `post_process_instance_segmentation`, which looks at one picture at a time here: that takes the
    padding of smaller pictures in a batch for a part of them, and fails with outputs of another device.

    Args:
        size: height and width of the picture in pixels.
        reach: the shares of the model's height and width that it fills.
    """
    classes, masks = (output[name][row : row + 1].float().cpu() for name in (CLASSES, MASKS))
    height, width = (round(side * share) for side, share in zip(masks.shape[-2:], reach, strict=True))
    alone = ModelOutput({CLASSES: classes, MASKS: masks[..., :height, :width]})
    (found,) = processor.post_process_instance_segmentation(alone, threshold=0.0, return_binary_maps=True)
    segments = found["segments_info"]
    # Of equal scores the first query comes first, whatever device ran the model.
    order = sorted(range(len(segments)), key=lambda place: -segments[place]["score"])
    instances = Instances([], [], [])
    for place in order[:MOST]:
        # One by one: all of them at the size of a large picture would fill the memory.
        mask = interpolate(found["segmentation"][place][None, None], size=size, mode="nearest")[0, 0] > 0
        if mask.any():
            values = segments[place]["score"], segments[place]["label_id"], encode_runs(mask.numpy())["counts"]
            for values_of, value in zip(instances, values, strict=True):
                values_of.append(value)
    return instances


def pack_instances(instances: Instances) -> bytes:
    """A few hundred bytes for each object."""
    return zlib.compress(json.dumps(instances).encode())


def unpack_instances(packed: bytes) -> Instances:
    return Instances(*json.loads(zlib.decompress(packed)))


def flatten_logits(output: Mapping[str, Tensor]) -> Tensor:
    """The class logits and the mask logits of every query, (queries of all rows, classes + 1 + pixels)."""
    return torch.cat([output[CLASSES], output[MASKS].flatten(2)], dim=-1).flatten(0, 1)
