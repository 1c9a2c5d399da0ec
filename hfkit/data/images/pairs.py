"""Pictures with masks beside them: in folders of their own, with names of their own, or as Pascal VOC lays them out."""

import os
import re
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from datasets import Dataset, DatasetDict, concatenate_datasets

from hfkit.data.columns import fold
from hfkit.data.images.folders import Found, Parts, split_of_folder
from hfkit.data.images.paths import image_rows
from hfkit.data.notes import tell
from hfkit.data.split_names import SPLITS, split_of
from hfkit.errors import UserError

PICTURES = {"image", "images", "img", "imgs", "picture", "pictures", "jpegimages", "leftimg8bit", "photos", "input"}
MASKS = {
    *("mask", "masks", "label", "labels", "annotation", "annotations", "annot", "seg", "segmentation"),
    *("segmentationclass", "gtfine", "gt", "groundtruth", "labelids", "target", "targets", "segmentations"),
}
# Of a folder for masks and split alike: trainannot, train_labels, val-masks.
JOINT = re.compile(
    rf"^(?P<split>[a-z]+)[\W_]*(?P<kind>{'|'.join(sorted(MASKS, key=len, reverse=True))})$", re.IGNORECASE
)
ENDING = re.compile(
    r"[\W_]+(?:gtfine_labeltrainids|gtfine_labelids|segmentation|mask|masks|seg|label|labels|annotation|gt|l|p)$",
    re.IGNORECASE,
)
OF_PICTURE = re.compile(r"[\W_]+(?:leftimg8bit|image|img|sat|rgb)$", re.IGNORECASE)
MASK_SUFFIXES = {".png", ".bmp", ".tif", ".tiff", ".gif", ".webp", ".pgm"}
VOC_LISTS = ("ImageSets", "Segmentation")


class Place(NamedTuple):
    """A file by what its folders say of it."""

    path: Path
    folders: Parts  # without those that say picture or mask
    stem: str
    is_mask: bool | None  # None: the folders do not say


class Pair(NamedTuple):
    """A picture and its mask."""

    picture: Path
    mask: Path | None
    split: str | None


def find_pairs(found: Found) -> list[Pair] | None:
    """The pictures of a folder with their masks, in the order of the walk; None if no picture has one.

    A mask stands in a folder such as `masks`, under the stem of its picture, or beside it as NAME_mask.png.

    Raises:
        UserError: two pictures share one mask.
    """
    places = [place_of(path, parts) for parts, path in found.parts().items()]
    if any(place.is_mask for place in places):
        masks = [place for place in places if place.is_mask]
        pictures = [place for place in places if not place.is_mask]
    else:
        stems = {(place.folders, place.stem) for place in places}
        masks = [one for one in places if (one.folders, ENDING.sub("", one.stem)) in stems and ENDING.search(one.stem)]
        taken = {place.path for place in masks}
        pictures = [place for place in places if place.path not in taken]
    lossy = [place for place in masks if place.path.suffix.lower() not in MASK_SUFFIXES]
    pairs = match(pictures, [place for place in masks if place not in lossy] or lossy, found.folder)
    return pairs if any(pair.mask for pair in pairs) else None


def place_of(path: Path, parts: Parts) -> Place:
    folders, is_mask = [], None
    for name in parts[:-1]:
        joint = JOINT.match(name)
        if fold(name) in PICTURES | MASKS:
            is_mask = fold(name) in MASKS if is_mask is None else is_mask
        elif joint and split_of(joint["split"]):
            folders.append(joint["split"])
            is_mask = True
        else:
            folders.append(name)
    return Place(path, tuple(folders), path.stem, is_mask)


def match(pictures: list[Place], masks: list[Place], folder: Path) -> list[Pair]:
    """Every picture with its mask, if it has one; masks without a picture are told."""
    by_name: dict[tuple[Parts, str], list[Place]] = defaultdict(list)
    for place in pictures:
        by_name[place.folders, place.stem].append(place)
        if OF_PICTURE.search(place.stem):
            by_name[place.folders, OF_PICTURE.sub("", place.stem)].append(place)
    mask_of: dict[Path, Path] = {}
    alone: list[Place] = []
    for mask in masks:
        stems = (mask.stem, ENDING.sub("", mask.stem), ENDING.sub("", ENDING.sub("", mask.stem)))
        fitting = next((by_name[mask.folders, stem] for stem in stems if (mask.folders, stem) in by_name), [])
        if len(fitting) > 1:
            names = " and ".join(place.path.name for place in fitting[:2])
            raise UserError(f"mask '{mask.path.name}'", f"it may be that of {names}", "Give every picture its own name")
        if fitting and fitting[0].path not in mask_of:
            mask_of[fitting[0].path] = mask.path
        else:
            alone.append(mask)
    if alone:
        shown = alone[0].path.relative_to(folder)
        tell(f"{folder.name}: masks without a picture are left out: {len(alone):,}, such as '{shown}'")
    return [Pair(place.path, mask_of.get(place.path), split_of_place(place)) for place in pictures]


def split_of_place(place: Place) -> str | None:
    return next((split for name in place.folders if (split := split_of_folder(name))), None)


def read_pairs(found: Found) -> DatasetDict | None:
    """Rows of `image` and `mask` by split; those of a folder that is not divided are train's; None if there are none.

    Raises:
        UserError: two pictures share one mask.
    """
    pairs = find_pairs(found)
    if pairs is None:
        return None
    if listed := read_lists(found):
        unlisted = sum(pair.picture.stem not in listed for pair in pairs)
        if unlisted:
            tell(f"{found.folder.name}: pictures that are in no list of ImageSets are left out: {unlisted:,}")
        pairs = [pair._replace(split=listed[pair.picture.stem]) for pair in pairs if pair.picture.stem in listed]
    divided = any(pair.split for pair in pairs)
    if divided and (outside := sum(pair.split is None for pair in pairs)):
        tell(f"{found.folder.name}: pictures beside the splits are left out: {outside:,}")
    by_split: dict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_split[pair.split or ("" if divided else "train")].append(pair)
    return DatasetDict({split: rows_of(by_split[split]) for split in SPLITS if split in by_split})


def rows_of(pairs: list[Pair]) -> Dataset:
    def place(path: Path | None) -> dict | None:
        return None if path is None else {"bytes": None, "path": os.path.abspath(path)}

    return rows_of_images([(place(pair.picture), place(pair.mask)) for pair in pairs])


def rows_of_images(pairs: list[tuple[dict | None, dict | None]]) -> Dataset:
    """Rows of `image` and `mask`, each bytes or a path."""
    masks = image_rows([mask for _, mask in pairs]).rename_column("image", "mask")
    return concatenate_datasets([image_rows([image for image, _ in pairs]), masks], axis=1)


def read_lists(found: Found) -> dict[str, str]:
    """The split of every stem that the lists of Pascal VOC name; {} without such lists."""
    splits: dict[str, str] = {}
    for path in found.others:
        if path.suffix == ".txt" and path.parts[-3:-1] == VOC_LISTS and (split := split_of(path.stem)):
            splits |= dict.fromkeys(path.read_text(encoding="utf-8").split(), split)
    return splits
