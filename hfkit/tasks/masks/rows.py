"""Rows of pictures with masks: found, looked at once, and decoded when they are needed."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict, Image, List, Value, config
from huggingface_hub.constants import HF_HUB_CACHE

from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Target, names_of
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import find_usual_column, match_usual, space_evenly
from hfkit.data.files import TABLES, read_one_split, read_splits, take_split
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.data.places import find_place
from hfkit.data.units import find_unit_column
from hfkit.data.unlabelled import leave_unlabelled_test
from hfkit.errors import UserError
from hfkit.tasks.classification.pictures import IMAGE_COLUMNS, folder_of
from hfkit.tasks.masks.answers import GoldMap, PackedMap, pack_map
from hfkit.tasks.masks.classes import (
    ClassFlags,
    MaskClasses,
    count_pixels,
    find_strangers,
    read_legend,
    settle_classes,
    to_ids,
    write_legend,
)

MASK_COLUMNS = (
    ("mask", "masks"),
    (
        *("label", "labels", "annotation", "annotations", "segmentation", "segmentation_mask", "segmentation_map"),
        *("semantic_mask", "semantic_segmentation", "label_mask", "pixel_labels", "seg", "gt", "ground_truth"),
        *("mask_path", "mask_file", "label_path", "annotation_path"),
    ),
)
SIDE = "image", "mask"  # columns of the rows as they come from folders


class Found(NamedTuple):
    """Rows as they came."""

    splits: DatasetDict
    roots: list[Path]  # folders in which files may lie
    images: str  # the columns
    masks: str
    names: dict[int, str] | None = None  # what the numbers in masks stand for, if the dataset itself says so


@dataclass(frozen=True)
class MaskedPictures:
    """Rows of `image` and `mask` (bytes or a path, not decoded), with facts from one look at each: those of
    `ClassifiedPictures`, the `mask_fingerprint`, the `values` in the mask, how many `pixels` have each, and the
    `legend` (what they stand for).
    """

    dataset: str
    image_column: str | None
    mask_column: str | None
    unit_column: str | None
    allow_outside_images: bool
    max_megapixels: float
    on_bad_row: str
    flags: ClassFlags
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.IMAGE
    unit: ClassVar[str] = "image"

    @property
    def main_column(self) -> str:
        return self.image_column or "image"

    # Finding them

    def read(self, source: Source, only_one: Only | None) -> Raw:
        require_vision()
        only = None if only_one is None else (only_one.name,)
        found = self._find(source, only)
        unit = find_unit_column(found.splits, self.unit_column)
        columns = {"image": found.images, "mask": found.masks} | ({"unit": unit} if unit else {})
        return Raw(found.splits, columns, tuple(found.roots), found.names)

    def _find(self, source: Source, only: tuple[str | None] | None) -> Found:
        """The rows, wherever they lie: pairs of files, regions of COCO, or columns."""
        if source.dataset == "sample":
            raw = self.sample()
            return Found(raw if only is None else take_split(raw, only[0]), [Path()], *SIDE)
        place = find_place(source)
        if place is not None and place.is_dir() and not (self.image_column or self.mask_column):
            from hfkit.data.images.coco_masks import read_coco
            from hfkit.data.images.folders import find_pictures, tell_left_out
            from hfkit.data.images.pairs import read_pairs

            found = find_pictures(place, allow_outside=self.allow_outside_images)
            if (coco := read_coco(found)) is not None:
                tell_left_out(found, [path for path in found.others if path.suffix.lower() == ".json"])
                splits = coco.splits if only is None else take_split(coco.splits, only[0])
                return Found(splits, [place], *SIDE, coco.names)
            if (pairs := read_pairs(found)) is not None:
                tell_left_out(found)
                return Found(pairs if only is None else take_split(pairs, only[0]), [place], *SIDE)
        kinds = TABLES | {"or pictures in images/ with masks of the same names in masks/": ""}
        raw = read_splits(source, kinds=kinds) if only is None else read_one_split(source, only[0], kinds=kinds)
        images, masks = self._image_column(raw), self._mask_column(raw)
        if images == masks:
            raise UserError(f"column '{images}'", "pictures and masks are two columns", "Name that of --mask_column")
        raw = leave_unlabelled_test(raw, self.mask_column, MASK_COLUMNS)
        if place is None:
            return Found(raw, [Path(config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)], images, masks)
        if place.is_dir():
            from hfkit.data.images.layout import begin_at_folder

            for column in (images, masks):
                raw = begin_at_folder(raw, place, column, only, allow_outside=self.allow_outside_images)
        return Found(raw, [place if place.is_dir() else place.parent], images, masks)

    def _image_column(self, raw: DatasetDict) -> str:
        columns = next(iter(raw.values())).features
        pictures = [name for name, feature in columns.items() if isinstance(feature, Image)]
        masks = {name for tier in MASK_COLUMNS for name in match_usual(list(columns), tier)}
        others = [name for name in pictures if name not in masks]
        given = self.image_column or (others[0] if len(others) == 1 else None)
        return find_usual_column(raw, given, IMAGE_COLUMNS, "--image_column", media=True)

    def _mask_column(self, raw: DatasetDict) -> str:
        return find_usual_column(raw, self.mask_column, MASK_COLUMNS, "--mask_column", media=True)

    # Checking them

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        """Rows with an image and a mask; every file is read to its end once."""
        from hfkit.data.images.files import describe_conversions
        from hfkit.data.images.masks import look_at_masks

        rows, columns = raw.splits[split], raw.columns
        seen, faults = self._look(split, rows, columns["image"], raw.roots)
        if conversions := describe_conversions(seen):
            tell(f"{split}: images are converted as they are read: {conversions}")
        masks, astray = self._locate(split, rows, columns["mask"], raw.roots)
        faults += astray
        known = {fault.row for fault in faults}
        looks, unusable = look_at_masks(
            masks, upright_sizes(seen), columns["mask"], self.flags.palette, known=known, split=split
        )
        faults += unusable
        classes = target if isinstance(target, MaskClasses) else self._settle(looks, raw)
        bad = {fault.row for fault in faults}
        faults += find_unknown(looks, bad, columns["mask"], classes, finished=finished)
        numbers = List(Value("int32"))
        seen = seen.add_column("mask", masks["image"][:], feature=Image(decode=False))
        marks = [look.fingerprint for look in looks]
        seen = seen.add_column("mask_fingerprint", marks, feature=Value("string"))
        seen = seen.add_column("values", [list(look.values) for look in looks], feature=numbers)
        seen = seen.add_column("pixels", [list(look.pixels) for look in looks], feature=numbers)
        return seen.add_column("legend", [write_legend(classes)] * len(seen), feature=Value("string")), faults

    def _settle(self, looks: Sequence[Any], raw: Raw) -> MaskClasses:
        found = {value for look in looks for value in look.values}
        beside = raw.roots[0] if raw.roots and self.dataset != "sample" else None
        return settle_classes(found or {0}, self.flags, beside, known=raw.writing)

    def _locate(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image` with the pictures or masks of a column, and a fault for each path that leads nowhere."""
        from hfkit.data.images.files import cast_images
        from hfkit.data.images.paths import locate_images

        rows = rows.select_columns([column])
        rows = rows if column == "image" else rows.rename_column(column, "image")
        allow = self.allow_outside_images
        return locate_images(cast_images(rows, split, column), roots, allow_outside=allow, split=split, column=column)

    def _look(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        from hfkit.data.images.files import look_at_all

        rows, astray = self._locate(split, rows, column, roots)
        known = {fault.row for fault in astray}
        rows, unusable = look_at_all(rows, split, column, most_megapixels=self.max_megapixels, known=known)
        return rows, astray + unusable

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        found = {name for row in count_classes(train) for name in row}
        if len(found) < 2:
            raise UserError(
                f"masks of {', '.join(found) or 'no class'} alone",
                "training masks hold two classes or more",
                "Check --ignore_index and --reduce_labels, and which number stands for what",
            )

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def classes(self, rows: Dataset) -> list[tuple[str, ...]]:
        return [tuple(row) for row in count_classes(rows)]

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most)) if most < len(train) else train

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Rows of `image`; paths begin at the folder `dataset`, and stay in it."""
        require_vision()
        column = self._image_column(DatasetDict(input=raw))
        rows, faults = self._look("input", raw, column, [folder_of(self.dataset)])
        return rows, sorted(faults, key=lambda fault: fault.row)

    # Describing them

    def target(self, splits: DatasetDict) -> MaskClasses:
        """The classes of the training masks, or of the first split."""
        rows = splits["train"] if "train" in splits else next(iter(splits.values()))
        return self._classes_of(rows[0]["legend"])

    def _classes_of(self, legend: str) -> MaskClasses:
        read = read_legend(legend)
        values = [int(np.flatnonzero(read.ids == number)[0]) for number in range(len(read.names))]
        ignored = {255 if self.flags.ignored is None else self.flags.ignored} | ({0} if self.flags.reduced else set())
        return MaskClasses(read.names, None, tuple(values), tuple(sorted(ignored - {*values, -1})))

    def references(self, rows: Dataset) -> list[GoldMap]:
        kept = rows.select_columns(["mask", "legend"])
        return [GoldMap(kept, row, self.flags.palette) for row in range(len(rows))]

    def read_map(self, row: Mapping[str, Any]) -> np.ndarray:
        from hfkit.data.images.masks import read_mask_of

        return to_ids(read_mask_of(row["mask"], Path(), self.flags.palette), read_legend(row["legend"]))

    def to_map(self, places: np.ndarray, target: Target) -> PackedMap:
        return pack_map(places, names_of(target))

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, the share of pixels of each class, repeats and skipped rows, and facts of images."""
        from hfkit.data.images.files import image_facts

        learnt = set(splits["train"]["fingerprint"]) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            of_splits[split] = {"rows": len(rows), **describe_areas(rows), **image_facts(rows)}
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(mark in learnt for mark in rows["fingerprint"][:])
            of_splits[split]["skipped"] = count_skipped(rows)
        return of_splits

    def content(self, rows: Dataset) -> list[str]:
        return rows["fingerprint"][:]


