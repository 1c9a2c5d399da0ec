"""Which training rows a prompt shows with their answers, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from accelerate import PartialState
from scipy.sparse import issparse
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import MODEL_FOR_MASKED_LM_MAPPING

from hfkit.baselines.frozen.features import backbone_of
from hfkit.contract.task import Task, read_config
from hfkit.errors import UserError

BATCH = 64  # texts


@dataclass(frozen=True)
class Draw:
    """A rule for the demonstrations of each query. An order draws anew which rows they are, and how they follow.

    `nearest` has the same rows in every order, the nearest one last in the first.
    """

    kind: str  # balanced, random or nearest
    shots: int  # of each class where balanced, else of a prompt

    def picks(self, order: int, queries: int, classes: Sequence[str], nearest: np.ndarray | None) -> list[tuple]:
        """The places in train of the demonstrations of every query, as a prompt has them.

        Args:
            classes: the answer of every row of train; of `random` and `nearest` only their number counts.
            nearest: places in train by likeness, the likest first, (queries, shots).

        Raises:
            UserError: a class, or train, has fewer rows than that.
        """
        draw = np.random.default_rng(order)
        if not self.shots:
            return [()] * queries
        if len(classes) < self.shots:
            raise UserError(f"shots={self.shots}", f"train has {len(classes)} rows", "Set fewer --shots")
        if nearest is not None:
            # The last words of a prompt weigh most: there stands the likest.
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


def nearest_rows(train: Sequence[str], texts: Sequence[str], count: int, task: Task, checkpoint: str) -> np.ndarray:
    """Places in `train` of the texts that are likest, the likest first, (texts, count).

    By the cosine of what an encoder makes of them, or of their TF-IDF where the checkpoint is no encoder of texts.
    """
    if type(read_config(task.path(checkpoint))) in MODEL_FOR_MASKED_LM_MAPPING:
        ours, theirs = (embedded(side, task, checkpoint) for side in (texts, train))
    else:
        counter = TfidfVectorizer(sublinear_tf=True, token_pattern=r"\w+|[^\w\s]").fit(train)
        ours, theirs = (counter.transform(side) for side in (texts, train))
    found = []
    for first in range(0, len(texts), BATCH):  # all at once would take texts times rows of train
        likeness = ours[first : first + BATCH] @ theirs.T
        likeness = likeness.toarray() if issparse(likeness) else likeness
        found.append(np.argsort(-likeness, axis=1, kind="stable")[:, :count])
    return np.concatenate(found)


@torch.inference_mode()
def embedded(texts: Sequence[str], task: Task, checkpoint: str) -> np.ndarray:
    """The mean last hidden state of every text, of length 1, (texts, features)."""
    tokenizer = task.processor(checkpoint)
    encoder = backbone_of(task.model(checkpoint, ["no", "yes"])).to(PartialState().device).eval()
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))
    found: dict[int, np.ndarray] = {}
    for first in range(0, len(order), BATCH):
        chosen = order[first : first + BATCH]
        inputs = tokenizer([texts[i] for i in chosen], padding=True, truncation=True, return_tensors="pt")
        inputs = inputs.to(PartialState().device)
        mask = inputs["attention_mask"].unsqueeze(-1)
        means = (encoder(**inputs).last_hidden_state * mask).sum(1) / mask.sum(1)
        found |= dict(zip(chosen, torch.nn.functional.normalize(means).cpu().numpy(), strict=True))
    if tokenizer.is_fast:
        tokenizer.backend_tokenizer.no_truncation()
    return np.stack([found[i] for i in range(len(texts))])
