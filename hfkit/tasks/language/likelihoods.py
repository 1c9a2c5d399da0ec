"""How likely the next tokens are, without the logits of all of them at once.

Over a vocabulary of fifty thousand, the logits of eight rows of a thousand tokens take 1.6 GB, and their loss and its
gradient three times as much again. Here the output layer is given only places that are to be predicted, a part of them
at a time, and each part is computed once more for the backward pass instead of being kept.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.checkpoint import checkpoint
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
    """Scores of the next tokens, computed in place of their logits.

    Args:
        labels: the next token of each place, -100 where it is not to be predicted, (batch, tokens).
        vocabulary: its size.
        spread: also how unlikely the tokens of the vocabulary are on average, for label smoothing.
    """

    labels: Tensor
    vocabulary: int
    spread: bool = False

    def score(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Minus the logarithm of the probability of each label, and with `spread` that of a token of the vocabulary.

        Args:
            logits: (places, vocabulary).
            labels: (places,); -100 gives 0.

        Returns:
            (places, 1), or with `spread` (places, 2).
        """
        logits = logits.float()
        nats = [functional.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")]
        if self.spread:
            nats.append((logits.logsumexp(-1) - logits.mean(-1)).masked_fill(labels == IGNORED, 0))
        return torch.stack(nats, -1)

    def read(self, output: Output) -> Tensor:
        """The scores of all places from a model's own logits, (batch, tokens, 1 or 2)."""
        return self.score(output["logits"].flatten(0, 1), self.labels.flatten()).unflatten(0, self.labels.shape)

    @contextmanager
    def replace_logits(self, model: nn.Module) -> Iterator[None]:
        """Within it a model gives likelihoods of its labels, (batch, tokens, 1 or 2), where it gave logits."""
        head = extract_model_from_parallel(model).get_output_embeddings()
        own, compute = vars(head).get("forward"), head.forward

        def forward(hidden: Tensor) -> Tensor:
            # One place at least: a batch without labels still has a loss of 0 with a gradient.
            chosen = self.labels != IGNORED
            chosen.view(-1)[0] |= ~chosen.any()
            labels, parts = self.labels[chosen], []
            size = max(1, MOST_LOGITS // self.vocabulary)
            for places, wanted in zip(hidden[chosen].split(size), labels.split(size), strict=True):
                if torch.is_grad_enabled() and len(labels) > size:
                    parts.append(checkpoint(lambda *one: self.score(compute(one[0]), one[1]), places, wanted,
                                            use_reentrant=False))  # fmt: skip
                else:
                    parts.append(self.score(compute(places), wanted))
            found = torch.cat(parts)
            return found.new_zeros(*self.labels.shape, found.shape[-1]).masked_scatter(chosen[..., None], found)

        head.forward = forward
        try:
            yield
        finally:
            if own is None:
                del head.forward
            else:
                head.forward = own
