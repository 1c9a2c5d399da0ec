"""Pictures with the pixels of every object: where they come from, and the faults of single rows."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from datasets import Dataset, DatasetDict, Features, List, Value, concatenate_datasets, config
from huggingface_hub.constants import HF_HUB_CACHE

from hfkit.contract.rows import Only, Raw, Source
from hfkit.contract.target import Target, names_of
from hfkit.data.bad_rows import Fault
from hfkit.data.columns import MEND, find_usual_column, match_usual
from hfkit.data.files import TABLES, read_one_split, read_splits, take_split
from hfkit.data.images.pictures import Refused
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.data.places import find_place
from hfkit.data.units import find_unit_column
from hfkit.progress import progress
from hfkit.tasks.detection.cells import LABELS, NoObjects
from hfkit.tasks.detection.files import read_annotated_folder
from hfkit.tasks.detection.pictures import PicturesOfObjects, find_names, name_class, refuse_unknown
from hfkit.tasks.instances.cells import REGIONS, Masks, name_numbers, paint_regions, read_regions, split_map

OBJECTS = (("objects", "annotations"), REGIONS)
MAPS = (
    ("instances", "instance_mask", "instance_masks", "instance_map", "instance_segmentation"),
    ("mask", "masks", "annotation", "label_mask", "mask_path", "mask_file"),
)
CHECKED = Features(
    {
        "runs": List(Value("string")),
        "boxes": List(List(Value("float32"))),
        "labels": List(Value("string")),
        "crowd": List(Value("bool")),
        "left_out": Value("int32"),
    }
)
NONE = Masks([], [], [], [], 0)

Read = Callable[[int, int], Masks]  # for a picture of this width and height


class Written(NamedTuple):
    """How the answers of a dataset are written."""

    maps: bool  # as pictures of numbered objects, not as regions
    labels: str | None  # the column of classes, where they stand apart
    names: tuple[str, ...] | None  # of numbered classes; None: labels name themselves


@dataclass(frozen=True, kw_only=True)
class InstanceRows(PicturesOfObjects):
    """Rows of pictures with the pixels of objects: `runs`, the compressed counts of COCO's run lengths of each, and
    `boxes` around them. Those `left_out` have no pixel.
    """

    mask_column: str | None
    class_name: str  # of all objects, where nothing else names their classes

    things: ClassVar[str] = "masks"

    # Reading

    def read(self, source: Source, only: Only | None) -> Raw:
        require_vision()
        raw, roots = self._read_rows(source, only)
        columns = {"image": self._find_image(raw)}
        columns["objects"], maps = self._find_answers(raw)
        labels = None
        if maps or columns["objects"] in REGIONS:
            labels = next(iter(match_usual(next(iter(raw.values())).column_names, LABELS)), None)
        if maps and labels is None:
            tell(f"masks: every object is of the class '{self.class_name}' (--class_name)")
        unit = find_unit_column(raw, self.unit_column)
        columns |= {"unit": unit} if unit else {}
        names = None if maps and labels is None else find_names(raw, labels or columns["objects"], labels)
        return Raw(raw, columns, tuple(roots), Written(maps, labels, names))

    def _read_rows(self, source: Source, only: Only | None) -> tuple[DatasetDict, list[Path]]:
        if source.dataset == "sample":
            return (self.sample() if only is None else take_split(self.sample(), only.name)), [Path()]
        location = find_place(source)
        if location is not None and location.is_dir() and not (self.objects_column or self.mask_column):
            if (found := self._read_folder(location, only)) is not None:
                return found, [location]
        kinds = TABLES | {"or pictures beside COCO JSON, or in images/ with masks of the same names in masks/": ""}
        raw = read_splits(source, kinds=kinds) if only is None else read_one_split(source, only.name, kinds=kinds)
        if location is None:
            # The files of a Hub dataset lie in the cache of `datasets`.
            return raw, [Path(config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)]
        return raw, [location if location.is_dir() else location.parent]

    def _read_folder(self, folder: Path, only: Only | None) -> DatasetDict | None:
        """The rows of a folder without tables: regions in COCO's JSON, or a map of objects for each picture."""
        from hfkit.data.images.folders import find_pictures
        from hfkit.data.images.pairs import read_pairs

        named, allow = None if only is None else (only.name,), self.allow_outside_images
        if (found := read_annotated_folder(folder, named, allow_outside=allow, regions=True)) is not None:
            return found
        pairs = read_pairs(find_pictures(folder, allow_outside=allow))
        return pairs if pairs is None or only is None else take_split(pairs, only.name)

    def _find_answers(self, raw: DatasetDict) -> tuple[str, bool]:
        """The column of objects or of maps, and whether it is one of maps."""
        features = next(iter(raw.values())).features
        if self.objects_column is None:
            maps = match_usual(list(features), sum(MAPS, ()))
            if self.mask_column or (maps and not any(holds_regions(features[name]) for name in features)):
                return find_usual_column(raw, self.mask_column, MAPS, "--mask_column", media=True), True
        return find_usual_column(raw, self.objects_column, OBJECTS, "--objects_column", media=True), False

    # Checking

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        """Rows with an image and the objects in it; every image and every mask is read to its end once."""
        rows, column = raw.splits[split], raw.columns["objects"]
        looked, unusable = self._look(split, rows, raw.columns["image"], raw.roots)
        bad, faults, written = {fault.row for fault in unusable}, [], raw.writing
        known = None if target is None else set(names_of(target))
        columns: dict[str, list[Any]] = {name: [] for name in CHECKED}
        sizes = zip(looked["width"][:], looked["height"][:], strict=True)
        readers = self._read_maps(split, raw) if written.maps else read_objects(rows, column, written.labels)
        with progress(f"Checking the masks of {split}", len(rows)) as advance:
            for row, (read, size) in enumerate(zip(readers, sizes, strict=True)):
                masks = NONE
                try:
                    if isinstance(read, NoObjects):
                        raise read
                    if row not in bad:
                        found = read(*size)
                        labels = [name_class(label, written.names) for label in found.labels]
                        refuse_unknown(labels, known, finished=finished)
                        masks = found._replace(labels=labels)
                except NoObjects as error:
                    faults.append(Fault(row, column, error.value, error.rule, MEND))
                for name, values in masks._asdict().items():
                    columns[name].append(values)
                advance()
        if left_out := sum(columns["left_out"]):
            tell(f"{split}: {left_out:,} objects without a pixel are left out")
        values = Dataset.from_dict(columns, features=CHECKED)
        # First what the annotations say: a picture that they do not name is missing too.
        return concatenate_datasets([looked, values], axis=1), faults + unusable

    def _read_maps(self, split: str, raw: Raw) -> Iterator[Read | NoObjects]:
        """For each row a function that reads its map of objects, or why there is none."""
        rows, column, labels = raw.splits[split], raw.columns["objects"], raw.writing.labels
        maps, astray = self._locate(split, rows, column, raw.roots)
        lost = {fault.row: NoObjects(fault.value, fault.rule) for fault in astray}
        beside: Sequence[Any] = rows[labels] if labels else [None] * len(rows)
        for row, (one, of_row) in enumerate(zip(maps["image"], beside, strict=True)):
            yield lost.get(row) or partial(read_map, one, of_row, self.class_name)

    def references(self, rows: Dataset) -> list[dict[str, Any]]:
        columns = (rows[name][:] for name in ("runs", "labels", "crowd", "height", "width"))
        return [
            {"runs": runs, "labels": labels, "crowd": crowd, "size": (height, width)}
            for runs, labels, crowd, height, width in zip(*columns, strict=True)
        ]

    def _count(self, rows: Dataset) -> dict[str, Any]:
        return {**super()._count(rows), "objects_without_pixels": sum(rows["left_out"][:])}


