"""The tables of docs/intervals.md: how often intervals hold the truth, beside simpler intervals of the same draws."""

from collections.abc import Callable
from itertools import groupby
from typing import Any

from hfkit.report.pages import markdown_text

Cell = dict[str, Any]
FEW, LEAST, BAND = 10, 0.90, (0.93, 0.97)  # at ten rows there is only a least; from 20 rows on there is a band


def coverage_table(result: dict[str, Any]) -> str:
    """A line for each kind of score and truth, a column for each number of rows, and what came of the goal in words."""
    cells = result["cells"]
    numbers = sorted({cell["rows"] for cell in cells})
    lines = [
        f"| score | truth or setting | {' | '.join(f'{rows} rows' for rows in numbers)} |",
        f"|---|---|{'---|' * len(numbers)}",
    ]
    for (kind, parameter), group in groupby(cells, key=lambda cell: (cell["kind"], cell["parameter"])):
        of_rows = {cell["rows"]: cell_text(cell) for cell in group}
        named = map(markdown_text, (kind, parameter))
        lines.append(f"| {' | '.join([*named, *(of_rows[rows] for rows in numbers)])} |")
    at_few, others = ([cell for cell in cells if (cell["rows"] <= FEW) is few] for few in (True, False))
    lines += [
        "",
        f"Each cell: how often the interval holds the truth, and in brackets the same of the percentile interval."
        f" **Bold** is below the goal of {BAND[0]:.2f} to {BAND[1]:.2f} ({LEAST:.2f} or more at {FEW} rows), *italic*"
        f" above it. {result['replicates']:,} replicates of {result['resamples']} resamples: a coverage of 0.95 has a"
        " standard error of 0.005. That of accuracies is computed without chance, and judged by the mean over truths up"
        " to one answer away.",
        "",
        f"- {FEW} rows: {count(at_few, lambda c: place(c) == 0)} of {len(at_few)} cells reach the goal, of the"
        f" percentile intervals {count(at_few, lambda c: c['percentile'] >= LEAST)}.",
        f"- More rows: {count(others, lambda c: place(c) == 0)} of {len(others)} lie within the goal,"
        f" {count(others, lambda c: place(c) > 0)} above and {count(others, lambda c: place(c) < 0)} below; of the"
        f" percentile intervals {count(others, lambda c: BAND[0] <= c['percentile'] <= BAND[1])} lie within and"
        f" {count(others, lambda c: c['percentile'] < BAND[0])} below.",
        "",
        f"Measured by `{result['command']}`.",
    ]
    return "\n".join(lines)


def cell_text(cell: Cell) -> str:
    mark = {-1: "**", 0: "", 1: "*"}[place(cell)]
    return f"{mark}{cell['coverage']:.3f}{mark} ({cell['percentile']:.2f})"


def place(cell: Cell) -> int:
    """-1 below the goal, 0 within, 1 above it."""
    held = cell.get("near", cell["coverage"])
    if cell["rows"] <= FEW:
        return 0 if held >= LEAST else -1
    return -1 if held < BAND[0] else int(held > BAND[1])


def count(cells: list[Cell], holds: Callable[[Cell], bool]) -> int:
    return sum(map(holds, cells))


def fold_coverage_table(result: dict[str, Any]) -> str:
    """A line for each learner and number of rows, a column for each way of folding."""
    cells = result["cells"]
    covered = [cell for cell in cells if "corrected" in cell]
    ways = list(dict.fromkeys((cell["folds"], cell["seeds"]) for cell in covered))
    headings = [f"{folds} folds, {seeds} {'seeds' if seeds > 1 else 'seed'}" for folds, seeds in ways]
    lines = [
        f"| score or difference | rows | {' | '.join(headings)} |",
        f"|---|---:|{'---|' * len(ways)}",
    ]
    for (kind, rows), group in groupby(covered, key=lambda cell: (cell["kind"], cell["rows"])):
        of_way = {(cell["folds"], cell["seeds"]): cell for cell in group}
        texts = [f"{of_way[way]['corrected']:.3f} ({of_way[way]['usual']:.2f})" for way in ways]
        lines.append(f"| {markdown_text(kind)} | {rows} | {' | '.join(texts)} |")
    lines += [
        "",
        "Each cell: how often the corrected interval holds the truth, and in brackets the same of Student's t without"
        f" the correction. {result['replicates']:,} replicates: a coverage of 0.95 has a standard error of 0.007.",
        "",
        "Ten equal contenders, of which validation picks one: how often any of the other nine is called different from"
        " it, and in brackets without the allowance for the pick.",
        "",
        "| rows | folds | seeds | any claim |",
        "|---:|---:|---:|---|",
    ]
    for cell in cells:
        if "claims_allowed" in cell:
            share = f"{100 * cell['claims_allowed']:.1f} % ({100 * cell['claims_plain']:.1f} %)"
            lines.append(f"| {cell['rows']} | {cell['folds']} | {cell['seeds']} | {share} |")
    return "\n".join([*lines, "", f"Measured by `{result['command']}`."])
