"""The purpose of a model's head: it makes the head's configuration, and is read back from that of a saved model."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig


@dataclass(frozen=True)
class Labels:
    """One logit for each name, in the order of their ids."""

    names: tuple[str, ...]
    problem_type: str | None = None  # as transformers calls it, by which stock heads choose their loss

    def to_config(self) -> dict[str, Any]:
        """What the configuration of a model says of this head."""
        config = {
            "num_labels": len(self.names),
            "id2label": dict(enumerate(self.names)),
            "label2id": {name: number for number, name in enumerate(self.names)},
        }
        return config if self.problem_type is None else {**config, "problem_type": self.problem_type}

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> "Labels":
        """The labels of a saved model."""
        names = tuple(config.id2label[number] for number in range(config.num_labels))
        return cls(names, config.problem_type)


@dataclass(frozen=True)
class Nothing:
    """A head that needs no telling: spans, or text that is written."""

    def to_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> "Nothing":
        return cls()


Target = Labels | Nothing


def names_of(target: Target) -> list[str]:
    """The labels of a head; [] where it has none."""
    return list(target.names) if isinstance(target, Labels) else []
