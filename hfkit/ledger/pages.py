"""The ledger's three files: the record, and the HTML and Markdown pages made from it alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfkit.ledger import plots as ledger_plots
from hfkit.ledger.entries import more_rows_text
from hfkit.ledger.schema import COSTS, validate_ledger
from hfkit.ledger.space import changes_text
from hfkit.report import plots
from hfkit.report.pages import cell_text, templates
from hfkit.scores.score import headline_score

MOST_CLASSES = 20  # rows of the table of differences
MOST_DISAGREEMENTS = 24
TEMPLATES = Path(__file__).parent / "templates"


def render_ledger(ledger: dict[str, Any]) -> dict[str, str]:
    """A ledger's files by name: ledger.json, ledger.md and ledger.html.

    Raises:
        ValueError: `ledger` is not what `ledger.schema` describes.
    """
    validate_ledger(ledger)
    return {
        "ledger.json": json.dumps(ledger, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "ledger.md": _render("ledger.md.j2", ledger),
        "ledger.html": _render("ledger.html.j2", ledger),
    }


def _render(template: str, ledger: dict[str, Any]) -> str:
    environment = templates(TEMPLATES, markdown=".md." in template)
    environment.filters |= {
        "p": p_text,
        "large": large_text,
        "rate": rate_text,
        "cost": cost_text,
        "several": count_text,
        "fold": fold_text,
        "changes": lambda changes: changes_text(tuple(changes.items())),
    }
    sign = headline_score(ledger["task"]).sign
    contenders = rank(ledger["contenders"], sign)
    chosen = next((contender for contender in contenders if contender["name"] == ledger["chosen"]), None)
    return environment.get_template(template).render(
        ledger,
        contenders=contenders,  # here in the order of their rank, the best first
        chosen=chosen,
        run="fold" if ledger["folds"] else "seed",
        numbers={contender["name"]: i + 1 for i, contender in enumerate(contenders)},
        level=f"{100 * contenders[0]['interval']['level']:g}" if contenders else "95",
        measured=extra_costs(contenders),
        forest=ledger_plots.forest(contenders, sign) if contenders else None,
        pareto=ledger_plots.pareto(contenders, sign) if contenders else None,
        worse="below" if sign > 0 else "above",
        learning=ledger_plots.learning(contenders),
        curves=ledger_plots.budgets(ledger["budgets"], contenders) if ledger["budgets"] else None,
        reliability=ledger_plots.reliability(contenders),
        orders=ledger_plots.orders(contenders),
        by_class=ledger_plots.differences(
            ledger["classes"],
            sorted((c["name"] for c in contenders), key=lambda name: name != chosen["name"]),
            MOST_CLASSES,
        )
        if ledger["classes"]
        else None,
        answers=other_answers,
        interval_notes=interval_notes(contenders),
        facts=other_facts,
        most_disagreements=MOST_DISAGREEMENTS,
        pairs_shown=[pair for pair in ledger["pairs"].values() if pair],
        needed=lambda pair: needed_text(pair, ledger["rows"]["test"]),
    )


def rank(contenders: Sequence[Mapping[str, Any]], sign: int = 1) -> list[Mapping[str, Any]]:
    """The contenders from best to worst on the test rows; of equals, the chosen one comes first.

    Args:
        sign: 1, or -1 if a lower score is better.
    """
    return sorted(
        contenders, key=lambda contender: (-sign * contender["headline"], contender["difference"] is not None)
    )


def needed_text(pair: Mapping[str, Any], rows: int) -> str:
    """How many more rows or seeds would tell a difference that is within noise; empty if none would."""
    seeds = f"{pair['needed_seeds']:,} seeds" if pair["needed_seeds"] else ""
    more = more_rows_text(pair["needed_rows"], rows)
    ways = [way for way in (more and f"{more} more test rows", seeds) if way]
    return f"it would take {' or '.join(ways)} to tell" if ways and not pair["different"] else ""


def extra_costs(contenders: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Costs beyond those that every contender has, as (key, title for a reader)."""
    extra = dict.fromkeys(key for contender in contenders for key in contender["cost"] if key not in COSTS)
    titles = {"energy_kwh": "energy kWh", "peak_gpu_memory_mib": "GPU MiB"}
    return [(key, titles.get(key, key.replace("_", " "))) for key in extra]


def interval_notes(contenders: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """The notes on intervals, as (note, names of the contenders)."""
    whose: dict[str, list[str]] = {}
    for contender in contenders:
        whose.setdefault(contender["interval"]["note"], []).append(contender["name"])
    return [(note, names) for note, names in whose.items() if note]


def other_answers(row: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """The wrong answers to a row, as (answer, names of the contenders), the most common answer first."""
    names: dict[str, list[str]] = {}
    for name, answer in row["answers"].items():
        if name != row["right"]:
            names.setdefault(answer, []).append(name)
    return sorted(names.items(), key=lambda item: -len(item[1]))


def other_facts(contender: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A contender's facts that have no plot of their own."""
    return [(key, value) for key, value in contender["facts"].items() if key != "orders"]


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def large_text(count: int | None) -> str:
    """A number of parameters, such as 22.7 M."""
    if count is None:
        return "–"
    for unit, name in ((10**9, "B"), (10**6, "M"), (10**3, "k")):
        if count >= unit:
            return f"{count / unit:.3g} {name}" if count < 1000 * unit else f"{count / unit:,.0f} {name}"
    return str(count)


def rate_text(rate: float) -> str:
    """A learning rate: 2e-05 as 2e-5."""
    mantissa, _, exponent = f"{rate:.2e}".partition("e")
    return f"{mantissa.rstrip('0').rstrip('.')}e{int(exponent)}".replace("-", plots.MINUS)


def cost_text(value: float | None) -> str:
    """Seconds, mebibytes and the like, in as many digits as are meaningful."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 or not value else f"{value:.2g}"


def fold_text(run: Mapping[str, Any]) -> str:
    """The fold of a run, after its seed; empty without folds."""
    return "" if run["fold"] is None else f", fold {run['fold']}"


def count_text(count: int, word: str) -> str:
    return f"{cell_text(count)} {word}{'' if count == 1 else 's'}"
