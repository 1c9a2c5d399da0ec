"""The classes of masks: which number in a mask stands for which, and which stand for none."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from transformers import PreTrainedConfig

from hfkit.contract.target import Labels
from hfkit.data.images.palettes import Palette
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.runtime.files import expand_home

NONE = 255  # the id of a pixel of no class, and the number that most datasets write for it
MOST = 255  # classes
VALUES, IGNORED = "hfkit_mask_values", "hfkit_mask_ignored"  # in a model's configuration
USUAL_FILES = (
    *("id2label.json", "classes.json", "class_names.json", "label_names.json", "labels.json"),
    *("classes.txt", "class_names.txt", "labels.txt", "label_names.txt", "codes.txt"),
)
BACKGROUND = {"background", "unlabeled", "unlabelled", "void", "ignore", "none", "other", "_background_"}
SHOWN = 6  # classes in a note


@dataclass(frozen=True)
class MaskClasses(Labels):
    """One logit a pixel for each name; `values` are the numbers that stand for them in masks."""

    values: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()  # numbers that stand for no class

    def to_config(self) -> dict[str, Any]:
        return {**super().to_config(), VALUES: list(self.values), IGNORED: list(self.ignored)}

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> "MaskClasses":
        """The classes of a saved model; of one that others made the numbers are those of its logits."""
        labels, settings = Labels.from_config(config), config.to_dict()
        values = settings.get(VALUES) or range(len(labels.names))
        ignored = settings.get(IGNORED, [settings.get("semantic_loss_ignore_index", NONE)])
        return cls(labels.names, None, tuple(values), tuple(ignored))


@dataclass(frozen=True)
class ClassFlags:
    """The flags about the numbers in masks."""

    names: str | None = None  # of the classes: between commas, or in a file
    ignored: int | None = None  # None: 255, where it is not one of two numbers
    reduced: bool = False  # 0 is no class, and the first class is 1
    palette: Palette | None = None


class Legend(NamedTuple):
    """The classes that the numbers in the masks of a dataset stand for."""

    names: tuple[str, ...]
    ids: np.ndarray  # of each number, (largest + 2,); the last one is for all above
    same: int  # numbers below it are their own ids; 0 if 255 is a class


def write_legend(classes: MaskClasses) -> str:
    """The classes as text, which every row holds, so that a mask can be read by itself."""
    return json.dumps({"names": classes.names, "values": classes.values}, ensure_ascii=False)


@lru_cache(maxsize=64)
def read_legend(text: str) -> Legend:
    """The classes of `write_legend`."""
    written = json.loads(text)
    ids = np.full(max(written["values"], default=0) + 2, NONE, np.uint8)
    ids[written["values"]] = np.arange(len(written["names"]))
    own = ids == np.arange(len(ids))
    return Legend(tuple(written["names"]), ids, int(np.argmin(own)) if NONE not in written["values"] else 0)


def to_ids(numbers: np.ndarray, legend: Legend) -> np.ndarray:
    """The ids of the classes that numbers stand for, uint8; `NONE` where they stand for none."""
    if numbers.dtype == np.uint8 and are_own_ids(numbers, legend):
        return numbers  # as most masks are written; to look every pixel up takes several times as long
    return legend.ids.take(numbers, mode="clip")


def are_own_ids(numbers: np.ndarray, legend: Legend) -> bool:
    """Whether every number is its own id, 255 of no class among them."""
    if not legend.same:  # 255 may be a class, and then its id is another number
        return False
    return numbers.max(initial=0) < legend.same or not ((numbers >= legend.same) & (numbers != NONE)).any()


def settle_classes(
    found: Collection[int], flags: ClassFlags, beside: Path | None, *, known: dict[int, str] | None = None
) -> MaskClasses:
    """The classes of training masks, from the numbers in them and from the names that are known.

    Args:
        found: the numbers.
        beside: the folder of the dataset, where a file may name the classes.
        known: their names, if the dataset itself says them.

    Raises:
        UserError: there are none, or more than a byte tells apart, or their names do not fit.
    """
    ignored = find_ignored(found, flags)
    named = known if known and flags.names is None else name_classes(flags, beside)
    if named is None:
        values = sorted(set(found) - ignored)
        named = {value: str(value) for value in values}
    named = {value: name for value, name in sorted(named.items()) if value not in ignored}
    if not named:
        listed = ", ".join(map(str, sorted(found))) or "nothing"
        raise UserError(
            f"masks of {listed}", "some pixels are of a class", "Set --ignore_index to another number, or -1 for none"
        )
    if len(named) > MOST:
        raise UserError(
            f"masks with {len(named):,} numbers",
            f"a number stands for a class, of which there are at most {MOST}; these may count objects",
            "Give the masks of classes, with --mask_column if it is another column",
        )
    names = list(named.values())
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise UserError(f"class '{twice}'", "every number of a mask has a name of its own", "Name them apart")
    classes = MaskClasses(tuple(names), None, tuple(named), tuple(sorted(ignored)))
    tell(f"masks: {describe_classes(classes)}")
    return classes


def find_ignored(found: Collection[int], flags: ClassFlags) -> set[int]:
    """The numbers that stand for no class."""
    if flags.ignored is None:
        # Masks of two classes are often black and white.
        binary = set(found) == {0, NONE} and not flags.reduced
        if binary:
            tell("masks: they hold 0 and 255 alone, so 255 is a class and not left out (--ignore_index 255 would)")
        ignored = set() if binary else {NONE}
    else:
        ignored = {flags.ignored} if flags.ignored >= 0 else set()
    return ignored | ({0} if flags.reduced else set())


def describe_classes(classes: MaskClasses) -> str:
    """The meaning of the numbers in words; that of 0 comes first."""
    pairs = list(zip(classes.values, classes.names, strict=True))
    listed = [f"{value} is '{name}'" for value, name in pairs[:SHOWN]]
    listed += [f"… {pairs[-1][0]} is '{pairs[-1][1]}'"] if len(pairs) > SHOWN else []
    none = [f"{value} means no class" for value in classes.ignored]
    return ", ".join((none if 0 in classes.ignored else []) + listed + ([] if 0 in classes.ignored else none))


def name_classes(flags: ClassFlags, beside: Path | None) -> dict[int, str] | None:
    """The name of each number, from the flag, the palette or a file beside the masks; None: there are no names.

    Raises:
        UserError: they cannot be read, or the first one is of what `reduced` leaves out.
    """
    if flags.names is not None:
        place = expand_home(flags.names)
        if "," not in flags.names and place.is_file():
            named = read_names(place)
        else:
            named = dict(enumerate(name.strip() for name in flags.names.split(",")))
    elif flags.palette is not None:
        return dict(enumerate(flags.palette.names))
    else:
        place = next((file for name in USUAL_FILES if beside and (file := beside / name).is_file()), None)
        if place is None:
            return None
        named = read_names(place)
        tell(f"masks: the names of classes are those of {place.name}")
    if not flags.reduced or 0 not in named:
        return named
    if named[0].casefold() in BACKGROUND:
        raise UserError(
            f"class names that begin with '{named[0]}'",
            "with --reduce_labels 0 stands for no class, and the first name is that of 1",
            f"Leave '{named[0]}' out of the names, or --reduce_labels",
        )
    return {value + 1: name for value, name in named.items()}


def read_names(place: Path) -> dict[int, str]:
    """The name of each number in a file: JSON of a list or of numbers and names, or a name in every line.

    Raises:
        UserError: it holds something else.
    """
    fix = 'Write a name in every line, or JSON such as {"0": "sky", "1": "tree"}'
    try:
        text = place.read_text(encoding="utf-8-sig")
        if place.suffix.lower() != ".json":
            return dict(enumerate(line.strip() for line in text.splitlines() if line.strip()))
        return to_names(json.loads(text))
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise UserError(f"file '{place}'", "it names the classes of masks", fix) from error


def to_names(found: Any) -> dict[int, str]:
    if isinstance(found, Mapping):
        if all(isinstance(value, int) for value in found.values()):  # label2id
            return {value: str(name) for name, value in found.items()}
        return {int(number): str(name) for number, name in found.items()}
    if found and all(isinstance(one, Mapping) for one in found):
        return {int(one["id"]): str(one["name"]) for one in found}
    if not all(isinstance(name, str) for name in found):
        raise TypeError(found)
    return dict(enumerate(found))


def find_strangers(values: Iterable[int], classes: MaskClasses) -> list[int]:
    """The numbers that stand for no class and are not left out either."""
    return sorted(set(values) - set(classes.values) - set(classes.ignored))


def count_pixels(values: Sequence[int], pixels: Sequence[int], legend: Legend) -> dict[str, int]:
    """The pixels of each class in a mask."""
    ids = to_ids(np.asarray(values, dtype=np.int64), legend)
    return {legend.names[number]: count for number, count in zip(ids.tolist(), pixels, strict=True) if number != NONE}
