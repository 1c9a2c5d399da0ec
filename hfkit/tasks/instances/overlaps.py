"""How far masks overlap, from their run lengths alone: none of them is unpacked to pixels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hfkit.data.images.runs import unpack_counts


class Spans(NamedTuple):
    """The runs of some masks of one picture, as places in it from top to bottom, column by column."""

    begin: np.ndarray  # (runs,)
    end: np.ndarray  # behind the last pixel, (runs,)
    mask: np.ndarray  # the number of the mask that each run is of, (runs,)
    areas: np.ndarray  # pixels, (masks,)


def find_spans(counts: Sequence[str]) -> Spans:
    """The runs of masks in COCO's compressed counts."""
    begins, ends = [], []
    for one in counts:
        edges = np.cumsum(unpack_counts(one))
        ends.append(edges[1::2])
        begins.append(edges[0::2][: len(ends[-1])])
    none = np.empty(0, int)
    begin, end = (np.concatenate([*parts, none]) for parts in (begins, ends))
    mask = np.repeat(np.arange(len(counts)), [len(part) for part in ends])
    return Spans(begin, end, mask, np.bincount(mask, end - begin, minlength=len(counts)))


def overlap_spans(ours: Spans, gold: Spans, crowd: np.ndarray) -> np.ndarray:
    """Intersection over union of every two masks, (ours, gold); with a crowd, over the area of ours, as in COCO."""
    shared = np.zeros((len(ours.areas), len(gold.areas)))
    for number in range(len(gold.areas)):
        own = gold.mask == number
        edges = np.stack([gold.begin[own], gold.end[own]], axis=1).ravel()
        if not len(edges):
            continue
        # How many pixels of the gold mask come before each of its edges; between edges that grows by one or not at all.
        before = np.cumsum(np.append(0, np.diff(edges) * (np.arange(len(edges) - 1) % 2 == 0)))
        covered = np.interp(ours.end, edges, before) - np.interp(ours.begin, edges, before)
        shared[:, number] = np.bincount(ours.mask, covered, minlength=len(ours.areas))
    whole = ours.areas[:, None] + gold.areas[None, :] - shared
    whole[:, crowd] = ours.areas[:, None]
    return np.divide(shared, whole, out=np.zeros_like(shared), where=whole > 0)
