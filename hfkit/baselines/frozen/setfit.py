"""A few examples of every class, an encoder tuned to tell them apart pair by pair, and a linear model on top.

Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts" (SetFit).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from datasets import Dataset
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn
from torch.nn.functional import normalize
from transformers import get_linear_schedule_with_warmup

from hfkit.baselines.base import Answers, Baseline, require_package
from hfkit.baselines.frozen.features import OWN, compute_features, frozen_backbone
from hfkit.baselines.logits import (
    answers_of,
    encode_splits,
    has_one_label,
    headline_on,
    probed_codec,
    refuse_numbers,
    score_of,
)
from hfkit.contract.abilities import Probed
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.progress import track

ROUNDS = 20  # batches that a row is in
MOST_TEXTS = 1280  # computed for tuning, of all rows together
ROWS, CLASSES = 16, 4  # in a batch, at most
RATE = 2e-5  # as in the paper; 1e-4 scored 0.03 less on three draws of 16 rows of Yelp
WARMUP = 0.1  # share of the steps
STRENGTHS = (1.0, 10.0, 100.0)  # C of the logistic regression; the best on validation is kept


@dataclass(frozen=True)
class SetFit(Baseline):
    """The checkpoint's encoder after contrastive tuning on a few rows of each class, under a logistic regression.

    For rows with one class. Pairs of a class are pulled together and others pushed apart, by the cosine of what the
    codec's `features` reads of them; then the same rows fit the linear model.

    Args:
        shots: rows of each class, drawn by `seed`; None takes every row of train, each class in as many pairs.
    """

    checkpoint: str
    shots: int | None = 8
    seed: int = 0

    seeded: ClassVar[bool] = True
    name: ClassVar[str] = "SetFit"
    description: ClassVar[str] = "logistic regression on an encoder tuned on pairs of a few rows per class"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """Predictions and probabilities of every test row, and which rows and pairs the encoder was tuned on.

        Raises:
            UserError: sentence-transformers is missing, rows have no single class, or a class has too few of them.
        """
        require_package("setfit")
        codec = probed_codec(task, self.checkpoint, rows, self.name)
        encoded = encode_splits(codec, rows)
        refuse_numbers(self.name, encoded)
        if not has_one_label(encoded["train"]):
            raise UserError(f"baseline '{self.name}'", "it tells apart rows of one class each", "Leave it out")
        if len(set(encoded["train"]["labels"])) < 2:
            raise UserError(f"baseline '{self.name}'", "it tells classes apart, and train has one", "Add other rows")
        shots = draw_shots(np.array(encoded["train"]["labels"]), names_of(codec.target), self.shots, self.seed)
        few = encoded["train"].select(shots)
        _, backbone = frozen_backbone(codec)
        batches = draw_batches(np.array(few["labels"]), self.seed)
        tune(Embedder(backbone, codec), few, codec.collate, batches, seed=self.seed, desc=f"{self.name}: tuning")

        def embed(split: str) -> np.ndarray:
            of_split = few if split == "train" else encoded[split]
            features = compute_features(backbone, of_split, codec, desc=f"{self.name}: {split}")
            return normalize(features[OWN].inputs).numpy()

        logits, strength = fit_classifier(
            task, codec, {split: embed(split) for split in encoded}, few, encoded["validation"], rows["validation"]
        )
        facts = {
            "rows": len(shots),
            "pairs": sum(len(batch.pairs) for batch in batches),
            "strength": strength,
            "seed": self.seed,
        }
        return answers_of(codec, logits.__getitem__, encoded, headline_on(task, rows["validation"]), facts)


class Embedder(nn.Module):
    """A model as the losses of sentence-transformers know it: a batch in, its embeddings out."""

    def __init__(self, backbone: nn.Module, codec: Probed) -> None:
        super().__init__()
        self.backbone, self.codec = backbone, codec

    def forward(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {"sentence_embedding": self.codec.features(self.backbone(**batch), batch)}  # (batch, features)


def draw_shots(targets: np.ndarray, labels: list[str], shots: int | None, seed: int) -> np.ndarray:
    """The numbers of `shots` rows of each class that train has, drawn by seed; of all rows for None.

    Args:
        targets: ids of classes, (rows,).

    Raises:
        UserError: a class has fewer.
    """
    if shots is None:
        return np.arange(len(targets))
    if shots < 1:
        raise UserError(f"setfit_shots={shots}", "it is a number of rows per class, at least 1", "Try 8")
    classes, counts = np.unique(targets, return_counts=True)
    if counts.min() < shots:
        smallest = labels[classes[counts.argmin()]]
        raise UserError(
            f"setfit_shots={shots}",
            f"every class needs so many rows, and '{smallest}' has {counts.min()} in train",
            f"Set --setfit_shots {counts.min()} or less",
        )
    draw = np.random.default_rng(seed)
    rows = [draw.choice(np.flatnonzero(targets == place), shots, replace=False) for place in classes]
    return np.sort(np.concatenate(rows))


class Batch(NamedTuple):
    """Rows that are embedded once, and pairs among them."""

    rows: np.ndarray  # (rows,)
    pairs: np.ndarray  # places in `rows` and whether they are of one class, (pairs, 3)


def draw_batches(targets: np.ndarray, seed: int) -> list[Batch]:
    """Batches of a few rows of a few classes, with every pair within a class and as many between two, drawn by seed.

    All classes come up equally often, and so do all rows of a class. The paper draws pairs over all rows. Here the
    pairs of a batch share its rows, so that a text is computed once for all of its pairs.
    """
    draw = np.random.default_rng(seed)
    of_class = [np.flatnonzero(targets == place) for place in np.unique(targets)]
    together = min(CLASSES, len(of_class))
    each = ROWS // together
    waiting_classes: list[int] = []
    waiting: list[list[int]] = [[] for _ in of_class]
    batches = []
    for _ in range(-(-min(ROUNDS * len(targets), MOST_TEXTS) // (together * each))):
        chosen: list[int] = []
        while len(chosen) < together:
            fresh = [place for place in waiting_classes if place not in chosen]
            if not fresh:
                waiting_classes += draw.permutation(len(of_class)).tolist()
                continue
            waiting_classes.remove(fresh[0])
            chosen.append(fresh[0])
        rows = []
        for place in chosen:
            for _ in range(each):
                waiting[place] = waiting[place] or draw.permutation(of_class[place]).tolist()
                rows.append(waiting[place].pop())
        first, second = np.triu_indices(len(rows), 1)
        same = np.repeat(np.arange(together), each)
        alike = same[first] == same[second]
        others = draw.choice(np.flatnonzero(~alike), min(alike.sum(), (~alike).sum()), replace=False)
        kept = np.concatenate([np.flatnonzero(alike), others])
        batches.append(Batch(np.array(rows), np.stack([first, second, alike], axis=-1)[kept]))
    return batches


def tune(embedder: Embedder, rows: Dataset, collator: Any, batches: list[Batch], *, seed: int, desc: str) -> None:
    """Move the encoder so that the cosine of a pair is 1 within a class and 0 between two."""
    from sentence_transformers.sentence_transformer.losses import CosineSimilarityLoss

    loss = CosineSimilarityLoss(embedder)
    device = next(embedder.parameters()).device
    optimizer = torch.optim.AdamW(embedder.parameters(), RATE)
    schedule = get_linear_schedule_with_warmup(optimizer, round(WARMUP * len(batches)), len(batches))
    examples = [rows[place] for place in range(len(rows))]
    embedder.train()
    with torch.random.fork_rng(), torch.enable_grad():
        torch.manual_seed(seed)
        for chosen, pairs in track(batches, desc):
            batch = collator([examples[row] for row in chosen])
            inputs = {name: value.to(device) for name, value in batch.items() if name != "labels"}
            embeddings = embedder(inputs)["sentence_embedding"]
            first, second, alike = torch.as_tensor(pairs.T, device=device)
            optimizer.zero_grad()
            loss.compute_loss_from_embeddings([embeddings[first], embeddings[second]], alike).backward()
            nn.utils.clip_grad_norm_(embedder.parameters(), 1.0)
            optimizer.step()
            schedule.step()
    embedder.eval()


def fit_classifier(
    task: Task, codec: Probed, inputs: dict[str, np.ndarray], few: Dataset, encoded: Dataset, validation: Dataset
) -> tuple[dict[str, np.ndarray], float]:
    """Log-probabilities of validation and test by a linear model on the rows of `few`, and its strength.

    Args:
        inputs: embeddings of `few`, as train, and of the other splits.
        encoded: the rows of validation.
        validation: the same, as they were loaded.
    """
    weights, references = codec.class_weights(few), task.rows.references(validation)
    tries: list[tuple[float, dict[str, np.ndarray], float]] = []
    for strength in STRENGTHS:
        model = LogisticRegression(
            C=strength,
            max_iter=1000,
            class_weight=None if weights is None else dict(enumerate(weights.tolist())),
        ).fit(inputs["train"], few["labels"])
        logits = {}
        for split in ("validation", "test"):
            # A class without a row in train is never predicted.
            shares = np.full((len(inputs[split]), len(names_of(codec.target))), 1e-12)
            shares[:, model.classes_] = model.predict_proba(inputs[split])
            logits[split] = np.log(np.maximum(shares, 1e-12))
        ours = codec.decode_reduced(logits["validation"], encoded)
        tries.append((score_of(task, ours, references), logits, strength))
    _, logits, strength = task.judge.headline.best(tries, lambda one: one[0])
    return logits, strength
