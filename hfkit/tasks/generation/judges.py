"""The judges of written texts: ROUGE by rouge-score for summaries, BLEU and chrF as sacrebleu counts for translations.

Every score is a formula of sums over rows, so that intervals draw rows instead of scoring anew.
"""

from functools import cached_property
from typing import Any, ClassVar, Literal

import numpy as np

from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.scores.evidence import Sums
from hfkit.scores.score import Score
from hfkit.tasks.generation.tallies import bleu_of, chrf_of, tally_bleu, tally_chrf
from hfkit.tasks.generation.words import foreign_share, split_words

ROUGE = (
    Score("rougeL", "ROUGE-L", hub="rouge"),
    Score("rouge1", "ROUGE-1", hub="rouge"),
    Score("rouge2", "ROUGE-2", hub="rouge"),
)
BLEU, CHRF = Score("bleu", "BLEU", hub="sacrebleu"), Score("chrf", "chrF")
PERCENT = (0.0, 100.0)
FOREIGN = 0.2  # of the letters, from which on rouge-score's own words are no measure
Words = Literal["english", "any"]


class AnyWords:
    """Words of any script, in the form of a tokenizer of rouge-score."""

    def tokenize(self, text: str) -> list[str]:
        return split_words(text)


class SummaryJudge:
    """ROUGE F1 of every text against the nearest of its gold texts, and its mean over the rows.

    Args:
        stemmer: words count without their English endings (Porter's stemmer).
        words: 'english' is rouge-score's own tokenizer, which drops all but a to z and digits; 'any' takes the words of
            every script.
    """

    headline: ClassVar[Score] = ROUGE[0]
    scores: ClassVar[tuple[Score, ...]] = ROUGE

    def __init__(self, *, stemmer: bool = False, words: Words = "english") -> None:
        if stemmer and words == "any":
            raise UserError("rouge_stemmer", "it knows English words alone", "Leave out one of them")
        self.stemmer, self.words = stemmer, words

    @cached_property
    def _scorer(self) -> Any:
        try:
            from rouge_score.rouge_scorer import RougeScorer
        except ImportError as error:
            raise missing_package("rouge-score") from error
        keys = [score.key for score in self.scores]
        return RougeScorer(keys, self.stemmer, tokenizer=AnyWords() if self.words == "any" else None)

    def require(self) -> None:
        """Refuse to begin without the package that scores.

        Raises:
            UserError: it is not installed.
        """
        self._scorer  # noqa: B018

    def score(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        """The mean F1 of ROUGE-L, 1 and 2, and the share of rows for which nothing was written."""
        tallies = self._tally(predictions, references)
        means = tallies.sum(axis=0) / max(len(tallies), 1)
        empty = sum(not text.strip() for text in predictions) / max(len(predictions), 1)
        return {**dict(zip((score.key for score in self.scores), means.tolist(), strict=True)), "empty": empty}

    def _tally(self, predictions: list[str], references: list[list[str]]) -> np.ndarray:
        """F1 of every row and score, (rows, 3)."""
        found = [
            [scores[score.key].fmeasure for score in self.scores]
            for ours, gold in zip(predictions, references, strict=True)
            for scores in [self._scorer.score_multi(gold, ours)]
        ]
        return np.array(found, dtype=float).reshape(-1, len(self.scores))

    def evidence(self, predictions: list[str], references: list[list[str]]) -> Sums:
        """ROUGE-L of each row, and 1 for the row itself, (rows, 2)."""
        tallies = self._tally(predictions, references)[:, :1]
        return Sums(np.hstack([tallies, np.ones_like(tallies)]), mean_of)

    def breakdown(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
        return {}

    def perfect_predictions(self, references: list[list[str]]) -> list[str]:
        return [gold[0] for gold in references]

    def facts(self, targets: list[list[str]]) -> dict[str, Any]:
        """How ROUGE was counted, for a reader; and a warning if its words are no measure."""
        share = foreign_share([gold[0] for gold in targets[:1000]])
        if self.words == "english" and share > FOREIGN:
            tell(
                f"{share:.0%} of the letters of the targets are none of a to z, and ROUGE as English counts it drops"
                " them: set --rouge_words any"
            )
        return {"rouge": f"rouge-score, F1, words: {self.words}, stemmer: {'yes' if self.stemmer else 'no'}"}


class TranslationJudge:
    """BLEU and chrF of the whole test split, as sacrebleu computes them, from 0 to 100.

    Args:
        tokenizer: of sacrebleu's BLEU: '13a', 'intl', 'zh', 'char', 'none'.
    """

    headline: ClassVar[Score] = BLEU
    scores: ClassVar[tuple[Score, ...]] = (BLEU, CHRF)

    def __init__(self, tokenizer: str = "13a") -> None:
        self.tokenizer = tokenizer

    @cached_property
    def _metrics(self) -> tuple[Any, Any]:
        """sacrebleu's own metrics: the tokenizer comes from them, and the signatures."""
        try:
            from sacrebleu.metrics import BLEU as Bleu
            from sacrebleu.metrics import CHRF as ChrF
        except ImportError as error:
            raise missing_package("sacrebleu") from error
        return Bleu(tokenize=self.tokenizer), ChrF()

    def require(self) -> None:
        """Refuse to begin without the package that scores.

        Raises:
            UserError: it is not installed.
        """
        self._metrics  # noqa: B018

    def score(self, predictions: list[str], references: list[list[str]]) -> dict[str, float]:
        """BLEU and chrF, how long the answers are in words of the gold ones, and the share of empty ones."""
        tallies = self._tally_bleu(predictions, references).sum(axis=0)
        return {
            "bleu": float(bleu_of(tallies)),
            "chrf": float(chrf_of(tally_chrf(predictions, references).sum(axis=0))),
            "length_ratio": float(tallies[-2] / max(tallies[-1], 1)),
            "empty": sum(not text.strip() for text in predictions) / max(len(predictions), 1),
        }

    def _tally_bleu(self, predictions: list[str], references: list[list[str]]) -> np.ndarray:
        return tally_bleu(predictions, references, self._metrics[0].tokenizer)

    def evidence(self, predictions: list[str], references: list[list[str]]) -> Sums:
        """The counts that BLEU sums over rows (see `tally_bleu`)."""
        return Sums(self._tally_bleu(predictions, references), bleu_of, PERCENT)

    def breakdown(self, predictions: list[str], references: list[list[str]]) -> dict[str, Any]:
        return {}

    def perfect_predictions(self, references: list[list[str]]) -> list[str]:
        return [gold[0] for gold in references]

    def facts(self, targets: list[list[str]]) -> dict[str, Any]:
        """The signatures, without which two BLEU scores cannot be compared."""
        most = max(map(len, targets), default=1)
        few = sorted(targets, key=len)
        shown = [*few[:1], *few[-1:]] or [[""]]
        streams = [[gold[place] if place < len(gold) else None for gold in shown] for place in range(most)]
        found = {}
        for name, metric in zip(("bleu", "chrf"), self._metrics, strict=True):
            # Only then it knows how many gold texts there are.
            metric.corpus_score([gold[0] for gold in shown], streams)
            found[f"{name}_signature"] = str(metric.get_signature())
        return found


def mean_of(sums: np.ndarray) -> np.ndarray:
    """A sum over rows divided by their number, (..., 2) -> (...)."""
    return sums[..., 0] / np.maximum(sums[..., 1], 1e-300)


def missing_package(package: str) -> UserError:
    """The error for a score whose package is not there."""
    return UserError(
        f"the scores of written text are counted by {package}",
        "it is not installed",
        'Run: pip install "hfkit[generation]"',
    )
