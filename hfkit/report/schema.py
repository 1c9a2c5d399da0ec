"""The layout of report.json, key by key, and the check that a record has exactly that.

    schema       name and version of this layout; a change of keys changes the version
    created      when the record was made, UTC, ISO 8601
    command      the command line, ready for a shell
    seed         of the resampling here (the training's own is among the settings)
    settings     every flag with its resolved value
    task         key and name (its tag on the Hub, which tasks may share), headline (the key of `scores` that decides),
                 unit (what is resampled), dataset; and the `scores` that readers know by a name: key, title, whether
                 "higher" or "lower" is better, and what the Hub calls them where it has another name
    rows         rows of the test split, on which every contender is scored
    data         facts about the data, in the task's own terms. `agreement`, if several people answered rows, is how far
                 they agree: `by_split`, of all rows as they came, how many had several answers, of how many people, how
                 many answers, the `share` of pairs that are equal, and Krippendorff's `alpha` on its `scale` (null if
                 all answers are the same); and the `ceiling`: the headline score, with its interval, that people
                 reach on the test rows, each answer held against what the others decide, without those that are
                 `undecided` because the others are tied (null if none can be held against others)
    origin       where the model and the data come from: `base`, the checkpoint (null if none is named), and `dataset`.
                 Both have a name without folders, an id on the Hub, a revision, a licence and languages (null or []
                 if not known); the base also has its number of parameters and the relation of the model to it:
                 "finetune", "adapter", or null if training began from random weights
    examples     a training row of each label, shortened: the `text` that has the label, and the text `before` and
                 `after` it; or a `picture`. Of very many labels only the first; {} if answers are numbers
    snippets     Python that asks the saved `model`, and Python that puts its `adapter` on the base (null if no adapters
                 were trained), with "@model@" in place of the model's name
    contenders   in the order they were added: name, description, whether it is a baseline, all scores, the headline
                 score and its interval, the cost, and by how much its score is above that of the first contender
                 (`difference`, null for the first itself)
    verdict      the comparison in words: only what the intervals support
    training     plan (one row per stage), log_history (as the trainer logged it), cost, and invariants (the checks that
                 were made while it ran); null if nothing was trained. `extended`, if a finished run went on for more
                 epochs: the step and the epochs that lay behind each time; plan and cost are then those of the rest
    breakdown    the first contender's scores per class, counts of which class (gold) was taken for which (predicted),
                 null if they would say nothing, and a note on how to read them; null if the task has no classes. Of
                 very many classes the counts hold only the most confused, and a last column "(others)" the rest
    errors       the first contender's most instructive errors: row, counted in the dataset as it came (the split that
                 test was drawn from, and with the rows that were left out), kind, why, and either tokens
                 (the words from `offset` on, of `words` in all) with gold and predicted spans (positions in tokens,
                 end excluded), and the row's text if it has more than those words; or the row's text or picture, one of
                 them empty, with gold and predicted class in words; or the row's picture, the width and height of the
                 one in whose pixels the gold and predicted boxes are, and these; or the row's picture, and that with
                 the gold and the predicted areas drawn onto it, with the share and the mark of each
    pictures     augmented training samples with their labels; [] if there are none
    explained    only where the rows are pictures and some were answered wrongly: the most confident mistakes of the
                 first contender, each with its row as among the errors, the model's probability for the answer (null of
                 numbers), the picture, the same under a map of the places that the answer rests on, and both answers
    environment  machine and versions

Seconds are seconds, memory is MiB, shares are fractions of one. A picture is a data URI of a PNG or JPEG, so that a
page with it fetches nothing.
"""

import math
import re
import reprlib
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import numpy as np

SCHEMA = "hfkit.report/4"

