"""Counted words and pieces of words, no pretrained model at all: what a text model must beat to be worth its size."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from datasets import DatasetDict
from scipy.sparse import csr_matrix, hstack
from sklearn.feature_extraction.text import TfidfVectorizer
from tqdm.auto import tqdm

from ..tasks.base import Task
from .base import Baseline, column_of, targets_of
from .linear import Features, Search, Sparse, SparseLinear, best_predictions

STRENGTHS = (0.3, 1.0, 3.0, 10.0, 30.0)  # of fitting: C of scikit-learn's LogisticRegression
STEPS = 20  # of L-BFGS for one strength: 60 of them on Banking77 took twice the time and scored 0.0003 less
MEMORY = 5  # steps that L-BFGS remembers: the weights are many
MOST_TERMS = 100_000  # words and pieces each, the most frequent ones
ENOUGH_ROWS = 1000  # from here on a term that stands in one row only is left out


@dataclass(frozen=True)
class TfIdf(Baseline):
    """Logistic regression on TF-IDF of words, pairs of words and pieces of 3 to 5 characters; ridge for numbers.

    For tasks whose rows have a `text`, and maybe a `text_pair`. The two texts of a pair share the vocabulary and have
    weights of their own; what they have in common is not modelled.
    """

    name: ClassVar[str] = "TF-IDF"
    description: ClassVar[str] = "a linear model on counted words and pieces of words, trained from nothing"

    def predict(self, task: Task, dataset: DatasetDict) -> list:
        """Decoded predictions of every test row, with the penalty that did best on validation."""
        labels = task.labels(dataset)
        targets = targets_of(task, dataset, labels)
        fields = [column_of(dataset, "text", self.name)]
        if "text_pair" in dataset["train"].column_names:
            fields.append(column_of(dataset, "text_pair", self.name))
        features = {
            split: Features(
                Sparse(counted, counted.T.tocsr()),
                torch.as_tensor(targets[split].with_format("torch")["labels"][:]),
                np.ones(len(targets[split]), dtype=bool),
            )
            for split, counted in counted_terms(fields).items()
        }
        rows, terms = features["train"].inputs.rows.shape
        head = SparseLinear(terms, len(labels))
        search = Search(tuple(1 / (strength * rows) for strength in STRENGTHS), STEPS, MEMORY)
        gold = task.references(dataset["validation"])
        return best_predictions(task, head, features, targets, gold, labels, search, name=self.name)


def counted_terms(fields: list[dict[str, list[str]]]) -> dict[str, csr_matrix]:
    """Weighted counts of every split, (rows, terms of all fields); the vocabulary is that of all texts of train."""
    train = [text for field in fields for text in field["train"]]
    settings = {
        "sublinear_tf": True,
        "min_df": 2 if len(train) >= ENOUGH_ROWS else 1,
        "max_features": MOST_TERMS,
        "dtype": np.float32,
    }
    counters = [
        TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+|[^\w\s]", **settings),
        TfidfVectorizer(ngram_range=(3, 5), analyzer="char_wb", **settings),
    ]
    for counter in tqdm(counters, desc="TF-IDF: counting", disable=None):
        counter.fit(train)
    return {
        split: hstack([counter.transform(field[split]) for field in fields for counter in counters], format="csr")
        for split in fields[0]
    }
