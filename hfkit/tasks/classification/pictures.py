"""Classified images: rows, codec and view. Libraries for images are imported when they are needed."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from datasets import Dataset, DatasetDict, Image, Value, concatenate_datasets, config
from huggingface_hub.constants import HF_HUB_CACHE
from torch import Tensor, nn
from transformers import AutoModelForImageClassification, PreTrainedModel

from hfkit.contract.codec import Batch, Collator
from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.snippets import literal
from hfkit.contract.target import Labels, Target, names_of
from hfkit.contract.view import Example, Mistake, Picture, Shown
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import find_usual_column, match_usual, space_evenly
from hfkit.data.files import TABLES, list_rows, read_one_split, read_splits, take_split
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.data.places import find_place
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.tasks.classification.answers import label_sort_key
from hfkit.tasks.classification.codec import Classifier
from hfkit.tasks.classification.flags import ClassifiedRows
from hfkit.tasks.classification.kinds import Kind
from hfkit.tasks.classification.label_columns import ANSWER_COLUMNS
from hfkit.tasks.classification.onnx_snippets import PICTURES
from hfkit.tasks.classification.view import ClassifiedView
from hfkit.tasks.processors import load_image_processor

if TYPE_CHECKING:
    from hfkit.data.images.batches import JudgedImages, VariedImages
    from hfkit.data.images.layout import PictureRows

# If a dataset has columns of several tiers, the first tier wins.
IMAGE_COLUMNS = (
    ("image", "img"),
    (
        *("image_path", "img_path", "file_name", "file_path", "path", "image_file", "img_file", "image_name"),
        *("img_name", "image_file_name", "img_file_name", "picture", "photo"),
    ),
    ("file", "images", "fname", "local_path", "full_path", "relative_path"),
)
PICTURE, THUMBNAIL = 96, 128  # pixels
EXPLAINED = 8  # pictures at once: their gradients need the memory of training
KEY = ["fingerprint", "width", "height"]  # by which a decoded image is kept


def folder_of(dataset: str) -> Path:
    """The folder where relative paths of a dataset's images begin."""
    place = Path(dataset).expanduser().absolute()
    return place.parent if place.is_file() else place


