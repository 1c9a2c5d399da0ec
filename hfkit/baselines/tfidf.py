"""Counts of words, or of pieces of words or sequences, nothing pretrained: a model worth its size beats them."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.pipeline import make_pipeline

from hfkit.baselines.base import Answers, Baseline, column_of
from hfkit.baselines.frozen.linear import Features, Search, Sparse, SparseLinear, best_answers
from hfkit.baselines.logits import label_head, target_splits
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.progress import track

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)  # of fitting: C of scikit-learn's LogisticRegression
STEPS = 20  # of L-BFGS for one strength: 60 of them on Banking77 took twice the time and scored 0.0003 less
MEMORY = 5  # steps that L-BFGS remembers: the weights are many
MOST_TERMS = 100_000  # words and pieces each, the most frequent ones
PLACES = 1 << 17  # of hashed runs of letters
ENOUGH_ROWS = 1000  # from here on a term that stands in one row only is left out


@dataclass(frozen=True)
class TfIdf(Baseline):
    """Logistic regression on TF-IDF of words, pairs of words and pieces of 3 to 5 characters; ridge for numbers.

    For tasks whose rows have a `text`, and maybe a `text_pair`. The two texts of a pair share the vocabulary and have
    weights of their own; what they have in common is not modelled.
    """

    name: ClassVar[str] = "TF-IDF"
    description: ClassVar[str] = "a linear model on counted words and pieces of words, trained from nothing"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the penalty that did best on validation."""
        return counted_answers(task, rows, words_and_pieces, name=self.name)


@dataclass(frozen=True)
class NGrams(Baseline):
    """Logistic regression on TF-IDF of runs of 1 to 6 letters; ridge for numbers.

    For sequences, such as proteins or DNA, in the column `text`, and maybe `text_pair`: nothing is read as a word, and
    case matters.
    """

    name: ClassVar[str] = "n-grams"
    description: ClassVar[str] = "a linear model on counted runs of 1 to 6 letters, trained from nothing"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the penalty that did best on validation."""
        return counted_answers(task, rows, runs_of_letters, name=self.name)


def counted_answers(task: Task, rows: Loaded, counters: Callable[[int], list[Any]], *, name: str) -> Answers:
    """Answers of a linear model on counted terms of the texts, with the penalty that did best on validation.

    Args:
        counters: the number of texts in train -> vectorizers of scikit-learn.
    """
    head = label_head(task, rows, name)
    targets = target_splits(head, rows)
    fields = [column_of(rows, "text", name)]
    if "text_pair" in rows["train"].column_names:
        fields.append(column_of(rows, "text_pair", name))
    features = {
        split: Features(
            Sparse(counted, counted.T.tocsr()),
            torch.as_tensor(targets[split].with_format("torch")["labels"][:]),
            np.ones(len(targets[split]), dtype=bool),
        )
        for split, counted in counted_terms(fields, counters, name=name).items()
    }
    examples, terms = features["train"].inputs.rows.shape
    linear = SparseLinear(terms, len(names_of(head.target)))
    search = Search(tuple(1 / (strength * examples) for strength in STRENGTHS), STEPS, MEMORY)
    return best_answers(task, head, linear, features, targets, rows["validation"], search, name=name)


def counted_terms(
    fields: list[dict[str, list[str]]], counters: Callable[[int], list[Any]], *, name: str
) -> dict[str, csr_matrix]:
    """Weighted counts of every split, (rows, terms of all fields); the vocabulary is that of all texts of train."""
    train = [text for field in fields for text in field["train"]]
    vectorizers = counters(len(train))
    for vectorizer in track(vectorizers, f"{name}: counting"):
        vectorizer.fit(train)
    counted = {
        split: hstack(
            [vectorizer.transform(field[split]) for field in fields for vectorizer in vectorizers], format="csr"
        )
        for split in fields[0]
    }
    known = np.flatnonzero(np.diff(counted["train"].tocsc().indptr))  # the others have no weight
    return {split: rows[:, known] for split, rows in counted.items()}


def words_and_pieces(texts: int) -> list[Any]:
    """Vectorizers of words, pairs of words and pieces of 3 to 5 characters."""
    settings = {
        "sublinear_tf": True,
        "min_df": 2 if texts >= ENOUGH_ROWS else 1,
        "max_features": MOST_TERMS,
        "dtype": np.float32,
    }
    return [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", **settings),
        TfidfVectorizer(ngram_range=(3, 5), analyzer="char_wb", **settings),
    ]


def runs_of_letters(texts: int) -> list[Any]:
    """A vectorizer of runs of 1 to 6 letters, hashed: a table of all runs of 6 amino acids would be too large."""
    counter = HashingVectorizer(
        analyzer="char",
        ngram_range=(1, 6),
        lowercase=False,
        n_features=PLACES,
        alternate_sign=False,
        norm=None,
        dtype=np.float32,
    )
    return [make_pipeline(counter, TfidfTransformer(sublinear_tf=True))]
