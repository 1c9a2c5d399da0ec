"""The view of masks: pictures with their areas drawn, for readers, and run lengths, for programs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset

from hfkit.contract.snippets import literal
from hfkit.contract.target import Target
from hfkit.contract.view import Area, Example, Mask, Mistake, Picture, Shown
from hfkit.tasks.masks.answers import Painted
from hfkit.tasks.masks.classes import BACKGROUND, NONE
from hfkit.tasks.masks.judge import MaskJudge, mean_iou

THUMBNAIL, SWATCH = 192, 16  # pixels
SMALLEST = 0.02  # share of a picture's pixels below which a class is no example of it

GRAPH = """\
import numpy as np
import onnxruntime
from PIL import Image
from transformers import AutoConfig, AutoImageProcessor

FOLDER = "."  # where this file lies
processor = AutoImageProcessor.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

picture = Image.open("picture.png").convert("@mode@")
pixels = np.asarray(processor(images=[picture], return_tensors="pt")["pixel_values"])
(logits,) = session.run(["logits"], {"pixel_values": pixels})
# At the size of the picture: every class is grown by itself, and the largest one wins.
grown = [Image.fromarray(one).resize(picture.size, Image.Resampling.BILINEAR) for one in logits[0]]
classes = np.argmax(np.stack(grown), axis=0)
print({labels[int(number)]: float((classes == number).mean()) for number in np.unique(classes)})
"""


class MaskedPicture:
    """Pictures, and answers as areas drawn onto them.

    Args:
        folder: where relative paths of images begin.
    """

    answers: ClassVar[type[Shown]] = Mask
    auto_processor: ClassVar[str] = "AutoImageProcessor"

    def __init__(self, judge: MaskJudge, folder: Path) -> None:
        self.judge, self.folder = judge, folder

    def row(self, row: Mapping[str, Any]) -> Picture:
        from hfkit.data.images.batches import data_uri
        from hfkit.data.images.pictures import decode_image

        return Picture(data_uri(decode_image(row["image"], self.folder, 3), THUMBNAIL))

    def answer(self, answer: Painted, row: Mapping[str, Any]) -> Mask:
        from hfkit.data.images.batches import data_uri
        from hfkit.data.images.drawing import draw_areas
        from hfkit.data.images.pictures import decode_image

        ids = answer.ids()
        picture = decode_image(row["image"], self.folder, 3)
        bare = [number for number, name in enumerate(answer.names) if name.casefold() in BACKGROUND]
        drawn, marks = draw_areas(picture, ids, len(answer.names), THUMBNAIL, bare)
        shares = np.bincount(ids.ravel(), minlength=256)[: len(answer.names)] / ids.size
        areas = [
            Area(name, float(share), data_uri(mark, SWATCH))
            for name, share, mark in zip(answer.names, shares, marks, strict=True)
            if share
        ]
        return Mask(Picture(data_uri(drawn, THUMBNAIL)), tuple(areas))

    def record(self, answer: Painted, row: Mapping[str, Any]) -> dict[str, Any]:
        """The size of the picture, and for each class in it its share and its pixels as COCO's run lengths."""
        from hfkit.data.images.runs import encode_runs

        ids = answer.ids()
        found = [number for number in np.unique(ids).tolist() if number != NONE]
        areas = [
            {
                "label": answer.names[number],
                "share": float((ids == number).mean()),
                "counts": encode_runs(ids == number)["counts"],
            }
            for number in found
        ]
        return {"size": list(ids.shape), "areas": areas}

    def mistakes(
        self, predictions: list[Painted], references: list[Painted], rows: Dataset, limit: int
    ) -> list[Mistake]:
        """The pictures with the worst overlap, the worst first, by the class that lost most."""
        both, gold, ours = self.judge.compare(predictions, references, edges=False)[0]
        union = gold + ours - both
        scores = mean_iou(np.concatenate([both, union], axis=1))
        names = references[0].names if references else ()
        worst = [row for row in np.argsort(scores, kind="stable").tolist() if scores[row] < 1][:limit]
        return [
            self._mistake(row, float(scores[row]), names, (both, gold, ours), predictions, references, rows)
            for row in worst
        ]

    def _mistake(
        self,
        row: int,
        score: float,
        names: Sequence[str],
        counts: tuple[np.ndarray, np.ndarray, np.ndarray],
        predictions: list[Painted],
        references: list[Painted],
        rows: Dataset,
    ) -> Mistake:
        both, gold, ours = (side[row] for side in counts)
        missed, added = gold - both, ours - both
        lost = int(np.argmax(np.maximum(missed, added)))
        kind = f"{names[lost]} {'missed' if missed[lost] >= added[lost] else 'where there is none'}"
        why = f"{kind}, mean IoU {score:.2f}"
        own = rows[row]
        shown = (self.answer(side[row], own) for side in (references, predictions))
        return Mistake(row, kind, why, self.row(own), *shown)

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """For each class the picture of which it covers the largest part."""
        from hfkit.tasks.masks.rows import count_classes

        best: dict[str, tuple[float, int]] = {}
        for row, counts in enumerate(count_classes(rows)):
            total = sum(counts.values())
            for name, count in counts.items():
                share = count / max(total, 1)
                if share > max(best.get(name, (0.0, 0))[0], SMALLEST if name in best else 0.0):
                    best[name] = share, row
        chosen = sorted(best)[:limit]
        return {name: Example(self.row(rows[best[name][1]])) for name in chosen}

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """By the pipeline, which answers with a mask for each class."""
        task = literal("image-segmentation")
        if loaded is None:
            made = f"segmenter = pipeline({task}, model={literal(model)})"
        else:
            made = f"{loaded}\nsegmenter = pipeline({task}, model=model, image_processor=processor)"
        lines = [
            "from transformers import pipeline",
            "",
            made,
            f"for area in segmenter({literal('picture.png')}, subtask={literal('semantic')}):",
            f"    area[{literal('mask')}].save(area[{literal('label')}] + {literal('.png')})  # white where it is",
        ]
        return "\n".join(lines)

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return GRAPH.replace("@mode@", "L" if inputs["pixel_values"][1] == "1" else "RGB")
