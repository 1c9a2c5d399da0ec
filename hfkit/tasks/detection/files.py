"""Folders of pictures beside their annotations: COCO JSON, Pascal VOC XML and YOLO texts, known by their content.

Each is read into two columns, `image` (a path below the folder) and `objects`; what is wrong with one of them is kept
with its row, so that it can be skipped and counted like any other fault.
"""

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import yaml
from datasets import Dataset, DatasetDict, Features, List, Value

from hfkit.data.files import unclear_split
from hfkit.data.images.coco import Coco, open_coco
from hfkit.data.images.folders import Found, find_pictures
from hfkit.data.notes import tell
from hfkit.data.split_names import SPLITS, split_of
from hfkit.errors import UserError

COLUMNS = Features(
    {
        "image": Value("string"),
        "objects": {
            "bbox": List(List(Value("float64"))),
            "category": List(Value("string")),
            "iscrowd": List(Value("bool")),
            "box_format": Value("string"),
            "fault": List(Value("string")),  # a value and the rule that it breaks; [] of a good row
        },
    }
)
WITH_REGIONS = Features({**COLUMNS, "objects": {**COLUMNS["objects"], "segmentation": List(Value("string"))}})
NAMES = ("classes.txt", "obj.names", "labels.txt", "names.txt")  # a class a line


