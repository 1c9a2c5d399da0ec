"""Pictures with boxes: where they come from, in which writing, and the faults of single rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from datasets import Dataset, DatasetDict, Features, List, Value, concatenate_datasets, config
from huggingface_hub.constants import HF_HUB_CACHE

from hfkit.contract.rows import Only, Raw, Source
from hfkit.contract.target import Target, names_of
from hfkit.data.bad_rows import Fault
from hfkit.data.columns import MEND, find_usual_column, match_usual
from hfkit.data.files import TABLES, read_one_split, read_splits, take_split
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.data.places import find_place
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.tasks.detection.boxes import AUTO, WRITINGS, Writing, guess_writings
from hfkit.tasks.detection.cells import BOXES, LABELS, Marked, NoObjects, place_objects, read_marked
from hfkit.tasks.detection.files import read_annotated_folder
from hfkit.tasks.detection.pictures import PicturesOfObjects, find_names, name_class, refuse_unknown

OBJECTS = (("objects", "annotations"), BOXES)
CHECKED = Features(
    {
        "boxes": List(List(Value("float32"))),
        "labels": List(Value("string")),
        "crowd": List(Value("bool")),
        "clipped": Value("int32"),
        "left_out": Value("int32"),
    }
)


class Written(NamedTuple):
    """How the answers of a dataset are written."""

    names: tuple[str, ...] | None  # of numbered classes; None: labels name themselves
    cells: dict[str, list[Marked | NoObjects]]  # the objects of every row, by split


@dataclass(frozen=True, kw_only=True)
class BoxedPictureRows(PicturesOfObjects):
    """Rows of pictures with the `boxes` of objects (left, top, right, bottom in pixels of the upright picture).
    `clipped` boxes stood out of it, and those `left_out` have no area there.
    """

    box_format: str

    things: ClassVar[str] = "boxes"

    # Reading

    def read(self, source: Source, only: Only | None) -> Raw:
        require_vision()
        raw, roots = self._read_rows(source, only)
        image = self._find_image(raw)
        objects = find_usual_column(raw, self.objects_column, OBJECTS, "--objects_column", media=True)
        columns = {"image": image, "objects": objects}
        labels = None
        if objects in BOXES and (found := match_usual(next(iter(raw.values())).column_names, LABELS)):
            labels = found[0]
        unit = find_unit_column(raw, self.unit_column)
        columns |= {"unit": unit} if unit else {}
        cells = {split: read_cells(rows, objects, labels) for split, rows in raw.items()}
        return Raw(raw, columns, tuple(roots), Written(find_names(raw, objects, labels), cells))

    def _read_rows(self, source: Source, only: Only | None) -> tuple[DatasetDict, list[Path]]:
        if source.dataset == "sample":
            return (self.sample() if only is None else take_split(self.sample(), only.name)), [Path()]
        location = find_place(source)
        if location is not None and location.is_dir():
            found = read_annotated_folder(
                location, None if only is None else (only.name,), allow_outside=self.allow_outside_images
            )
            if found is not None:
                return found, [location]
        kinds = TABLES | {"or pictures beside COCO JSON, Pascal VOC XML or YOLO texts": ""}
        raw = read_splits(source, kinds=kinds) if only is None else read_one_split(source, only.name, kinds=kinds)
        if location is None:
            # The files of a Hub dataset lie in the cache of `datasets`.
            return raw, [Path(config.HF_DATASETS_CACHE), Path(HF_HUB_CACHE)]
        return raw, [location if location.is_dir() else location.parent]

    # Checking

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        """Rows with an image and the objects in it; every image is read to its end once."""
        looked, unusable = self._look(split, raw.splits[split], raw.columns["image"], raw.roots)
        bad, column = {fault.row for fault in unusable}, raw.columns["objects"]
        written: Written = raw.writing
        faults: list[Fault] = []
        sizes = list(zip(looked["width"], looked["height"], strict=True))
        cells = written.cells[split]
        writing = self._settle_writing(written, raw, split, sizes, bad)
        known = None if target is None else set(names_of(target))
        found: list[dict[str, Any]] = []
        for row, cell in enumerate(cells):
            objects = {"boxes": [], "labels": [], "crowd": [], "clipped": 0, "left_out": 0}
            if row not in bad or isinstance(cell, NoObjects):
                try:
                    if isinstance(cell, NoObjects):
                        raise cell
                    placed = place_objects(cell, cell.writing or writing, *sizes[row])
                    labels = [name_class(label, written.names) for label in placed.labels]
                    refuse_unknown(labels, known, finished=finished)
                    objects = {**placed._asdict(), "boxes": placed.boxes.tolist(), "labels": labels}
                except NoObjects as error:
                    faults.append(Fault(row, column, error.value, error.rule, MEND))
            found.append(objects)
        tell_changes(split, found)
        values = Dataset.from_dict({name: [one[name] for one in found] for name in CHECKED}, features=CHECKED)
        # First what the annotations say: a picture that they do not name is missing too.
        return concatenate_datasets([looked, values], axis=1), faults + unusable

    def _settle_writing(
        self, written: Written, raw: Raw, split: str, sizes: Sequence[tuple[int, int]], bad: set[int]
    ) -> Writing:
        """How the numbers of boxes without named sides are meant: as the flag says, or as no other way fits.

        Raises:
            UserError: several ways fit.
        """
        if self.box_format != AUTO:
            return WRITINGS[self.box_format]
        values, width, height = [], [], []
        for row, cell in enumerate(written.cells[split]):
            if isinstance(cell, Marked) and cell.writing is None and len(cell.boxes) and row not in bad:
                values.append(cell.boxes)
                width += [sizes[row][0]] * len(cell.boxes)
                height += [sizes[row][1]] * len(cell.boxes)
        if not values:
            return WRITINGS["xyxy"]
        numbers = np.concatenate(values)
        able = guess_writings(
            numbers[np.isfinite(numbers).all(axis=1)],
            *(np.array(side)[np.isfinite(numbers).all(axis=1)] for side in (width, height)),
        )
        if len(able) == 1:
            tell(f"{split}: boxes are read as {able[0].name}: nothing else fits their pictures")
            return able[0]
        names = ", ".join(writing.name for writing in able) or "none"
        raise UserError(
            f"the boxes of split '{split}', such as ({', '.join(f'{side:g}' for side in numbers[0])})",
            f"their numbers have one meaning, and {len(able)} fit the pictures ({names})",
            f"Say which with --box_format ({', '.join(WRITINGS)})",
        )

    def references(self, rows: Dataset) -> list[dict[str, Any]]:
        columns = (rows[name][:] for name in ("boxes", "labels", "crowd"))
        return [
            {"boxes": boxes, "labels": labels, "crowd": crowd} for boxes, labels, crowd in zip(*columns, strict=True)
        ]

    def _count(self, rows: Dataset) -> dict[str, Any]:
        clipped, flat = (sum(rows[name][:]) for name in ("clipped", "left_out"))
        return {**super()._count(rows), "boxes_clipped": clipped, "boxes_without_area": flat}


def read_cells(rows: Dataset, objects: str, labels: str | None) -> list[Marked | NoObjects]:
    """The objects of every row, or why there are none to be read."""
    found: list[Marked | NoObjects] = []
    beside = rows[labels][:] if labels else [None] * len(rows)
    for cell, of_cell in zip(rows[objects][:], beside, strict=True):
        try:
            found.append(read_marked(cell, of_cell))
        except NoObjects as error:
            found.append(error)
    return found


def tell_changes(split: str, found: Sequence[Mapping[str, Any]]) -> None:
    clipped, left_out = (sum(one[name] for one in found) for name in ("clipped", "left_out"))
    if clipped:
        tell(f"{split}: {clipped:,} boxes stand out of their picture and are clipped")
    if left_out:
        tell(f"{split}: {left_out:,} boxes without an area in their picture are left out")
