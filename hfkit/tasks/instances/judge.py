"""The judge of objects by their pixels: COCO's mean average precision of masks."""

from typing import ClassVar

import numpy as np

from hfkit.data.images.runs import encode_runs
from hfkit.scores.score import Score
from hfkit.tasks.detection.boxes import as_boxes
from hfkit.tasks.detection.judge import BoxJudge
from hfkit.tasks.detection.matching import Answer, crowd_of
from hfkit.tasks.instances.overlaps import find_spans, overlap_spans

MAP, MAP50 = Score("map", "mask mAP"), Score("map50", "mask mAP at 50 % overlap")
RECALL, F1 = Score("ar100", "average recall of 100 masks"), Score("f1", "F1 of the masks kept")


class InstanceJudge(BoxJudge):
    """COCO's mean average precision over overlaps of masks from 50 to 95 %, over all predicted objects.

    Answers are those of boxes with `runs` instead: the compressed counts of COCO's run lengths of each object. The
    `size` of a reference is height and width of its picture. Answers of boxes alone are taken for masks that fill them.
    """

    headline: ClassVar[Score] = MAP
    scores: ClassVar[tuple[Score, ...]] = (MAP, MAP50, RECALL, F1)
    things: ClassVar[str] = "masks"

    def overlap(self, ours: Answer, gold: Answer) -> np.ndarray:
        runs = self.take_masks(ours, gold["size"])
        return overlap_spans(find_spans(runs), find_spans(gold["runs"]), crowd_of(gold))

    def take_masks(self, ours: Answer, size: tuple[int, int]) -> list[str]:
        """The run lengths of an answer's objects in a picture of this height and width."""
        return ours["runs"] if "runs" in ours else fill_boxes(ours["boxes"], size)


def fill_boxes(boxes: np.ndarray, size: tuple[int, int]) -> list[str]:
    """The masks of boxes, to whole pixels, as compressed counts.

    Args:
        size: height and width of the picture.
    """
    filled = []
    for left, top, right, bottom in np.rint(as_boxes(boxes)).astype(int):
        mask = np.zeros(size, bool)
        mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
        filled.append(encode_runs(mask)["counts"])
    return filled
