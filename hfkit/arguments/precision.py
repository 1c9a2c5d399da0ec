"""The flag of precision: measured on this machine, or chosen by name; the stock flags are names for it as well."""

import os
from dataclasses import dataclass, field
from typing import Literal

from hfkit.arguments.parse import require_choice
from hfkit.errors import UserError

HALVES = ("bf16", "fp16")  # also the names of stock flags
PRECISIONS = ("auto", "fp32", *HALVES)


@dataclass
class PrecisionArguments:
    """In which precision a run computes. Weights and the optimizer's state are float32 in each."""

    precision: Literal[PRECISIONS] = field(  # type: ignore[valid-type]
        default="auto",
        metadata={
            "help": "of the forward pass; auto: on longer runs the one that is faster on this machine, measured before"
            " the first step, if its logits agree with those of float32"
        },
    )

    def _name_precision(self) -> None:
        """Bring this flag, the stock ones and the launcher's setting into line.

        Raises:
            UserError: they contradict each other.
        """
        require_choice("precision", self.precision, PRECISIONS)
        named = {f"{name}=True": name for name in HALVES if getattr(self, name)}
        launched = os.environ.get("ACCELERATE_MIXED_PRECISION", "no")
        if launched in HALVES:
            named[f"mixed_precision: {launched} in the launcher's configuration"] = launched
        if self.precision == "auto" and named:
            self.precision = next(iter(named.values()))
        if wrong := [given for given, name in named.items() if name != self.precision]:
            given = f"precision={self.precision} with {wrong[0]}"
            raise UserError(given, "a run computes in one precision", "Leave one of them out")
        self.bf16, self.fp16 = (self.precision == name for name in HALVES)
