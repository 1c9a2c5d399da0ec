"""People: how far those agree who answered the rows, and the score that one of them would reach."""

from typing import Any

from hfkit.doctor.findings import Finding, Severity
from hfkit.doctor.rows import Rows

# Krippendorff (2004), Content Analysis: conclusions ask for 0.8, and below 0.667 not even tentative ones hold.
RELIABLE, TENTATIVE = 0.8, 0.667


def examine_people(rows: Rows) -> tuple[list[Finding], dict[str, Any]]:
    """A finding if several people answered rows, and the numbers behind it."""
    people = rows.loaded.people
    if people is None:
        return [], {}
    evidence, alphas = [], []
    for split, found in people["by_split"].items():
        alpha = "not defined, for all answers are the same"
        if found["alpha"] is not None:
            alphas.append(found["alpha"])
            alpha = f"{found['alpha']:.3f} ({found['scale']})"
        evidence.append(
            f"{split}: {found['rows']:,} rows with {found['answers']:,} answers of {found['annotators']:,} people;"
            f" Krippendorff's alpha {alpha}, {100 * found['share']:.1f} % of the pairs are equal"
        )
    if ceiling := people["ceiling"]:
        score, low, high = rows.task.judge.headline.title, ceiling["interval"]["low"], ceiling["interval"]["high"]
        evidence.append(
            f"test: each person's answer against what the others decide reaches {score} {ceiling['headline']:.3f}"
            f" [{low:.3f}, {high:.3f}], in {ceiling['answers']:,} answers to {ceiling['rows']:,} rows"
        )
    severity, fix = weigh_alpha(min(alphas, default=1.0))
    what = "several people answered rows, and the score of a model is to be read against how far they agree"
    return [Finding("data", "agreement", severity, what, evidence, fix)], {"agreement": people}


def weigh_alpha(alpha: float) -> tuple[Severity, str]:
    """The severity of an agreement, and what to do."""
    if alpha >= RELIABLE:
        return "ok", ""
    fix = "Look at the rows on which they disagree: say more clearly what each label means, and label those again"
    return ("warning" if alpha < TENTATIVE else "note"), fix
