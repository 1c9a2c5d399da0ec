"""The table of docs/compare.md on searches: the best validation score after as many CPU seconds as the grid takes."""

from itertools import groupby
from typing import Any

import numpy as np

from hfkit.report.pages import markdown_text, score_text

FEWEST = 5  # repeats that say something


def tuning_table(result: dict[str, Any]) -> str:
    """A line for each set and search: means over repeats, with their standard deviations."""
    lines = [
        "| rows | search | repeats | best validation | its test score | trials | ended early | CPU s |",
        "|---|---|---:|---|---|---:|---:|---:|",
    ]
    runs = sorted(result["runs"], key=lambda run: run["set"])  # stable: searches stay in their order
    for name, of_set in groupby(runs, key=lambda run: run["set"]):
        by_tuner: dict[str, list[dict[str, Any]]] = {}
        for run in of_set:
            by_tuner.setdefault(run["tuner"], []).append(run)
        for tuner, own in by_tuner.items():
            counts = [f"{np.mean([run[key] for run in own]):.1f}" for key in ("trials", "pruned", "budget")]
            scores = [mean_text([run[key] for run in own]) for key in ("validation", "test")]
            heading = f"{markdown_text(name)} ({own[0]['score']})"
            lines.append(f"| {heading} | {tuner} | {len(own)} | {' | '.join([*scores, *counts])} |")
    lines += ["", "Means over repeats ± their standard deviation."]
    if max(run["repeat"] for run in runs) < FEWEST - 1:
        lines += ["So few repeats say little about which search is better."]
    lines += ["", f"Measured by `{result['command']}`."]
    return "\n".join(lines)


def mean_text(values: list[float]) -> str:
    return score_text(float(np.mean(values))) + (f" ± {np.std(values, ddof=1):.3f}" if len(values) > 1 else "")
