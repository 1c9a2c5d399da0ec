"""The codec of detectors: pictures to queries, their matched loss, and queries to ranked boxes."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import torch
from datasets import Dataset, List, Value
from torch import Tensor, nn
from transformers import AutoModelForObjectDetection, PreTrainedConfig

from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch, Output, Tokens
from hfkit.contract.view import count_labels
from hfkit.data.columns import space_evenly
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.scores.ranked import HIT, LEFT_OUT, Entries
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.detection.matching import rank_boxes
from hfkit.tasks.detection.target import THRESHOLD, Objects
from hfkit.tasks.processors import load_image_processor

if TYPE_CHECKING:
    from hfkit.tasks.detection.batches import BoxedImages, VariedBoxes

MOST_BOXES = 100  # of a picture, the likeliest ones, as in COCO's evaluation
INPUTS = ("pixel_values", "pixel_mask")


class Variation(NamedTuple):
    """How training pictures vary."""

    strength: Literal["none", "light", "standard", "strong"] = "none"
    flipped: bool = False
    mosaic: bool = False


class BoxFinder(CheckpointCodec):
    """The checkpoint's own image processor, and the classes of objects.

    Args:
        folder: where relative paths of pictures begin.

    Raises:
        UserError: there is no image processor.
    """

    auto_model = AutoModelForObjectDetection

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Objects,
        head_config: Mapping[str, Any],
        *,
        folder: Path,
        variation: Variation,
    ) -> None:
        super().__init__(checkpoint, path, head_config)
        self.target, self.folder, self.variation = target, folder, variation
        self.threshold = target.threshold
        self.processor = load_image_processor(path, checkpoint)

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Rows with `image` (decoded later, batch by batch), `row`, `width` and `height` of the upright picture; with
        `answers` also `boxes` (left, top, right, bottom in pixels) and their `class_labels`. Crowds are left out.
        """
        encoded = rows.select_columns(["image", "width", "height"]).add_column(
            "row", np.arange(len(rows)), feature=Value("int32")
        )
        if not answers:
            return encoded
        numbers = {name: number for number, name in enumerate(self.target.names)}
        boxes, classes = [], []
        for of_row, labels, crowd in zip(rows["boxes"], rows["labels"], rows["crowd"], strict=True):
            single = [place for place, many in enumerate(crowd) if not many]
            boxes.append([of_row[place] for place in single])
            classes.append([numbers[labels[place]] for place in single])
        encoded = encoded.add_column("boxes", boxes, feature=List(List(Value("float32"))))
        return encoded.add_column("class_labels", classes, feature=List(Value("int32")))

    @cached_property
    def masked(self) -> bool:
        from hfkit.tasks.detection.batches import takes_mask

        return takes_mask(read_config(self.path), self.auto_model)

    @cached_property
    def collate(self) -> "BoxedImages":
        from hfkit.tasks.detection.batches import BoxedImages

        return BoxedImages(self.processor, self.folder, self.masked)

    @property
    def varies(self) -> Literal["rows", "batches"] | None:
        if self.variation.mosaic:
            return "batches"
        return "rows" if self.variation.strength != "none" or self.variation.flipped else None

    def vary(self, seed: int) -> "VariedBoxes":
        from hfkit.tasks.detection.batches import VariedBoxes

        kind = self.variation
        return VariedBoxes(
            self.processor,
            self.folder,
            self.masked,
            strength=kind.strength,
            flipped=kind.flipped,
            mosaic=kind.mosaic,
            seed=seed,
        )

    def tokens(self, rows: Dataset) -> Tokens | None:
        return None

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        return {}

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return {name: batch[name] for name in INPUTS if name in batch}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        if label_smoothing:
            raise UserError(
                f"label_smoothing_factor={label_smoothing}",
                "a detector's loss is its own: that of boxes matched to queries",
                "Leave it out",
            )

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """The model's own loss: queries are matched to gold boxes, and its sums divided by their number."""
        labels = [
            {"class_labels": classes[classes >= 0], "boxes": boxes[classes >= 0]}
            for classes, boxes in zip(batch["class_labels"], batch["boxes"], strict=True)
        ]
        output = model(**self.inputs(batch), labels=labels)
        loss = output["loss"]
        return (loss if items is None else loss * self.count_targets(batch) / items), output

    def count_targets(self, batch: Batch) -> int:
        # The model divides by one where a batch has no box at all.
        return max(int((batch["class_labels"] >= 0).sum()), 1)

    # Outputs to answers

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The class logits and the box of every query, (queries of all rows, classes + 4)."""
        return torch.cat([output["logits"], output["pred_boxes"]], dim=-1).flatten(0, 1)

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The likeliest boxes of each picture, the likeliest first, as many for all: `scores`, the numbers of their
        `classes`, and `boxes` (left, top, right, bottom in shares of the picture).
        """
        output = model(**self.inputs(batch)) if known is None else known
        scores, classes, query = rank_queries(output["logits"].float(), len(self.target.names))
        boxes = output["pred_boxes"].float().gather(1, query[..., None].expand(-1, -1, 4))
        half = boxes[..., 2:] / 2
        corners = torch.cat([boxes[..., :2] - half, boxes[..., :2] + half], dim=-1)
        # A few kilobytes a picture, whatever the model has of queries and classes: evaluations keep all of them.
        return {"scores": scores, "classes": classes.int(), "boxes": corners / batch["reach"].repeat(1, 2)[:, None]}

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[dict[str, Any]]:
        """For each row its `boxes` in pixels, `labels`, `scores`, and `kept`, how many pass the threshold."""
        sizes = np.stack([np.array(encoded[side][:]) for side in ("width", "height")], axis=1)
        boxes = outputs["boxes"] * np.tile(sizes, 2)[:, None].astype(np.float32)
        kept = (outputs["scores"] > self.threshold).sum(axis=1)
        return [
            {
                "boxes": boxes[row],
                "labels": [self.target.names[number] for number in outputs["classes"][row]],
                "scores": outputs["scores"][row],
                "kept": int(kept[row]),
            }
            for row in range(len(boxes))
        ]

    # The decision

    def decision_outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        return self.outputs(model, batch, known)

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        """The threshold with the best F1 of the boxes kept. The headline looks at all boxes, and stays as it is."""
        predictions = self.decode(outputs, encoded)
        names = self.target.names
        gold = [
            {"boxes": boxes, "labels": [names[number] for number in numbers]}
            for boxes, numbers in zip(encoded["boxes"], encoded["class_labels"], strict=True)
        ]
        before = headline(predictions)
        threshold = best_threshold(rank_boxes(predictions, gold), self.threshold)
        return Decision(np.array([threshold - self.threshold]), before, before)

    def apply(self, decision: Decision, head: Sequence[nn.Parameter], config: PreTrainedConfig) -> bool:
        """Move the threshold in the configuration; no parameter of the head can hold it."""
        self.threshold += float(decision.shift[0])
        setattr(config, THRESHOLD, self.threshold)
        return True

    def pictures(self, encoded: Dataset, collator: Any, limit: int) -> list[dict[str, str]]:
        """Rows from all over the split as training varies them, and how many objects of each class are in them."""
        from hfkit.data.images.pictures import decode_image
        from hfkit.tasks.detection.view import picture_uri

        drawn = []
        for place in space_evenly(len(encoded), limit):
            row = encoded[int(place)]
            picture = decode_image(row["image"], self.folder, 3)
            boxes, numbers = np.asarray(row["boxes"]).reshape(-1, 4), np.asarray(row["class_labels"], dtype=int)
            picture, _, numbers = collator.vary(picture, boxes, numbers, row)
            label = count_labels([self.target.names[number] for number in numbers])
            drawn.append({"picture": picture_uri(picture), "label": label})
        return drawn


