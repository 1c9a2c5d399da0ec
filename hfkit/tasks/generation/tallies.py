"""Counts of n-grams that add up over rows, and the BLEU and chrF that follow from their sums, as sacrebleu has them.

Source: sacrebleu 2, `BLEU` with its smoothing `exp`, and `CHRF` of six characters and no words.
"""

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

ORDER, CHARACTERS, BETA = 4, 6, 2  # the longest n-grams: words of BLEU, characters of chrF; chrF's weight of recall


def tally_bleu(
    predictions: Sequence[str], references: Sequence[Sequence[str]], tokenize: Callable[[str], str]
) -> np.ndarray:
    """Counts of every row, (rows, 10): right n-grams and all n-grams that were written, of 1 to 4 words each; words
    that were written, and words of the gold text whose length is nearest."""
    found = np.zeros((len(predictions), 2 * ORDER + 2), dtype=np.int64)
    for counts, ours, gold in zip(found, predictions, references, strict=True):
        words, others = (tokenize(ours.rstrip()).split(), [tokenize(text.rstrip()).split() for text in gold])
        of_gold: Counter[tuple[str, ...]] = Counter()
        for other in others:
            of_gold |= word_ngrams(other)
        for ngram, count in word_ngrams(words).items():
            counts[ORDER + len(ngram) - 1] += count
            counts[len(ngram) - 1] += min(count, of_gold[ngram])
        nearest = min((abs(len(words) - len(other)), len(other)) for other in others)[1]
        counts[-2:] = len(words), nearest
    return found


def word_ngrams(words: Sequence[str]) -> Counter[tuple[str, ...]]:
    return Counter(tuple(words[i : i + n]) for n in range(1, ORDER + 1) for i in range(len(words) - n + 1))


def bleu_of(sums: np.ndarray) -> np.ndarray:
    """BLEU from 0 to 100 of summed counts, (..., 10) -> (...)."""
    right, every = sums[..., :ORDER].astype(float), sums[..., ORDER : 2 * ORDER].astype(float)
    written, gold = sums[..., -2].astype(float), sums[..., -1].astype(float)
    with np.errstate(divide="ignore", invalid="ignore"):
        # The first order without a right n-gram counts as half of one, the next as a quarter of one.
        halves = 2.0 ** np.cumsum((right == 0) & (every > 0), axis=-1)
        precisions = np.where(every > 0, np.where(right > 0, right, 1 / halves) / every, 0.0)
        brevity = np.where(written < gold, np.exp(1 - gold / written), 1.0)
        score = 100 * brevity * np.exp(np.log(precisions).mean(axis=-1))
    return np.where(right.any(axis=-1) & (precisions > 0).all(axis=-1), score, 0.0)


def tally_chrf(predictions: Sequence[str], references: Sequence[Sequence[str]]) -> np.ndarray:
    """Counts of every row, (rows, 18): n-grams of 1 to 6 characters that were written, that the best of the gold texts
    has, and that both have; blanks left out."""
    found = np.zeros((len(predictions), 3 * CHARACTERS), dtype=np.int64)
    for counts, ours, gold in zip(found, predictions, references, strict=True):
        mine = character_ngrams(ours)
        tallies = np.array([compare(mine, character_ngrams(text)) for text in gold]).reshape(len(gold), -1)
        counts[:] = tallies[np.argmax(chrf_of(tallies))]
    return found


def character_ngrams(text: str) -> list[Counter[str]]:
    letters = "".join(text.split())
    return [Counter(letters[i : i + n] for i in range(len(letters) - n + 1)) for n in range(1, CHARACTERS + 1)]


def compare(ours: Sequence[Counter[str]], gold: Sequence[Counter[str]]) -> list[list[int]]:
    return [
        [mine.total() if theirs else 0, theirs.total(), sum(min(count, theirs[ngram]) for ngram, count in mine.items())]
        for mine, theirs in zip(ours, gold, strict=True)
    ]


def chrf_of(sums: np.ndarray) -> np.ndarray:
    """chrF from 0 to 100 of summed counts, (..., 18) -> (...)."""
    counts = sums.reshape(*sums.shape[:-1], CHARACTERS, 3).astype(float)
    written, gold, both = counts[..., 0], counts[..., 1], counts[..., 2]
    there = (written > 0) & (gold > 0)
    orders = np.maximum(there.sum(axis=-1), 1)
    precision = np.where(there, both / np.maximum(written, 1), 0).sum(axis=-1) / orders
    recall = np.where(there, both / np.maximum(gold, 1), 0).sum(axis=-1) / orders
    together = BETA**2 * precision + recall
    return 100 * (1 + BETA**2) * precision * recall / np.where(together > 0, together, 1)
