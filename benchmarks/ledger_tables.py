"""README's tables of the measured ledgers, and of what the literature says against what came out there."""

from pathlib import Path
from typing import Any

from hfkit.ledger.entries import from_scratch, pretrained
from hfkit.report.pages import interval_text, markdown_text, score_text, signed_text
from hfkit.scores.score import headline_text

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
        rows, contenders = ledger["rows"], ledger["contenders"]
        baselines = [c for c in contenders if c["kind"] == "baseline"]
        scratch = [c for c in contenders if from_scratch(c["name"])]
        cells = [
            f"[{markdown_text(path.stem)}](benchmarks/results/ledgers/{path.stem}.md)",  # the site has it there too
            f"{rows['train']:,} / {rows['test']:,}",
            headline_text(ledger["task"]["headline"]),
            *(told(best(group)) for group in (pretrained(contenders), baselines, scratch)),
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


def best(contenders: list[dict[str, Any]]) -> dict[str, Any] | None:
    return max(contenders, key=lambda c: c["headline"], default=None)


def told(contender: dict[str, Any] | None) -> str:
    if contender is None:
        return NOTHING
    score = f"{score_text(contender['headline'])} {interval_text(contender['interval'])}"
    return f"{markdown_text(contender['name'])} {score}, {contender['cost']['cpu_seconds']:,.0f} CPU s"


def claims_table(found: dict[str, Any]) -> str:
    """What the literature says, and the paired difference that was measured for it."""
    lines = ["| claim | where | difference [95 % interval] | here |", "|---|---|---|---|"]
    last = None
    for claim in found["claims"]:
        difference = f"{signed_text(claim['difference'])} {interval_text(claim)}" if "low" in claim else claim["value"]
        said = "" if claim["claim"] == last else markdown_text(claim["claim"])
        cells, last = [said, markdown_text(claim["where"]), difference, claim["holds"]], claim["claim"]
        lines.append(f"| {' | '.join(cells)} |")
    measured = f"Measured by `{found['command']}`; means over seeds {found['seeds']}."
    return "\n".join([*lines, "", f"{measured} Correction for there being several claims: {found['correction']}."])
