"""The table of real.py's runs in docs/results.md."""

from typing import Any

from hfkit.report.pages import interval_text, markdown_text, score_text

SCHEMA = "hfkit.benchmark.real/1"


def real_table(results: list[dict[str, Any]]) -> str:
    """A row for each dataset, then the verdict of each report in its own words, then how it was measured."""
    for result in results:
        if result["schema"] != SCHEMA:
            raise ValueError(f"this renders {SCHEMA} and not {result['schema']}")
    machines = sorted({result["environment"]["cpu"] for result in results})
    environment = results[-1]["environment"]
    versions = environment["versions"]
    return "\n".join(
        [
            "| dataset | recipe, and what it starts from | rows: train / test | score | fine-tuned | baselines |",
            "|---|---|---|---|---|---|",
            *map(table_row, results),
            "",
            *(f"- **{markdown_text(result['name'])}**: {verdict_text(result)}" for result in results),
            "",
            "Scores with 95 % intervals over the test rows, and CPU seconds of training. The rows are drawn with a"
            " fixed seed where there are fewer than the dataset has. `python -m benchmarks.real` runs them"
            f" ({' and '.join(machines)}, {environment['threads']} thread, torch {versions['torch']}, transformers"
            f" {versions['transformers']}).",
        ]
    )


def table_row(result: dict[str, Any]) -> str:
    first = result["runs"][0]["contenders"]
    ours = next(one for one in first if not one["baseline"])
    baselines = [contender_text(one) for one in first if one["baseline"]]
    flags = " ".join(result["flags"])
    rows = " / ".join(f"{result['rows'][split]:,}" for split in ("train", "test"))
    headline = result["headline"]
    lower = "" if headline["better"] == "higher" else ", lower is better"
    cells = [
        markdown_text(result["name"]),
        f"{markdown_text(result['recipe'])}: {markdown_text(result['starts_from'])} (`{flags}`)",
        rows,
        f"{headline['title']}{lower}",
        contender_text(ours) + other_seeds(result),
        "; ".join(baselines),
    ]
    return f"| {' | '.join(cells)} |"


def contender_text(one: dict[str, Any]) -> str:
    seconds = f", {one['cost']['cpu_seconds']:,.0f} CPU s" if one["cost"] and not one["baseline"] else ""
    name = f"{markdown_text(one['name'])} " if one["baseline"] else ""
    return f"{name}{score_text(one['headline'])} {interval_text(one['interval'])}{seconds}"


def other_seeds(result: dict[str, Any]) -> str:
    others = [
        score_text(next(one["headline"] for one in run["contenders"] if not one["baseline"]))
        for run in result["runs"][1:]
    ]
    return f"; other seeds {', '.join(others)}" if others else ""


def verdict_text(result: dict[str, Any]) -> str:
    return markdown_text(result["runs"][0]["verdict"])