def rank_queries(logits: Tensor, classes: int) -> tuple[Tensor, Tensor, Tensor]:
    """The scores, class numbers and queries of the likeliest boxes, (batch, boxes) each.

    A head with one logit more than classes has a softmax, in which the last one stands for no object, and each query is
    one box. Otherwise every class of a query has a probability of its own, and is a box of its own. So do the image
    processors of the models.
    """
    most = min(MOST_BOXES, logits.shape[1] if logits.shape[-1] == classes + 1 else logits.shape[1] * classes)
    if logits.shape[-1] == classes + 1:
        scores, numbers = logits.softmax(-1)[..., :-1].max(-1)
        # Stable: of equal scores the first query comes first, whatever device has sorted them.
        scores, query = scores.sort(dim=1, descending=True, stable=True)
        return scores[:, :most], numbers.gather(1, query[:, :most]), query[:, :most]
    scores, place = logits.sigmoid().flatten(1).sort(dim=1, descending=True, stable=True)
    place = place[:, :most]
    return scores[:, :most], place % classes, place.div(classes, rounding_mode="floor")


def best_threshold(entries: Entries, present: float) -> float:
    """The threshold above which objects have the best F1 at an overlap of 50 %; the present one if nothing is better.

    They take gold ones in the order of their scores, so those above any threshold are matched as if alone.
    """
    counted = entries.hit[:, 0] != LEFT_OUT
    order = np.argsort(-entries.confidence[counted], kind="stable")
    scores, hit = entries.confidence[counted][order], entries.hit[counted, 0][order] == HIT
    wanted = int(entries.positives.sum())
    if not len(scores) or not wanted or not hit.any():
        return present
    f1 = 2 * np.cumsum(hit) / (np.arange(1, len(hit) + 1) + wanted)
    ends = np.flatnonzero(np.diff(scores, append=-1.0) < 0)  # a threshold cannot part equal scores
    best = ends[int(f1[ends].argmax())]
    passing = scores > present
    if passing.any() and f1[ends].max() <= f1[int(passing.sum()) - 1]:
        return present
    following = scores[best + 1] if best + 1 < len(scores) else 0.0
    return float((scores[best] + following) / 2)
