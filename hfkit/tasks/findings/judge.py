"""The judge of findings: how well the likelihood of each ranks pictures that have it above those that do not."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, NamedTuple

import numpy as np

from hfkit.errors import UserError
from hfkit.scores.curves import AUPRC, SENSITIVITY
from hfkit.scores.evidence import total
from hfkit.scores.ranked import AUROC as AREA
from hfkit.scores.ranked import Curve, Entries, Ranked
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import class_breakdown
from hfkit.tasks.findings.cells import known_findings, says_nothing, unknown_findings

AUROC = Score("auroc", "AUROC", hub="roc_auc")
CHANCE = 0.5  # the AUROC of answers that say nothing
SURE = 0.5  # likelihood from which on a finding is said to be there

Likelihoods = Mapping[str, float]  # of every finding, or of every class


class Table(NamedTuple):
    """Likelihoods beside what is right, for the findings that are judged."""

    names: list[str]
    likely: np.ndarray  # (rows, findings)
    gold: np.ndarray  # 1, 0, or -1 for not known, (rows, findings)

    @property
    def rankable(self) -> np.ndarray:
        """Whether some rows have a finding and some do not, (findings,): otherwise nothing can be ranked."""
        return (self.gold == 1).any(axis=0) & (self.gold == 0).any(axis=0)


class FindingsJudge:
    """The mean of the findings' areas under the ROC curve.

    A prediction maps every finding to its likelihood. A reference lists the findings that are there, and those not
    known with a `?` behind their names; or with one class a row it is that class. What is not known is left out of
    every score, and so is a finding that all rows have or none.

    Args:
        several: a row may have several findings; otherwise each has one class, and likelihoods are shares of one.
        no_finding: the class that nothing was found, which is no finding; None: by its usual names.
    """

    headline: ClassVar[Score] = AUROC
    scores: ClassVar[tuple[Score, ...]] = (
        AUROC,
        Score("auprc", "AUPRC", hub="average_precision"),
        Score("sensitivity_at_90_specificity", "sensitivity at 90 % specificity"),
        Score("balanced_accuracy", "balanced accuracy"),
    )

    def __init__(self, *, several: bool, no_finding: str | None = None) -> None:
        self.several, self.no_finding = several, no_finding

    def score(self, predictions: list[Likelihoods], references: list) -> dict[str, float]:
        table = self.tabulate(predictions, references)
        return {
            "auroc": total(rank(table, AREA, CHANCE)),
            "auprc": total(rank(table, AUPRC)),
            "sensitivity_at_90_specificity": total(rank(table, SENSITIVITY)),
            "balanced_accuracy": self.balanced_accuracy(table, predictions, references),
        }

    def evidence(self, predictions: list[Likelihoods], references: list) -> Ranked:
        return rank(self.tabulate(predictions, references), AREA, CHANCE)

    def breakdown(self, predictions: list[Likelihoods], references: list) -> dict[str, Any]:
        """F1 of every finding where it is known, and in words what its likelihoods are worth."""
        if self.several:
            found = class_breakdown(
                [decide(likely, gold) for likely, gold in zip(predictions, references, strict=True)],
                [known_findings(gold) for gold in references],
                single=False,
            )
        else:
            found = class_breakdown(
                [[likeliest(one)] for one in predictions], [[gold] for gold in references], single=True
            )
        described = self.describe(self.tabulate(predictions, references))
        return {**found, "note": " ".join(filter(None, (found["note"], described)))}

    def describe(self, table: Table) -> str:
        """The scores of every finding, and which of them are left out, in words."""
        areas, precisions, found = (values_of(table, curve) for curve in (AREA, AUPRC, SENSITIVITY))
        rankable = table.rankable
        having, lacking = ((table.gold == state).sum(axis=0) for state in (1, 0))
        parts = [
            f"{name} {areas[place]:.3f} (AUPRC {precisions[place]:.3f}, sensitivity at 90 % specificity"
            f" {found[place]:.3f}; {having[place]:,} with it, {lacking[place]:,} without)"
            for place, name in enumerate(table.names)
            if rankable[place]
        ]
        left_out = [name for place, name in enumerate(table.names) if not rankable[place]]
        said = f"AUROC of each finding: {'; '.join(parts)}." if parts else ""
        if left_out:
            said += f" Left out, because all rows of test have them or none: {', '.join(left_out)}."
        unknown = int((table.gold == -1).sum())
        return said + (f" Not known, and in no score: {unknown:,} answers." if unknown else "")

    def perfect_predictions(self, references: list) -> list[dict[str, float]]:
        names = sorted(
            {name for gold in references for name in ([gold] if isinstance(gold, str) else known_findings(gold))}
        )
        return [
            {name: float(name in ([gold] if isinstance(gold, str) else gold)) for name in names} for gold in references
        ]

    def tabulate(self, predictions: Sequence[Likelihoods], references: Sequence) -> Table:
        """The judged findings of all rows."""
        for prediction in predictions:
            if not isinstance(prediction, Mapping):
                raise UserError(
                    f"prediction {prediction!r}", "it is a likelihood for every finding", "Write it as {name: 0.5}"
                )
        known = list(predictions[0]) if predictions else []
        names = known if self.several else [name for name in known if not says_nothing(name, self.no_finding)] or known
        likely = np.array([[one[name] for name in names] for one in predictions], dtype=float).reshape(-1, len(names))
        place = {name: number for number, name in enumerate(names)}
        gold = np.zeros(likely.shape, dtype=int)
        for row, answer in enumerate(references):
            there, unknown = (
                ([answer], []) if isinstance(answer, str) else (known_findings(answer), unknown_findings(answer))
            )
            gold[row, [place[name] for name in there if name in place]] = 1
            gold[row, [place[name] for name in unknown if name in place]] = -1
        return Table(names, likely, gold)

    def balanced_accuracy(self, table: Table, predictions: Sequence[Likelihoods], references: Sequence) -> float:
        """The mean over findings of the shares that are right with and without it; of classes, their mean recall."""
        if not self.several:
            recalls = []
            for name in sorted(set(references)):
                rows = [row for row, gold in enumerate(references) if gold == name]
                recalls.append(np.mean([likeliest(predictions[row]) == name for row in rows]))
            return float(np.mean(recalls))
        said, shares = table.likely > SURE, []
        for place in np.flatnonzero(table.rankable):
            gold, ours = table.gold[:, place], said[:, place]
            shares.append((ours[gold == 1].mean() + (~ours[gold == 0]).mean()) / 2)
        return float(np.mean(shares)) if shares else CHANCE


def rank(table: Table, curve: Curve, undefined: float = 0.0) -> Ranked:
    """A curve's mean over the findings, of rows that decide them."""
    row, group = np.nonzero(table.gold >= 0)
    hit = table.gold[row, group]
    positives = (table.gold == 1).astype(int)
    return Ranked(Entries(table.likely[row, group], hit[:, None], row, group, positives), curve, undefined)


def values_of(table: Table, curve: Curve) -> np.ndarray:
    """The value of a curve for every finding, nan where it has none, (findings,)."""
    return next(rank(table, curve).values(np.ones((1, len(table.gold)))))[0, :, 0]


def likeliest(prediction: Likelihoods) -> str:
    """The class of the highest likelihood, the first one of equals."""
    return max(prediction, key=lambda name: prediction[name])


def decide(prediction: Likelihoods, gold: Sequence[str] = ()) -> list[str]:
    """The findings that are said to be there, without those that `gold` does not know."""
    unknown = set(unknown_findings(list(gold)))
    return [name for name, likely in prediction.items() if likely > SURE and name not in unknown]
