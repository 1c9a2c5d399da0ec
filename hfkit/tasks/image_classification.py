"""Image classification: files in class folders or images in a column, checked once, decoded when they are needed."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from datasets import Dataset, DatasetDict, Image, Value, concatenate_datasets, config
from huggingface_hub.constants import HF_HUB_CACHE
from torch import Tensor
from transformers import AutoImageProcessor, AutoModelForImageClassification, PreTrainedModel

from hfkit.contract.task import Found
from hfkit.data.bad_rows import Fault, skipped, without
from hfkit.data.columns import column_named, column_of, evenly
from hfkit.data.files import TABLES, one_split, only, read
from hfkit.data.images.vision import require_vision
from hfkit.data.units import checked_units, unit_column
from hfkit.errors import UserError, first_line
from hfkit.model.weights import read_config
from hfkit.tasks.classification.answers import (
    ANSWER_COLUMNS,
    FEATURES,
    checked_answers,
    in_order,
    refuse_other_problem,
)
from hfkit.tasks.classification.base import Classification

if TYPE_CHECKING:
    from hfkit.data.images.batches import JudgedImages, VariedImages

IMAGE_COLUMNS = ("image", "img", "image_path", "path", "file_name", "file")
PICTURE, THUMBNAIL = 96, 128  # pixels
KEY = ["fingerprint", "width", "height"]  # by which a decoded image is kept


@dataclass(frozen=True)
class ImageClassification(Classification):
    """Pictures with a class, several, or a number.

    `load` gives rows of `image` (bytes or a path, not decoded), `label`, and what one look at each image found:
    `fingerprint` of its bytes, `format`, `mode`, `width`, `height`, `animated`, `rotated`.
    """

    image_column: str | None = field(default=None, metadata={"help": "column of images; default: the only one"})
    allow_outside_images: bool = field(
        default=False,
        metadata={"help": "follow paths out of the dataset's folder; addresses are never fetched"},
    )
    max_megapixels: float = field(
        default=50.0, metadata={"help": "larger images are bad rows; a small file can unpack to gigabytes"}
    )
    augmentation: Literal["none", "light", "standard", "strong"] = field(
        default="light",
        metadata={"help": "how training images vary: a crop of most of it, of less and with colour, or much of all"},
    )
    flip: Literal["none", "horizontal"] = field(
        default="none",
        metadata={
            "help": "horizontal: half of the training images mirrored; right for photographs, wrong for digits,"
            " text and X-rays"
        },
    )
    mix: Literal["none", "mixup", "cutmix", "both"] = field(
        default="none", metadata={"help": "mix the images of a training batch, and their labels with them"}
    )
    mix_alpha: float = field(
        default=0.2, metadata={"help": "how evenly two images are mixed: near 0 hardly, 1 any share alike"}
    )
    image_cache: bool = field(
        default=True,
        metadata={
            "help": "decode every image once and keep it, shrunk to what the crops of --augmentation need; false crops"
            " from the file in every epoch"
        },
    )
    tta: Literal["none", "flip", "crops"] = field(
        default="none",
        metadata={"help": "judge by the mean over views: also mirrored, or also the four corners"},
    )

    name: ClassVar[str] = "image-classification"
    auto_model: ClassVar[type] = AutoModelForImageClassification
    sample: ClassVar[str] = "sample-resnet"
    reads: ClassVar[Literal["text", "pictures"]] = "pictures"
    unit: ClassVar[str] = "image"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.mix != "none" and self.problem not in ("single-label", "multi-label"):
            raise UserError(f"mix={self.mix} with problem={self.problem}", "it mixes classes", "Leave it out")
        if not self.mix_alpha > 0:
            raise UserError(f"mix_alpha={self.mix_alpha}", "it is above 0", "Try 0.2, or 1 for cutmix")
        if not 0 < self.max_megapixels <= 89:
            raise UserError(
                f"max_megapixels={self.max_megapixels}",
                "it is above 0 and at most 89, from where Pillow takes a file for a decompression bomb",
                "Scale larger images down",
            )

    # Loading

    def found(self, *one: str | None) -> Found:
        require_vision()
        raw, roots, image_column, label_column = self.images_found(*one)
        refuse_other_problem(raw, label_column, self.problem)
        unit = unit_column(raw, self.unit_column)
        columns = {"image": image_column, "label": label_column} | ({"unit": unit} if unit else {})
        return Found(raw, columns, tuple(roots))

    def checked_rows(self, split: str, found: Found, learnt: set[str] | None, *, by_model: bool) -> Dataset:
        """Rows with an image and a label, every image read to its end once."""
        raw, columns, roots = found.raw[split], found.columns, found.roots
        answers, faults = checked_answers(raw, columns["label"], self.problem, learnt, by_model=by_model)
        rows, unusable = self.seen(split, raw, columns["image"], roots)
        rows = rows.add_column("label", answers, feature=FEATURES[self.problem])
        if "unit" in columns:
            units, ungrouped = checked_units(raw, columns["unit"])
            rows = rows.add_column("unit", units, feature=Value("string"))
            faults += ungrouped
        return without(split, rows, sorted(faults + unusable, key=lambda fault: fault.row), self.on_bad_row)

    def images_found(self, *one: str | None) -> tuple[DatasetDict, list[Path], str, str]:
        """The rows as they came, the folders their files may lie in, and the columns of images and labels."""
        from hfkit.data.images.files import class_folders, one_class_folder, read_class_folders

        if self.dataset == "sample":
            from hfkit.samples.digits import sample_digits

            return only(sample_digits(), *one) if one else sample_digits(), [Path()], "image", "label"
        folder = Path(self.dataset).expanduser()
        splits = one_class_folder(folder, *one) if one else class_folders(folder)
        if splits:
            if self.problem != "single-label":
                raise UserError(
                    f"problem={self.problem} with '{self.dataset}'",
                    "a folder per class gives every image one label",
                    "Put the images or their paths into parquet files with a column of labels",
                )
            for flag, given in (("image_column", self.image_column), ("label_column", self.label_column)):
                if given not in (None, flag.removesuffix("_column")):
                    raise UserError(f"{flag}='{given}'", "class folders have no columns", "Leave it out")
            raw = read_class_folders(folder, splits, self.on_bad_row, None if one else self.validation_share)
            return raw, [folder], "image", "label"
        place = (self.dataset, self.dataset_config, self.dataset_revision)
        kinds = TABLES | {"or images as train/CLASS/*.jpg": ""}  # read above; named for those who have neither
        if one:
            raw = one_split(*place, *one, kinds=kinds)
        else:
            raw = read(*place, kinds=kinds, validation_share=self.validation_share)
        image_column = self.image_column_of(raw)
        label_column = column_of(raw, self.label_column, ANSWER_COLUMNS, "--label_column")
        # What `datasets` downloaded for a Hub dataset of files lies in its cache.
        cached = [Path(config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)]
        return raw, [self.folder()] if self.folder().is_dir() else cached, image_column, label_column

    def seen(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image` and what one look at each has found, and a fault for each that cannot be used."""
        from hfkit.data.images.files import as_images, located, look_at_all

        rows = rows.select_columns([column])
        rows = rows if column == "image" else rows.rename_column(column, "image")
        rows, astray = located(
            as_images(rows, split, column), roots, allow_outside=self.allow_outside_images, column=column
        )
        known = {fault.row for fault in astray}
        rows, unusable = look_at_all(rows, split, column, most_megapixels=self.max_megapixels, known=known)
        return rows, astray + unusable

    @property
    def input_column(self) -> str:
        return self.image_column or "image"

    def unanswered(self, raw: Dataset, labels: list[str]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image`; paths begin at the folder `dataset`, and stay in it."""
        require_vision()
        column = self.image_column_of(DatasetDict(input=raw))
        rows, faults = self.seen("input", raw, column, [self.folder()])
        return self.unlabelled(rows, labels), sorted(faults, key=lambda fault: fault.row)

    def image_column_of(self, raw: DatasetDict) -> str:
        columns = next(iter(raw.values())).features
        pictures = [name for name, feature in columns.items() if isinstance(feature, Image)]
        given = self.image_column or (pictures[0] if len(pictures) == 1 else None)
        return column_named(raw, given, IMAGE_COLUMNS, "--image_column", media=True)

    # Model inputs

    def processor(self, checkpoint: str) -> Any:
        """The checkpoint's own image processor.

        Raises:
            UserError: there is none, or it makes something else of images than what the model reads.
        """
        require_vision()
        from hfkit.data.images.batches import channels_of, scale_of

        path = self.path(checkpoint)
        channels = read_config(path).to_dict().get("num_channels")  # timm's own processor knows it
        try:
            processor = AutoImageProcessor.from_pretrained(path, trust_remote_code=False)
        except (OSError, ValueError, ImportError) as error:
            raise UserError(
                f"checkpoint '{checkpoint}'",
                f"its image processor could not be read ({first_line(error)})",
                "Give a folder or a Hub id that holds preprocessor_config.json",
            ) from error
        if channels is not None and channels != channels_of(processor):
            raise UserError(
                f"checkpoint '{checkpoint}'",
                f"its model reads {channels} channels, and its processor normalises {channels_of(processor)}",
                "Give image_mean and image_std one value per channel in preprocessor_config.json",
            )
        scale_of(processor)
        return processor

    def model(self, checkpoint: str, labels: list[str], **kwargs: Any) -> PreTrainedModel:
        model = super().model(checkpoint, labels, **kwargs)
        if model.config.model_type == "timm_wrapper":
            # Saved under a name of its own, which would stay that of the checkpoint.
            model.config.label_names = list(labels)
        return model

    def prepare(self, dataset: DatasetDict, processor: Any, labels: list[str]) -> DatasetDict:
        """Rows with `image` (not decoded: pixels are made batch by batch), `labels`, `row` and `view`, and `KEY`.

        Validation and test have one row per view of `tta`. Paths below the dataset's folder become relative to it, so
        that a run stays the same run when its data move; `fingerprint` says what is in the files.
        """
        from hfkit.data.images.batches import VIEWS

        prepared = {}
        for split, rows in dataset.items():
            kept = self.targeted(self.portable(rows.select_columns(["image", "label", *KEY])), rows, labels)
            if split == "train" and self.mix != "none":
                kept = kept.add_column("classes", [len(labels)] * len(rows), feature=Value("int32"))
            views = VIEWS["none" if split == "train" else self.tta]
            # Joined end to end, every view is the same table again: nothing is copied.
            prepared[split] = concatenate_datasets(
                [kept.add_column("view", [view] * len(rows), feature=Value("int8")) for view in views]
            )
        return DatasetDict(prepared)

    def portable(self, rows: Dataset) -> Dataset:
        """The rows with paths below the dataset's folder relative to it; embedded images stay where they are."""
        from hfkit.data.images.files import has_files, image_rows

        if not has_files(rows):
            return rows
        inside = f"{self.folder()}{os.sep}"
        images = [{**image, "path": (image["path"] or "").removeprefix(inside)} for image in rows["image"]]
        return concatenate_datasets([image_rows(images), rows.remove_columns("image")], axis=1)

    def collator(self, processor: Any) -> "JudgedImages":
        from hfkit.data.images.batches import JudgedImages

        return JudgedImages(processor, self.folder())

    @property
    def varies(self) -> Literal["rows", "batches"] | None:
        if self.mix != "none":
            return "batches"
        return "rows" if self.augmentation != "none" or self.flip == "horizontal" else None

    def training_collator(self, processor: Any, seed: int) -> "VariedImages":
        from hfkit.data.images.augmentation import PRESETS
        from hfkit.data.images.batches import VariedImages

        return VariedImages(
            processor,
            self.folder(),
            preset=PRESETS[self.augmentation],
            flipped=self.flip == "horizontal",
            mix=self.mix,
            mix_alpha=self.mix_alpha,
            seed=seed,
            shrunk=self.image_cache,
        )

    def cached(
        self, collator: "JudgedImages | VariedImages", rows: Dataset, folder: Path, budget: int
    ) -> "JudgedImages | VariedImages":
        return collator.cached(rows, folder, budget) if self.image_cache else collator

    def folder(self) -> Path:
        """Where relative paths of images begin."""
        place = Path(self.dataset).expanduser().absolute()
        return place.parent if place.is_file() else place

    def features(self, outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """What the backbone pooled, else its first token or the mean over space: (batch, features)."""
        if isinstance(outputs, Tensor):  # of a model of timm
            return outputs.flatten(1)
        pooled, hidden = outputs.get("pooler_output"), outputs.last_hidden_state
        if pooled is not None:
            return pooled.flatten(1)
        return hidden.mean((2, 3)) if hidden.ndim == 4 else hidden[:, 0]

    # Reporting

    def describe(self, dataset: DatasetDict, prepared: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
        """Per split its rows, labels, repeats, what was skipped, and what its images are."""
        from hfkit.data.images.files import image_facts

        learnt = set(dataset["train"]["fingerprint"]) if "train" in dataset else None
        splits = {}
        for split, rows in dataset.items():
            splits[split] = {"rows": len(rows), **self.label_facts(rows), **image_facts(rows)}
            if split != "train" and learnt is not None:
                splits[split]["rows_shared_with_train"] = sum(mark in learnt for mark in rows["fingerprint"])
            splits[split]["skipped"] = skipped(rows)
            if split in (prepared or ()) and len(prepared[split]) > len(rows):
                splits[split]["views"] = len(prepared[split]) // len(rows)
        return {
            "dataset": self.dataset,
            "synthetic": False,
            "problem": self.problem,
            "labels": self.labels(dataset),
            **splits,
        }

    def content(self, rows: Dataset) -> list[str]:
        return list(rows["fingerprint"])

    def shown(self, row: dict[str, Any]) -> dict[str, str]:
        from hfkit.data.images.batches import data_uri
        from hfkit.data.images.pictures import decoded

        return {"text": "", "picture": data_uri(decoded(row["image"], self.folder(), 3), THUMBNAIL)}

    def pictures(self, prepared: Dataset, collator: "JudgedImages", limit: int) -> list[dict[str, str]]:
        """Rows spread over the split as `collator` gives them, its normalisation undone, and what they are taught."""
        from hfkit.data.images.augmentation import in_shares
        from hfkit.data.images.batches import as_pictures, data_uri

        chosen = evenly(len(prepared), limit)
        batch = collator([prepared[int(row)] for row in chosen])
        names = self.names_of_targets(prepared)
        pictures = as_pictures(batch["pixel_values"], collator.processor)
        return [
            {"picture": data_uri(picture, PICTURE), "label": in_shares(target, names)}
            for picture, target in zip(pictures, batch["labels"], strict=True)
        ]

    def names_of_targets(self, prepared: Dataset) -> dict[int, str]:
        """The label that an id, or a place in a row of shares, stands for: {} for numbers."""
        if self.problem == "single-label":
            return dict(zip(prepared["labels"], prepared["label"], strict=True))
        if self.problem != "multi-label":
            return {}
        pairs = zip(prepared["labels"], prepared["label"], strict=True)
        return {
            int(place): name
            for shares, gold in pairs
            for place, name in zip(np.flatnonzero(shares), sorted(set(gold), key=in_order), strict=True)
        }
