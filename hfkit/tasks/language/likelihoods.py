"""How likely the next tokens are, without the logits of all of them at once.

Over a vocabulary of fifty thousand, the logits of eight rows of a thousand tokens take 1.6 GB, and their loss and its
gradient three times as much again. Here the output layer is given only places that are to be predicted, a part of them
at a time, and the gradient of a part is computed as soon as its logits are there, so that nothing of it is kept. (The
order is that of the fused losses of Hsu et al. 2024, "Liger Kernel", section 3.2.)
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from hfkit.contract.codec import Output
from hfkit.tasks.language.isolation import make_ids, run, trying
from hfkit.tasks.losses import IGNORED

MOST_LOGITS = 2**26  # at once: 256 MB in float32


def gives_logits_last(model: PreTrainedModel) -> bool:
    """Whether a model's logits are what its output layer gives, without a cap or a factor behind it: tried on it."""
    head = model.get_output_embeddings()
    if head is None:
        return False
    given: list[Tensor] = []
    handle = head.register_forward_hook(lambda module, args, logits: given.append(logits))
    try:
        with trying(model):
            logits = run(model, input_ids=make_ids(model)[None])
    finally:
        handle.remove()
    return len(given) == 1 and torch.equal(given[0], logits)


@dataclass(frozen=True)
class Likelihoods:
    """Scores of the next tokens, computed in place of their logits: minus the logarithms of their probabilities.

    With label smoothing there are two of a place: the smoothed loss, and the same without.

    Args:
        labels: the next token of each place, -100 where it is not to be predicted, (batch, tokens).
        vocabulary: its size.
    """

    labels: Tensor
    vocabulary: int
    smoothing: float = 0.0

    def score(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Those of some places; 0 where the label is -100.

        Args:
            logits: (places, vocabulary).
            labels: (places,).

        Returns:
            (places, 1), or with smoothing (places, 2).
        """
        smoothings = (self.smoothing, 0.0) if self.smoothing else (0.0,)
        settings = {"ignore_index": IGNORED, "reduction": "none"}
        logits = logits.float()
        losses = [functional.cross_entropy(logits, labels, label_smoothing=share, **settings) for share in smoothings]
        return torch.stack(losses, -1)

    def read(self, output: Output) -> Tensor:
        """The scores of all places from a model's own logits, (batch, tokens, 1 or 2)."""
        return self.score(output["logits"].flatten(0, 1), self.labels.flatten()).unflatten(0, self.labels.shape)

    @contextmanager
    def replace_logits(self, model: nn.Module) -> Iterator[None]:
        """Within it a model gives the scores of its places, (batch, tokens, 1 or 2), where it gave logits.

        Only of their sum, or a multiple of it, there are gradients.
        """
        head = extract_model_from_parallel(model).get_output_embeddings()
        own, compute = vars(head).get("forward"), head.forward
        learning = [parameter for parameter in head.parameters() if parameter.requires_grad]

        def forward(hidden: Tensor) -> Tensor:
            # One place at least: a batch without labels still has a loss of 0 with a gradient.
            chosen = self.labels != IGNORED
            chosen.view(-1)[0] |= ~chosen.any()
            parts = Parts(lambda part, labels: self.score(compute(part), labels), self.labels[chosen], self.size)
            if torch.is_grad_enabled() and (hidden.requires_grad or learning):
                found = InParts.apply(parts, hidden[chosen], *learning)
            else:
                found = torch.cat([parts.score(*part) for part in parts.split(hidden[chosen])])
            return found.new_zeros(*self.labels.shape, found.shape[-1]).masked_scatter(chosen[..., None], found)

        head.forward = forward
        try:
            yield
        finally:
            if own is None:
                del head.forward
            else:
                head.forward = own

    @property
    def size(self) -> int:
        """Places whose logits are computed at once."""
        return max(1, MOST_LOGITS // self.vocabulary)


@dataclass(frozen=True)
class Parts:
    """How the scores of a part of the places are computed, the labels of all, and how many are in a part."""

    score: Callable[[Tensor, Tensor], Tensor]
    labels: Tensor
    size: int

    def split(self, hidden: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Hidden states and labels of each part."""
        return zip(hidden.split(self.size), self.labels.split(self.size), strict=True)


class InParts(torch.autograd.Function):
    """Scores, (places, losses), of hidden states, (places, width): their gradients are computed along with them."""

    @staticmethod
    def forward(ctx: Any, parts: Parts, hidden: Tensor, *learning: Tensor) -> Tensor:
        passes_on = ctx.needs_input_grad[1]
        scores, of_hidden, of_learning = [], [], [torch.zeros_like(parameter) for parameter in learning]
        for part, labels in parts.split(hidden):
            with torch.enable_grad():
                part = part.detach().requires_grad_(passes_on)
                found = parts.score(part, labels)
                asked = [part, *learning] if passes_on else learning
                gradients = list(torch.autograd.grad(found[:, 0].sum(), asked, allow_unused=True))
            scores.append(found.detach())
            if passes_on:
                of_hidden.append(gradients.pop(0))
            for total, gradient in zip(of_learning, gradients, strict=True):
                if gradient is not None:
                    total += gradient
        ctx.save_for_backward(torch.cat(of_hidden) if of_hidden else None, *of_learning)
        return torch.cat(scores)

    @staticmethod
    def backward(ctx: Any, scale: Tensor) -> tuple[Tensor | None, ...]:
        of_hidden, *of_learning = ctx.saved_tensors
        factor = scale[0, 0]
        return (
            None,
            None if of_hidden is None else of_hidden * factor.to(of_hidden.dtype),
            *(gradient * factor.to(gradient.dtype) for gradient in of_learning),
        )
