"""The datasets of the suite: which rows of them, and what is trained on them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from datasets import Dataset, DatasetDict, load_dataset

SEED = 0  # of the draws below
MOST_VALIDATION, MOST_TEST = 500, 2000  # rows; evaluations should not cost more than training
TEXT_RATES = ("5e-5", "1.5e-4", "4e-4")
IMAGE_RATES = ("3e-4", "1e-3", "3e-3")
BATCHES = {"text": 16, "ner": 16, "image": 32}  # of both sides: the recipes' own
RECIPES = {"text": "recipes/bert_sentiment.py", "ner": "recipes/bert_ner.py", "image": "recipes/resnet_images.py"}
MOBILENET = "mobilenet-v1-0.25-224"


@dataclass(frozen=True)
class Set:
    """A dataset of the suite.

    Args:
        source: its folder among the datasets.
        rows: training rows that are drawn; None: all.
        dev: whether defaults were chosen by looking at it.
        flags: of the recipe, that say what its rows are.
        few: rows of each class that are trained on, and half as many to validate, in place of `rows`.
        checkpoint: a folder among the checkpoints; None: the bundled encoder.
    """

    kind: str
    source: str
    rows: int | None = None
    dev: bool = False
    flags: tuple[str, ...] = ()
    few: int | None = None
    checkpoint: str | None = None

    @property
    def batch(self) -> int:
        return BATCHES[self.kind]

    @property
    def rates(self) -> tuple[str, ...]:
        return IMAGE_RATES if self.kind == "image" else TEXT_RATES


SETS: dict[str, Set] = {
    "uci_amazon": Set("text", "uci_sentiment_sentences/amazon", dev=True),
    "uci_yelp": Set("text", "uci_sentiment_sentences/yelp"),
    "uci_imdb": Set("text", "uci_sentiment_sentences/imdb"),
    "banking77_10": Set("text", "banking77", few=10, dev=True),
    "banking77": Set("text", "banking77"),
    "clinc150": Set("text", "clinc150", rows=3000),
    "goemotions": Set("text", "goemotions", rows=5000, flags=("--problem", "multi-label")),
    "med_nli": Set("text", "med_nli", rows=1600, dev=True),
    "sms_spam": Set("text", "sms_spam"),
    "germeval2018": Set("text", "germeval2018"),
    "hate_offensive": Set("text", "hate_offensive_tweets", rows=5000),
    "wnut17_800": Set("ner", "wnut17", rows=800, dev=True),
    "wnut17": Set("ner", "wnut17"),
    "bc5cdr": Set("ner", "bc5cdr", rows=1000),
    "broad_twitter": Set("ner", "broad_twitter_corpus", rows=1000),
    "grocery_store": Set("image", "grocery_store", dev=True, checkpoint=MOBILENET),
    "bccd_cells": Set("image", "bccd_cells", checkpoint=MOBILENET),
    "digits_optdigits": Set("image", "digits_shift/optdigits", rows=1000, dev=True, checkpoint=MOBILENET),
    "digits_mnist": Set("image", "digits_shift/mnist", rows=1000, checkpoint=MOBILENET),
    "omniglot_small": Set("image", "omniglot_small/small1", checkpoint=MOBILENET),
}
KEPT = {"text": ("text", "label"), "ner": ("tokens", "ner_tags"), "image": ("image", "label")}
RENAMED = {"premise": "text", "hypothesis": "text_pair", "labels": "label"}


def prepare(one: Set, data: Path, folder: Path) -> None:
    """Write the rows of a set, drawn with a fixed seed, as train, validation and test parquet."""
    if (folder / "test.parquet").is_file():
        return
    splits = load_dataset("parquet", data_files={f.stem: str(f) for f in sorted((data / one.source).glob("*.parquet"))})
    kept = {RENAMED.get(name, name) for name in (*KEPT[one.kind], "premise", "hypothesis", "labels")}
    splits = DatasetDict({name: keep(rows, kept) for name, rows in splits.items()})
    train, validation = splits["train"], splits.get("validation")
    if one.few:
        order = np.random.default_rng(SEED).permutation(len(train))
        turn = turns(train, order)
        train, validation = (
            train.select(sorted(order[(turn >= start) & (turn < end)].tolist()))
            for start, end in ((0, one.few), (one.few, one.few + one.few // 2))
        )
    elif validation is None:
        order = np.random.default_rng(SEED).permutation(len(train))
        tenth = len(order) // 10
        train, validation = train.select(sorted(order[tenth:])), train.select(sorted(order[:tenth]))
    made = {
        "train": draw(train, one.rows),
        "validation": draw(validation, None if one.few else MOST_VALIDATION),
        "test": draw(splits["test"], MOST_TEST),
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, rows in made.items():
        rows.to_parquet(folder / f"{name}.parquet")


def keep(rows: Dataset, names: set[str]) -> Dataset:
    """The columns that both sides read, under the names that they know."""
    renamed = rows.rename_columns({old: new for old, new in RENAMED.items() if old in rows.column_names})
    return renamed.select_columns([name for name in renamed.column_names if name in names])


def draw(rows: Dataset, most: int | None) -> Dataset:
    if most is None or len(rows) <= most:
        return rows
    return rows.select(sorted(np.random.default_rng(SEED).permutation(len(rows))[:most].tolist()))


def turns(rows: Dataset, order: np.ndarray) -> np.ndarray:
    """How many rows of its class come before each row of an order."""
    seen: dict[int, int] = {}
    labels = np.array(rows["label"])[order]
    found = []
    for label in labels.tolist():
        found.append(seen.get(label, 0))
        seen[label] = found[-1] + 1
    return np.array(found)
