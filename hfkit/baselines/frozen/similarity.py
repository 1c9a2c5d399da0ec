"""Labels by the likeness of their names to the text: a sentence encoder without a single labelled row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Dataset
from torch import Tensor
from torch.nn.functional import normalize

from hfkit.baselines.base import Answers, column_of
from hfkit.baselines.frozen.features import OWN, OnFrozenFeatures, compute_features, frozen_backbone
from hfkit.baselines.frozen.linear import decode_splits
from hfkit.baselines.logits import headline_on, learnt_target
from hfkit.baselines.prompting.label_texts import label_texts
from hfkit.contract.target import names_of
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

TEMPERATURE = 0.05  # of the softmax over cosines


@dataclass(frozen=True)
class SimilarityZeroShot(OnFrozenFeatures):
    """The label whose name in words has the largest cosine with the text, both by the pooling of the checkpoint.

    For tasks whose rows have a `text`, and a label or several: of several, thresholds are chosen on validation.
    """

    label_texts: Mapping[str, str] = field(default_factory=dict)  # texts of labels that do not go by their names

    name: ClassVar[str] = "zero-shot similarity"
    description: ClassVar[str] = "the label whose name is most like the text to the frozen checkpoint"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With probabilities where a row has one label. No labelled row decides the predictions.

        Raises:
            UserError: rows have pairs of texts, numbers or tags, or names of labels are alike.
        """
        column_of(rows, "text", self.name)
        answer = task.rows.references(rows["train"])[0]
        if "text_pair" in rows["train"].column_names or not isinstance(answer, str | list):
            raise UserError(f"baseline '{self.name}'", "it compares one text with the names of labels", "Leave it out")
        labels = names_of(learnt_target(task, rows))
        texts = label_texts(labels, self.label_texts)
        frozen = self.features(task, rows, skipped=("train",))
        features, codec = next(iter(frozen.poolings.values())), frozen.codec  # as the task reads it
        names = self.embed(texts, codec)
        logits = {
            split: normalize(features[split].inputs, dim=1) @ names.T / TEMPERATURE for split in ("validation", "test")
        }
        headline = headline_on(task, rows["validation"])
        _, predictions, reduced = decode_splits(codec, logits, features, frozen.encoded, headline)
        facts = {"label_texts": dict(zip(labels, texts, strict=True)), **frozen.facts}
        return Answers(predictions, codec.probabilities(reduced, frozen.encoded["test"]), facts)

    def embed(self, texts: list[str], codec: Any) -> Tensor:
        """The names of labels as the checkpoint reads texts, (labels, features), each of length 1."""
        encoded = codec.encode(Dataset.from_dict({"text": texts}), split="labels", answers=False)
        backbone = frozen_backbone(codec)[1]
        features = compute_features(backbone, encoded, codec, desc=f"{self.name}: labels")
        return normalize(features[OWN].inputs, dim=1)