@dataclass
class Annotated:
    """One picture and what is said of it."""

    image: str | None  # its path below the folder; None: there is none
    writing: str
    boxes: list[list[float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    crowd: list[bool] = field(default_factory=list)
    fault: list[str] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)  # of each object as JSON, if they are asked for

    def to_row(self) -> dict[str, Any]:
        objects = {"bbox": self.boxes, "category": self.labels, "iscrowd": self.crowd}
        objects |= {"box_format": self.writing, "fault": self.fault, "segmentation": self.regions}
        return {"image": self.image, "objects": objects}


class Kind(NamedTuple):
    """Rows of one kind of annotation, by split; a split called "" is undivided."""

    title: str
    splits: dict[str, list[Annotated]]


def read_annotated_folder(
    folder: Path, only: tuple[str | None] | None, *, allow_outside: bool, regions: bool = False
) -> DatasetDict | None:
    """The rows of a folder that holds one of the known kinds of annotations; None if it holds none.

    Args:
        only: the name of the only split to read, as test; (None,) takes the one called test, or all that is undivided.
        regions: read `segmentation` too (polygons or run lengths, as JSON), and only annotations that have it.

    Raises:
        UserError: it holds several kinds, or the split is not there.
    """
    found = find_pictures(folder, allow_outside=allow_outside)
    if not found.pictures:
        return None
    pictures = Pictures(found)
    if regions:
        coco = read_coco(found, pictures, regions=True)
        kinds = [] if coco is None else [coco]
    else:
        kinds = [kind for read in (read_coco, read_voc, read_yolo) if (kind := read(found, pictures)) is not None]
    if not kinds:
        return None
    if len(kinds) > 1:
        raise UserError(
            f"folder '{folder}'",
            f"annotations are of one kind, and these are {' and '.join(kind.title for kind in kinds)}",
            "Give the folder of one of them",
        )
    (kind,) = kinds
    tell(f"{folder.name}: {kind.title}, {sum(map(len, kind.splits.values())):,} pictures with annotations")
    pictures.tell_left_over(kind)
    return choose_splits(kind.splits, only, WITH_REGIONS if regions else COLUMNS)


def choose_splits(
    splits: Mapping[str, list[Annotated]], only: tuple[str | None] | None, columns: Features
) -> DatasetDict:
    """The splits under their own names; of an undivided dataset all is train."""
    if only is not None:
        wanted = only[0]
        names = list(splits)
        meant = wanted if wanted in splits else split_of(wanted or "test")
        if wanted is None and len(names) == 1 and names[0] in ("", "train"):
            meant = names[0]
        if meant not in splits:
            raise unclear_split(wanted, names)
        return DatasetDict(test=to_rows(splits[meant], "test", columns))
    if set(splits) == {""}:
        return DatasetDict(train=to_rows(splits[""], "train", columns))
    return DatasetDict({split: to_rows(splits[split], split, columns) for split in SPLITS if splits.get(split)})


def to_rows(annotated: Sequence[Annotated], split: str, columns: Features) -> Dataset:
    rows = [one.to_row() for one in sorted(annotated, key=lambda one: one.image or "")]
    marks = [{name: row["objects"][name] for name in columns["objects"]} for row in rows]
    return Dataset.from_dict({"image": [row["image"] for row in rows], "objects": marks}, features=columns, split=split)


class Pictures:
    """The pictures of a folder by their names."""

    def __init__(self, found: Found) -> None:
        self.folder = found.folder
        self.by_name: dict[str, list[tuple[str, ...]]] = defaultdict(list)
        for parts in found.parts():
            self.by_name[parts[-1]].append(parts)
            self.by_name[Path(parts[-1]).stem].append(parts)

    def find(self, name: str, split: str, *, beside: Path | None = None) -> str | None:
        """The path below the folder of the picture with the longest end in common; None if there is none.

        Args:
            split: of several, the one in a folder of this split is meant.
            beside: of several, the one in this folder or below it is meant first.
        """
        parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", ".", ".."))
        able = self.by_name.get(parts[-1], []) if parts else []
        if not able:
            return None
        home = beside.relative_to(self.folder).parts if beside is not None else ()
        ranked = sorted(
            able,
            key=lambda one: (
                count_shared_end(one, parts),
                any(split_of(part) == split for part in one[:-1]) if split else False,
                one[: len(home)] == home,
            ),
        )
        return "/".join(ranked[-1])

    def tell_left_over(self, kind: Kind) -> None:
        """Count the pictures that nothing is said of: they are no pictures without objects."""
        used = {one.image for split in kind.splits.values() for one in split}
        every = {"/".join(parts) for places in self.by_name.values() for parts in places}
        if left := sorted(every - used):
            tell(f"{self.folder.name}: {len(left):,} pictures without annotations are not read, such as {left[0]}")


def count_shared_end(one: Sequence[str], other: Sequence[str]) -> int:
    shared = 0
    for first, second in zip(reversed(one), reversed(other), strict=False):
        if first != second and not (shared == 0 and Path(first).stem == second):
            break
        shared += 1
    return shared


def split_of_path(path: Path, folder: Path) -> str:
    """The split that a file's name or one of its folders means; "" if none does."""
    names = [path.stem, *reversed(path.relative_to(folder).parts[:-1])]
    return next((split for name in names if (split := split_of(name))), "")


# COCO


def read_coco(found: Found, pictures: Pictures, *, regions: bool = False) -> Kind | None:
    """Files with `images`, `annotations` with a `bbox`, and `categories`; of several for a split that of instances.

    Args:
        regions: annotations have a `segmentation`, and maybe no `bbox`.
    """
    marked = "segmentation" if regions else "bbox"
    files: dict[str, list[Coco]] = defaultdict(list)
    for path in found.others:
        if path.suffix.lower() == ".json" and (file := open_coco(path, marked)) is not None:
            files[split_of_path(path, found.folder)].append(file)
    if not files:
        return None
    splits = {}
    for split, given in files.items():
        instances = [one for one in given if one.path.stem.startswith("instances")] or given
        if len(instances) > 1:
            names = ", ".join(str(one.path.relative_to(found.folder)) for one in instances)
            raise UserError(f"files {names}", "a split has one file of boxes", "Leave one of them in the folder")
        splits[split] = list(coco_rows(instances[0], split, pictures, marked))
    return Kind("COCO JSON", splits)


def coco_rows(file: Coco, split: str, pictures: Pictures, marked: str) -> Iterator[Annotated]:
    """A row for each picture of the file, and one for each picture that annotations name and the file lacks."""
    of_picture: dict[Any, list[Mapping[str, Any]]] = defaultdict(list)
    for one in file.annotations:
        of_picture[one.get("image_id")].append(one)
    for image in file.images:
        name = str(image.get("file_name"))
        row = Annotated(pictures.find(name, split, beside=file.path.parent) or name, "xywh")
        for one in of_picture.pop(image["id"], []):
            if marked == "bbox" and one.get("bbox") is None:
                continue
            if one.get("category_id") not in file.categories:
                row.fault = row.fault or [f"category {one.get('category_id')}", "every category has a name"]
            if marked == "segmentation":
                region = one.get("segmentation")
                row.regions.append(json.dumps(region) if region else "")
            else:
                row.boxes.append([as_number(side) for side in one["bbox"]])
            row.labels.append(file.categories.get(one.get("category_id"), ""))
            row.crowd.append(bool(one.get("iscrowd", 0)))
        yield row
    for number, lost in of_picture.items():
        fault = [f"{len(lost)} annotations of image {number}", "every annotation is of a picture that the file names"]
        yield Annotated(None, "xywh", fault=fault)


def as_number(value: Any) -> float:
    """A number, or nan for what is none: it is refused where boxes are checked."""
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")


# Pascal VOC


def read_voc(found: Found, pictures: Pictures) -> Kind | None:
    """Files with an `annotation` of one picture each; splits are lists in ImageSets/Main, or folders."""
    files = [path for path in found.others if path.suffix.lower() == ".xml"]
    roots = [(path, root) for path in files if (root := parse_xml(path)) is not None]
    if not roots:
        return None
    of_stem = read_lists(found)
    splits: dict[str, list[Annotated]] = defaultdict(list)
    unlisted = 0
    for path, root in roots:
        split = of_stem.get(path.stem) if of_stem else split_of_path(path, found.folder)
        if split is None:
            unlisted += 1
            continue
        splits[split].append(voc_row(path, root, split, pictures))
    if unlisted:
        tell(f"{found.folder.name}: {unlisted:,} annotated pictures are in no list of a split, and are left out")
    return Kind("Pascal VOC XML", splits)


def parse_xml(path: Path) -> ElementTree.Element | None:
    """The annotation of a picture; None if the file is none."""
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, OSError, ValueError):
        return None
    return root if root.tag == "annotation" and root.find("filename") is not None else None


