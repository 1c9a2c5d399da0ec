"""Results of Label Studio: what one person answered to the questions of one task."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hfkit.data.images.regions import enclose, scale_points, turn_box

# The type of a result -> the kind of its values. Labels of any tag may also come as 'labels' (see `kind_of`).
KINDS = {
    "choices": "choices",
    "taxonomy": "choices",
    "pairwise": "choices",
    "rating": "number",
    "number": "number",
    "textarea": "writing",
    "labels": "spans",
    "hypertextlabels": "spans",
    "rectanglelabels": "boxes",
    "rectangle": "boxes",
    "polygonlabels": "polygons",
    "polygon": "polygons",
    "brushlabels": "mask",
    "brush": "mask",
}
WHOLE = ("choices", "number", "writing")  # kinds of answers to the whole task
SHAPES = {"width": "boxes", "points": "polygons", "rle": "mask"}  # a key of a value -> the kind of region that has it


class Control(NamedTuple):
    """A question of a project: the name of its tag, and what its answers are."""

    name: str
    kind: str  # one of the values of `KINDS`


@dataclass
class Answers:
    """The answers of one person to one task."""

    annotator: str | None
    values: dict[Control, Any]
    final: bool = False  # marked as ground truth


@dataclass
class Item:
    """A task: what people saw, and what they answered."""

    data: dict[str, Any]
    answers: list[Answers]


@dataclass
class Tally:
    """Counts and names noted in a file, beside the answers."""

    objects: dict[Control, str] = field(default_factory=dict)  # the name of what a question is about
    sources: dict[str, str] = field(default_factory=dict)  # the name of an object -> the key of its data
    left_out: Counter[str] = field(default_factory=Counter)
    noted: Counter[str] = field(default_factory=Counter)


def read_results(results: Iterable[Mapping[str, Any]], tally: Tally) -> dict[Control, Any]:
    """The values of one person's results, by question; what is not read is counted."""
    values: dict[Control, Any] = {}
    results = list(results)
    labelled: set[Any] | None = None
    for result in results:
        kind = kind_of(result)
        if kind is None:
            tally.left_out[f"answers of type {result.get('type', 'unknown')}"] += 1
            continue
        if kind not in WHOLE and is_bare(result):
            if labelled is None:
                labelled = {one.get("id") for one in results if str(one.get("type")).endswith("labels")}
            if result.get("id") in labelled:
                continue
        value = result["value"]
        if kind in WHOLE and is_about_region(value):
            tally.left_out["answers about single regions"] += 1
            continue
        control = Control(str(result.get("from_name")), kind)
        if control not in tally.objects:
            note_object(control, result, tally)
        read = READERS[kind](value, result)
        if kind == "number":
            values[control] = read
        else:
            values.setdefault(control, []).extend(read)
    return values


def note_object(control: Control, result: Mapping[str, Any], tally: Tally) -> None:
    """Remember what a question is about, and where its data stand if the result says so."""
    about = str(result.get("to_name", "")).lstrip("$")
    tally.objects[control] = about
    if isinstance(source := result.get("source"), str):
        tally.sources[about] = source.lstrip("$")


def kind_of(result: Mapping[str, Any]) -> str | None:
    """The kind of a result; None if it is not read."""
    kind, value = KINDS.get(str(result.get("type")).lower()), result.get("value")
    if kind is None or not isinstance(value, dict):
        return None
    if kind != "spans":
        return kind
    # The tag Labels goes with any shape, and with sounds.
    if "channel" in value or "original_length" in result:
        return None
    return next((shape for key, shape in SHAPES.items() if key in value), "spans")


def is_bare(result: Mapping[str, Any]) -> bool:
    """Whether a region has no labels of its own."""
    return result["type"].lower() in ("rectangle", "polygon", "brush")


def is_about_region(value: Mapping[str, Any]) -> bool:
    """Whether a question was asked about one region: its place stands beside the answer."""
    return any(key in value for key in ("start", "x", "points", "rle"))


def read_choices(value: Mapping[str, Any], result: Mapping[str, Any]) -> list[Any]:
    """Names, or paths of names."""
    if "taxonomy" in value:
        return [tuple(map(str, path)) for path in value["taxonomy"]]
    return [str(name) for name in value.get("choices", [value.get("selected")]) if name is not None]


def read_number(value: Mapping[str, Any], result: Mapping[str, Any]) -> Any:
    return value.get("rating", value.get("number"))


def read_writing(value: Mapping[str, Any], result: Mapping[str, Any]) -> list[str]:
    written = value.get("text")
    return list(map(str, written)) if isinstance(written, list) else [str(written)]


def labels_of(value: Mapping[str, Any]) -> list[str | None]:
    """The labels of a region; of one without labels: [None]."""
    for key, labels in value.items():
        if key.endswith("labels") and isinstance(labels, list):
            return list(map(str, labels)) or [None]
    return [None]


def read_spans(value: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One span for each label, in the units of the file; places within HTML that are not counted over all of it are
    None.
    """
    place = value.get("globalOffsets", value)
    start, end = place.get("start"), place.get("end")
    if not (isinstance(start, int) and isinstance(end, int)):  # a path to a tag
        start = end = None
    text, html = value.get("text"), "globalOffsets" in value or start is None
    return [{"start": start, "end": end, "label": label, "text": text, "html": html} for label in labels_of(value)]


def read_boxes(value: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Upright boxes in pixels; around a turned box, the smallest."""
    width, height = size_of(value, result)
    (x, y), (across, down) = scale_points([(value["x"], value["y"]), (value["width"], value["height"])], width, height)
    turn = float(value.get("rotation") or 0)
    box = enclose(turn_box(x, y, across, down, turn))
    return [{**box._asdict(), "label": label, "turned": turn != 0} for label in labels_of(value)]


def read_polygons(value: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    points = [list(point) for point in scale_points(value["points"], *size_of(value, result))]
    return [{"points": points, "label": label} for label in labels_of(value)]


def read_mask(value: Mapping[str, Any], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Masks as packed runs (see `decode_mask`): a picture has millions of pixels."""
    width, height = size_of(value, result)
    return [{"rle": value["rle"], "width": width, "height": height, "label": label} for label in labels_of(value)]


def size_of(value: Mapping[str, Any], result: Mapping[str, Any]) -> tuple[int, int]:
    """Width and height of the picture, which stand beside the value, or within it in the short form."""
    return tuple(value.get(key) or result[key] for key in ("original_width", "original_height"))


READERS: dict[str, Callable[[Mapping[str, Any], Mapping[str, Any]], Any]] = {
    "choices": read_choices,
    "number": read_number,
    "writing": read_writing,
    "spans": read_spans,
    "boxes": read_boxes,
    "polygons": read_polygons,
    "mask": read_mask,
}
