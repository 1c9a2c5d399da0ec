"""COCO's JSON of regions as masks: each object's polygons or run lengths, painted when the mask is needed."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict

from hfkit.data.images.coco import Coco, open_coco
from hfkit.data.images.folders import Found
from hfkit.data.images.pairs import rows_of_images
from hfkit.data.images.pictures import Refused
from hfkit.data.images.runs import draw_region
from hfkit.data.notes import tell
from hfkit.data.split_names import SPLITS, split_of
from hfkit.errors import UserError

BACKGROUND = "background"  # what no object covers: 0 in these masks


class CocoRows(NamedTuple):
    """The rows of all files, and what the numbers in their masks stand for."""

    splits: DatasetDict
    names: dict[int, str]


def read_coco(found: Found) -> CocoRows | None:
    """Rows of `image` and `mask` from the files of COCO's JSON in a folder; None if it has none with regions.

    Each file is a split, by its own name or that of its folder; without such a name its pictures are train's.

    Raises:
        UserError: a file is broken, two files are the same split, or an annotation has a category without a name.
    """
    paths = [path for path in found.others if path.suffix.lower() == ".json"]
    files = [file for path in paths if (file := open_coco(path, "segmentation")) and file.annotations]
    if not files:
        return None
    names = sorted({name for file in files for name in file.categories.values()})
    first = files[0].categories
    # In the order of their ids where all files have the same ones.
    if all(file.categories == first for file in files):
        names = [first[number] for number in sorted(first)]
    numbers = {name: number for number, name in enumerate((name for name in names if name != BACKGROUND), 1)}
    splits: dict[str, Dataset] = {}
    for file in files:
        split = split_of(file.path.stem) or split_of(file.path.parent.name) or "train"
        if split in splits:
            raise UserError(
                f"dataset '{found.folder}'",
                f"several files of annotations are the split '{split}', such as '{file.path.name}'",
                "Keep one of them, or name each for its split",
            )
        splits[split] = make_rows(split, file, found, numbers)
    ordered = DatasetDict({split: splits[split] for split in SPLITS if split in splits})
    return CocoRows(ordered, {0: BACKGROUND, **{number: name for name, number in numbers.items()}})


def make_rows(split: str, file: Coco, found: Found, numbers: Mapping[str, int]) -> Dataset:
    """The pictures of a file with the regions of each, the largest first, so that small objects lie on top."""
    regions: dict[Any, list[tuple[float, int, Any]]] = defaultdict(list)
    for one in file.annotations:
        if one.get("category_id") not in file.categories:
            raise UserError(
                f"category_id {one.get('category_id')!r} in '{file.path.name}'",
                "every category of an annotation has a name",
                "Add it to the categories of the file",
            )
        name = file.categories[one["category_id"]]
        if one.get("segmentation"):
            number = numbers.get(name, 0)
            regions[one.get("image_id")].append((float(one.get("area") or 0), number, one["segmentation"]))
    known = {image["id"] for image in file.images}
    if strange := sum(len(of_image) for number, of_image in regions.items() if number not in known):
        tell(f"{split}: annotations without a picture are left out: {strange:,}")
    if empty := sum(image["id"] not in regions for image in file.images):
        tell(f"{split}: pictures without a region are all background: {empty:,}")
    places = find_places(split, file, found)
    pairs = []
    for image in file.images:
        of_image = sorted(regions[image["id"]], key=lambda one: -one[0])
        written = {
            "size": [image.get("height"), image.get("width")],
            "regions": [[number, region] for _, number, region in of_image],
        }
        pairs.append((places[image["id"]], {"bytes": json.dumps(written).encode(), "path": None}))
    return rows_of_images(pairs)


def find_places(split: str, file: Coco, found: Found) -> dict[Any, dict[str, Any]]:
    """The picture of each entry: the file of its name whose folders agree best with its path, the split and the place
    of the annotations. Where none or several do, the entry keeps its path, and is a fault later.
    """
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in found.pictures:
        by_name[path.name].append(path)
    places = {}
    for image in file.images:
        name = str(image.get("file_name") or "").replace("\\", "/")
        fitting = by_name[name.rpartition("/")[2]]
        near = file.path.relative_to(found.folder)
        ranked = sorted(
            ((agreement(path.relative_to(found.folder), name, split, near), path) for path in fitting), reverse=True
        )
        clear = ranked and (len(ranked) == 1 or ranked[0][0] > ranked[1][0])
        path = ranked[0][1].absolute() if clear else file.path.parent / name
        places[image["id"]] = {"bytes": None, "path": str(path)}
    return places


def agreement(path: Path, name: str, split: str, beside: Path) -> tuple[int, bool, int]:
    """How many names a path shares with another at their ends; whether a folder of it names the split; and how many
    it shares with a third at their starts."""
    folders = path.parts[:-1]
    of_split = any(split_of(folder) == split for folder in folders)
    return count_equal(path.parts[::-1], Path(name).parts[::-1]), of_split, count_equal(folders, beside.parts)


def count_equal(one: Sequence[str], other: Sequence[str]) -> int:
    """The number of equal items at the start of two sequences."""
    pairs = zip(one, other, strict=False)
    return next((place for place, (mine, theirs) in enumerate(pairs) if mine != theirs), min(len(one), len(other)))


def paint_regions(data: bytes) -> np.ndarray:
    """The mask that regions make, (height, width): the number of the last one that covers a pixel, otherwise 0.

    Raises:
        Refused: a region is broken or does not fit.
    """
    written = json.loads(data)
    height, width = written["size"]
    if not (isinstance(height, int) and isinstance(width, int) and 0 < height * width < 10**9):
        raise Refused("every picture of the file of annotations has a width and a height", "Export it again")
    mask = np.zeros((height, width), np.uint16)
    for number, region in written["regions"]:
        mask[draw_region(region, width, height)] = number
    return mask
