"""Whether a card's front matter is fit for the Hub, without asking it, and agrees with the report."""

import difflib
import math
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import yaml
from huggingface_hub import ModelCard
from huggingface_hub.repocard import REGEX_YAML_BLOCK

from hfkit.arguments.hub_terms import HUB_ID, LANGUAGE, LICENSES, TASKS
from hfkit.errors import one_line

WORD, WORDS = (str,), (str, list)
# The types that the value of each key may have; a list is one of strings.
KEYS = {
    "library_name": WORD,
    "pipeline_tag": WORD,
    "license": WORD,
    "license_name": WORD,
    "license_link": WORD,
    "language": WORDS,
    "base_model": WORDS,
    "base_model_relation": WORD,
    "new_version": WORD,
    "datasets": WORDS,
    "metrics": WORDS,
    "tags": (list,),
    "thumbnail": WORD,
}
OTHERS = ("model-index", "widget", "inference", "co2_eq_emissions", "extra_gated_prompt", "extra_gated_fields")
NEEDED = ("library_name", "pipeline_tag", "model-index")
LIBRARIES = ("transformers", "peft")
RELATIONS = ("finetune", "adapter", "merge", "quantized")
# Keys in which the card has to agree with the report, if that says anything.
AGREED = ("library_name", "pipeline_tag", "base_model", "base_model_relation")


class Metadata(NamedTuple):
    """The front matter of a card: its values, the line of each, and the faults of its YAML."""

    values: dict[str, Any]
    lines: dict[str, int]  # of a place such as model-index[0].name, from 1
    faults: list[str]


def read_metadata(text: str) -> tuple[Metadata, str, int]:
    """A card's front matter, cut where the Hub's client cuts it, its body, and the number of the body's first line."""
    block, body, first = REGEX_YAML_BLOCK.search(text), text, 1

    def unreadable(line: int, what: str) -> tuple[Metadata, str, int]:
        return Metadata({}, {}, [f"line {line}: {what}"]), body, first

    if not block:
        return unreadable(1, "a card begins with metadata between two lines ---")
    body, first = text[block.end() :], text[: block.end()].count("\n") + 1
    start = text[: block.start(2)].count("\n") + 1
    try:
        if any(isinstance(token, yaml.AliasToken) for token in yaml.scan(block[2])):
            return unreadable(start, "metadata is written out, without aliases of YAML")
        node, values = yaml.compose(block[2], yaml.SafeLoader), yaml.safe_load(block[2])
    except (yaml.YAMLError, ValueError) as error:  # ValueError: a date that does not exist
        mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
        return unreadable(mark.line + start if mark else start, f"the metadata is no plain YAML ({one_line(error)})")
    if not isinstance(values, dict):
        return unreadable(start, "the metadata maps keys to values")
    faults = []
    lines: dict[str, int] = {}
    for place, below in walk_yaml(node):
        line = start + below
        if place in lines:
            faults.append(f"line {line} ({place}): it is set twice")
        lines[place] = line
    return Metadata(values, lines, faults), body, first


def walk_yaml(node: yaml.Node, place: str = "") -> Iterator[tuple[str, int]]:
    """Every value below a node, as (place, lines above it)."""
    if place:
        yield place, node.start_mark.line
    if isinstance(node, yaml.MappingNode):
        for key, item in node.value:
            yield from walk_yaml(item, f"{place}.{key.value}".lstrip("."))
    elif isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield from walk_yaml(item, f"{place}[{i}]")


