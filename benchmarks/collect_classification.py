r"""Gathers the cells of the classification benchmark into result files, one per dataset and checkpoint.

    python benchmarks/collect_classification.py

A contender that has not run yet is left out, with a line that says so. Differences are paired over the
rows of a test; `clear` says that the interval leaves out zero and the randomisation test agrees.
"""

import argparse
import json
import sys
from pathlib import Path
from statistics import mean, stdev

from run_classification import BASELINES, CELLS, GAIN_LABELS, GAIN_SEEDS, STRATEGIES
from seed_mean import SeedMean

from hfkit.scores.evidence import Evidence
from hfkit.scores.statistics import bootstrap_interval, clearly_different, paired_difference
from hfkit.tasks import ImageClassification, TextClassification

RESULTS = Path(__file__).parent / "results"
PACKAGES = ("torch", "transformers", "datasets", "accelerate")
TASKS = {"text": TextClassification, "image": ImageClassification}
CONTENDERS = (*BASELINES, *STRATEGIES)
COMMAND = "python benchmarks/run_classification.py --data path/to/datasets --weights path/to/checkpoints"
TITLES = {
    "banking77": "Banking77",
    "banking77_10": "Banking77, 10 rows per class",
    "bccd_v1": "BCCD cells, MobileNetV1 0.25",
    "bccd_v2": "BCCD cells, MobileNetV2",
    "clinc150": "CLINC150",
    "digits_mnist": "MNIST test part, MobileNetV1 0.25",
    "digits_optdigits": "optdigits, MobileNetV1 0.25",
    "goemotions": "GoEmotions, 10,000 rows",
    "grocery_v1": "Grocery Store, MobileNetV1 0.25",
    "grocery_v2": "Grocery Store, MobileNetV2",
    "med_nli": "MED (sentence pairs)",
    "omniglot": "Omniglot small 1, MobileNetV1 0.25",
    "uci_amazon": "UCI sentences, Amazon",
    "uci_imdb": "UCI sentences, IMDb",
    "uci_yelp": "UCI sentences, Yelp",
}


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False).parse_args()
    for name, title in TITLES.items():
        cells = {kind: read(f"{name}-{kind}") for kind in CONTENDERS}
        missing = [kind for kind, cell in cells.items() if cell is None]
        if missing:
            print(f"{name}: no result of {', '.join(missing)}", file=sys.stderr)
        if cells["gradual"]:
            write(f"classification_{name}", gathered(name, title, {kind: cell for kind, cell in cells.items() if cell}))
    for architecture in ("resnet", "vit"):
        found = gain(architecture)
        if found:
            write(f"gain_{architecture}", found)


def read(name: str) -> dict | None:
    path = CELLS / f"{name}.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else None


def write(name: str, result: dict) -> None:
    (RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"{name}.json", file=sys.stderr)


def gathered(name: str, title: str, cells: dict[str, dict]) -> dict:
    subject = cells["gradual"]
    task = TASKS[subject["task"]](**subject["task_settings"])
    return {
        "schema": "hfkit.classification/1",
        "title": title,
        **{key: subject[key] for key in ("task", "checkpoint", "dataset", "headline", "rows", "labels", "seed")},
        **source(subject),
        "contenders": [
            {
                "kind": kind,
                "name": cell["contender"],
                "settings": cell["settings"],
                "validation": cell["validation"] and cell["validation"][cell["headline"]],
                "cpu_seconds": cell["cost"]["cpu_seconds"],
                "peak_memory_mib": cell["cost"]["peak_memory_mib"],
            }
            for kind, cell in cells.items()
        ],
        "tests": [tested(name, task, test, cells) for test in subject["tests"]],
    }


def source(cell: dict) -> dict:
    machine = cell["environment"]
    return {
        "command": COMMAND,
        "machine": f"{machine['cpu']}, one thread a run, CPU only",
        "versions": {package: machine["versions"][package] for package in PACKAGES},
        "commit": machine["commit"],
    }


def tested(name: str, task, test: str, cells: dict[str, dict]) -> dict:
    """Every contender on one test, and by how much `gradual` is above each of the others."""
    evidence = {kind: read_evidence(task, f"{name}-{kind}", test) for kind in cells}
    scores = {kind: cell["tests"][test] for kind, cell in cells.items()}
    differences = {}
    for kind in cells:
        if kind != "gradual":
            pair = paired_difference(evidence["gradual"], evidence[kind])
            keys = ("difference", "low", "high", "p")
            differences[kind] = {key: pair[key] for key in keys} | {"clear": clearly_different(pair)}
    return {
        "test": test,
        "rows": scores["gradual"]["rows"],
        "scores": {
            kind: {
                "headline": found["scores"][task.judge.headline.key],
                **{end: found["interval"][end] for end in ("low", "high")},
                "all": found["scores"],
            }
            for kind, found in scores.items()
        },
        "gradual_above": differences,
    }


def read_evidence(task, name: str, test: str) -> Evidence:
    """The evidence of a cell's answers to one test."""
    found = json.loads((CELLS / f"{name}.{test}.answers.json").read_text("utf-8"))
    return task.judge.evidence(found["answers"], found["references"])


def gain(architecture: str) -> dict | None:
    """Accuracy on the digits of a bundled backbone and of the same network from scratch, over seeds."""
    rows = []
    for labels in GAIN_LABELS:
        runs = {
            strategy: [read(f"gain_{architecture}_{labels or 'all'}_{strategy}_{seed}") for seed in GAIN_SEEDS]
            for strategy in STRATEGIES
        }
        if not all(all(of_strategy) for of_strategy in runs.values()):
            print(f"gain_{architecture}: runs at {labels or 'all'} labels are missing", file=sys.stderr)
            return None
        evidence = {
            strategy: SeedMean(
                [
                    read_evidence(
                        ImageClassification(), f"gain_{architecture}_{labels or 'all'}_{strategy}_{seed}", "sample"
                    )
                    for seed in GAIN_SEEDS
                ]
            )
            for strategy in STRATEGIES
        }
        scores = {}
        for strategy, cells in runs.items():
            values = [cell["tests"]["sample"]["scores"]["accuracy"] for cell in cells]
            interval = bootstrap_interval(evidence[strategy])
            scores[strategy] = {
                "mean": mean(values),
                "std": stdev(values),
                "values": values,
                "low": interval.low,
                "high": interval.high,
            }
        best = max(
            ("gradual", "full"), key=lambda strategy: mean(cell["validation"]["accuracy"] for cell in runs[strategy])
        )
        pair = paired_difference(evidence[best], evidence["scratch"])
        rows.append(
            {
                "labels": runs["full"][0]["rows"]["train"],
                "scores": scores,
                "chosen": best,
                "above_scratch": {key: pair[key] for key in ("difference", "low", "high", "p")},
            }
        )
    return {
        "schema": "hfkit.gain/1",
        "title": f"sample-{architecture} on handwritten digits",
        "test_rows": runs["full"][0]["rows"]["test"],
        "seeds": list(GAIN_SEEDS),
        **source(runs["full"][0]),
        "command": f"{COMMAND} --only gain_{architecture}",
        "rows": rows,
    }


if __name__ == "__main__":
    main()
