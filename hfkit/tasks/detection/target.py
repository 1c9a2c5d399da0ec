"""The target of a detector's head: a logit for each class, and the score from which on a box is an answer."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig

from hfkit.contract.target import Labels

THRESHOLD = "hfkit_box_threshold"  # in a model's configuration
USUAL = 0.5  # of models that others made


@dataclass(frozen=True)
class Objects(Labels):
    """Classes of objects, in the order of their ids."""

    threshold: float = USUAL

    def to_config(self) -> dict[str, Any]:
        return {**super().to_config(), THRESHOLD: self.threshold}

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> "Objects":
        """The classes and the threshold of a saved model."""
        names = tuple(config.id2label[number] for number in range(config.num_labels))
        return cls(names, threshold=config.to_dict().get(THRESHOLD, USUAL))
