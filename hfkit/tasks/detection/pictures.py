"""Pictures with objects in them: what rows of boxes and rows of masks have in common."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from datasets import ClassLabel, Dataset, DatasetDict, Image, List, Value

from hfkit.contract.rows import Media, Raw
from hfkit.contract.target import names_of
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import find_usual_column, space_evenly
from hfkit.data.images.vision import require_vision
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.tasks.classification.pictures import IMAGE_COLUMNS, folder_of
from hfkit.tasks.detection.cells import LABELS, NoObjects
from hfkit.tasks.detection.target import Objects


@dataclass(frozen=True)
class PicturesOfObjects:
    """Rows of `image` (bytes or a path, not decoded) with its facts, the `labels` of the objects in it, and which of
    them are a `crowd`. `width` and `height` are of the upright picture.
    """

    dataset: str
    image_column: str | None
    objects_column: str | None
    unit_column: str | None
    allow_outside_images: bool
    max_megapixels: float
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.IMAGE
    unit: ClassVar[str] = "picture"
    things: ClassVar[str]  # what marks an object, in words
    objects: ClassVar[str] = "objects"  # the column of `Raw` that holds them

    @property
    def main_column(self) -> str:
        return self.image_column or "image"

    # Finding and checking the pictures

    def _find_image(self, raw: DatasetDict) -> str:
        columns = next(iter(raw.values())).features
        pictures = [name for name, feature in columns.items() if isinstance(feature, Image)]
        given = self.image_column or (pictures[0] if len(pictures) == 1 else None)
        return find_usual_column(raw, given, IMAGE_COLUMNS, "--image_column", media=True)

    def _locate(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image` with the pictures of a column, and a fault for each path that leads nowhere."""
        from hfkit.data.images.files import cast_images
        from hfkit.data.images.paths import locate_images

        rows = rows.select_columns([column])
        rows = rows if column == "image" else rows.rename_column(column, "image")
        allow = self.allow_outside_images
        return locate_images(cast_images(rows, split, column), roots, allow_outside=allow, split=split, column=column)

    def _look(self, split: str, rows: Dataset, column: str, roots: Sequence[Path]) -> tuple[Dataset, list[Fault]]:
        """Rows of `image` with facts from one look at each, its size upright, and a fault for each unusable one."""
        from hfkit.data.images.files import describe_conversions, look_at_all

        rows, astray = self._locate(split, rows, column, roots)
        known = {fault.row for fault in astray}
        seen, unusable = look_at_all(rows, split, column, most_megapixels=self.max_megapixels, known=known)
        if conversions := describe_conversions(seen):
            tell(f"{split}: images are converted as they are read: {conversions}")
        return turn_sizes(seen, folder_of(self.dataset)), astray + unusable

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        if not any(train["labels"][:]):
            raise UserError(
                f"column '{raw.columns[self.objects]}'",
                "no picture of train has an object, so there is nothing to find",
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

    # Facts

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """All classes; for each split its pictures, objects, repeats and skipped rows, and facts of its images."""
        from hfkit.data.images.files import image_facts

        learnt = set(splits["train"]["fingerprint"]) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            of_splits[split] = {"rows": len(rows), **self._count(rows), **image_facts(rows)}
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(mark in learnt for mark in rows["fingerprint"][:])
            of_splits[split]["skipped"] = count_skipped(rows)
        return {"labels": names_of(self.target(splits)), **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        return rows["fingerprint"][:]

    def _count(self, rows: Dataset) -> dict[str, Any]:
        """How many objects there are, for the report."""
        labels = rows["labels"][:]
        counts = Counter(label for of_row in labels for label in of_row)
        return {
            self.things: sum(map(len, labels)),
            "objects": {name: counts[name] for name in sorted(counts, key=sort_key)},
            f"without_{self.things}": sum(not of_row for of_row in labels),
            f"most_{self.things}": max(map(len, labels), default=0),
            "crowds": sum(map(sum, rows["crowd"][:])),
        }


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
        raise NoObjects(f"{label!r}", "every object has a class")
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
        who = "the model was trained on" if finished else "there is an object in train"
        raise NoObjects(
            f"class '{strange[0]}'", f"every class is one that {who}" if finished else f"of every class {who}"
        )


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
