"""The four judges of classification: for one class per row, several labels, a number, or a place on a scale."""

from typing import Any, ClassVar

import numpy as np

from hfkit.errors import UserError
from hfkit.scores.evidence import Moments, Paired, Sums, total
from hfkit.scores.score import Score
from hfkit.tasks.classification.errors import class_breakdown

ACCURACY = Score("accuracy", "accuracy")
F1 = Score("f1", "F1")
MACRO_F1 = Score("macro_f1", "macro F1", hub="f1")
PEARSON = Score("pearson", "Pearson r", hub="pearsonr")
SPEARMAN = Score("spearman", "Spearman rho", hub="spearmanr")
KAPPA = Score("quadratic_kappa", "quadratic kappa")
RANKING, LABEL_SET = "a ranking of labels, best first", "a list of labels, which may be empty"
ERRORS = (Score("rmse", "RMSE", better="lower"), Score("mae", "MAE", better="lower"))


class ClassJudge:
    """Accuracy of one class per row; the prediction is a ranking, best first, and the reference one class.

    Args:
        outside: the class of rows that belong to no class, which are also scored separately.
    """

    headline: ClassVar[Score] = ACCURACY
    scores: ClassVar[tuple[Score, ...]] = (
        ACCURACY,
        MACRO_F1,
        Score("top5_accuracy", "top-5 accuracy"),
        Score("mcc", "MCC", hub="matthews_correlation"),
    )

    def __init__(self, outside: str | None = None) -> None:
        self.outside = outside

    def score(self, predictions: list[list[str]], references: list[str]) -> dict[str, float]:
        from hfkit.scores.metrics import class_scores, scope_scores

        refuse_bare_labels(predictions, RANKING)
        scores = class_scores(predictions, references)
        if self.outside is not None:
            scores |= scope_scores([ranked[0] for ranked in predictions], references, self.outside)
        return put_headline_first(self, scores, predictions, references)

    def evidence(self, predictions: list[list[str]], references: list[str]) -> Sums:
        """Counts of each row, (rows, 2): right, and 1."""
        refuse_bare_labels(predictions, RANKING)
        counts = [(ranked[0] == gold, 1) for ranked, gold in zip(predictions, references, strict=True)]
        return Sums(np.array(counts).reshape(-1, 2), lambda sums: quotient(sums, 0, 1))

    def breakdown(self, predictions: list[list[str]], references: list[str]) -> dict[str, Any]:
        return class_breakdown([[ranked[0]] for ranked in predictions], [[gold] for gold in references], single=True)

    def perfect_predictions(self, references: list[str]) -> list[list[str]]:
        """Rankings of one class."""
        return [[gold] for gold in references]


class LabelSetJudge:
    """Micro F1 of any number of labels per row, which are lists on both sides."""

    headline: ClassVar[Score] = F1
    scores: ClassVar[tuple[Score, ...]] = (F1, Score("precision", "precision"), Score("recall", "recall"), MACRO_F1)

    def score(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        from hfkit.scores.metrics import label_set_scores

        refuse_bare_labels(predictions, LABEL_SET)
        return put_headline_first(self, label_set_scores(predictions, references), predictions, references)

    def evidence(self, predictions: list[list[str]], references: list[list[str]]) -> Sums:
        """Labels of each row, (rows, 3): right, predicted, gold."""
        refuse_bare_labels(predictions, LABEL_SET)
        pairs = [(set(ours), set(gold)) for ours, gold in zip(predictions, references, strict=True)]
        counts = [(len(ours & gold), len(ours), len(gold)) for ours, gold in pairs]
        return Sums(np.array(counts).reshape(-1, 3), f1_of_counts)

    def breakdown(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        return class_breakdown(predictions, references, single=False)

    def perfect_predictions(self, references: list[list[str]]) -> list[list[str]]:
        return references


class NumberJudge:
    """Pearson's correlation of numbers."""

    headline: ClassVar[Score] = PEARSON
    scores: ClassVar[tuple[Score, ...]] = (PEARSON, SPEARMAN, *ERRORS)

    def score(self, predictions: list[float], references: list[float]) -> dict[str, float]:
        from hfkit.scores.metrics import number_scores

        return put_headline_first(self, number_scores(predictions, references), predictions, references)

    def evidence(self, predictions: list[float], references: list[float]) -> Paired:
        return Paired(predictions, references, pearson)

    def breakdown(self, predictions: list, references: list) -> dict[str, Any]:
        return {}

    def perfect_predictions(self, references: list) -> list:
        return references


class ScaleJudge(NumberJudge):
    """Quadratic weighted kappa of whole numbers on a scale."""

    headline: ClassVar[Score] = KAPPA
    scores: ClassVar[tuple[Score, ...]] = (KAPPA, ACCURACY, PEARSON, SPEARMAN, *ERRORS)

    def score(self, predictions: list[int], references: list[int]) -> dict[str, float]:
        from hfkit.scores.metrics import number_scores

        hits = [ours == gold for ours, gold in zip(predictions, references, strict=True)]
        scores = {**number_scores(predictions, references), "accuracy": sum(hits) / len(hits)}
        return put_headline_first(self, scores, predictions, references)

    def evidence(self, predictions: list[int], references: list[int]) -> Paired:
        return Paired(predictions, references, quadratic_kappa)


def refuse_bare_labels(predictions: list, expected: str) -> None:
    """Refuse a label where a list of labels belongs: its letters would be taken for the labels.

    Raises:
        UserError: naming the first one.
    """
    for prediction in predictions:
        if isinstance(prediction, str):
            raise UserError(f"prediction {prediction!r}", f"it is {expected}", f"Write it as {[prediction]!r}")


def put_headline_first(judge: Any, scores: dict[str, float], predictions: list, references: list) -> dict[str, float]:
    """Scores with the headline first, computed from the same evidence as its interval."""
    key, headline = judge.headline.key, total(judge.evidence(predictions, references))
    return {key: headline} | scores | {key: headline}


def f1_of_counts(sums: np.ndarray) -> np.ndarray:
    """F1 of summed (right, predicted, gold), (..., 3) -> (...); 0 if there is nothing at all."""
    right, predicted, gold = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
    return 2 * right / np.maximum(predicted + gold, 1)


def quotient(sums: np.ndarray, above: int, below: int) -> np.ndarray:
    """One summed count divided by another, (..., counts) -> (...)."""
    columns = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
    return columns[above] / np.maximum(columns[below], 1)


def pearson(found: Moments) -> np.ndarray:
    """Pearson's correlation; 0 if a side is constant."""
    return divide(found.covariance, np.sqrt(found.variance_of_ours * found.variance_of_gold))


def quadratic_kappa(found: Moments) -> np.ndarray:
    """Quadratic weighted kappa; 0 if it is undefined.

    Cohen 1968 with squared distances: one minus observed over expected disagreement.
    """
    return divide(2 * found.covariance, found.variance_of_ours + found.variance_of_gold + found.gap**2)


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """A quotient from -1 to 1; 0 if the denominator is 0, since constant answers correlate with nothing."""
    defined = denominator > 0
    return np.clip(np.where(defined, numerator / np.where(defined, denominator, 1), 0.0), -1, 1)
