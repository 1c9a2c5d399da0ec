"""A linear model on what the untouched checkpoint already knows: what fine-tuning has to add to."""

from dataclasses import dataclass, replace
from typing import ClassVar

from datasets import DatasetDict
from torch import nn

from hfkit.baselines.base import Answers
from hfkit.baselines.frozen.features import OnFrozenFeatures
from hfkit.baselines.frozen.linear import Fitted, Search, best_fit, standardised
from hfkit.contract.task import Task

OF_TOKENS = Search(penalties=(3e-2, 1e-2, 3e-3, 1e-3, 3e-4))
OF_ROWS = Search(penalties=(1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3))  # rows are fewer than the tokens in them


@dataclass(frozen=True)
class LinearProbe(OnFrozenFeatures):
    """A linear model on features of the frozen checkpoint: of every labelled token, or of the whole row.

    All penalties are tried on what the task itself reads; the other poolings with the best of them, and with all of
    them where that is better on validation.
    """

    name: ClassVar[str] = "linear probe"
    description: ClassVar[str] = "logistic regression on features of the frozen checkpoint"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """With the pooling and the penalty that did best on validation."""
        found = self.features(task, dataset)
        gold = task.references(dataset["validation"])
        own, *others = found.poolings
        search = OF_TOKENS if found.poolings[own]["train"].places.ndim == 2 else OF_ROWS

        def fitted(pooling: str, search: Search) -> Fitted:
            features = standardised(found.poolings[pooling])
            head = nn.Linear(features["train"].inputs.shape[1], len(found.labels))
            return best_fit(task, head, features, found.prepared, gold, found.labels, search, name=self.name)

        pooling, best = own, fitted(own, search)
        once = replace(search, penalties=(best.penalty,))
        rivals = {other: fitted(other, once) for other in others}
        rival = max(rivals, key=lambda other: rivals[other].score, default=own)
        if others and rivals[rival].score > best.score:
            pooling, best = rival, max(rivals[rival], fitted(rival, search), key=lambda one: one.score)
        return Answers(
            best.predictions,
            task.probabilities(best.outputs, found.prepared["test"]),
            {"pooling": pooling, "penalty": best.penalty, "validation": best.score, **found.facts},
        )
