"""The target of a head that marks a stretch of a text: its first and last token, and whether there may be none."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig

from hfkit.contract.target import Nothing

MARGIN = "hfkit_no_answer_margin"  # in a model's configuration


@dataclass(frozen=True)
class Stretches(Nothing):
    """Two logits a token, for the first and the last one of a stretch."""

    # How far the score of no answer must be ahead of the best stretch's to be given; None: it never is.
    margin: float | None = None

    def to_config(self) -> dict[str, Any]:
        # Stock heads have as many logits a token as labels, and a checkpoint's own labels may be others.
        return {"num_labels": 2, MARGIN: self.margin}

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> "Stretches":
        """The target of a saved model; one that others made always answers."""
        return cls(config.to_dict().get(MARGIN))