# How a value is described: a type; a string that it must equal; a pattern that it must match as a whole; [item];
# {"key": value} with exactly these keys; {...: value} with any keys; (one, or another); None; and ANY for every plain
# value.
ANY = object()
COST = {...: float}
INTERVAL = {"low": float, "high": float, "level": float, "note": str}
PICTURE = re.compile("data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+")
SPANS = [{"start": int, "end": int, "label": str}]
BOXES = [{"left": float, "top": float, "right": float, "bottom": float, "label": str, "score": (float, None)}]
BOXED = {"picture": PICTURE, "width": int, "height": int, "gold": BOXES, "predicted": BOXES}
AREAS = {"drawn": PICTURE, "areas": [{"label": str, "share": float, "mark": PICTURE}]}
MASKED = {"picture": PICTURE, "gold": AREAS, "predicted": AREAS}
SPANNED = {"offset": int, "words": int, "tokens": [str], "gold": SPANS, "predicted": SPANS}
WHICH = {"row": int, "kind": str, "why": str}
AGREEMENT = {
    "by_split": {
        ...: {"rows": int, "annotators": int, "answers": int, "share": float, "alpha": (float, None), "scale": str}
    },
    "ceiling": (None, {"headline": float, "interval": INTERVAL, "answers": int, "undecided": int, "rows": int}),
}
ORIGIN = {"name": str, "id": (str, None), "revision": (str, None), "license": (str, None), "language": [str]}
TRAINING = {
    "plan": [
        {
            "stage": (int, str),
            "from_step": int,
            "until_step": (int, None),
            "from_epoch": float,
            "depths": ANY,
            "names": ANY,
            "trainable": int,
            "share": float,
            "lowest_learning_rate": float,
            "highest_learning_rate": float,
        }
    ],
    "log_history": [{...: ANY}],
    "cost": COST,
    "invariants": {...: ANY},
}
REPORT = {
    "schema": SCHEMA,
    "created": str,
    "command": str,
    "seed": int,
    "settings": {...: ANY},
    "task": {
        "key": str,
        "name": str,
        "headline": str,
        "unit": str,
        "dataset": str,
        "scores": [{"key": str, "title": str, "better": ("higher", "lower"), "hub": (str, None)}],
    },
    "rows": int,
    "data": {...: ANY},
    "origin": {
        "base": (
            None,
            {**ORIGIN, "parameters": (int, None), "relation": ("finetune", "adapter", None)},
        ),
        "dataset": ORIGIN,
    },
    "examples": {...: {"before": str, "text": str, "after": str, "picture": ("", PICTURE)}},
    "snippets": {"model": str, "adapter": (None, str)},
    "contenders": [
        {
            "name": str,
            "description": str,
            "baseline": bool,
            "scores": {...: float},
            "headline": float,
            "interval": INTERVAL,
            "cost": COST,
            "difference": (None, {"to": str, "difference": float, "p": float, **INTERVAL}),
        }
    ],
    "verdict": str,
    "training": (None, TRAINING, {**TRAINING, "extended": [{"step": int, "epochs": float}]}),
    "breakdown": (
        None,
        {
            "per_class": {...: {"precision": float, "recall": float, "f1": float, "support": int}},
            "confusion": (None, {"gold": [str], "predicted": [str], "counts": [[int]]}),
            "note": str,
        },
    ),
    "errors": [
        (
            {**WHICH, "text": str, **SPANNED},
            {**WHICH, **SPANNED},
            {**WHICH, **BOXED},
            {**WHICH, **MASKED},
            {**WHICH, "text": str, "picture": ("", PICTURE), "gold": str, "predicted": str},
        )
    ],
    "pictures": [{"picture": PICTURE, "label": str}],
    "environment": {
        "python": str,
        "platform": str,
        "cpu": str,
        "cores": int,
        "threads": int,
        "gpu": str,
        "versions": {...: str},
        "commit": str,
    },
}

EXPLAINED = {
    **{"row": int, "confidence": (float, None), "picture": PICTURE, "looked_at": PICTURE},
    **{"gold": str, "predicted": str},
}


def validate(report: dict[str, Any]) -> None:
    """Refuse a report whose keys or values are not those of `REPORT`, naming the first place that is wrong.

    Raises:
        ValueError: a key missing or unknown, a value of another type (numpy's scalars included), nan or infinity, a
            picture that is not a data URI, or counts that are not one for every gold and predicted class.
    """
    rule = {**REPORT, "explained": [EXPLAINED]} if "explained" in report else REPORT
    raise_if(find_fault(report, rule, "report") or _first(_contradictions(report)))


def raise_if(fault: str | None) -> None:
    """Raise a `ValueError` with the fault, if there is one."""
    if fault is not None:
        raise ValueError(fault)


