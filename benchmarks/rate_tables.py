"""The tables of the rates that a sweep finds, beside the best of a grid."""

from statistics import mean
from typing import Any

from benchmarks.input_tables import measured
from hfkit.report.pages import markdown_text, score_text

RULES = {
    "half a power below": "the lowest loss, divided by √10 (taken)",
    "lowest loss": "the lowest loss itself",
    "a tenth of it": "the lowest loss, divided by 10",
    "steepest descent": "the steepest descent",
}


def rate_range_table(result: dict[str, Any]) -> str:
    """Per set what was found and what it is worth; then how far each rule is off."""
    lines = [
        "| set | steps | recipe's rate | found | best of the grid by score, by loss"
        " | off, powers of two, by score, by loss | score: recipe's rate | found | best |",
        "|---|---:|---:|---|---|---|---:|---:|---:|",
        *map(row_of, result["sets"]),
        "",
        "| rule, on the sweep of all depths | off by score, mean of sets | off by loss |",
        "|---|---:|---:|",
    ]
    for rule, name in RULES.items():
        off = [mean(abs(one["errors"][by][rule]) for one in result["sets"]) for by in ("headline", "loss")]
        lines.append(f"| {name} | {off[0]:.1f} | {off[1]:.1f} |")
    return measured(lines, result)


def row_of(one: dict[str, Any]) -> str:
    grid, factors, best, errors = (
        {cell["factor"]: cell for cell in one["grid"]},
        one["factors"],
        one["best"],
        one["errors"],
    )
    found = f"x {factors['taken']:.2g}"
    if factors["taken, lowest depth"] != factors["taken"]:
        found += f", x {factors['taken, lowest depth']:.2g} below"
    cells = [
        f"{markdown_text(one['name'])} ({markdown_text(one['headline'])})",
        str(one["steps"]),
        f"{one['learning_rate']:.0e}",
        found,
        f"x {best['headline']:g}, x {best['loss']:g}",
        f"{errors['headline']['taken']:+.1f}, {errors['loss']['taken']:+.1f}",
        *(score_text(cell["score"]) for cell in (grid[1.0], one["found"], grid[best["headline"]])),
    ]
    return f"| {' | '.join(cells)} |"
