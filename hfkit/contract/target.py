"""The target of a model's head: written into its configuration, and read back from that of a saved model."""

from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedConfig


@dataclass(frozen=True)
class Labels:
    """One logit for each name, in the order of their ids."""

    names: tuple[str, ...]
    problem_type: str | None = None  # of transformers: stock heads choose their loss by it

    def to_config(self) -> dict[str, Any]:
        """The entries for this head in a model's configuration."""
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
    """A head that needs no configuration: it marks spans or writes text."""

    def to_config(self) -> dict[str, Any]:
        return {}

    @classmethod
    def from_config(cls, config: PreTrainedConfig) -> "Nothing":
        return cls()


Target = Labels | Nothing


def names_of(target: Target) -> list[str]:
    """The labels of a head; [] if it has none."""
    return list(target.names) if isinstance(target, Labels) else []
