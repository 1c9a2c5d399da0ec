"""R-Drop: every row passes the model twice, and the two predictions are not to depend on the dropout in between."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

import torch
from datasets import Dataset
from torch import Tensor, nn

from hfkit.contract.abilities import Compared
from hfkit.contract.codec import Output
from hfkit.data.batches import rows_to_fetch
from hfkit.errors import UserError
from hfkit.model.depth import Depths
from hfkit.model.unfreezing import Unfreezing
from hfkit.training.generators import read_generators, set_generators

LOOKED_AT = 8  # rows, to see whether anything draws


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: Any
    codec: Any
    model: nn.Module
    train_dataset: Dataset
    unfreezing: Unfreezing


class RDrop:
    """Doubles the batches of training, and adds to their loss how far the predictions for both halves are apart.

    The loss is the mean of both passes, plus `weight` times the mean of both Kullback-Leibler divergences between them,
    as in the code of the paper. Equation 4 there has the sum of the losses instead, and so half of this weight.

    One pass over a doubled batch draws a mask for each of its rows, just as two passes would, and works under every
    wrapper of the model. Frozen layers draw nothing, so both halves may be given the same activations of a prefix.

    Source: Liang et al. 2021, "R-Drop: Regularized Dropout for Neural Networks".

    Raises:
        UserError: predictions of this task cannot be compared.
    """

    def __init__(self, trainer: Run) -> None:
        self.trainer, self.weight = trainer, trainer.args.r_drop
        if not isinstance(trainer.codec, Compared):
            rule = "how far two predictions of this task are apart is not known"
            raise UserError(f"r_drop={self.weight}", rule, "Leave it out")

    def refuse_without_draws(self) -> None:
        """Refuse a plan under which both passes would be the same.

        Raises:
            UserError: nothing that learns in its last stage draws at random.
        """
        model, codec, unfreezing = self.trainer.model, self.trainer.codec, self.trainer.unfreezing
        rows = rows_to_fetch(self.trainer.train_dataset)
        batch = repeat(codec.collate(rows.__getitems__(list(range(min(LOOKED_AT, len(rows)))))))
        batch = {name: value.to(self.trainer.args.device) for name, value in batch.items()}
        with draw_as_in_training(model, unfreezing.depths, min(unfreezing.plan.lowest)):
            one, other = codec.logits(model(**codec.inputs(batch)), batch).chunk(2)
        if torch.equal(one, other):
            rule = f"nothing in what learns of {type(model).__name__} draws at random, so two passes are one"
            raise UserError(f"r_drop={self.weight}", rule, "Leave it out, or train more of the model")

    def add_divergence(self, loss: Tensor, output: Output, batch: dict[str, Tensor], items: Any) -> Tensor:
        """The loss of a doubled batch, of which `loss` is the sum over both halves."""
        return loss / 2 + self.weight * self.trainer.codec.divergence(output, batch, items)


def repeat(batch: dict[str, Any]) -> dict[str, Any]:
    """A batch with all of its rows, and then all of them again."""
    return {name: torch.cat([value, value]) for name, value in batch.items()}


@contextmanager
def draw_as_in_training(model: nn.Module, depths: Depths, lowest: int) -> Iterator[None]:
    """Within it the layers from the depth `lowest` on draw as they do while they learn; nothing is left of it."""
    modes, generators = [(module, module.training) for module in model.modules()], read_generators()
    for name, module in model.named_modules():
        running = any(True for _ in module.buffers(recurse=False))  # statistics, which a pass would move
        module.training = depths.modules[name] >= lowest and not running
    try:
        with torch.no_grad():
            yield
    finally:
        set_generators(generators)
        for module, mode in modes:
            module.training = mode
