"""The codec of segmenters: pictures at the model's size, masks beside them, and logits to a class for every pixel."""

import os
import zlib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from datasets import Dataset, Image, Value, concatenate_datasets
from torch import Tensor, nn
from transformers import AutoModelForSemanticSegmentation, PreTrainedModel

from hfkit.contract.codec import Batch, Collator, Output
from hfkit.data.columns import space_evenly
from hfkit.data.images.palettes import Palette
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.losses import IGNORED, category_divergence
from hfkit.tasks.masks.answers import PackedMap
from hfkit.tasks.masks.classes import MaskClasses, read_legend, to_ids
from hfkit.tasks.masks.losses import LossName, best_classes, dice_loss, grow, pixel_loss
from hfkit.tasks.processors import load_image_processor
from hfkit.tasks.unread import freeze_unread
from hfkit.tasks.words import from_words, to_words

if TYPE_CHECKING:
    from hfkit.tasks.masks.batches import JudgedMasks, VariedMasks

PICTURE = 160  # pixels
SIDES = ("height", "width")


class Segmenter(CheckpointCodec):
    """The checkpoint's own image processor, and the classes of pixels.

    A picture is resized to the model's size as a whole, whatever its shape: a processor that would cut off its edges is
    set to resize alone, for their pixels have answers too.

    Args:
        folder: where relative paths of images and masks begin.
        balanced: all classes have equal weight in the loss, however few pixels they have.

    Raises:
        UserError: there is no processor, or its images do not fit the model.
    """

    auto_model = AutoModelForSemanticSegmentation

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: MaskClasses,
        head_config: Mapping[str, Any],
        *,
        folder: Path,
        palette: Palette | None = None,
        augmentation: str = "none",
        flipped: bool = False,
        shrunk: bool = True,
        loss: LossName = "cross-entropy",
        balanced: bool = False,
    ) -> None:
        super().__init__(checkpoint, path, head_config)
        self.target, self.folder, self.palette = target, folder, palette
        self.augmentation, self.flipped, self.shrunk = augmentation, flipped, shrunk
        self.loss_name, self.balanced = loss, balanced
        self.label_smoothing = self.gamma = 0.0
        self.weights: Tensor | None = None
        self.processor = self._load_processor()

    def _load_processor(self) -> Any:
        require_vision()
        from hfkit.data.images.batches import scale_of

        config = read_config(self.path)
        if type(config) not in self.auto_model._model_mapping:
            refuse_family(self.checkpoint, config.model_type)
        processor = load_image_processor(self.path, self.checkpoint)
        settings = processor.to_dict()
        if settings.get("do_center_crop"):
            size = settings["crop_size"]
            processor.do_center_crop, processor.size = False, type(processor.size)(**{k: size[k] for k in SIDES})
            tell(f"masks: pictures are resized whole to {size['width']} x {size['height']}, and no edges are cut off")
        scale_of(processor)
        # Masks are read here: by the flags of the task, and not by what was right for the checkpoint's own data.
        if "do_reduce_labels" in settings:
            processor.do_reduce_labels = False
        return processor

    def model(self, *, finished: bool = False, **options: Any) -> PreTrainedModel:
        model = super().model(finished=finished, **options)
        if not finished:
            pixels = torch.zeros(1, self.collate.channels, *self.collate.scale.size)
            freeze_unread(model, lambda: model(pixel_values=pixels.to(model.device))["logits"].sum())
        return model

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Rows with `image` (decoded later, batch by batch), `row`, `view`, the size of the picture, and the key by
        which it is kept; with `answers` also `mask` and its `legend`.
        """
        from hfkit.tasks.masks.rows import upright_sizes

        kept = ["image", "fingerprint", "width", "height"]
        kept += ["mask", "mask_fingerprint", "legend", "values", "pixels"] if answers else []
        encoded = self._portable(rows.select_columns(kept), "image")
        encoded = self._portable(encoded, "mask") if answers else encoded
        sizes = np.array(upright_sizes(rows)).reshape(-1, 2)
        for place, name in enumerate(("upright_width", "upright_height")):
            encoded = encoded.add_column(name, sizes[:, place], feature=Value("int32"))
        encoded = encoded.add_column("row", np.arange(len(rows)), feature=Value("int32"))
        return encoded.add_column("view", [0] * len(rows), feature=Value("int8"))

    def _portable(self, rows: Dataset, column: str) -> Dataset:
        """The rows with paths relative to the dataset's folder, if they lie in it; embedded images stay as they are."""
        inside = f"{self.folder}{os.sep}"
        images = rows[column][:]
        if all(image["bytes"] is not None for image in images):
            return rows
        moved = [{**image, "path": (image["path"] or "").removeprefix(inside)} for image in images]
        table = Dataset.from_dict({column: moved}, features=type(rows.features)({column: Image(decode=False)}))
        return concatenate_datasets([rows.remove_columns(column), table], axis=1)

    @cached_property
    def collate(self) -> "JudgedMasks":
        from hfkit.tasks.masks.batches import JudgedMasks

        return JudgedMasks(self.processor, self.folder, palette=self.palette)

    @property
    def varies(self) -> Literal["rows"] | None:
        return "rows" if self.augmentation != "none" or self.flipped else None

    def vary(self, seed: int) -> "VariedMasks":
        from hfkit.tasks.masks.batches import PRESETS, VariedMasks

        return VariedMasks(
            self.processor,
            self.folder,
            palette=self.palette,
            preset=PRESETS[self.augmentation],
            flipped=self.flipped,
            seed=seed,
            shrunk=self.shrunk,
        )

    def store(self, collator: Any, encoded: Dataset, folder: Path, budget: int) -> Collator:
        return collator.with_cache(encoded, folder, budget) if self.shrunk else collator

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        return {}

    def tokens(self, rows: Dataset) -> None:
        return None

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return {"pixel_values": batch["pixel_values"]}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        if label_smoothing and self.loss_name == "dice":
            raise UserError(f"label_smoothing_factor={label_smoothing}", "Dice smooths no labels", "Leave it out")
        self.label_smoothing, self.gamma = label_smoothing, 0.0
        self.weights = self._class_weights(encoded) if self.balanced else None

    def _class_weights(self, encoded: Dataset) -> Tensor:
        """The weight of each class in the loss: all pixels / (classes * its pixels), as scikit-learn's 'balanced'."""
        counts = np.zeros(256)
        columns = encoded.select_columns(["values", "pixels", "legend"])[:]
        for values, pixels, legend in zip(columns["values"], columns["pixels"], columns["legend"], strict=True):
            np.add.at(counts, to_ids(np.asarray(values), read_legend(legend)), pixels)
        counts = counts[: len(self.target.names)]
        weights = counts.sum() / (max((counts > 0).sum(), 1) * np.maximum(counts, 1))
        return torch.tensor(np.where(counts > 0, weights, 1.0), dtype=torch.float32)

    def focus(self, gamma: float) -> None:
        if gamma and self.loss_name == "dice":
            raise UserError(f"focal_loss={gamma}", "Dice weighs no pixel by itself", "Set --loss cross-entropy or both")
        self.gamma = gamma

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """The mean over the pixels that have a class, at the size that the model reads, as stock heads take it."""
        output = model(**self.inputs(batch))
        labels = batch["labels"]
        logits = grow(output["logits"].float(), tuple(labels.shape[-2:]))
        weights = None if self.weights is None else self.weights.to(logits)
        total = logits.new_zeros(())
        if self.loss_name != "dice":
            total = total + pixel_loss(logits, labels, weights, smoothing=self.label_smoothing, gamma=self.gamma)
        if self.loss_name != "cross-entropy":
            total = total + dice_loss(logits, labels)
        return total / count(labels, items).clamp(min=1), output

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        """At the size of the logits, where every one stands for as many pixels."""
        one, other = output["logits"].float().movedim(1, -1).flatten(0, 2).chunk(2)
        share = category_divergence(one, other) / len(one)
        labels = batch["labels"].chunk(2)[0]
        return share * count(labels, None) / count(labels, items).clamp(min=1)

    # Outputs to answers

    def logits(self, output: Output, batch: Batch) -> Tensor:
        return output["logits"].movedim(1, -1).flatten(0, 2)

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The best class of every pixel at the picture's own size, packed: `words` (batch, the most of them), which are
        the `bytes` of each row, four together; and the `height` and `width` of the picture.

        Logits of a whole split at that size would fill the memory, and classes take a byte a pixel before they are
        packed, some hundredths of it after that.
        """
        output = model(**self.inputs(batch)) if known is None else known
        sizes = batch["sizes"].tolist()
        packed = [
            zlib.compress(best_classes(logits, tuple(size)).cpu().numpy())
            for logits, size in zip(output["logits"], sizes, strict=True)
        ]
        made = {name: tensor.to(batch["sizes"].device) for name, tensor in to_words(packed).items()}
        return {**made, "height": batch["sizes"][:, 0], "width": batch["sizes"][:, 1]}

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[PackedMap]:
        """The classes of each picture at its own size, still packed."""
        columns = (outputs[name].tolist() for name in ("bytes", "width", "height"))
        return [
            PackedMap(from_words(words, length), width, height, self.target.names)
            for words, length, width, height in zip(outputs["words"], *columns, strict=True)
        ]

    def pictures(self, encoded: Dataset, collator: Any, limit: int) -> list[dict[str, str]]:
        """Rows from all over the split as `collator` makes them, without normalisation, and what their masks hold."""
        from hfkit.data.images.batches import data_uri, to_pictures

        chosen = space_evenly(len(encoded), limit)
        batch = collator([encoded[int(row)] for row in chosen])
        pictures = to_pictures(batch["pixel_values"], collator.processor)
        return [
            {"picture": data_uri(picture, PICTURE), "label": self._list_classes(labels)}
            for picture, labels in zip(pictures, batch["labels"], strict=True)
        ]

    def _list_classes(self, labels: Tensor) -> str:
        """The classes of a mask with their shares, the largest first."""
        found, counts = labels[labels != IGNORED].unique(return_counts=True)
        shares = sorted(zip((counts / counts.sum()).tolist(), found.tolist(), strict=True), reverse=True)
        return ", ".join(f"{self.target.names[number]} {share:.0%}" for share, number in shares) or "none"


def count(labels: Tensor, items: Tensor | int | None) -> Tensor:
    """The number of pixels with a class in the whole optimizer step, or in a batch if `items` is None."""
    return (labels != IGNORED).sum() if items is None else torch.as_tensor(items, device=labels.device)


def refuse_family(checkpoint: str, model_type: str) -> None:
    """Refuse a checkpoint whose family has no logit for every pixel.

    Raises:
        UserError: always.
    """
    from transformers import AutoModelForUniversalSegmentation

    known = sorted({config.model_type for config in AutoModelForSemanticSegmentation._model_mapping})
    universal = {config.model_type for config in AutoModelForUniversalSegmentation._model_mapping}
    why = "answers with masks of queries instead" if model_type in universal else "has none"
    raise UserError(
        f"checkpoint '{checkpoint}'",
        f"transformers has a head for a class of every pixel for some families alone, and {model_type} {why}",
        f"Take a checkpoint of {', '.join(known)}",
    )
