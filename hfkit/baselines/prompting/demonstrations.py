"""The training rows that a prompt shows with their answers, and their order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import PartialState
from scipy.sparse import issparse
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import MODEL_FOR_MASKED_LM_MAPPING

from hfkit.baselines.frozen.features import frozen_backbone
from hfkit.contract.target import Target
from hfkit.contract.task import Task
from hfkit.errors import UserError
from hfkit.model.weights import read_config

BATCH = 64  # texts


@dataclass(frozen=True)
class Draw:
    """A rule for the demonstrations of each query. Every order draws new rows and puts them in a new order.

    `nearest` keeps the rows in every order; in the first, the nearest one stands last.
    """

    kind: str  # balanced, random or nearest
    shots: int  # of each class where balanced, otherwise of a prompt

    def picks(self, order: int, queries: int, classes: Sequence[str], nearest: np.ndarray | None) -> list[tuple]:
        """For every query, the places in train of its demonstrations, in the order of the prompt.

        Args:
            classes: the answer of every row of train; for `random` and `nearest` only their number counts.
            nearest: places in train, the most similar first, (queries, shots).

        Raises:
            UserError: a class, or train, has too few rows.
        """
        draw = np.random.default_rng(order)
        if not self.shots:
            return [()] * queries
        if len(classes) < self.shots:
            raise UserError(f"shots={self.shots}", f"train has {len(classes)} rows", "Set fewer --shots")
        if nearest is not None:
            # The last words of a prompt weigh most, so the most similar row stands there.
            places = np.arange(self.shots)[::-1] if order == 0 else draw.permutation(self.shots)
            return [tuple(row) for row in nearest[:, places].tolist()]
        if self.kind == "random":
            return [tuple(draw.choice(len(classes), self.shots, replace=False).tolist())] * queries
        members: dict[str, list[int]] = {}
        for place, label in enumerate(classes):
            members.setdefault(label, []).append(place)
        smallest = min(members, key=lambda label: len(members[label]))
        if len(members[smallest]) < self.shots:
            raise UserError(
                f"shots={self.shots}",
                f"balanced demonstrations take as many rows of every class, and '{smallest}' has "
                f"{len(members[smallest])} in train",
                "Set fewer --shots, or --demonstrations random",
            )
        drawn = np.concatenate([draw.choice(members[label], self.shots, replace=False) for label in sorted(members)])
        return [tuple(draw.permutation(drawn).tolist())] * queries


def find_nearest(
    train: Sequence[str], texts: Sequence[str], count: int, task: Task, checkpoint: str, target: Target
) -> np.ndarray:
    """Places in `train` of the texts that are most similar, the most similar first, (texts, count).

    By the cosine of an encoder's states, or of TF-IDF where the checkpoint is not an encoder of texts.

    Args:
        target: of the task, which the model of any checkpoint needs.
    """
    if type(read_config(task.path(checkpoint))) in MODEL_FOR_MASKED_LM_MAPPING:
        ours, theirs = (embed(side, task, checkpoint, target) for side in (texts, train))
    else:
        counter = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]").fit(train)
        ours, theirs = (counter.transform(side) for side in (texts, train))
    nearest = []
    for first in range(0, len(texts), BATCH):  # all at once would take texts times rows of train
        cosines = ours[first : first + BATCH] @ theirs.T
        cosines = cosines.toarray() if issparse(cosines) else cosines
        nearest.append(np.argsort(-cosines, axis=1, kind="stable")[:, :count])
    return np.concatenate(nearest)


@torch.inference_mode()
def embed(texts: Sequence[str], task: Task, checkpoint: str, target: Target) -> np.ndarray:
    """The mean last hidden state of every text, of length 1, (texts, features)."""
    codec = task.codec(checkpoint, target)
    tokenizer, encoder = codec.processor, frozen_backbone(codec)[1].eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    vectors: dict[int, np.ndarray] = {}
    for first in range(0, len(order), BATCH):
        numbers = order[first : first + BATCH]
        inputs = tokenizer([texts[i] for i in numbers], padding=True, truncation=True, return_tensors="pt")
        inputs = inputs.to(PartialState().device)
        mask = inputs["attention_mask"].unsqueeze(-1)
        means = (encoder(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
        vectors |= dict(zip(numbers, torch.nn.functional.normalize(means).cpu().numpy(), strict=True))
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
    return np.stack([vectors[i] for i in range(len(texts))])
