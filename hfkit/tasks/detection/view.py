"""The view of pictures and the boxes of objects in them."""

import base64
from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from datasets import Dataset

from hfkit.contract.snippets import literal
from hfkit.contract.target import Target
from hfkit.contract.view import Box, Boxes, Example, Mistake, Picture
from hfkit.scores.ranked import HIT, LEFT_OUT
from hfkit.tasks.detection.boxes import as_boxes
from hfkit.tasks.detection.judge import keep
from hfkit.tasks.detection.matching import rank_boxes

if TYPE_CHECKING:
    from PIL.Image import Image

SHOWN = 400  # pixels of a picture's longer side in the report
DIGITS = 2  # of a pixel, in records

GRAPH = """\
import numpy as np
import onnxruntime
import torch
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor
from transformers.modeling_outputs import ModelOutput

FOLDER = "."  # where this file lies
processor = AutoImageProcessor.from_pretrained(FOLDER)
config = AutoConfig.from_pretrained(FOLDER)
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

picture = Image.open("picture.png").convert("RGB")
inputs = processor(images=[picture], return_tensors="pt")
given = {one.name: np.asarray(inputs[one.name]) for one in session.get_inputs()}
logits, boxes = (torch.from_numpy(value) for value in session.run(["logits", "pred_boxes"], given))
found = processor.post_process_object_detection(
    ModelOutput(logits=logits, pred_boxes=boxes), threshold=@threshold@, target_sizes=[picture.size[::-1]]
)
for score, label, box in zip(*(found[0][name].tolist() for name in ("scores", "labels", "boxes"))):
    print(config.id2label[label], round(score, 3), [round(side, 1) for side in box])
"""


class BoxedPictures:
    """Pictures with boxes.

    Args:
        folder: where relative paths of pictures begin.
    """

    answers: ClassVar[type[Boxes]] = Boxes
    auto_processor: ClassVar[str] = "AutoImageProcessor"

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def row(self, row: Mapping[str, Any]) -> Picture:
        return Picture(picture_uri(self._open(row)))

    def answer(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> Boxes:
        """The boxes kept of a prediction, or all of a reference."""
        picture = self._open(row)
        known = answer if "kept" not in answer else keep(answer)
        scores = known.get("scores", [None] * len(known["labels"]))
        boxes = [
            Box(*map(float, sides), label, None if score is None else float(score))
            for sides, label, score in zip(as_boxes(known["boxes"]), known["labels"], scores, strict=True)
        ]
        return Boxes(Picture(picture_uri(picture)), picture.width, picture.height, tuple(boxes))

    def record(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The boxes that pass the threshold, the likeliest first: `label`, `score`, `box` (two corners in pixels)."""
        kept = keep(answer)
        return [
            {"label": label, "score": round(float(score), 4), "box": [round(float(side), DIGITS) for side in sides]}
            for sides, label, score in zip(as_boxes(kept["boxes"]), kept["labels"], kept["scores"], strict=True)
        ]

    def mistakes(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[Mistake]:
        """The pictures with most boxes missed or not there, those with fewest right ones first."""
        kept = [keep(one) for one in predictions]
        entries = rank_boxes(kept, references)
        gold = entries.positives.sum(axis=1)
        found = np.bincount(entries.row[entries.hit[:, 0] == HIT], minlength=len(rows))
        beside = np.bincount(entries.row[entries.hit[:, 0] == LEFT_OUT], minlength=len(rows))
        extra = np.array([one["kept"] for one in kept]) - found - beside
        missed, wrong = gold - found, gold - found + extra
        order = np.lexsort((found, -wrong))[:limit]
        return [
            Mistake(
                int(row),
                "boxes",
                describe(int(missed[row]), int(extra[row])),
                self.row(rows[int(row)]),
                self.answer(references[row], rows[int(row)]),
                self.answer(predictions[row], rows[int(row)]),
            )
            for row in order
            if wrong[row] > 0
        ]

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """For each class the first picture with few others, and its boxes there."""
        examples = {}
        for label, (number, places) in choose_examples(rows["labels"][:], limit).items():
            row = rows[number]
            of_label = {"boxes": [row["boxes"][place] for place in places], "labels": [label] * len(places)}
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
        task = literal("object-detection")
        made = f"find = pipeline({task}, model={literal(model)})"
        if loaded is not None:
            made = f"{loaded}\nfind = pipeline({task}, model=model, image_processor=processor)"
        ask = f"find({literal('picture.png')}, threshold=find.model.config.hfkit_box_threshold)"
        shown = f"print(found[{literal('label')}], found[{literal('score')}], found[{literal('box')}])"
        return "\n".join(["from transformers import pipeline", "", made, f"for found in {ask}:", f"    {shown}"])

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return GRAPH.replace("@threshold@", "config.hfkit_box_threshold")

    def _open(self, row: Mapping[str, Any]) -> "Image":
        from hfkit.data.images.pictures import decode_image

        return decode_image(row["image"], self.folder, 3)


def choose_examples(labels: Sequence[Sequence[str]], limit: int) -> dict[str, tuple[int, list[int]]]:
    """For each class the first row with few other objects, and the places of its objects there.

    Args:
        labels: of the objects of each row.
    """
    found: dict[str, int] = {}
    for row in sorted(range(len(labels)), key=lambda row: len(labels[row])):
        for label in labels[row]:
            found.setdefault(label, row)
    return {
        label: (found[label], [place for place, name in enumerate(labels[found[label]]) if name == label])
        for label in sorted(found)[:limit]
    }


def describe(missed: int, extra: int) -> str:
    """Mistakes of one picture, in words."""
    parts = [f"{missed} missed"] if missed else []
    parts += [f"{extra} not there, misplaced or of another class"] if extra else []
    return ", ".join(parts)


def picture_uri(picture: "Image") -> str:
    """A JPEG of at most `SHOWN` pixels a side; small pictures are PNGs, and keep every pixel."""
    kind = "PNG" if max(picture.size) <= SHOWN // 2 else "JPEG"
    picture = picture.copy()
    picture.thumbnail((SHOWN, SHOWN))
    file = BytesIO()
    picture.save(file, kind, quality=85)
    return f"data:image/{kind.lower()};base64,{base64.b64encode(file.getvalue()).decode()}"