@dataclass(frozen=True)
class ClassifiedPictures(ClassifiedRows):
    """Rows of `image` (bytes or a path, not decoded) and `label`, with facts from one look at each image: `fingerprint`
    of its bytes, `format`, `mode`, `width`, `height`, `animated`, `rotated`.
    """

    dataset: str
    image_column: str | None
    allow_outside_images: bool
    max_megapixels: float
    on_bad_row: str
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.IMAGE
    unit: ClassVar[str] = "image"

    @property
    def main_column(self) -> str:
        return self.image_column or "image"

    def read(self, source: Source, only_one: Only | None) -> Raw:
        require_vision()
        raw, roots, image_column = self._images(source, only_one)
        raw, unit = self.find_units(raw, roots, image_column)
        raw, label_column, writing = self.find_answers(raw, [image_column], unit)
        columns = {"image": image_column, "label": label_column} | ({"unit": unit} if unit else {})
        return Raw(raw, columns, tuple(roots), writing)

    def find_units(self, raw: DatasetDict, roots: Sequence[Path], image_column: str) -> tuple[DatasetDict, str | None]:
        """The splits, and their column of units; None if there is none."""
        return raw, find_unit_column(raw, self.unit_column)

    def choose_parts(self, images: Dataset, came: Dataset) -> Dataset:
        """Located images, with the parts of scans that are meant behind their paths.

        Args:
            came: their rows in the dataset.
        """
        return images

    def _images(self, source: Source, only_one: Only | None) -> tuple[DatasetDict, list[Path], str]:
        """The rows as they came, the folders their files may lie in, and the column of images."""
        if source.dataset == "sample":
            raw = self.sample() if only_one is None else take_split(self.sample(), only_one.name)
            return raw, [Path()], "image"
        place = find_place(source)
        only = None if only_one is None else (only_one.name,)
        if place is not None and place.is_dir() and (found := self._read_folder(source, place, only)):
            return found.splits, [place], found.image_column
        kinds = TABLES | {"or images as train/CLASS/*.jpg": ""}  # class folders are read above; this is for messages
        raw = read_splits(source, kinds=kinds) if only is None else read_one_split(source, only[0], kinds=kinds)
        column = self._image_column(raw)
        if place is None:
            # The files of a Hub dataset lie in the cache of `datasets`.
            return raw, [Path(config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)], column
        if place.is_dir():
            from hfkit.data.images.layout import begin_at_folder

            raw = begin_at_folder(raw, place, column, only, allow_outside=self.allow_outside_images)
        return raw, [place if place.is_dir() else place.parent], column

    def _read_folder(self, source: Source, folder: Path, only: tuple[str | None] | None) -> "PictureRows | None":
        """The rows of a folder with metadata or a folder for each class; None if it has neither."""
        from hfkit.data.images.layout import read_pictures
        from hfkit.data.images.tables import METADATA

        tables = [path for path in list_rows(folder, TABLES) if path.is_file()]
        if not self.kind.one_class and any(path.name.lower() not in METADATA for path in tables):
            return None  # folders give one label, so the answers are in a table
        flags = {"image_column": self.image_column, "label_column": self.label_column}
        named = {flag: given for flag, given in flags.items() if given not in (None, flag.removesuffix("_column"))}
        found = read_pictures(
            source,
            folder,
            only=only,
            has_answers=self._has_answers,
            named=bool(named),
            on_bad_row=self.on_bad_row,
            allow_outside=self.allow_outside_images,
        )
        if found is not None and found.by_folder:
            if not self.kind.one_class:
                raise UserError(
                    f"problem={self.problem} with '{source.dataset}'",
                    "a folder per class gives every image one label",
                    "Put the images or their paths into parquet files with a column of labels",
                )
            for flag, given in named.items():
                raise UserError(f"{flag}='{given}'", "class folders have no columns", "Leave it out")
        return found

    def _has_answers(self, columns: Sequence[str]) -> bool:
        named = (self.label_column,) if self.label_column else self.cells.columns
        return bool(match_usual(columns, named or sum(ANSWER_COLUMNS, ())))

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        """Rows with an image and a label; every image is read to its end once."""
        from hfkit.data.images.files import describe_conversions

        rows, columns = raw.splits[split], raw.columns
        answers, faults = self.check_answers(rows, raw, target, finished=finished)
        seen, unusable = self._look(split, rows, columns["image"], raw.roots)
        if conversions := describe_conversions(seen):
            tell(f"{split}: images are converted as they are read: {conversions}")
        return seen.add_column("label", answers, feature=self.kind.feature), faults + unusable

    def _look(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image` with facts from one look at each, and a fault for each unusable one."""
        from hfkit.data.images.files import cast_images, look_at_all
        from hfkit.data.images.paths import locate_images

        came, rows = rows, rows.select_columns([column])
        rows = rows if column == "image" else rows.rename_column(column, "image")
        rows, astray = locate_images(
            cast_images(rows, split, column),
            roots,
            allow_outside=self.allow_outside_images,
            split=split,
            column=column,
        )
        known = {fault.row for fault in astray}
        rows = self.choose_parts(rows, came)
        rows, unusable = look_at_all(rows, split, column, most_megapixels=self.max_megapixels, known=known)
        return rows, astray + unusable

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Rows of `image`; paths begin at the folder `dataset`, and stay in it."""
        require_vision()
        column = self._image_column(DatasetDict(input=raw))
        rows, faults = self._look("input", raw, column, [folder_of(self.dataset)])
        return rows, sorted(faults, key=lambda fault: fault.row)

    def _image_column(self, raw: DatasetDict) -> str:
        columns = next(iter(raw.values())).features
        pictures = [name for name, feature in columns.items() if isinstance(feature, Image)]
        given = self.image_column or (pictures[0] if len(pictures) == 1 else None)
        if given is None and not any(match_usual(list(columns), tier) for tier in IMAGE_COLUMNS):
            from hfkit.data.images.tables import guess_paths

            given = guess_paths(raw, folder_of(self.dataset))
        return find_usual_column(raw, given, IMAGE_COLUMNS, "--image_column", media=True)

    def target(self, splits: DatasetDict) -> Labels:
        return self.kind.target(splits)

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, labels, repeats and skipped rows, and facts of its images."""
        from hfkit.data.images.files import image_facts

        learnt = set(splits["train"]["fingerprint"]) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            of_splits[split] = {"rows": len(rows), **self.kind.facts(self.references(rows)), **image_facts(rows)}
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(mark in learnt for mark in rows["fingerprint"][:])
            of_splits[split]["skipped"] = count_skipped(rows)
        return {"problem": self.problem, **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        return rows["fingerprint"][:]


@dataclass(frozen=True)
class Variation:
    """The variation of training images, and the views of an evaluated image."""

    augmentation: Literal["none", "light", "standard", "strong"] = "none"
    flipped: bool = False
    mix: Literal["none", "mixup", "cutmix", "both"] = "none"
    mix_alpha: float = 0.2
    shrunk: bool = True  # images are decoded once and kept, shrunk to the size that crops need
    tta: Literal["none", "flip", "crops"] = "none"


class PictureClassifier(Classifier):
    """The checkpoint's own image processor, and the labels of pictures.

    Args:
        folder: where relative paths of images begin.

    Raises:
        UserError: there is no processor, or its images do not fit the model.
    """

    auto_model = AutoModelForImageClassification

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Labels,
        head_config: Mapping[str, Any],
        kind: Kind,
        *,
        folder: Path,
        variation: Variation,
        balanced: bool = False,
    ) -> None:
        super().__init__(checkpoint, path, target, head_config, kind, balanced=balanced)
        self.folder, self.variation = folder, variation
        self.processor = self._load_processor()

    def _load_processor(self) -> Any:
        require_vision()
        from hfkit.data.images.batches import channels_of, scale_of

        channels = read_config(self.path).to_dict().get("num_channels")  # timm's own processor knows it
        processor = load_image_processor(self.path, self.checkpoint)
        if channels is not None and channels != channels_of(processor):
            raise UserError(
                f"checkpoint '{self.checkpoint}'",
                f"its model reads {channels} channels, and its processor normalises {channels_of(processor)}",
                "Give image_mean and image_std one value per channel in preprocessor_config.json",
            )
        scale_of(processor)
        return processor

    def model(self, **options: Any) -> PreTrainedModel:
        model = super().model(**options)
        if model.config.model_type == "timm_wrapper":
            # timm's wrapper saves the names of labels a second time, and would keep those of the checkpoint.
            model.config.label_names = list(self.labels)
        return model

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Rows with `image` (decoded later, batch by batch), `row`, `view` and `KEY`; with `answers` also `labels`.

        All splits but train have one row for each view of `tta`. Paths below the dataset's folder become relative to
        it, so that a run keeps its identity when its data move; `fingerprint` identifies the content of the files.
        """
        from hfkit.data.images.batches import VIEWS

        kept = ["image", *(["label"] if answers else []), *KEY]
        encoded = self.with_numbers(self._portable(rows.select_columns(kept)), rows, answers=answers)
        if split == "train" and self.variation.mix != "none":
            encoded = encoded.add_column("classes", [len(self.labels)] * len(rows), feature=Value("int32"))
        views = VIEWS["none" if split == "train" else self.variation.tta]
        # Every view is the same table again, and joining them end to end copies nothing.
        return concatenate_datasets(
            [encoded.add_column("view", [view] * len(rows), feature=Value("int8")) for view in views]
        )

    def _portable(self, rows: Dataset) -> Dataset:
        """The rows with paths relative to the dataset's folder, if they lie in it; embedded images stay as they are."""
        from hfkit.data.images.paths import has_files, image_rows

        if not has_files(rows):
            return rows
        inside = f"{self.folder}{os.sep}"
        images = [{**image, "path": (image["path"] or "").removeprefix(inside)} for image in rows["image"]]
        return concatenate_datasets([image_rows(images), rows.remove_columns("image")], axis=1)

    @cached_property
    def collate(self) -> "JudgedImages":
        from hfkit.data.images.batches import JudgedImages

        return JudgedImages(self.processor, self.folder)

    @property
    def varies(self) -> Literal["rows", "batches"] | None:
        if self.variation.mix != "none":
            return "batches"
        return "rows" if self.variation.augmentation != "none" or self.variation.flipped else None

    def vary(self, seed: int) -> "VariedImages":
        from hfkit.data.images.augmentation import PRESETS
        from hfkit.data.images.batches import VariedImages

        return VariedImages(
            self.processor,
            self.folder,
            preset=PRESETS[self.variation.augmentation],
            flipped=self.variation.flipped,
            mix=self.variation.mix,
            mix_alpha=self.variation.mix_alpha,
            seed=seed,
            shrunk=self.variation.shrunk,
        )

    def store(self, collator: Any, encoded: Dataset, folder: Path, budget: int) -> Collator:
        return collator.with_cache(encoded, folder, budget) if self.variation.shrunk else collator

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        views = len(encoded) // max(len(set(encoded["row"][:])), 1)
        return {"views": views} if views > 1 else {}

    def features(self, outputs: Any, batch: Batch) -> Tensor:
        """The backbone's pooled output, otherwise its first token or the mean over space: (batch, features)."""
        if isinstance(outputs, Tensor):  # of a model of timm
            return outputs.flatten(1)
        pooled, hidden = outputs.get("pooler_output"), outputs.last_hidden_state
        if pooled is not None:
            return pooled.flatten(1)
        return hidden.mean((2, 3)) if hidden.ndim == 4 else hidden[:, 0]

    def pictures(self, encoded: Dataset, collator: Any, limit: int) -> list[dict[str, str]]:
        """Rows from all over the split as `collator` makes them, with normalisation undone, and their targets."""
        from hfkit.data.images.augmentation import describe_target
        from hfkit.data.images.batches import data_uri, to_pictures

        chosen = space_evenly(len(encoded), limit)
        batch = collator([encoded[int(row)] for row in chosen])
        names = self._names_of_targets(encoded)
        pictures = to_pictures(batch["pixel_values"], collator.processor)
        return [
            {"picture": data_uri(picture, PICTURE), "label": describe_target(target, names)}
            for picture, target in zip(pictures, batch["labels"], strict=True)
        ]

    def saliency(self, model: nn.Module, encoded: Dataset, answers: Sequence[Any]) -> list[np.ndarray]:
        """The places that speak for each answer: of the whole picture, also where the answer is a mean over views."""
        from hfkit.data.images.batches import WHOLE
        from hfkit.data.images.frames import Framing, place_map
        from hfkit.data.images.pictures import decode_image
        from hfkit.model.saliency import Explainer

        whole = np.flatnonzero(np.array(encoded["view"][:]) == WHOLE)
        framing, explainer, found = Framing(self.processor), None, []
        for start in range(0, len(whole), EXPLAINED):
            rows = [encoded[int(row)] for row in whole[start : start + EXPLAINED]]
            of_rows = list(answers[start : start + EXPLAINED])
            pixels = self.collate(rows)["pixel_values"].to(next(model.parameters()).device)
            explainer = explainer or Explainer.of(model, pixels, lambda output: output["logits"])
            maps = explainer.maps(
                pixels, lambda output, of_rows=of_rows: self.kind.speak_for(of_rows, output["logits"], self.labels)
            )
            for row, of_row in zip(rows, maps, strict=True):
                width, height = decode_image(row["image"], self.folder, 1).size
                found.append(place_map(of_row, framing.frame_of(width, height), width, height))
        return found

    def rank_mistakes(
        self, predictions: list, references: list, likelihoods: np.ndarray | None
    ) -> list[tuple[int, float | None]]:
        return self.kind.rank_mistakes(predictions, references, likelihoods, self.labels)

    def overlay(self, row: Mapping[str, Any], saliency: np.ndarray, most: int) -> Picture:
        from hfkit.data.images.overlays import draw_map, png_uri
        from hfkit.data.images.pictures import decode_image

        return Picture(png_uri(draw_map(decode_image(row["image"], self.folder, 3), saliency, most)))

    def _names_of_targets(self, encoded: Dataset) -> dict[int, str]:
        """The label of each id, or of each place in a row of shares; {} for numbers."""
        if self.kind.one_class:
            return dict(zip(encoded["labels"], encoded["label"], strict=True))
        if not self.kind.names_labels:
            return {}
        pairs = zip(encoded["labels"], encoded["label"], strict=True)
        return {
            int(place): name
            for shares, gold in pairs
            for place, name in zip(np.flatnonzero(shares), sorted(set(gold), key=label_sort_key), strict=True)
        }


class ClassifiedPicture(ClassifiedView):
    """Pictures.

    Args:
        folder: where relative paths of images begin.
    """

    auto_processor: ClassVar[str] = "AutoImageProcessor"
    tag: ClassVar[str] = "image-classification"
    role: ClassVar[str] = "image_processor"

    def __init__(self, kind: Kind, folder: Path) -> None:
        super().__init__(kind)
        self.folder = folder

    def row(self, row: Mapping[str, Any]) -> Picture:
        from hfkit.data.images.batches import data_uri
        from hfkit.data.images.pictures import decode_image

        return Picture(data_uri(decode_image(row["image"], self.folder, 3), THUMBNAIL))

    def mistakes(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[Mistake]:
        def show_row(row: int) -> Shown:
            return self.row(rows[row])

        return self.kind.mistakes(predictions, references, show_row, limit)

    def call(self, examples: Sequence[Example], facts: Mapping[str, Any]) -> str:
        return literal("picture.png")

    def first_answer(self, call: str) -> str:
        return f"{call}[0]"

    def top_k(self, target: Target) -> str:
        return str(len(names_of(target)))  # the pipeline of images does not take None

    def graph_call(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return PICTURES.replace("@mode@", "L" if inputs["pixel_values"][1] == "1" else "RGB")