def metadata_faults(metadata: Metadata, text: str) -> list[str]:
    """The faults of the front matter by itself, in words.

    Args:
        text: the whole card, as the Hub's client reads it.
    """
    if not metadata.values:
        return metadata.faults
    values, faults = metadata.values, []

    def add_fault(place: str, what: str) -> None:
        faults.append(f"{locate(metadata, place)}: {what}")

    for key in NEEDED:
        if not values.get(key):
            add_fault(key, "it is missing, and without it the Hub does not know what the model is")
    for key, value in values.items():
        if key in KEYS:
            if not isinstance(value, KEYS[key]) or isinstance(value, list) and not all(map(is_text, value)):
                kinds = " or a list of text" if list in KEYS[key] else ""
                add_fault(key, f"{value!r} is not {'a list of text' if KEYS[key] == (list,) else 'text' + kinds}")
        elif key not in OTHERS and (near := difflib.get_close_matches(str(key), [*KEYS, *OTHERS], 1, 0.8)):
            add_fault(str(key), f"the Hub knows no such key; did you mean {near[0]}?")
    for key, known, rule in (
        ("library_name", LIBRARIES, "the model loads with transformers or peft"),
        ("pipeline_tag", TASKS, "no task of the Hub"),
        (
            "license",
            LICENSES,
            "no licence that the Hub knows; see https://huggingface.co/docs/hub/repositories-licenses",
        ),
        ("base_model_relation", RELATIONS, f"a relation is one of {', '.join(RELATIONS)}"),
    ):
        if is_text(values.get(key)) and values[key] not in known:
            add_fault(key, f"'{values[key]}': {rule}")
    for code in texts_in(values.get("language")):
        if not LANGUAGE.fullmatch(code):
            add_fault("language", f"'{code}' is no code of two or three letters")
    for key in ("base_model", "datasets"):
        for name in texts_in(values.get(key)):
            if not HUB_ID.fullmatch(name) and not (key == "datasets" and re.fullmatch(r"[\w.-]+", name)):
                add_fault(key, f"'{name}' is no id of the Hub")
    if "base_model_relation" in values and "base_model" not in values:
        add_fault("base_model_relation", "there is no base_model that it would be to")
    return [*metadata.faults, *faults, *index_faults(metadata, text)]


def index_faults(metadata: Metadata, text: str) -> list[str]:
    """The faults of the numbers in the front matter, and whether the Hub's client reads its scores."""
    faults = [
        f"{locate(metadata, place)}: {value} is no number that the Hub takes"
        for place, value in flatten(metadata.values)
        if isinstance(value, float) and not math.isfinite(value)
    ]
    try:
        card = ModelCard(text)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        return [
            *faults,
            f"{locate(metadata, 'model-index')}: the Hub's client cannot read it ({one_line(error)})",
        ]
    for result in card.data.eval_results or []:
        if isinstance(result.metric_value, bool) or not isinstance(result.metric_value, int | float):
            value = f"{result.metric_value!r} of {result.metric_type}"
            faults.append(f"{locate(metadata, 'model-index')}: {value} is no number")
    return faults


def disagreements(metadata: Metadata, expected: dict[str, Any]) -> list[str]:
    """The places in which the front matter differs from `expected`, that of the card rendered from the report."""
    values, faults = metadata.values, []
    for key in AGREED:
        if key in expected and values.get(key) not in (expected[key], None):
            faults.append(f"{locate(metadata, key)}: {values[key]}, the report has {expected[key]}")
    for key in ("datasets", "metrics"):
        if missing := set(expected.get(key, [])) - set(texts_in(values.get(key))):
            faults.append(f"{locate(metadata, key)}: {', '.join(sorted(missing))} of the report is missing")
    ours = dict(flatten(expected["model-index"], "model-index"))
    theirs = dict(flatten(values.get("model-index"), "model-index"))
    for place in dict.fromkeys([*theirs, *ours]):
        if place not in ours:
            faults.append(f"{locate(metadata, place)}: {theirs[place]} does not stand in the report")
        elif place not in theirs:
            faults.append(f"{locate(metadata, place)}: {ours[place]} of the report is missing")
        elif theirs[place] != ours[place] or type(theirs[place]) is bool:
            faults.append(f"{locate(metadata, place)}: {theirs[place]}, the report has {ours[place]}")
    return faults


def flatten(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Every single value in nested lists and mappings, with its place."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from flatten(item, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from flatten(item, f"{place}[{i}]")
    else:
        yield place, value


def locate(metadata: Metadata, place: str) -> str:
    """A place in words, with its line where the card has it."""
    return f"line {metadata.lines[place]} ({place})" if place in metadata.lines else f"metadata ({place})"


def texts_in(value: Any) -> list[str]:
    return [one for one in (value if isinstance(value, list) else [value]) if is_text(one)]


def is_text(value: Any) -> bool:
    return isinstance(value, str)