def holds_regions(feature: Any) -> bool:
    """Whether the values of a column are objects with regions."""
    inner = feature.feature if isinstance(feature, List) else feature
    return isinstance(inner, Mapping) and bool(match_usual(list(inner), REGIONS))


def read_objects(rows: Dataset, column: str, labels: str | None) -> Iterator[Read | NoObjects]:
    """For each row a function that paints its regions, or why there are none."""
    beside: Sequence[Any] = rows[labels] if labels else [None] * len(rows)
    for cell, of_cell in zip(rows[column], beside, strict=True):
        try:
            yield partial(paint_regions, read_regions(cell, of_cell))
        except NoObjects as error:
            yield error


def read_map(image: dict[str, Any] | None, labels: Any, single: str, width: int, height: int) -> Masks:
    """The objects of a map, for a picture of this size.

    Args:
        labels, single: see `name_numbers`.

    Raises:
        NoObjects: it is no map, or of another picture.
    """
    from hfkit.data.images.files import name_image
    from hfkit.data.images.masks import look_at_mask, mask_bytes, read_mask

    try:
        data = mask_bytes(image)
        look_at_mask(data, (width, height), None)
    except Refused as error:
        named = name_image(image).replace("image", "mask", 1)
        raise NoObjects(f"{named} ({error.detail})" if error.detail else named, error.rule) from error
    numbers, masks = split_map(read_mask(data, None))
    return masks._replace(labels=name_numbers(numbers, labels, single))