def upright_sizes(rows: Dataset) -> list[tuple[int, int]]:
    """Width and height of every picture as it is seen.

    Only the turn that an EXIF tag asks for can exchange them, and a look does not say which turn that is.
    """
    from hfkit.data.images.pictures import read_orientation

    sizes = list(zip(rows["width"][:], rows["height"][:], strict=True))
    for row in np.flatnonzero(rows["rotated"][:]).tolist():
        if read_turn(rows[row]["image"], read_orientation) >= 5:
            sizes[row] = sizes[row][::-1]
    return sizes


def read_turn(image: dict[str, Any], read_orientation: Callable[[Any], int]) -> int:
    from hfkit.data.images.pictures import open_image

    return read_orientation(open_image(image, Path()))


def find_unknown(
    looks: Sequence[Any], bad: set[int], column: str, classes: MaskClasses, *, finished: bool
) -> list[Fault]:
    """A fault for each mask with a number that stands for nothing, and for each without a pixel of a class."""
    faults = []
    whose = "the model's classes" if finished else "its classes"
    for row, look in enumerate(looks):
        if row in bad:
            continue
        if strange := find_strangers(look.values, classes):
            pixels = look.pixels[look.values.index(strange[0])]
            known = ", ".join(map(str, classes.values[:12])) + (", …" if len(classes.values) > 12 else "")
            faults.append(
                Fault(
                    row,
                    column,
                    f"the number {strange[0]} in {pixels:,} pixels",
                    f"a mask holds the numbers of {whose} ({known}) and of none",
                    f"Name it with --class_names, or leave it out with --ignore_index {strange[0]}",
                )
            )
        elif not set(look.values) - set(classes.ignored):
            listed = ", ".join(map(str, look.values))
            fix = "Remove the row, or set --ignore_index to another number"
            faults.append(Fault(row, column, f"a mask of {listed} alone", "some pixels of a mask are of a class", fix))
    return faults


def count_classes(rows: Dataset) -> list[dict[str, int]]:
    """The pixels of each class in every mask."""
    legends = [read_legend(text) for text in rows["legend"][:]]
    return [
        count_pixels(values, pixels, legend)
        for values, pixels, legend in zip(rows["values"][:], rows["pixels"][:], legends, strict=True)
    ]


def describe_areas(rows: Dataset) -> dict[str, dict[str, Any]]:
    """How many images have some of each class, and its share of all pixels that have one; the most frequent first."""
    pixels: Counter[str] = Counter()
    images: Counter[str] = Counter()
    for row in count_classes(rows):
        pixels.update(row)
        images.update(row.keys())
    total = max(pixels.total(), 1)
    return {
        "images_with": dict(images.most_common()),
        "share_of_pixels": {name: count / total for name, count in pixels.most_common()},
    }
