"""The model card: a run's report as the README that the Hub shows. Every fact in it stands in the report."""

import json
import re
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from ..errors import UserError
from ..evaluation.names import checkpoint_name, dataset_name, on_hub
from ..evaluation.pages import extremes, interval_text, markdown_text, score_text, shown, words, write_page
from ..evaluation.plots import SCORES, headline_text
from ..evaluation.schema import validate
from ..tasks.base import first_line

PACKAGE = Path(__file__).parents[1]
# An installed package carries the templates; a checkout has them beside the rendered cards.
TEMPLATES = (PACKAGE / "model_cards", PACKAGE.parent / "model_cards")

# Scores whose metric goes by another name on the Hub.
HUB_METRICS = {"macro_f1": "f1", "mcc": "matthews_correlation", "pearson": "pearsonr", "spearman": "spearmanr"}
# How the pipeline of a task is made and called: (its name in the snippet, further arguments, an input).
USE = {
    "token-classification": (
        "tagger",
        {"aggregation_strategy": "simple"},
        "Ada Lovelace wrote to Charles Babbage from London.",
    ),
    "text-classification": ("classifier", {}, "The parcel came a day late, but all of it was there."),
    "image-classification": ("classifier", {}, "picture.png"),
}
SPLITS = ("train", "validation", "test")
# The settings that say how the weights were trained; the command and report.json hold the rest.
TRAINING = (
    *("strategy", "learning_rate", "layer_decay", "head_learning_rate", "lora_rank", "num_train_epochs"),
    *("per_device_train_batch_size", "gradient_accumulation_steps", "lr_scheduler_type", "warmup_steps"),
    *("weight_decay", "seed"),
)


def render_card(report: dict[str, Any]) -> str:
    """A report (see `hfkit.evaluation.schema`) as a model card: YAML front matter, then Markdown.

    A section that the report has nothing for is left out. Text from data and settings stays text, whatever it holds.

    Raises:
        ValueError: `report` is not what the schema describes; nan, infinity and numpy's scalars are refused.
    """
    validate(report)
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=markdown_text,
    )
    environment.filters |= {
        "score": score_text,
        "interval": interval_text,
        "shown": shown,
        "words": words,
        "name": headline_text,
        "code": code,
        "extremes": extremes,
    }
    settings, data = report["settings"], report["data"]
    variable, options, example = USE.get(report["task"]["name"], ("model", {}, ""))
    if settings.get("problem") == "multi-label":
        options = options | {"top_k": None}  # all labels, each with its own score; the default is the first alone
    card = environment.get_template("template.md").render(
        report,
        # Markup: YAML has its own way of quoting, and `safe_dump` knows it.
        front_matter=Markup(yaml.safe_dump(front_matter(report), sort_keys=False, allow_unicode=True).rstrip()),
        subject=report["contenders"][0],
        level=f"{100 * report['contenders'][0]['interval']['level']:g}",
        base=checkpoint_name(settings.get("checkpoint", "")),
        pretrained=settings.get("pretrained", True),
        model=model_name(settings),
        use={"variable": variable, "options": options, "example": example},
        corpus=dataset_name(report["task"]["dataset"]),
        synthetic=data.get("synthetic", False),
        labels=data.get("labels", []),
        splits=[split for split in SPLITS if split in data],
        facts_by_split=facts_by_split(data),
        trained_with={name: settings[name] for name in TRAINING if settings.get(name) is not None},
        limits=limits(report),
    )
    return re.sub(r"\n{3,}", "\n\n", card).strip() + "\n"


def write_card(folder: Path) -> Path:
    """Write README.md beside the report.json of a finished run, and return its path. It appears whole or not at all.

    Raises:
        UserError: there is no report.json, it is of another layout, or the folder cannot be written.
    """
    try:
        report = json.loads((folder / "report.json").read_text(encoding="utf-8"))
        card = render_card(report)
    except (OSError, ValueError) as error:
        raise UserError(
            f"folder '{folder}'",
            f"its card is made from its report.json, which could not be read ({first_line(error)})",
            "Give the output_dir of a run that ended with this version of hfkit",
        ) from error
    write_page(folder / "README.md", card)
    return folder / "README.md"


def front_matter(report: dict[str, Any]) -> dict[str, Any]:
    """The card's metadata as the Hub reads it: task, base model, data, and the headline scores as `model-index`."""
    settings, task, subject = report["settings"], report["task"], report["contenders"][0]
    base, dataset = checkpoint_name(settings.get("checkpoint", "")), task["dataset"]
    scores = {name: score for name, score in subject["scores"].items() if name in {*SCORES, task["headline"]}}
    result = {
        "task": {"type": task["name"], "name": words(task["name"].replace("-", "_"))},
        "dataset": {"name": dataset_name(dataset), "type": dataset_name(dataset).replace(" ", "-"), "split": "test"},
        "metrics": [
            {"type": HUB_METRICS.get(name, name), "value": score, "name": headline_text(name)}
            for name, score in sorted(scores.items())
        ],
    }
    found = {
        "library_name": "transformers",
        "pipeline_tag": task["name"],
        "base_model": base if on_hub(base) and settings.get("pretrained", True) else None,
        "datasets": [dataset] if on_hub(dataset) else None,
        "metrics": sorted({HUB_METRICS.get(name, name) for name in scores}),
        "tags": ["hfkit", *([settings["strategy"]] if settings.get("strategy") else [])],
        "model-index": [{"name": model_name(settings), "results": [result]}],
    }
    return {key: value for key, value in found.items() if value}


def model_name(settings: dict[str, Any]) -> str:
    """What the model is called: its id on the Hub, or the name of the folder it was saved to."""
    return str(settings.get("hub_model_id") or Path(str(settings.get("output_dir", ""))).name or "model")


def facts_by_split(data: dict[str, Any]) -> dict[str, list[int | None]]:
    """The task's counts of each split: fact -> its value in every split there is."""
    splits = [data[split] for split in SPLITS if split in data]
    names = dict.fromkeys(name for facts in splits for name, value in facts.items() if isinstance(value, int) and value)
    return {name: [facts.get(name) for facts in splits] for name in names}


def limits(report: dict[str, Any]) -> list[str]:
    """What the report itself gives reason to doubt, one sentence each."""
    found = []
    breakdown, data = report["breakdown"], report["data"]
    classes = {
        name: scores for name, scores in (breakdown or {"per_class": {}})["per_class"].items() if scores["support"]
    }
    if len(classes) > 1:
        name, scores = min(classes.items(), key=lambda item: (item[1]["f1"], -item[1]["support"]))
        found.append(f"It is weakest on {name}: F1 {score_text(scores['f1'])} on {scores['support']} in test.")
    shared = data.get("test", {}).get("rows_shared_with_train", 0)
    if shared:
        found.append(f"{shared:,} test rows occur in train as they are; they may flatter every contender.")
    rival = max(report["contenders"][1:], key=lambda contender: contender["headline"], default=None)
    if rival and rival["headline"] >= report["contenders"][0]["headline"]:
        found.append(f"It does not score above {rival['name']}.")
    if report["training"]:
        found.append("One training run was measured: the interval does not show how much another seed would change.")
    return found


def code(value: str | None) -> Markup:
    """Text or None as a Python literal inside a code block, where Markdown and HTML have no meaning."""
    literal = ascii(value)
    if value is None:
        return Markup(literal)
    # With the quotes that formatters of code prefer, so that a formatted card is still the rendered one.
    return Markup(literal if '"' in literal or "'" in literal[1:-1] else f'"{literal[1:-1]}"')
