"""The kinds of answers about findings: a likelihood for each of several, or for each of the classes of a row."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from datasets import List, Value
from torch import Tensor

from hfkit.contract.view import Choice
from hfkit.tasks.classification.kinds import OneLabel, SeveralLabels
from hfkit.tasks.classification.writing import PLAIN, Writing
from hfkit.tasks.findings.cells import (
    Blank,
    Uncertain,
    count_unknown,
    findings_reader,
    known_findings,
    unknown_findings,
)
from hfkit.tasks.findings.judge import FindingsJudge, decide, likeliest
from hfkit.tasks.losses import IGNORED

FEWEST = 5  # rows with a finding, and as many without, that it needs for a threshold of its own


@dataclass(frozen=True)
class Findings(SeveralLabels):
    """Any number of findings per row, some of them not known: these are in no loss and no score.

    A prediction is the likelihood of each finding. A gold answer is a list of names, `?` behind those not known.
    """

    uncertain: Uncertain = "ignore"
    blank: Blank = "ignore"
    no_finding: str | None = None

    def reader(self, names: list[str] | None, writing: Writing = PLAIN) -> Callable[[Any], list[str]]:
        return findings_reader(names, writing, uncertain=self.uncertain, blank=self.blank, no_finding=self.no_finding)

    def labels_of(self, answer: list[str]) -> list[str]:
        return known_findings(answer)

    def classes_of(self, values: list) -> list[tuple[str, ...]]:
        return [tuple(known_findings(value or [])) for value in values]

    def judge(self, outside: str | None) -> FindingsJudge:
        return FindingsJudge(several=True, no_finding=self.no_finding)

    def targets(self, gold: list[list[str]], labels: list[str]) -> tuple[list[list[float]], Any]:
        """A 1 or 0 for each finding, `IGNORED` where it is not known."""
        place = {label: number for number, label in enumerate(labels)}
        targets = np.zeros((len(gold), len(labels)), np.float32)
        for row, answer in enumerate(gold):
            targets[row, [place[name] for name in known_findings(answer)]] = 1
            targets[row, [place[name] for name in unknown_findings(answer) if name in place]] = IGNORED
        return targets.tolist(), List(Value("float32"))

    def weights(self, targets: Tensor) -> Tensor:
        """rows without the finding / rows with it, of those that are known"""
        having, lacking = (targets == 1).sum(0), (targets == 0).sum(0)
        return lacking.clamp(min=1) / having.clamp(min=1)

    def loss(
        self, logits: Tensor, labels: Tensor, smoothing: float, weights: Tensor | None, gamma: float = 0.0
    ) -> Tensor:
        known = labels != IGNORED
        spread = None if weights is None else weights.expand_as(logits)[known]
        return super().loss(logits[known], labels[known], smoothing, spread, gamma)

    def count(self, labels: Tensor, items: Tensor | int | None) -> Tensor:
        return (labels != IGNORED).sum() if items is None else torch.as_tensor(items)

    def answers(self, logits: np.ndarray, labels: list[str]) -> list[dict[str, float]]:
        return [dict(zip(labels, row, strict=True)) for row in self.likelihoods(logits).tolist()]

    def shift(self, logits: np.ndarray, targets: list) -> np.ndarray | None:
        """A threshold for each finding with the best mean of sensitivity and specificity; ranks stay as they are."""
        shifts = [best_shift(logits[:, place], column) for place, column in enumerate(np.array(targets).T)]
        return np.array(shifts) if any(shifts) else None

    def record(self, prediction: Mapping[str, float]) -> list[str]:
        return decide(prediction)

    def show(self, answer: Mapping[str, float] | Sequence[str]) -> Choice:
        return Choice(tuple(decide(answer) if isinstance(answer, Mapping) else answer), several=True)

    def pair(self, prediction: Mapping[str, float], gold: list[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        return tuple(known_findings(gold)), tuple(decide(prediction, gold))

    def facts(self, gold: list) -> dict[str, Any]:
        """How many rows have each finding, and how many do not say."""
        facts = super().facts(gold)
        return {**facts, "not_known": dict(count_unknown(gold))} if any(map(unknown_findings, gold)) else facts


class OneFinding(OneLabel):
    """One class per row, predicted as the likelihoods of all of them.

    Args:
        no_finding: the class that nothing was found; None: by its usual names.
    """

    def __init__(self, no_finding: str | None = None) -> None:
        self.no_finding = no_finding

    def judge(self, outside: str | None) -> FindingsJudge:
        return FindingsJudge(several=False, no_finding=self.no_finding)

    def answers(self, logits: np.ndarray, labels: list[str]) -> list[dict[str, float]]:
        return [dict(zip(labels, row, strict=True)) for row in self.probabilities(logits).tolist()]

    def record(self, prediction: Mapping[str, float]) -> str:
        return likeliest(prediction)

    def show(self, answer: str | Mapping[str, float]) -> Choice:
        return Choice((answer if isinstance(answer, str) else likeliest(answer),))


def best_shift(logits: np.ndarray, targets: np.ndarray) -> float:
    """The shift of a logit after which above 0 means yes, with the best balanced accuracy; 0 if there are few rows.

    Args:
        targets: 1, 0 or `IGNORED`, (rows,).
    """
    gold = targets[targets != IGNORED] == 1
    if min(gold.sum(), (~gold).sum()) < FEWEST:
        return 0.0
    scores = logits[targets != IGNORED]
    order = np.argsort(-scores, kind="stable")
    ranked, gold = scores[order], gold[order]
    # Index k: the k highest mean yes. No threshold separates equal scores.
    right = np.concatenate([[0], gold.cumsum()]) / gold.sum() - np.concatenate([[0], (~gold).cumsum()]) / (~gold).sum()
    right[1:-1][ranked[:-1] == ranked[1:]] = -2
    best = int(right.argmax())
    above = ranked[best - 1] if best else ranked[0] + 2
    below = ranked[best] if best < len(ranked) else ranked[-1] - 2
    return -float(above + below) / 2
