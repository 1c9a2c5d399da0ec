"""A linear model on what the untouched checkpoint already knows, to which fine-tuning has to add something."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from hfkit.baselines.base import Answers
from hfkit.baselines.frozen.features import OnFrozenFeatures
from hfkit.baselines.frozen.linear import Fitted, Search, fit_best, standardise
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task

TOKEN_SEARCH = Search(penalties=(3e-2, 1e-2, 3e-3, 1e-3, 3e-4))
ROW_SEARCH = Search(penalties=(1.0, 0.3, 0.1, 3e-2, 1e-2, 3e-3, 1e-3))  # rows are fewer than the tokens in them


@dataclass(frozen=True)
class LinearProbe(OnFrozenFeatures):
    """A linear model on features of the frozen checkpoint: of every labelled token, or of the whole row.

    All penalties are tried on what the task itself reads. The other poolings are tried with the best of them, and with
    all of them where that is better on validation.
    """

    name: ClassVar[str] = "linear probe"
    description: ClassVar[str] = "logistic regression on features of the frozen checkpoint"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the pooling and the penalty that did best on validation."""
        frozen = self.features(task, rows)
        codec, headline = frozen.codec, task.judge.headline
        own, *others = frozen.poolings
        search = TOKEN_SEARCH if frozen.poolings[own]["train"].places.ndim == 2 else ROW_SEARCH

        def fit_pooling(pooling: str, search: Search) -> Fitted:
            features = standardise(frozen.poolings[pooling])
            linear = nn.Linear(features["train"].inputs.shape[1], len(names_of(codec.target)))
            return fit_best(task, codec, linear, features, frozen.encoded, rows["validation"], search, name=self.name)

        pooling, best = own, fit_pooling(own, search)
        once = replace(search, penalties=(best.penalty,))
        rivals = {other: fit_pooling(other, once) for other in others}
        if rivals:
            rival = headline.best(rivals, lambda other: rivals[other].score)
            if headline.sign * rivals[rival].score > headline.sign * best.score:
                whole = fit_pooling(rival, search)
                pooling, best = rival, headline.best((rivals[rival], whole), lambda one: one.score)
        return Answers(
            best.predictions,
            codec.probabilities(best.reduced, frozen.encoded["test"]),
            {"pooling": pooling, "penalty": best.penalty, "validation": best.score, **frozen.facts},
        )
