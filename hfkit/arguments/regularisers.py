"""Flags against learning a few rows by heart. Without them, nothing of it is done."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

from hfkit.arguments.ranges import AMOUNT, PART, Range
from hfkit.errors import UserError


class Others(Protocol):
    """The other flags of training that these are checked against."""

    label_smoothing_factor: float
    train_sampling_strategy: str
    unfreeze_stages: int
    pretrained: bool
    torch_compile: bool
    strategy: str

    @property
    def adapted(self) -> bool: ...


@dataclass
class RegulariserArguments:
    """Changes of the loss and of the order of rows, in training alone."""

    r_drop: float = field(
        default=0.0,
        metadata={
            "help": "weight of how far two passes over the same rows, each with its own dropout, are apart (R-Drop)"
        },
    )
    mixout: float = field(
        default=0.0,
        metadata={
            "help": "share of the weights of linear layers that are pretrained ones in a training step, drawn anew in"
            " each"
        },
    )
    focal_loss: float = field(
        default=0.0,
        metadata={"help": "how far the loss turns from labels that are learnt to those in doubt (gamma of focal loss)"},
    )
    balanced_sampler: bool = field(
        default=False,
        metadata={
            "help": "draw rows so that each class is as frequent as the others in every epoch; probabilities are then"
            " those of classes that are equally frequent"
        },
    )

    ranges: ClassVar[Mapping[str, Range]] = {"r_drop": AMOUNT, "mixout": PART, "focal_loss": AMOUNT}


def refuse_contradictions(own: RegulariserArguments, others: Others) -> None:
    """Refuse regularisers that would undo each other, or that have nothing to act on.

    Raises:
        UserError: naming the flags.
    """
    frozen = others.unfreeze_stages == 0
    for contradicts, named, rule, fix in (
        (
            own.focal_loss and others.label_smoothing_factor,
            f"focal_loss={own.focal_loss} with label_smoothing_factor={others.label_smoothing_factor}",
            "one takes the weight from labels that are near certain, the other asks for doubt in all of them",
            "Leave one of them out",
        ),
        (
            own.balanced_sampler and others.train_sampling_strategy not in ("auto", "random"),
            f"balanced_sampler with train_sampling_strategy={others.train_sampling_strategy}",
            "each of them says in which order rows come",
            "Leave one of them out",
        ),
        (
            own.mixout and (frozen or others.adapted),
            f"mixout={own.mixout} with strategy={others.strategy}",
            "it mixes weights that learn with what they were in the checkpoint, and here those of the blocks stay",
            "Use --strategy full or gradual",
        ),
        (
            own.mixout and not others.pretrained,
            f"mixout={own.mixout} with random weights",
            "it mixes weights with those of the checkpoint",
            "Leave it out",
        ),
        (
            own.mixout and others.torch_compile,
            f"mixout={own.mixout} with torch_compile",
            "a compiled layer would not see that its weights are drawn anew",
            "Leave one of them out",
        ),
    ):
        refuse_if(contradicts, named, rule, fix)


def refuse_if(contradicts: Any, named: str, rule: str, fix: str) -> None:
    if contradicts:
        raise UserError(named, rule, fix)
