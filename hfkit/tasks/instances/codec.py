"""The codec of models that find the pixels of objects: pictures to queries, their matched loss, queries to masks."""

from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from datasets import Dataset, List, Value
from torch import Tensor, nn
from transformers import AutoModelForInstanceSegmentation, AutoModelForUniversalSegmentation, PreTrainedModel

from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch, Output
from hfkit.contract.view import count_labels
from hfkit.data.columns import space_evenly
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.tasks.detection.codec import BoxFinder, best_threshold
from hfkit.tasks.instances.judge import InstanceJudge
from hfkit.tasks.instances.reading import flatten_logits, pack_instances, read_instances, unpack_instances
from hfkit.tasks.unread import freeze_unread
from hfkit.tasks.words import from_words, to_words

if TYPE_CHECKING:
    from hfkit.tasks.instances.batches import InstanceImages, VariedInstances

FAMILIES = ("mask2former", "maskformer")  # whose image processors read objects from their outputs alone
SIDE = 64  # pixels of the picture by which parameters without a part in the answers are found


class InstanceFinder(BoxFinder):
    """The checkpoint's own image processor, and the classes of objects; what is decided and how is as for boxes.

    Raises:
        UserError: there is no image processor, or the checkpoint is of a family that finds no objects.
    """

    auto_model = AutoModelForUniversalSegmentation

    def __init__(self, checkpoint: str, path: str, *options: Any, **named: Any) -> None:
        refuse_family(checkpoint, read_config(path).model_type)
        super().__init__(checkpoint, path, *options, **named)
        # Masks are read here: by the rows of the task, and not by what was right for the checkpoint's own data.
        self.processor.do_reduce_labels = False

    def model(self, *, finished: bool = False, **options: Any) -> PreTrainedModel:
        model = super().model(finished=finished, **options)
        if not finished:
            from hfkit.data.images.batches import channels_of

            pixels = torch.zeros(1, channels_of(self.processor), SIDE, SIDE)
            freeze_unread(model, lambda: flatten_logits(model(pixel_values=pixels.to(model.device))).sum())
        return model

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Rows with `image` (decoded later, batch by batch), `row`, `width` and `height` of the upright picture; with
        `answers` also the `runs` of masks, the `boxes` around them, and their `class_labels`. Crowds are left out.
        """
        encoded = super().encode(rows, split=split, answers=answers)
        if not answers:
            return encoded
        single = [
            [one for one, many in zip(runs, crowd, strict=True) if not many]
            for runs, crowd in zip(rows["runs"], rows["crowd"], strict=True)
        ]
        return encoded.add_column("runs", single, feature=List(Value("string")))

    @cached_property
    def collate(self) -> "InstanceImages":
        from hfkit.tasks.instances.batches import InstanceImages

        return InstanceImages(self.processor, self.folder)

    @property
    def varies(self) -> Literal["rows"] | None:
        return "rows" if self.variation.strength != "none" or self.variation.flipped else None

    def vary(self, seed: int) -> "VariedInstances":
        from hfkit.tasks.instances.batches import VariedInstances

        strength, flipped, _ = self.variation
        return VariedInstances(self.processor, self.folder, strength=strength, flipped=flipped, seed=seed)

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        # These models take a mask of padding and make nothing of it.
        return {"pixel_values": batch["pixel_values"]}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        if label_smoothing:
            raise UserError(
                f"label_smoothing_factor={label_smoothing}",
                "the loss of these models is their own: that of masks matched to queries",
                "Leave it out",
            )

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """The model's own loss: queries are matched to gold masks, and its sums divided by their number."""
        known = [classes >= 0 for classes in batch["class_labels"]]
        output = model(
            **self.inputs(batch),
            mask_labels=[masks[own].float() for masks, own in zip(batch["mask_labels"], known, strict=True)],
            class_labels=[classes[own] for classes, own in zip(batch["class_labels"], known, strict=True)],
        )
        loss = output["loss"]
        return (loss if items is None else loss * self.count_targets(batch) / items), output

    # Outputs to answers

    def logits(self, output: Output, batch: Batch) -> Tensor:
        return flatten_logits(output)

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The likeliest objects of each picture at its own size, packed: `words`, and how many `bytes` they are.

        A mask of a query for each object of a whole split would fill the memory; its run lengths are some hundred
        bytes.
        """
        output = model(**self.inputs(batch)) if known is None else known
        sizes, reach = batch["sizes"].tolist(), batch["reach"].tolist()
        packed = [
            pack_instances(read_instances(self.processor, output, row, tuple(size), share))
            for row, (size, share) in enumerate(zip(sizes, reach, strict=True))
        ]
        return {name: tensor.to(batch["sizes"].device) for name, tensor in to_words(packed).items()}

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[dict[str, Any]]:
        """For each row the `runs` of its objects, their `labels` and `scores`, the `size` of the picture, and `kept`,
        how many objects pass the threshold."""
        answers = []
        sides = (encoded[side][:] for side in ("height", "width"))
        for words, length, *size in zip(outputs["words"], outputs["bytes"].tolist(), *sides, strict=True):
            found = unpack_instances(from_words(words, int(length)))
            kept = int(np.sum(np.array(found.scores) > self.threshold))
            labels = [self.target.names[number] for number in found.classes]
            answers.append(
                {"runs": found.runs, "labels": labels, "scores": found.scores, "size": tuple(size), "kept": kept}
            )
        return answers

    # The decision

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        """The threshold with the best F1 of the masks kept. The headline looks at all masks, and stays as it is."""
        predictions, names = self.decode(outputs, encoded), self.target.names
        columns = (encoded[name] for name in ("runs", "class_labels", "height", "width"))
        gold = [
            {"runs": runs, "labels": [names[number] for number in numbers], "size": tuple(size)}
            for runs, numbers, *size in zip(*columns, strict=True)
        ]
        before = headline(predictions)
        threshold = best_threshold(InstanceJudge().rank(predictions, gold), self.threshold)
        return Decision(np.array([threshold - self.threshold]), before, before)

    def pictures(self, encoded: Dataset, collator: Any, limit: int) -> list[dict[str, str]]:
        """Rows from all over the split as training varies them, and how many objects of each class are in them."""
        from hfkit.data.images.pictures import decode_image
        from hfkit.tasks.detection.view import picture_uri
        from hfkit.tasks.instances.batches import shrink_masks

        drawn = []
        for place in space_evenly(len(encoded), limit):
            row = encoded[int(place)]
            picture, view = collator.show(decode_image(row["image"], self.folder, 3), row)
            _, numbers = shrink_masks(row, view, picture.size[::-1])
            label = count_labels([self.target.names[number] for number in numbers])
            drawn.append({"picture": picture_uri(picture), "label": label})
        return drawn


def refuse_family(checkpoint: str, model_type: str) -> None:
    """Refuse a checkpoint of a family that cannot be trained for this task.

    Raises:
        UserError: naming those that can.
    """
    if model_type in FAMILIES:
        return
    others, universal = (
        {config.model_type for config in auto_model._model_mapping}
        for auto_model in (AutoModelForInstanceSegmentation, AutoModelForUniversalSegmentation)
    )
    why = "has no mask for each object"
    if model_type in universal:
        why = "answers in a way of its own"
    elif model_type in others:
        why = "is made by another class of transformers"
    raise UserError(
        f"checkpoint '{checkpoint}'",
        f"a model of this task answers with a mask and a class for each query, and {model_type} {why}",
        f"Take a checkpoint of {' or '.join(FAMILIES)}",
    )
