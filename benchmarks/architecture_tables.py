"""The table of architectures in docs/backbones.md, from what architectures.py wrote."""

from typing import Any

from hfkit.report.pages import markdown_text

PROVEN = ("proven", "listed")
OURS = ("sequence classification", "token classification", "image classification")  # tasks that hfkit has
COUNTED = (*PROVEN, "in part", "refused", "wrong")


def architectures_table(result: dict[str, Any]) -> str:
    """Counts, the architectures of each task with their number of blocks, and what was refused, why."""
    if result["schema"] != "hfkit.architectures/1":
        raise ValueError(f"this renders hfkit.architectures/1 and not {result['schema']}")
    rows = result["rows"]
    timm = [row for row in rows if row["name"].startswith("timm/")]
    own = [row for row in rows if row not in timm]
    versions = result["environment"]["versions"]
    lines = [
        "| | built small | mapped and proven | in part | refused | wrong |",
        "|---|---:|---:|---:|---:|---:|",
        count_row(f"architectures of transformers {versions['transformers']}", own),
        count_row("those built for a task that hfkit has", [row for row in own if row["task"] in OURS]),
        count_row(f"families of timm {versions['timm']}, one model each", timm),
        "",
        "| task | architectures |",
        "|---|---|",
        *(task_row(task, own) for task in dict.fromkeys(row["task"] for row in own if row["outcome"] in PROVEN)),
        f"| timm | {list_names(timm)} |",
        "",
        "In part, because the rows made up for them are texts and run no tower for sound or pictures: its layers are"
        " not told apart, and the plan says so: "
        + ", ".join(markdown_text(row["name"]) for row in rows if row["outcome"] == "in part")
        + ".",
        "",
        "Refused:",
        "",
        *(refusal_line(row) for row in rows if row["outcome"] in ("refused", "wrong")),
        "",
        "Not built small, and so not counted (the reasons are in `benchmarks/results/architectures.json`): "
        + ", ".join(row["name"] for row in rows if row["outcome"] == "not built")
        + ".",
        "",
        f"Measured by `{result['command']}`.",
    ]
    return "\n".join(lines)


def count_row(title: str, rows: list[dict[str, Any]]) -> str:
    built = [row for row in rows if row["outcome"] in COUNTED]
    proven = sum(row["outcome"] in PROVEN for row in built)
    others = " | ".join(str(sum(row["outcome"] == kind for row in built)) for kind in ("in part", "refused", "wrong"))
    return f"| {title} | {len(built)} | {proven} ({proven / max(1, len(built)):.1%}) | {others} |"


def task_row(task: str, rows: list[dict[str, Any]]) -> str:
    return f"| {task} | {list_names([row for row in rows if row['task'] == task])} |"


def list_names(rows: list[dict[str, Any]]) -> str:
    names = [row["name"].removeprefix("timm/") for row in rows if row["outcome"] in PROVEN]
    return markdown_text(", ".join(names)) or "–"


def refusal_line(row: dict[str, Any]) -> str:
    return f"- {markdown_text(row['name'])}: {markdown_text(row['reason'])}"
