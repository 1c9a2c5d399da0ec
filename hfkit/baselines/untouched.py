"""The checkpoint as it is, which training has to improve on: for tasks whose models have nothing fresh."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from accelerate import PartialState
from transformers import PreTrainedModel

from hfkit.baselines.base import Answers, Baseline
from hfkit.baselines.logits import learnt_target
from hfkit.contract.answering import compute_outputs
from hfkit.contract.codec import Codec
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError

BATCH = 8  # rows


@dataclass(frozen=True)
class Untouched(Baseline):
    """Answers of the checkpoint before anything is learnt from the rows, in float32."""

    checkpoint: str

    name: ClassVar[str] = "untouched checkpoint"
    description: ClassVar[str] = "the checkpoint before it is trained on these rows"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """The predictions for every test row.

        Raises:
            UserError: a part of the model is fresh, and its answers would be those of chance.
        """
        codec = task.codec(self.checkpoint, learnt_target(task, rows))
        one, other = (load_seeded(codec, seed) for seed in (0, 1))
        drawn = [
            name
            for (name, value), again in zip(one.named_parameters(), other.parameters(), strict=True)
            if not torch.equal(value, again)
        ]
        if drawn:
            raise UserError(
                f"baseline 'untouched' of checkpoint '{self.checkpoint}'",
                f"{len(drawn)} of its parameters are fresh for this task ({', '.join(drawn[:2])}), so its answers would"
                " be those of chance",
                "Leave it out",
            )
        model = one.to(PartialState().device).eval()
        encoded = codec.encode(rows["test"], split="test", answers=True)
        return Answers(codec.decode(compute_outputs(codec, model, encoded, BATCH, desc=self.name), encoded))


def load_seeded(codec: Codec, seed: int) -> PreTrainedModel:
    """The codec's model, with what is fresh in it drawn by `seed`."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return codec.model()
