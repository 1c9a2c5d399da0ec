"""A card's front matter, by which the Hub sorts, links and plots a model: from the report alone."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from hfkit.arguments.adapters import kind_of
from hfkit.arguments.hub_terms import BENCHMARK
from hfkit.report.pages import words
from hfkit.scores.score import Score, headline_score


def model_name(settings: dict[str, Any]) -> str:
    """The model's id on the Hub, or the name of the folder it was saved to."""
    return str(settings.get("hub_model_id") or Path(str(settings.get("output_dir", ""))).name or "model")


def named_scores(report: dict[str, Any]) -> list[tuple[Score, float]]:
    """The scores of the report's subject that readers know by a name, with their values, the headline first."""
    known = {one["key"]: Score(**one) for one in report["task"]["scores"]}
    values, headline = report["contenders"][0]["scores"], headline_score(report["task"])
    others = [(known[key], value) for key, value in values.items() if key in known and key != headline.key]
    return [(headline, values[headline.key]), *others]


def hub_name(score: Score) -> str:
    """The name of a score's metric on the Hub."""
    return score.hub or score.key


def front_matter(report: dict[str, Any], model: str, *, adapter: bool = False) -> dict[str, Any]:
    """The metadata of the card of `model`: what is not known has no key.

    Args:
        adapter: the card is that of the adapters alone, not of the whole model.
    """
    settings, task = report["settings"], report["task"]
    kind = kind_of(settings)
    adapter = adapter or (kind is not None and not kind.merges)
    base, data = report["origin"]["base"] or {}, report["origin"]["dataset"]
    based = base.get("relation") is not None
    scores = named_scores(report)
    identity = based and base["id"]
    metadata = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": task["name"],
        "license": settings.get("license") or (base["license"] if based else None),
        "language": settings.get("language") or data["language"],
        "base_model": identity,
        # Adapters that were merged into the weights make a whole model, which is a fine-tuned one.
        "base_model_relation": identity and ("adapter" if adapter else "finetune"),
        "datasets": [data["id"]] if data["id"] else None,
        "metrics": sorted({hub_name(score) for score, _ in scores}),
        "tags": list(dict.fromkeys(["hfkit", *([settings["strategy"]] if settings.get("strategy") else [])])),
        "model-index": [{"name": model, "results": [index_entry(report, scores)]}],
    }
    return {key: value for key, value in metadata.items() if value}


def index_entry(report: dict[str, Any], scores: list[tuple[Score, float]]) -> dict[str, Any]:
    """One entry of `model-index`: the scores on the test split."""
    task, data = report["task"], report["origin"]["dataset"]
    dataset = {
        "name": data["name"],
        "type": data["id"] or data["name"].replace(" ", "-"),
        "config": report["settings"].get("dataset_config") or None,
        "split": "test",
        "revision": data["revision"],
    }
    return {
        "task": {"type": task["name"], "name": words(task["name"].replace("-", "_"))},
        "dataset": {key: value for key, value in dataset.items() if value},
        "metrics": [
            {"type": hub_name(score), "value": value, "name": score.title}
            for score, value in sorted(scores, key=lambda one: one[0].key)
        ],
    }


def benchmark_result(report: dict[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """The headline score for the leaderboard of a benchmark: the file's name and its entries; None without one.

    Source: https://huggingface.co/docs/hub/eval-results
    """
    named = BENCHMARK.fullmatch(report["settings"].get("benchmark") or "")
    if not named:
        return None
    identity, task = named.groups()
    data = report["origin"]["dataset"]
    entry = EvalResultEntry(
        dataset_id=identity,
        task_id=task,
        value=report["contenders"][0]["headline"],
        dataset_revision=data["revision"] if data["id"] == identity else None,
        date=report["created"],
        notes=f"{headline_score(report['task']).title} on {report['rows']:,} test rows",
    )
    return f"{identity.rpartition('/')[2]}.yaml", eval_result_entries_to_yaml([entry])
