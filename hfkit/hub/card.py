"""The model card: a run's report as the README that the Hub shows. Every fact in it stands in the report."""

import base64
import re
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Template
from markupsafe import Markup

from hfkit.arguments.adapters import describe_parts, kind_of
from hfkit.arguments.strategies import STRATEGIES
from hfkit.errors import UserError, one_line
from hfkit.hub.citations import citations
from hfkit.hub.limits import find_limits
from hfkit.hub.metadata import benchmark_result, front_matter, model_name, named_scores
from hfkit.report.names import checkpoint_name
from hfkit.report.pages import describe_people, templates
from hfkit.report.schema import validate
from hfkit.report.snippets import insert_model
from hfkit.runtime.durable import write_file
from hfkit.runtime.files import read_object
from hfkit.scores.score import headline_score

PACKAGE = Path(__file__).parents[1]
# An installed package carries the templates; a checkout has them beside the rendered cards.
TEMPLATES = (PACKAGE / "model_cards", PACKAGE.parent / "model_cards")

ADAPTER = "adapter"  # the folder of a run that holds its adapters
PICTURES = "examples"  # and the one of the pictures that its card shows
SPLITS = ("train", "validation", "test")
# The settings that say how the weights were trained; the command and report.json hold the rest.
TRAINING = (
    *("strategy", "learning_rate", "layer_decay", "head_learning_rate"),
    *("adapter", "lora_rank", "oft_block_size", "virtual_tokens", "quantize", "num_train_epochs"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps"),
    *("weight_decay", "seed", "data_seed"),
)


def render_card(
    report: dict[str, Any], *, model: str | None = None, pictures: bool = False, adapter: bool = False
) -> str:
    """A valid report (see `hfkit.report.schema`) as a model card: YAML front matter, then Markdown.

    Sections without content are left out. Text from data and settings stays text, whatever it holds.

    Args:
        model: the model's name; default: the id that the run was to be pushed to, or its folder's name.
        pictures: whether the pictures of the labels (see `pictures_of`) lie beside the card.
        adapter: make the card of the adapters in the folder `ADAPTER`.
    """
    settings, data, origin = report["settings"], report["data"], report["origin"]
    model = model or model_name(settings)
    metadata = front_matter(report, model, adapter=adapter)
    subject, *others = report["contenders"]
    baselines, score = [contender for contender in others if contender["baseline"]], headline_score(report["task"])
    snippet = report["snippets"]["adapter" if adapter else "model"]
    card = card_template().render(
        report,
        # Markup: YAML has its own way of quoting, and `safe_dump` knows it.
        front_matter=Markup(yaml.safe_dump(metadata, sort_keys=False, allow_unicode=True).rstrip()),
        model=model,
        adapter=adapter,
        kind=kind_of(settings),
        parts=describe_parts(settings),
        trained_on=checkpoint_name(settings["checkpoint"]) if settings.get("checkpoint_adapter") == "train" else None,
        subject=subject,
        score=score,
        rival=score.best(baselines, lambda contender: contender["headline"]) if baselines else None,
        other_scores=[(other.title, value) for other, value in named_scores(report)[1:]],
        people=describe_people(report),
        level=f"{100 * subject['interval']['level']:g}",
        base=origin["base"],
        corpus=origin["dataset"],
        # The record leaves the interpreter out, and a shell needs it.
        repeatable=re.sub(r"^(?=\S+\.py( |$))", "python ", report["command"]),
        snippet=insert_model(snippet, model) if snippet else "",
        synthetic=data.get("synthetic", False),
        labels=data.get("labels", []),
        pictures=pictures_of(report) if pictures else {},
        counts=label_counts(report),
        splits=[split for split in SPLITS if split in data],
        facts_by_split=facts_by_split(data),
        apart=shares_no_rows(data),
        strategy=STRATEGIES.get(settings.get("strategy") or ""),
        trained_with={name: settings[name] for name in TRAINING if settings.get(name) is not None},
        kept_best=bool(settings.get("load_best_model_at_end")),
        limits=find_limits(report),
        citations=citations(report),
    )
    return re.sub(r"\n{3,}", "\n\n", card).strip() + "\n"


@cache
def card_template() -> Template:
    """The template of every card, compiled once."""
    environment = templates(*TEMPLATES, markdown=True)
    environment.filters |= {"fenced": fence, "seconds": seconds_text}
    return environment.get_template("template.md")


def write_card(folder: Path, *, model: str | None = None) -> Path:
    """Write README.md beside the report.json of a finished run, and return its path. It appears whole or not at all.

    With it come the pictures of its labels, the card of the adapters if the run trained any, and the headline score in
    the Hub's form if a benchmark was named.

    Args:
        model: the model's name (see `render_card`).

    Raises:
        UserError: there is no report.json, it is of another layout, or the folder cannot be written.
    """
    report = read_report(folder)
    files = {Path("README.md"): render_card(report, model=model, pictures=True).encode()}
    files |= {Path(name): picture for name, picture in pictures_of(report).items()}
    if report["origin"]["base"] and (folder / ADAPTER / "adapter_config.json").is_file():
        files[Path(ADAPTER, "README.md")] = render_card(report, model=model, adapter=True).encode()
    if result := benchmark_result(report):
        name, entries = result
        files[Path(".eval_results", name)] = yaml.safe_dump(entries, sort_keys=False).encode()
    try:
        for name, content in files.items():
            place = folder / name
            place.parent.mkdir(exist_ok=True)
            write_file(place, content)
    except OSError as error:
        raise UserError(
            f"folder '{folder}'", f"the card could not be written there ({error.strerror})", "Make it writable"
        ) from error
    return folder / "README.md"


def read_report(folder: Path) -> dict[str, Any]:
    """The report of a finished run, checked.

    Raises:
        UserError: there is no report.json, or it is of another layout.
    """
    try:
        report = read_object(folder / "report.json", "report.json", "Make it again")
        validate(report)
    except (ValueError, TypeError, LookupError, AttributeError) as error:
        raise UserError(
            f"folder '{folder}'",
            f"its card is made from its report.json, which could not be read ({one_line(error)})",
            "Give the output_dir of a run that ended with this version of hfkit",
        ) from error
    return report


def pictures_of(report: dict[str, Any]) -> dict[str, bytes]:
    """The pictures that a card shows, by their place beside it: an example of each label."""
    pictures = {}
    for number, example in enumerate(report["examples"].values()):
        if example["picture"]:
            head, _, content = example["picture"].partition(";base64,")
            pictures[f"{PICTURES}/{number}.{head.rpartition('/')[2]}"] = base64.b64decode(content)
    return pictures


def label_counts(report: dict[str, Any]) -> dict[str, int]:
    """How many of each label train has, if the task counts them; otherwise {}."""
    labels = set(report["examples"])
    for facts in report["data"].get("train", {}).values():
        if isinstance(facts, dict) and labels and labels <= set(facts):
            return facts
    return {}


def facts_by_split(data: dict[str, Any]) -> dict[str, list[int | None]]:
    """The task's counts of each split: fact -> its value in every split there is."""
    splits = [data[split] for split in SPLITS if split in data]
    names = dict.fromkeys(name for facts in splits for name, value in facts.items() if isinstance(value, int) and value)
    return {name: [facts.get(name) for facts in splits] for name in names}


def shares_no_rows(data: dict[str, Any]) -> bool:
    """Whether rows shared by splits were looked for, and there are none."""
    shared = [
        data[split]["rows_shared_with_train"] for split in SPLITS if "rows_shared_with_train" in data.get(split, {})
    ]
    return bool(shared) and not any(shared)


def fence(text: str, language: str = "") -> Markup:
    """Text as a block of code, behind a fence longer than any in it."""
    fence = "`" * (1 + max([2, *map(len, re.findall("`+", text))]))
    return Markup(f"{fence}{language}\n{text}\n{fence}")


def seconds_text(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"