def read_lists(found: Found) -> dict[str, str]:
    """The split of every picture by its stem, from ImageSets/Main; {} without such lists."""
    lists = [path for path in found.others if path.parent.name == "Main" and path.suffix == ".txt"]
    of_stem = {}
    for path in lists:
        # Others list the pictures of one class.
        if path.stem in {name for names in SPLITS.values() for name in names}:
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    of_stem[Path(line.split()[0]).name] = split_of(path.stem)
    return of_stem


def voc_row(path: Path, root: ElementTree.Element, split: str, pictures: Pictures) -> Annotated:
    """One picture. Objects marked as difficult count neither for nor against anybody, as in VOC's evaluation."""
    name = (root.findtext("filename") or "").strip() or path.stem
    row = Annotated(pictures.find(name, split, beside=path.parent) or pictures.find(path.stem, split) or name, "xyxy")
    for thing in root.findall("object"):
        sides = [as_number(thing.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
        label = (thing.findtext("name") or "").strip()
        if thing.find("bndbox") is None:
            row.fault = row.fault or [f"object '{label}'", "every object has a box"]
        row.boxes.append(sides)
        row.labels.append(label)
        row.crowd.append((thing.findtext("difficult") or "0").strip() == "1")
    return row


# YOLO


def read_yolo(found: Found, pictures: Pictures) -> Kind | None:
    """A text for each picture, with a class number and four shares a line, and a file that names the classes."""
    names = read_class_names(found)
    if names is None:
        return None
    texts = {path for path in found.others if path.suffix == ".txt" and path.name not in NAMES}
    listed = read_listed(found)
    splits: dict[str, list[Annotated]] = defaultdict(list)
    for parts in found.parts():
        text = find_text(found.folder, parts, texts)
        if text is None:
            continue
        picture = "/".join(parts)
        split = listed.get(parts[-1], "") if listed else split_of_path(found.folder / picture, found.folder)
        splits[split].append(yolo_row(picture, text, names))
    return Kind("YOLO texts", splits) if splits else None


def read_class_names(found: Found) -> dict[int, str] | None:
    """The names of classes by their number, from a YAML or a list; None without one."""
    for path in found.others:
        if path.suffix.lower() in (".yaml", ".yml"):
            try:
                content = yaml.safe_load(path.read_text(encoding="utf-8"))
            except yaml.YAMLError:
                continue
            named = content.get("names") if isinstance(content, dict) else None
            if isinstance(named, list):
                return {number: str(name) for number, name in enumerate(named)}
            if isinstance(named, dict):
                return {int(number): str(name) for number, name in named.items()}
    for path in found.others:
        if path.name in NAMES:
            lines = path.read_text(encoding="utf-8-sig").splitlines()
            return {number: line.strip() for number, line in enumerate(lines) if line.strip()}
    return None


def read_listed(found: Found) -> dict[str, str]:
    """The split of every picture by its name, from lists of paths such as train.txt; {} without such lists."""
    of_name = {}
    for path in found.others:
        if path.suffix == ".txt" and (split := split_of(path.stem)) and path.parent == found.folder:
            for line in path.read_text(encoding="utf-8").splitlines():
                if line.strip():
                    of_name[line.strip().replace("\\", "/").rpartition("/")[2]] = split
    return of_name


def find_text(folder: Path, parts: Sequence[str], texts: set[Path]) -> Path | None:
    """The text of a picture: beside it, or in a folder of labels where that of pictures is."""
    beside = folder.joinpath(*parts).with_suffix(".txt")
    if beside in texts:
        return beside
    for place, name in enumerate(parts[:-1]):
        if name.lower() in ("images", "imgs"):
            for other in ("labels", "annotations", "Annotations"):
                moved = folder.joinpath(*parts[:place], other, *parts[place + 1 :]).with_suffix(".txt")
                if moved in texts:
                    return moved
    return None


def yolo_row(picture: str, text: Path, names: Mapping[int, str]) -> Annotated:
    row = Annotated(picture, "cxcywh-shares")
    for number, line in enumerate(text.read_text(encoding="utf-8-sig").splitlines(), start=1):
        values = line.split()
        if not values:
            continue
        if len(values) not in (5, 6) or not values[0].lstrip("-").isdecimal():  # the sixth is a score
            row.fault = row.fault or [f"line {number} of {text.name}", "a line is a class number and four shares"]
            continue
        label = names.get(int(values[0]))
        if label is None:
            row.fault = row.fault or [f"class {values[0]}", "every class has a name"]
        row.boxes.append([as_number(value) for value in values[1:5]])
        row.labels.append(label or "")
        row.crowd.append(False)
    return row
