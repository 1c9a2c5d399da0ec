"""README's tables of the measured ledgers, and of what the literature says against what came out there."""

from pathlib import Path
from typing import Any

from hfkit.report.pages import interval_text, markdown_text, score_text, signed_text
from hfkit.scores.score import headline_score

NOTHING = "–"


def ledgers_table(ledgers: dict[Path, dict[str, Any]]) -> str:
    """One row for each ledger: the chosen strategy, the rivals that decide about it, and what the verdict says.

    Args:
        ledgers: by the file that each was read from.
    """
    lines = [
        "| ledger | rows: train / test | score | strategy | baseline | from scratch | worth fine-tuning? |",
        "|---|---|---|---|---|---|---|",
    ]
    for path, ledger in ledgers.items():
        rows, contenders, score = ledger["rows"], ledger["contenders"], headline_score(ledger["task"])
        of = {kind: pair["to"] for kind, pair in ledger["pairs"].items() if pair}
        strategy = next((pair["of"] for pair in ledger["pairs"].values() if pair), None)
        cells = [
            f"[{markdown_text(path.stem)}](benchmarks/results/ledgers/{path.stem}.md)",  # the site has it there too
            f"{rows['train']:,} / {rows['test']:,}",
            score.title,
            *(score_of(contenders, name) for name in (strategy, of.get("baseline"), of.get("scratch"))),
            worth(ledger),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    first = next(iter(ledgers.values()))
    machine = first["environment"]
    lines += [
        "",
        f"Every page says its command, seeds, notes and machine ({machine['cpu']}, torch"
        f" {machine['versions']['torch']}, transformers {machine['versions']['transformers']}); `make ledgers` runs"
        " them. The strategy is the one that validation chose, the mean over its seeds with its 95 % interval. The"
        " baseline is the best of those that beat it; without one, of those that it cannot be told apart from; without"
        " one, of all.",
    ]
    return "\n".join(lines)


def asked_table(ledgers: dict[Path, dict[str, Any]]) -> str:
    """A small chat model that is asked, beside fine-tuning an encoder on few rows and on all; and what a row costs."""
    lines = [
        "| data | asked as | score | CPU ms a row | fine-tuned, by training rows | CPU ms a row |",
        "|---|---|---|---:|---|---:|",
    ]
    for path, ledger in ledgers.items():
        tests, name = ledger["rows"]["test"], path.stem.removeprefix("asked_")
        tuned = next(one for one in ledger["contenders"] if one["kind"] == "strategy")
        points = next(curve["points"] for curve in ledger["budgets"]["curves"] if curve["name"] == tuned["name"])
        curve = ", ".join(f"{point['rows']:,}: {score_text(point['headline'])}" for point in points)
        asked = [one for one in ledger["contenders"] if "prompt_checkpoint" in (one["facts"] or {})]
        page = f"[{markdown_text(name)}](benchmarks/results/ledgers/{path.stem}.md)"
        for place, one in enumerate(asked):
            cells = [
                "" if place else f"{page}, {headline_score(ledger['task']).title}",
                one["name"],
                f"{score_text(one['headline'])} {interval_text(one['interval'])}",
                f"{1000 * one['cost']['cpu_seconds'] / tests:,.0f}",
                *(("", "") if place else (curve, f"{tuned['latency_ms']:.1f}")),
            ]
            lines.append(f"| {' | '.join(cells)} |")
    machine = next(iter(ledgers.values()))["environment"]
    return "\n".join([*lines, "", f"Measured by `python -m benchmarks.asked`, {machine['cpu']}, CPU only, one thread."])


def worth(ledger: dict[str, Any]) -> str:
    """Whether the verdict finds the chosen strategy worth its cost beside every baseline, or why it cannot tell."""
    texts = {sentence["rule"]: sentence["text"] for sentence in ledger["verdict"]["sentences"]}
    if "worth its cost" in texts:
        return "yes"
    if "not worth its cost" in texts:
        return "no"
    if "worth not shown" in texts:
        return "not shown"
    doubts = [rule for rule in ("collapsed", "undertrained") if "worth its cost" in texts.get(rule, "")]
    return f"cannot tell: {doubts[0]}" if doubts else NOTHING


def score_of(contenders: list[dict[str, Any]], name: str | None) -> str:
    """A contender by its name, with its score and its cost."""
    if name is None:
        return NOTHING
    one = next(contender for contender in contenders if contender["name"] == name)
    reached = f"{score_text(one['headline'])} {interval_text(one['interval'])}"
    return f"{markdown_text(one['name'])} {reached}, {one['cost']['cpu_seconds']:,.0f} CPU s"


def claims_table(found: dict[str, Any]) -> str:
    """The claims of the literature, and the paired difference measured for each."""
    lines = ["| claim | where | difference [95 % interval] | here |", "|---|---|---|---|"]
    last = None
    for claim in found["claims"]:
        difference = f"{signed_text(claim['difference'])} {interval_text(claim)}" if "low" in claim else claim["value"]
        said = "" if claim["claim"] == last else markdown_text(claim["claim"])
        cells, last = [said, markdown_text(claim["where"]), difference, claim["holds"]], claim["claim"]
        lines.append(f"| {' | '.join(cells)} |")
    measured = f"Measured by `{found['command']}`; means over seeds {found['seeds']}."
    return "\n".join([*lines, "", f"{measured} Correction for there being several claims: {found['correction']}."])


def false_claims_table(found: dict[str, Any]) -> str:
    """How often a page claimed a difference between contenders that are equal, by the number of test rows."""
    claims = [key for key in found["found"][0] if key not in ("rows", "validation", "sd")]
    lines = [
        f"| test rows | validation rows | sd of seeds | {' | '.join(claims)} |",
        f"|---:|---:|---:|{'---:|' * len(claims)}",
    ]
    for row in found["found"]:
        shares = " | ".join(f"{100 * row[claim]:.1f} %" for claim in claims)
        lines.append(f"| {row['rows']:,} | {row['validation']:,} | {row['sd']:.3f} | {shares} |")
    error = 100 * (0.05 * 0.95 / found["pages"]) ** 0.5
    lines += [
        "",
        f"Shares of {found['pages']:,} pages of {found['contenders']} contenders, by `{found['command']}`; at 5 % their"
        f" standard error is {error:.1f} points. *table*: a row of the table was called different.",
    ]
    return "\n".join(lines)
