"""A report as a page: the templates' environment, and how numbers and facts are put into words."""

import base64
import binascii
import json
import re
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from hfkit.arguments.adapters import describe_parts
from hfkit.contract.view import Boxes, to_text
from hfkit.report import plots
from hfkit.report.drawings import style_labels
from hfkit.report.names import checkpoint_name, dataset_name
from hfkit.scores.score import headline_text
from hfkit.scores.statistics import RESAMPLES

# Tokens may hold characters that turn the reading direction around or that no page can show.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
BREAKS = re.compile("[\t\n\v\f\r\x85\u2028\u2029]+")
MARKDOWN = re.compile(r"([\\`*_{}\[\]|~#$!])|(?<=:)(/)(?=/)|(?<=www)(\.)", re.IGNORECASE)

MOST = 30  # rows of a table, items of a list: more are folded or left to report.json
SMALL = 64  # pixels a side: a PNG of no more is shown as squares, not blurred
TEMPLATES = Path(__file__).parent / "templates"


@cache
def templates(*folders: Path, markdown: bool) -> Any:
    """The templates' environment for pages of one format: every value is escaped for it, and an unknown one refused.

    Made once, because a template takes longer to compile than to fill in.

    Args:
        folders: of further templates, beside those of the report.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context

    environment = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=markdown_text if markdown else replace_unseen,
    )
    environment.filters |= {
        "score": score_text,
        "signed": signed_text,
        "interval": interval_text,
        "shown": cell_text,
        "words": words,
        "number": number_text,
        "clipped": clip,
        "extremes": extremes,
        "small": is_small,
        "checkpoint_name": checkpoint_name,
        "dataset_name": dataset_name,
        "name": pass_context(lambda page, key: headline_text(key, page["task"]["scores"])),
    }
    return environment


def render_page(template: str, report: dict[str, Any]) -> str:
    """The page that one of the templates makes of a report. It fetches nothing."""
    task = report["task"]
    environment = templates(markdown=".md." in template)
    training, breakdown = report["training"], report["breakdown"]
    return environment.get_template(template).render(
        report,
        subject=report["contenders"][0],
        level=f"{100 * report['contenders'][0]['interval']['level']:g}",
        people=describe_people(report),
        parts=describe_parts(report["settings"]),
        notes=report["data"].get("notes", []),
        draws=RESAMPLES,
        most=MOST,
        forest=plots.forest(report["contenders"]),
        curves=plots.curves(
            training["log_history"], task["headline"], headline_text(task["headline"], task["scores"]), training["plan"]
        )
        if training
        else [],
        heat=plots.heat(breakdown["confusion"]) if breakdown and breakdown["confusion"] else [],
        colours=plots.colours(breakdown["per_class"] if breakdown else labels_of(report["errors"])),
        styles=style_labels(dict.fromkeys([*report["data"].get("labels", []), *sorted(labels_of(report["errors"]))])),
        pieces=plots.pieces,
        tables=tables(facts_for_tables(report["data"]))
        + tables({name: facts for name, facts in report["origin"].items() if facts}),
        all_scores=list(dict.fromkeys(name for contender in report["contenders"] for name in contender["scores"])),
    )


def replace_unseen(value: Any) -> Any:
    """Text on one line, with a sign for every control character; numbers and the template's markup as they are."""
    return UNSEEN.sub("\N{REPLACEMENT CHARACTER}", BREAKS.sub(" ", value)) if type(value) is str else value


def markdown_text(value: Any) -> Any:
    """Text that Markdown shows as it is: no table, link, emphasis or heading begins in it."""
    if type(value) is not str:
        return value
    # Stripped: with a space inside, the stars of bold text would be stars.
    return MARKDOWN.sub(lambda match: "\\" + match[0], replace_unseen(value).strip())


def escape_markdown(text: str) -> str:
    """Text for Markdown that is written without a template: neither markup nor HTML begins in it."""
    return escape(markdown_text(text), quote=False)


def score_text(value: float, digits: int = 3) -> str:
    # What rounds to zero has no sign.
    return f"{round(value, digits) + 0.0:.{digits}f}".replace("-", plots.MINUS)


def signed_text(value: float) -> str:
    return f"{'+' if round(value, 3) > 0 else ''}{score_text(value)}"


def interval_text(interval: Mapping[str, Any]) -> str:
    """The limits of an interval, with as many digits as show its width: one without width is no interval."""
    low, high = interval["low"], interval["high"]
    digits = next((some for some in (3, 4, 5) if round(low, some) != round(high, some)), 3)
    return f"[{score_text(low, digits)}, {score_text(high, digits)}]"


def number_text(value: float) -> str:
    """A score, or a count among the scores."""
    return f"{value:,.0f}" if abs(value) > 1 and value.is_integer() else score_text(value)


