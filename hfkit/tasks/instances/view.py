"""The view of pictures and the pixels of objects in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hfkit.contract.snippets import literal
from hfkit.contract.target import Target
from hfkit.contract.view import Area, Example, Mask, Mistake, Picture, Shown
from hfkit.scores.ranked import HIT, LEFT_OUT
from hfkit.tasks.detection.judge import keep
from hfkit.tasks.detection.view import choose_examples, describe
from hfkit.tasks.instances.judge import InstanceJudge

THUMBNAIL, SWATCH = 192, 16  # pixels
MOST_DRAWN = 200  # objects of a picture, the likeliest ones
MOST_NAMED = 12  # objects in the legend, the largest ones; the others are drawn all the same


class InstancePictures:
    """Pictures, and answers as numbered objects drawn onto them.

    Args:
        folder: where relative paths of pictures begin.
    """

    answers: ClassVar[type[Shown]] = Mask
    auto_processor: ClassVar[str] = "AutoImageProcessor"

    def __init__(self, judge: InstanceJudge, folder: Path) -> None:
        self.judge, self.folder = judge, folder

    def row(self, row: Mapping[str, Any]) -> Picture:
        from hfkit.data.images.batches import data_uri
        from hfkit.data.images.pictures import decode_image

        return Picture(data_uri(decode_image(row["image"], self.folder, 3), THUMBNAIL))

    def answer(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> Mask:
        """The objects kept of a prediction, or all of a reference; likelier ones lie on top."""
        from hfkit.data.images.batches import data_uri
        from hfkit.data.images.drawing import draw_areas
        from hfkit.data.images.pictures import decode_image
        from hfkit.data.images.runs import decode_runs_of

        picture = decode_image(row["image"], self.folder, 3)
        known = answer if "kept" not in answer else keep(answer)
        size = picture.size[::-1]
        ids = np.full(size, 255, np.uint8)
        masks = [
            decode_runs_of({"size": size, "counts": runs}) for runs in self.judge.take_masks(known, size)[:MOST_DRAWN]
        ]
        for number in reversed(range(len(masks))):
            ids[masks[number]] = number
        drawn, marks = draw_areas(picture, ids, len(masks), THUMBNAIL)
        largest = sorted(range(len(masks)), key=lambda number: -masks[number].sum())[:MOST_NAMED]
        areas = [
            Area(name_object(known, number), float(masks[number].mean()), data_uri(marks[number], SWATCH))
            for number in sorted(largest)
        ]
        return Mask(Picture(data_uri(drawn, THUMBNAIL)), tuple(areas))

    def record(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The objects that pass the threshold, the likeliest first: `label`, `score`, and `segmentation`, the run
        lengths as COCO writes them."""
        kept, size = keep(answer), [row["height"], row["width"]]
        return [
            {"label": label, "score": round(float(score), 4), "segmentation": {"size": size, "counts": runs}}
            for runs, label, score in zip(
                self.judge.take_masks(kept, tuple(size)), kept["labels"], kept["scores"], strict=True
            )
        ]

    def mistakes(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[Mistake]:
        """The pictures with most objects missed or not there, those with fewest right ones first."""
        kept = [keep(one) for one in predictions]
        entries = self.judge.rank(kept, references)
        gold = entries.positives.sum(axis=1)
        found = np.bincount(entries.row[entries.hit[:, 0] == HIT], minlength=len(rows))
        beside = np.bincount(entries.row[entries.hit[:, 0] == LEFT_OUT], minlength=len(rows))
        extra = np.array([one["kept"] for one in kept]) - found - beside
        missed, wrong = gold - found, gold - found + extra
        worst = [int(row) for row in np.lexsort((found, -wrong))[:limit] if wrong[row] > 0]
        return [
            Mistake(
                row,
                "masks",
                describe(int(missed[row]), int(extra[row])),
                self.row(rows[row]),
                self.answer(references[row], rows[row]),
                self.answer(predictions[row], rows[row]),
            )
            for row in worst
        ]

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """For each class the first picture with few others, and its objects there."""
        examples = {}
        for label, (number, places) in choose_examples(rows["labels"][:], limit).items():
            row = rows[number]
            of_label = {"runs": [row["runs"][place] for place in places], "labels": [label] * len(places)}
            examples[label] = Example(self.answer(of_label, row))
        return examples

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """By the pipeline, which answers with a mask for each object."""
        task = literal("image-segmentation")
        made = f"segment = pipeline({task}, model={literal(model)})"
        if loaded is not None:
            made = f"{loaded}\nsegment = pipeline({task}, model=model, image_processor=processor)"
        asked = f"{literal('picture.png')}, subtask={literal('instance')}"
        lines = [
            "from transformers import pipeline",
            "",
            made,
            f"found = segment({asked}, threshold=segment.model.config.hfkit_box_threshold)",
            "for number, one in enumerate(found):",
            f"    print(number, one[{literal('label')}], one[{literal('score')}])",
            f"    one[{literal('mask')}].save(str(number) + {literal('.png')})  # white where it is",
        ]
        return "\n".join(lines)


def name_object(known: Mapping[str, Any], number: int) -> str:
    """The number of an object in its picture, its class, and how sure a model is of it."""
    score = f" ({known['scores'][number]:.2f})" if "scores" in known else ""
    return f"{number + 1} {known['labels'][number]}{score}"
