"""From the cells of the suite to its result file, and from that to a table and a line."""

import json
from pathlib import Path
from statistics import mean, median
from typing import Any

from benchmarks.suite.cells import SEEDS, chosen_rate, data_of, own_path, stock_path
from benchmarks.suite.sets import SETS, Set
from hfkit.ledger.comparison import Comparison
from hfkit.report.pages import interval_text, score_text, signed_text
from hfkit.scores.evidence import Evidence
from hfkit.tasks import NER, ImageClassification, TextClassification

RESULT = Path("benchmarks", "results", "suite.json")
TASKS = {"ner": NER, "text": TextClassification, "image": ImageClassification}


def collect() -> None:
    """Write the result file from the cells that there are; a set without both sides keeps what is recorded of it."""
    known = json.loads(RESULT.read_text()) if RESULT.is_file() else {"sets": []}
    recorded = {row["set"]: row for row in known["sets"]}
    rows = [row for name, one in SETS.items() if (row := collect_set(name, one) or recorded.get(name))]
    result = {"sets": rows, "planned": {"sets": len(SETS), "seeds": len(SEEDS)}}
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def collect_set(name: str, one: Set) -> dict[str, Any] | None:
    """Scores, difference and cost of both sides on a set, over the seeds that both have; None without any."""
    rate = chosen_rate(name, one)
    seeds = [
        seed for seed in SEEDS if rate and own_path(name, seed).is_file() and stock_path(name, rate, seed).is_file()
    ]
    if not seeds:
        return None
    paths = {
        "hfkit": [own_path(name, seed) for seed in seeds],
        "stock": [stock_path(name, rate, seed) for seed in seeds],
    }
    cells = {side: [json.loads(path.read_text()) for path in of_side] for side, of_side in paths.items()}
    problem = {"problem": one.flags[1]} if one.flags else {}
    task = TASKS[one.kind](dataset=str(data_of(name)), **problem)
    rows = task.load()
    references = task.rows.references(rows["test"])
    evidence: dict[str, list[Evidence]] = {
        side: [
            task.judge.evidence(json.loads(path.with_suffix(".predictions.json").read_text())["test"], references)
            for path in of_side
        ]
        for side, of_side in paths.items()
    }
    comparison = Comparison(evidence)
    scores, found = comparison.scores(), comparison.differences([("hfkit", "stock")])["hfkit", "stock"]
    seconds = {side: [cell["train_cpu_seconds"] for cell in of_side] for side, of_side in cells.items()}
    plain = stock_path(name, rate, 0, "fp32")
    return {
        "set": name,
        "dev": one.dev,
        "rows": {split: len(rows[split]) for split in ("train", "validation", "test")},
        "headline": task.judge.headline.key,
        "seeds": seeds,
        "stock_rate": float(rate),
        "stock_grid": [float(tried) for tried in one.rates],
        "scores": scores,
        "difference": {key: found[key] for key in ("difference", "low", "high", "p", "different")},
        "cpu_seconds": seconds,
        "cpu_ratio": {
            "bf16": mean(seconds["hfkit"]) / mean(seconds["stock"]),
            "fp32": mean(seconds["hfkit"]) / read_seconds(plain) if plain.is_file() else None,
        },
        "steps": {side: [cell["steps"] for cell in of_side] for side, of_side in cells.items()},
        "environment": cells["hfkit"][0]["environment"],
    }


def read_seconds(path: Path) -> float:
    return json.loads(path.read_text())["train_cpu_seconds"]


def suite_table(result: dict) -> str:
    """A row for each set: both sides' test scores over the seeds, their difference, and what hfkit costs of stock."""
    lines = [
        "| set | rows: train / test | seeds | score | hfkit, default | stock Trainer, best of its rates | difference"
        " | CPU seconds of stock's in float32 | in bfloat16 |",
        "|---|---|---:|---|---|---|---|---:|---:|",
    ]
    for row in result["sets"]:
        sides = [
            f"{score_text(row['scores'][side]['headline'])} {interval_text(row['scores'][side]['interval'])}"
            for side in ("hfkit", "stock")
        ]
        gap = row["difference"]
        difference = f"{signed_text(gap['difference'])} {interval_text(gap)}"
        beyond = "**" if gap["different"] else ""
        lines.append(
            f"| {row['set']}{'*' if row['dev'] else ''} | {row['rows']['train']:,} / {row['rows']['test']:,}"
            f" | {len(row['seeds'])} | {row['headline']} | {sides[0]} | {sides[1]} | {beyond}{difference}{beyond}"
            f" | {ratio_text(row['cpu_ratio']['fp32'])} | {ratio_text(row['cpu_ratio']['bf16'])} |"
        )
    machines = sorted({row["environment"]["cpu"] for row in result["sets"]})
    text = (
        "\\* The defaults were chosen by looking at this set; the others were judged once. Bold: beyond noise, over"
        f" test rows and seeds.{progress_text(result)} `python -m benchmarks.suite`, {' and '.join(machines)}, CPU"
        " only, one thread a run."
    )
    return "\n".join([*lines, "", text])


def progress_text(result: dict) -> str:
    """How much of the suite was run; "" for all of it."""
    planned, seeds = result["planned"], sum(len(row["seeds"]) for row in result["sets"])
    if seeds == planned["sets"] * planned["seeds"]:
        return ""
    sets = f"{len(result['sets'])} of {planned['sets']} sets were run so far"
    return f" {sets}, with {seeds} of {planned['sets'] * planned['seeds']} seeds in all."


def ratio_text(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}"


def suite_line(result: dict) -> str:
    """The suite in one line."""
    gaps = [row["difference"] for row in result["sets"]]
    above = sum(gap["different"] and gap["difference"] > 0 for gap in gaps)
    below = sum(gap["different"] and gap["difference"] < 0 for gap in gaps)
    cost = median(row["cpu_ratio"]["bf16"] for row in result["sets"])
    return (
        "Without a flag touched, hfkit is above the stock Trainer, tuned over its rates and given the same steps,"
        f" beyond noise on {above} of {len(gaps)} real datasets, and below on {below}; it takes {cost:.2f} of the CPU"
        " seconds of one stock run in bfloat16, the median"
        f" ([table](docs/results.md#the-default-beside-the-tuned-stock-trainer)).{progress_text(result)}"
    )
