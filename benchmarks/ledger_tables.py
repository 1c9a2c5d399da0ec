"""README's tables of the measured ledgers, and of what the literature says against what came out there."""

from pathlib import Path
from typing import Any

from hfkit.ledger.entries import is_scratch, pretrained_strategies
from hfkit.report.pages import interval_text, markdown_text, score_text, signed_text
from hfkit.scores.score import Score, headline_score

NOTHING = "–"


def ledgers_table(ledgers: dict[Path, dict[str, Any]]) -> str:
    """One row for each ledger: the best strategy, the best baseline, training from scratch, and what the verdict says.

    Args:
        ledgers: by the file that each was read from.
    """
    lines = [
        "| ledger | rows: train / test | score | best strategy | best baseline | from scratch | worth fine-tuning? |",
        "|---|---|---|---|---|---|---|",
    ]
    for path, ledger in ledgers.items():
        rows, contenders, score = ledger["rows"], ledger["contenders"], headline_score(ledger["task"])
        baselines = [c for c in contenders if c["kind"] == "baseline"]
        scratch = [c for c in contenders if is_scratch(c["name"])]
        cells = [
            f"[{markdown_text(path.stem)}](benchmarks/results/ledgers/{path.stem}.md)",  # the site has it there too
            f"{rows['train']:,} / {rows['test']:,}",
            score.title,
            *(best_text(group, score) for group in (pretrained_strategies(contenders), baselines, scratch)),
            worth(ledger),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    first = next(iter(ledgers.values()))
    machine = first["environment"]
    lines += [
        "",
        f"Every page says its command, seeds, notes and machine ({machine['cpu']}, torch"
        f" {machine['versions']['torch']}, transformers {machine['versions']['transformers']}); `make ledgers` runs"
        " them. Strategies are means over seeds, with 95 % intervals.",
    ]
    return "\n".join(lines)


def worth(ledger: dict[str, Any]) -> str:
    """Whether the verdict finds the best strategy worth its cost beside the best baseline."""
    rules = {sentence["rule"] for sentence in ledger["verdict"]["sentences"]}
    if "worth its cost" in rules:
        return "yes"
    return "not shown" if "not worth its cost" in rules else NOTHING


def best_text(contenders: list[dict[str, Any]], score: Score) -> str:
    """The best of some contenders, with its score and its cost."""
    if not contenders:
        return NOTHING
    best = score.best(contenders, lambda contender: contender["headline"])
    reached = f"{score_text(best['headline'])} {interval_text(best['interval'])}"
    return f"{markdown_text(best['name'])} {reached}, {best['cost']['cpu_seconds']:,.0f} CPU s"


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
