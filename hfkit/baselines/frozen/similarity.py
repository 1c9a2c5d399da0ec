"""Labels by the likeness of their names to the text: a sentence encoder without a single labelled row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from datasets import Dataset, DatasetDict
from torch import Tensor
from torch.nn.functional import normalize

from hfkit.baselines.base import Answers, column_of
from hfkit.baselines.frozen.features import MEAN, OnFrozenFeatures, features_of, frozen_backbone
from hfkit.baselines.frozen.linear import judged
from hfkit.baselines.prompting.label_texts import label_texts
from hfkit.contract.task import Task
from hfkit.errors import UserError

TEMPERATURE = 0.05  # of the softmax over cosines


@dataclass(frozen=True)
class SimilarityZeroShot(OnFrozenFeatures):
    """The label whose name in words has the largest cosine with the text, both as the mean over their tokens.

    For tasks whose rows have a `text`, and a label or several: of several, thresholds are chosen on validation.
    """

    label_texts: Mapping[str, str] = field(default_factory=dict)  # what labels are called, besides their names

    name: ClassVar[str] = "zero-shot similarity"
    description: ClassVar[str] = "the label whose name is most like the text to the frozen checkpoint"

    def answers(self, task: Task, dataset: DatasetDict) -> Answers:
        """With probabilities where a row has one label; no labelled row decides them.

        Raises:
            UserError: rows have pairs of texts, numbers or tags, or names of labels are alike.
        """
        column_of(dataset, "text", self.name)
        answered = task.references(dataset["train"])[0]
        if "text_pair" in dataset["train"].column_names or not isinstance(answered, str | list):
            raise UserError(f"baseline '{self.name}'", "it compares one text with the names of labels", "Leave it out")
        texts = label_texts(task.labels(dataset), self.label_texts)
        found = self.features(task, dataset, without=("train",))
        features = found.poolings[MEAN]
        names = self.embedded(task, texts, found.labels, several=isinstance(answered, list))
        logits = {
            split: normalize(features[split].inputs, dim=1) @ names.T / TEMPERATURE for split in ("validation", "test")
        }
        _, predictions, outputs = judged(task, logits, features, found.prepared, found.labels)
        probabilities = task.probabilities(outputs, found.prepared["test"])
        return Answers(
            predictions, probabilities, {"label_texts": dict(zip(found.labels, texts, strict=True)), **found.facts}
        )

    def embedded(self, task: Task, texts: list[str], labels: list[str], *, several: bool) -> Tensor:
        """The names of labels as the checkpoint reads texts, (labels, features), each of length 1."""
        processor = task.processor(self.checkpoint)
        gold = [[label] if several else label for label in labels]
        rows = DatasetDict(train=Dataset.from_dict({"text": texts, "label": gold}))
        prepared = task.prepare(rows, processor, labels)["train"]
        backbone = frozen_backbone(task, self.checkpoint, labels)[1]
        found = features_of(backbone, prepared, task.collator(processor), task, desc=f"{self.name}: labels")
        return normalize(found[MEAN].inputs, dim=1)
