"""Pictures with boxes: where they come from, in which writing, and the faults of single rows."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
from datasets import ClassLabel, Dataset, DatasetDict, Features, Image, List, Value, concatenate_datasets, config
from huggingface_hub.constants import HF_HUB_CACHE

from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Target, names_of
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import MEND, find_usual_column, match_usual, space_evenly
from hfkit.data.files import TABLES, read_one_split, read_splits, take_split
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.data.places import find_place
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.tasks.classification.pictures import IMAGE_COLUMNS, folder_of
from hfkit.tasks.detection.boxes import AUTO, WRITINGS, Writing, guess_writings
from hfkit.tasks.detection.cells import BOXES, LABELS, Marked, NoObjects, place_objects, read_marked
from hfkit.tasks.detection.files import read_annotated_folder
from hfkit.tasks.detection.target import Objects

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


@dataclass(frozen=True)
class BoxedPictureRows:
    """Rows of `image` (bytes or a path, not decoded) with its facts, and of the objects in it: `boxes` (left, top,
    right, bottom in pixels of the upright picture), `labels` and `crowd`. `width` and `height` are of the upright
    picture. `clipped` boxes stood out of it, and those `left_out` have no area there.
    """

    dataset: str
    image_column: str | None
    objects_column: str | None
    box_format: str
    unit_column: str | None
    allow_outside_images: bool
    max_megapixels: float
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.IMAGE
    unit: ClassVar[str] = "picture"

    @property
    def main_column(self) -> str:
        return self.image_column or "image"

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

    def _find_image(self, raw: DatasetDict) -> str:
        columns = next(iter(raw.values())).features
        pictures = [name for name, feature in columns.items() if isinstance(feature, Image)]
        given = self.image_column or (pictures[0] if len(pictures) == 1 else None)
        return find_usual_column(raw, given, IMAGE_COLUMNS, "--image_column", media=True)

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

    def _look(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image` with facts from one look at each, its size upright, and a fault for each unusable one."""
        from hfkit.data.images.files import cast_images, describe_conversions, look_at_all
        from hfkit.data.images.paths import locate_images

        rows = rows.select_columns([column])
        rows = rows if column == "image" else rows.rename_column(column, "image")
        rows, astray = locate_images(
            cast_images(rows, split, column), roots, allow_outside=self.allow_outside_images, split=split, column=column
        )
        known = {fault.row for fault in astray}
        seen, unusable = look_at_all(rows, split, column, most_megapixels=self.max_megapixels, known=known)
        if conversions := describe_conversions(seen):
            tell(f"{split}: images are converted as they are read: {conversions}")
        return turn_sizes(seen, folder_of(self.dataset)), astray + unusable

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        if not any(train["labels"][:]):
            raise UserError(
                f"column '{raw.columns['objects']}'",
                "no picture of train has a box, so there is nothing to find",
                "Check that this is the column of objects",
            )

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def classes(self, rows: Dataset) -> list[tuple[str, ...]] | None:
        return [tuple(sorted(set(labels))) or ("",) for labels in rows["labels"][:]]

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Rows of `image`; paths begin at the folder `dataset`, and stay in it."""
        require_vision()
        column = self._find_image(DatasetDict(input=raw))
        rows, faults = self._look("input", raw, column, [folder_of(self.dataset)])
        return rows, sorted(faults, key=lambda fault: fault.row)

    def target(self, splits: DatasetDict) -> Objects:
        names = {label for rows in splits.values() for labels in rows["labels"] for label in labels}
        return Objects(tuple(sorted(names, key=sort_key)))

    def references(self, rows: Dataset) -> list[dict[str, Any]]:
        columns = (rows[name][:] for name in ("boxes", "labels", "crowd"))
        return [
            {"boxes": boxes, "labels": labels, "crowd": crowd} for boxes, labels, crowd in zip(*columns, strict=True)
        ]

    # Facts

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """All classes; for each split its pictures, boxes, repeats and skipped rows, and facts of its images."""
        from hfkit.data.images.files import image_facts

        learnt = set(splits["train"]["fingerprint"]) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            labels = rows["labels"][:]
            counts = Counter(label for of_row in labels for label in of_row)
            of_splits[split] = {
                "rows": len(rows),
                "boxes": sum(map(len, labels)),
                "objects": {name: counts[name] for name in sorted(counts, key=sort_key)},
                "without_boxes": sum(not of_row for of_row in labels),
                "most_boxes": max(map(len, labels), default=0),
                "crowds": sum(map(sum, rows["crowd"][:])),
                "boxes_clipped": sum(rows["clipped"][:]),
                "boxes_without_area": sum(rows["left_out"][:]),
                **image_facts(rows),
            }
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(mark in learnt for mark in rows["fingerprint"][:])
            of_splits[split]["skipped"] = count_skipped(rows)
        return {"labels": names_of(self.target(splits)), **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        return rows["fingerprint"][:]


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


def find_names(raw: DatasetDict, objects: str, labels: str | None) -> tuple[str, ...] | None:
    """The names of numbered classes, where the columns have them."""
    features = next(iter(raw.values())).features
    parts = [features[labels]] if labels else []
    inner = features[objects]
    inner = inner.feature if isinstance(inner, List) else inner
    if isinstance(inner, Mapping):
        parts += [inner[name] for name in LABELS if name in inner]
    for part in parts:
        part = part.feature if isinstance(part, List) else part
        if isinstance(part, ClassLabel):
            return tuple(part.names)
    return None


def name_class(label: Any, names: tuple[str, ...] | None) -> str:
    """The name of a class.

    Raises:
        NoObjects: it has none.
    """
    if isinstance(label, bool) or label is None or (isinstance(label, str) and not label.strip()):
        raise NoObjects(f"{label!r}", "every box has a class")
    if names is None or isinstance(label, str):
        if isinstance(label, float) and label.is_integer():
            label = int(label)
        return str(label).strip()
    if not 0 <= label < len(names):
        raise NoObjects(f"class {label}", "every class has a name")
    return names[label]


def refuse_unknown(labels: Sequence[str], known: set[str] | None, *, finished: bool) -> None:
    """Refuse classes that a head has no place for."""
    strange = sorted(set(labels) - known) if known is not None else []
    if strange:
        who = "the model was trained on" if finished else "there is a box in train"
        raise NoObjects(
            f"class '{strange[0]}'", f"every class is one that {who}" if finished else f"of every class {who}"
        )


def tell_changes(split: str, found: Sequence[Mapping[str, Any]]) -> None:
    clipped, left_out = (sum(one[name] for one in found) for name in ("clipped", "left_out"))
    if clipped:
        tell(f"{split}: {clipped:,} boxes stand out of their picture and are clipped")
    if left_out:
        tell(f"{split}: {left_out:,} boxes without an area in their picture are left out")


def turn_sizes(rows: Dataset, folder: Path) -> Dataset:
    """The rows with the sizes of their pictures as they stand upright."""
    from hfkit.data.images.pictures import open_image, read_orientation

    turned = [row for row, turns in enumerate(rows["rotated"][:]) if turns]
    if not turned:
        return rows
    width, height = rows["width"][:], rows["height"][:]
    for row in turned:
        if read_orientation(open_image(rows[row]["image"], folder)) >= 5:
            width[row], height[row] = height[row], width[row]
    rows = rows.remove_columns(["width", "height"])
    return rows.add_column("width", width, feature=Value("int32")).add_column("height", height, feature=Value("int32"))


def sort_key(label: str) -> tuple[int, str]:
    """Numbers in their order, before names."""
    return (int(label), "") if label.isdecimal() else (1 << 30, label)
