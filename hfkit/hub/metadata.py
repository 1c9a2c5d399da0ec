"""A card's front matter: what the Hub sorts, links and plots a model by, from the report alone."""

from pathlib import Path
from typing import Any

from huggingface_hub import EvalResultEntry, eval_result_entries_to_yaml

from hfkit.arguments.hub_terms import BENCHMARK
from hfkit.report.pages import words
from hfkit.scores.score import SCORES, headline_text

# Scores whose metric goes by another name on the Hub.
HUB_METRICS = {"macro_f1": "f1", "mcc": "matthews_correlation", "pearson": "pearsonr", "spearman": "spearmanr"}


def model_name(settings: dict[str, Any]) -> str:
    """What the model is called: its id on the Hub, or the name of the folder it was saved to."""
    return str(settings.get("hub_model_id") or Path(str(settings.get("output_dir", ""))).name or "model")


def shown_scores(report: dict[str, Any]) -> dict[str, float]:
    """The scores of the report's subject that a reader knows by name, the headline first."""
    scores, headline = report["contenders"][0]["scores"], report["task"]["headline"]
    return {headline: scores[headline], **{name: score for name, score in scores.items() if name in SCORES}}


def front_matter(report: dict[str, Any], model: str, *, adapter: bool = False) -> dict[str, Any]:
    """The metadata of the card of `model`: what is not known has no key.

    Args:
        adapter: the card is that of the low-rank adapters alone, and not of the whole model.
    """
    settings, task = report["settings"], report["task"]
    base, data = report["origin"]["base"] or {}, report["origin"]["dataset"]
    based = base.get("relation") is not None
    scores = shown_scores(report)
    identity = based and base["id"]
    found = {
        "library_name": "peft" if adapter else "transformers",
        "pipeline_tag": task["name"],
        "license": settings.get("license") or (base["license"] if based else None),
        "language": settings.get("language") or data["language"],
        "base_model": identity,
        # Adapters that were merged into the weights make a whole model, which is a fine-tuned one.
        "base_model_relation": identity and ("adapter" if adapter else "finetune"),
        "datasets": [data["id"]] if data["id"] else None,
        "metrics": sorted({HUB_METRICS.get(name, name) for name in scores}),
        "tags": list(dict.fromkeys(["hfkit", *([settings["strategy"]] if settings.get("strategy") else [])])),
        "model-index": [{"name": model, "results": [result(report, scores)]}],
    }
    return {key: value for key, value in found.items() if value}


def result(report: dict[str, Any], scores: dict[str, float]) -> dict[str, Any]:
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
            {"type": HUB_METRICS.get(name, name), "value": score, "name": headline_text(name)}
            for name, score in sorted(scores.items())
        ],
    }


def benchmark_result(report: dict[str, Any]) -> tuple[str, list[dict[str, Any]]] | None:
    """The headline score for the leaderboard of a benchmark: the file's name and what it holds; None without one.

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
        notes=f"{headline_text(report['task']['headline'])} on {report['rows']:,} test rows",
    )
    return f"{identity.rpartition('/')[2]}.yaml", eval_result_entries_to_yaml([entry])
