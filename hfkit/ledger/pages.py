"""The ledger's three files: the record, and the page and the Markdown text made from it alone."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hfkit.ledger import plots as ledger_plots
from hfkit.ledger.schema import COSTS, validate_ledger
from hfkit.report import plots
from hfkit.report.pages import shown, templates

MOST_CLASSES = 20  # rows of the table of differences
MOST_DISAGREEMENTS = 24


def render_ledger(ledger: dict[str, Any]) -> dict[str, str]:
    """A ledger's files by name: ledger.json, ledger.md and ledger.html.

    Raises:
        ValueError: `ledger` is not what `ledger.schema` describes.
    """
    validate_ledger(ledger)
    return {
        "ledger.json": json.dumps(ledger, indent=1, ensure_ascii=False, allow_nan=False) + "\n",
        "ledger.md": _page("ledger.md.j2", ledger),
        "ledger.html": _page("ledger.html.j2", ledger),
    }


def _page(template: str, ledger: dict[str, Any]) -> str:
    environment = templates(Path(__file__).parent / "templates", markdown=".md." in template)
    environment.filters |= {"p": p_text, "large": large_text, "rate": rate_text, "cost": cost_text, "several": several}
    contenders = ranked(ledger["contenders"])
    return environment.get_template(template).render(
        ledger,
        contenders=contenders,  # here in the order of their rank, the best first
        best=contenders[0] if contenders else None,
        numbers={contender["name"]: i + 1 for i, contender in enumerate(contenders)},
        level=f"{100 * contenders[0]['interval']['level']:g}" if contenders else "95",
        measured=measured(contenders),
        forest=ledger_plots.forest(contenders) if contenders else None,
        pareto=ledger_plots.pareto(contenders) if contenders else None,
        learning=ledger_plots.learning(contenders),
        curves=ledger_plots.budgets(ledger["budgets"], contenders) if ledger["budgets"] else None,
        reliability=ledger_plots.reliability(contenders),
        orders=ledger_plots.orders(contenders),
        by_class=ledger_plots.differences(ledger["classes"], [c["name"] for c in contenders], MOST_CLASSES)
        if ledger["classes"]
        else None,
        answers=answers,
        interval_notes=interval_notes(contenders),
        facts=facts,
        most_disagreements=MOST_DISAGREEMENTS,
        pairs_shown=[
            (title, ledger["pairs"][key])
            for key, title in (("scratch", "against training from scratch"), ("baseline", "against the best baseline"))
            if ledger["pairs"][key]
        ],
    )


def ranked(contenders: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The contenders from the best to the last; the one that the others are compared with is the first."""
    others = {contender["difference"]["to"] for contender in contenders if contender["difference"]}
    return sorted(contenders, key=lambda contender: (contender["name"] not in others, -contender["headline"]))


def measured(contenders: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Costs beyond those that every contender has, as (key, what a reader calls it)."""
    extra = dict.fromkeys(key for contender in contenders for key in contender["cost"] if key not in COSTS)
    titles = {"energy_kwh": "energy kWh", "peak_gpu_memory_mib": "GPU MiB"}
    return [(key, titles.get(key, key.replace("_", " "))) for key in extra]


def interval_notes(contenders: Sequence[Mapping[str, Any]]) -> list[tuple[str, list[str]]]:
    """What is to be said of intervals, as (note, whose intervals)."""
    whose: dict[str, list[str]] = {}
    for contender in contenders:
        whose.setdefault(contender["interval"]["note"], []).append(contender["name"])
    return [(note, names) for note, names in whose.items() if note]


def answers(row: Mapping[str, Any]) -> list[tuple[str, list[str]]]:
    """What the others said to a row, as (answer, who said it), the commonest answer first."""
    said: dict[str, list[str]] = {}
    for name, answer in row["answers"].items():
        if name != row["right"]:
            said.setdefault(answer, []).append(name)
    return sorted(said.items(), key=lambda item: -len(item[1]))


def facts(contender: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """A contender's facts that have no plot of their own."""
    return [(key, value) for key, value in contender["facts"].items() if key != "orders"]


def p_text(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def large_text(count: int | None) -> str:
    """A number of parameters as it is spoken of."""
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
    """Seconds, mebibytes and the like, in as many digits as say something."""
    if value is None:
        return "–"
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 or not value else f"{value:.2g}"


def several(count: int, word: str) -> str:
    return f"{shown(count)} {word}{'' if count == 1 else 's'}"