def cell_text(value: Any) -> str:
    """A plain value in a table cell."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list) and not any(isinstance(item, list | dict) for item in value):
        rest = f", … ({len(value):,} in all)" if len(value) > MOST else ""
        return (", ".join(map(str, value[:MOST])) or "none") + rest
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def words(key: str) -> str:
    """A key as a reader reads it."""
    return key.replace("_", " ")


def clip(text: str, most: int) -> str:
    """The beginning of a long text, cut between words if there is a gap nearby, with an ellipsis."""
    if len(text) <= most:
        return text
    start = text[:most]
    return (start[: start.rfind(" ", most - 40) + 1] or start).rstrip() + " …"


def labels_of(errors: list[dict[str, Any]]) -> set[str]:
    """The labels of all spans or boxes of mistakes."""
    drawn = (error for error in errors if "tokens" in error or "width" in error)
    return {one["label"] for error in drawn for one in error["gold"] + error["predicted"]}


def extremes(per_class: Mapping[str, dict[str, Any]]) -> list[tuple[str, dict[str, dict[str, Any]]]]:
    """The scores by class that a page shows, as (title, scores): all of them if they are few, otherwise those of the
    lowest and the highest F1 among the classes in test. Of equals, larger classes come first.
    """
    if len(per_class) <= MOST:
        return [("", dict(per_class))]
    half, tested = MOST // 2, [item for item in per_class.items() if item[1]["support"]]
    lowest = sorted(tested, key=lambda item: (item[1]["f1"], -item[1]["support"]))[:half]
    rest = [item for item in tested if item not in lowest]
    highest = sorted(rest, key=lambda item: (-item[1]["f1"], -item[1]["support"]))[:half]
    return [(f"{len(part)} {name} F1", dict(part)) for name, part in (("lowest", lowest), ("highest", highest)) if part]


def render_boxes(shown: Boxes, labels: Sequence[str]) -> str:
    """A picture with its boxes and a legend, as HTML for any page.

    Args:
        labels: all that a model knows, so that each looks the same on every picture.
    """
    parts = templates(markdown=False).get_template("charts.html.j2").module
    styles, boxes = style_labels(labels), [box.to_json() for box in shown.boxes]
    used = {label: styles[label] for label in styles if any(box.label == label for box in shown.boxes)}
    drawn = parts.boxes(shown.picture.uri, shown.width, shown.height, boxes, styles, to_text(shown))
    return str(drawn) + str(parts.legend(used))


def is_small(picture: str) -> bool:
    """Whether a data URI is a PNG of so few pixels that smoothing would only blur it."""
    try:
        # The first 24 bytes: signature, length and name of the header, then width and height.
        header = base64.b64decode(picture.partition("image/png;base64,")[2][:32])
    except binascii.Error:
        return False
    return len(header) == 24 and max(int.from_bytes(header[16:20]), int.from_bytes(header[20:])) <= SMALL


def describe_people(report: Mapping[str, Any]) -> str:
    """The headline score that people reach and how far they agree, in words; "" if no row has several answers."""
    agreement = report["data"].get("agreement")
    if agreement is None:
        return ""
    parts, ceiling = [], agreement["ceiling"]
    if ceiling:
        title, level = headline_text(report["task"]["headline"], report["task"]["scores"]), ceiling["interval"]["level"]
        tied = f"; {ceiling['undecided']:,} more are left out, because the others are tied"
        parts.append(
            f"People reach {title} {score_text(ceiling['headline'])}"
            f" ({100 * level:g} % interval {interval_text(ceiling['interval'])}) where each answer is held against"
            f" what the others decide: {ceiling['answers']:,} answers to {ceiling['rows']:,} test rows"
            f"{tied if ceiling['undecided'] else ''}. Read the scores against that."
        )
    alphas = [
        f"{split} {score_text(found['alpha'])}"
        for split, found in agreement["by_split"].items()
        if found["alpha"] is not None
    ]
    if alphas:
        # A straight apostrophe would be escaped by its number, which nobody finds in the report.
        who = "Krippendorff\N{RIGHT SINGLE QUOTATION MARK}s alpha"
        parts.append(f"{who} of all rows as they came: {', '.join(alphas)}.")
    return " ".join(parts)


def facts_for_tables(data: Mapping[str, Any]) -> dict[str, Any]:
    """The facts without what stands elsewhere: notes are sentences, and the ceiling of people is beside the scores."""
    facts = {key: value for key, value in data.items() if key not in ("agreement", "notes")}
    return facts | ({"agreement of annotators": data["agreement"]["by_split"]} if "agreement" in data else {})


def tables(data: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A task's facts as tables of `title`, `columns` and `rows` (name, cells): one by split, one of single facts, and
    one for each fact that is itself a mapping.
    """
    splits = ("train", "validation", "test")
    facts = {key: value for key, value in data.items() if key not in splits}
    for split in splits:  # facts may also be given split by split
        for key, value in data.get(split, {}).items():
            facts.setdefault(key, {})[split] = value
    single, by_split, others = {}, {}, []
    for key, value in facts.items():
        if not isinstance(value, Mapping):
            single[key] = [value]
        elif not value:
            single[key] = ["none"]
        elif set(value) <= set(splits) and not any(isinstance(item, Mapping) for item in value.values()):
            by_split[key] = [value.get(split) for split in splits]
        elif set(value) <= set(splits) and all(isinstance(item, Mapping) for item in value.values()):
            names = dict.fromkeys(name for counts in value.values() for name in counts)
            rows = {name: [value.get(split, {}).get(name) for split in splits] for name in names}
            others.append(_table(key, splits, rows))
        else:
            others.append(_table(key, (), {name: [item] for name, item in value.items()}))
    made = [_table("by split", splits, by_split), _table("facts", (), single), *others]
    return [table for table in made if table["rows"]]


def _table(title: str, columns: tuple[str, ...], rows: Mapping[str, list]) -> dict[str, Any]:
    return {
        "title": words(title),
        "columns": list(columns),
        "rows": [(words(name), cells) for name, cells in rows.items()],
    }