def to_plain(value: Any) -> Any:
    """`value` in the terms of JSON: numpy's scalars and arrays as Python's, tuples and sets as lists, enums as their
    value, anything else (paths, types) as text. Lone surrogates, which no file can hold, become question marks.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if type(value) is str:
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {to_plain(str(key)): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted((to_plain(item) for item in value), key=str)
    if isinstance(value, Enum):
        return to_plain(value.value)
    if isinstance(value, np.generic | np.ndarray):
        return to_plain(value.tolist())
    return to_plain(str(value))


def to_finite(value: Any) -> Any:
    """A plain value with nan and infinity as text: for settings and logs, where such an entry is a fact to keep."""
    if isinstance(value, dict):
        return {key: to_finite(item) for key, item in value.items()}
    if isinstance(value, list):
        return [to_finite(item) for item in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _contradictions(report: dict[str, Any]) -> Iterator[str | None]:
    """Where values that are each as described contradict each other, or stand among facts of any form."""
    if "agreement" in report["data"]:
        yield find_fault(report["data"]["agreement"], AGREEMENT, "report.data.agreement")
    if report["task"]["headline"] not in [score["key"] for score in report["task"]["scores"]]:
        yield "report.task.headline: it is the key of none of the scores"
    for i, contender in enumerate(report["contenders"]):
        if contender["scores"].get(report["task"]["headline"]) != contender["headline"]:
            yield f"report.contenders[{i}].headline: it is not the score of that name"
    confusion = (report["breakdown"] or {}).get("confusion")
    if confusion and [len(confusion["predicted"])] * len(confusion["gold"]) != list(map(len, confusion["counts"])):
        yield "report.breakdown.confusion.counts: not one for every gold and predicted class"


def find_fault(value: Any, rule: Any, place: str) -> str | None:
    """The first place where `value` is not what `rule` describes, in words; None where it is."""
    if isinstance(rule, tuple):
        faults = [find_fault(value, one, place) for one in rule]
        # Best said of the alternative that the value resembles most, or of the last one, which is the fullest.
        alike = [len(one.keys() & value.keys()) if type(one) is type(value) is dict else 0 for one in rule]
        return None if None in faults else max(zip(alike, range(len(rule)), faults, strict=True))[2]
    if rule is None:
        return None if value is None else f"{place}: {value!r} is not null"
    if rule is ANY:
        return _any_fault(value, place)
    if isinstance(rule, str):
        return None if value == rule else f"{place}: {value!r} is not {rule!r}"
    if isinstance(rule, re.Pattern):
        good = type(value) is str and rule.fullmatch(value)
        return None if good else f"{place}: {reprlib.repr(value)} does not match {rule.pattern}"
    if isinstance(rule, type):
        if type(value) is not rule:
            return f"{place}: {value!r} is a {type(value).__name__}, not a plain {rule.__name__}"
        return f"{place}: {value} is not finite" if rule is float and not math.isfinite(value) else None
    if isinstance(rule, list):
        if type(value) is not list:
            return f"{place}: {value!r} is not a list"
        return _first(find_fault(item, rule[0], f"{place}[{i}]") for i, item in enumerate(value))
    if type(value) is not dict:
        return f"{place}: {value!r} is not a mapping"
    if "schema" in rule and "schema" in value and value["schema"] != rule["schema"]:
        # A record of another version has other keys: the version is what to name.
        return find_fault(value["schema"], rule["schema"], f"{place}.schema")
    if ... in rule:
        strange = [key for key in value if type(key) is not str]
        rules = {key: rule[...] for key in value}
    else:
        strange = [f"{key} (unknown)" for key in value if key not in rule]
        strange += [f"{key} (missing)" for key in rule if key not in value]
        rules = rule
    if strange:
        return f"{place}: wrong keys: {', '.join(map(str, strange))}"
    return _first(find_fault(item, rules[key], f"{place}.{key}") for key, item in value.items())


def _any_fault(value: Any, place: str) -> str | None:
    if type(value) is dict:
        return find_fault(value, {...: ANY}, place)
    if type(value) is list:
        return find_fault(value, [ANY], place)
    if type(value) is float:
        return find_fault(value, float, place)
    return None if value is None or type(value) in (bool, int, str) else f"{place}: {value!r} is not a plain value"


def _first(faults: Any) -> str | None:
    return next((fault for fault in faults if fault is not None), None)
