"""Settings that TensorFlow counts as the share that is kept and torch as the share that is not.

Some models of transformers (MobileNetV1, MobileNetV2) took them over as they were. Their BatchNorm keeps next to
nothing of the batches before the last one, so that scores jump from one evaluation to the next; and as published their
head drops 99.9 or 80 % of what it reads.
"""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel

from hfkit.model.conversions import say_once

MOMENTUM = 0.1  # torch's default: the weight of a new batch
LARGEST = 0.5  # beyond it most of the statistics are those of one batch
DROPOUT, KEEPING = "classifier_dropout_prob", ("mobilenet_v1", "mobilenet_v2")


def turn_shares(model: PreTrainedModel, named: str) -> None:
    """Set what would be dropped to the share that was meant, and say so once for each checkpoint."""
    named = f"{named[0].upper()}{named[1:]}"
    if line := turn_momentum(model):
        say_once(f"{named}: {line}.")
    if line := turn_dropout(model):
        say_once(f"{named}: {line}.")


def turn_momentum(model: nn.Module) -> str | None:
    """Have a batch move running statistics by a tenth where it would replace most of them; what was done, in words."""
    norms = [module for module in model.modules() if isinstance(module, _BatchNorm)]
    found = [norm for norm in norms if (norm.momentum or 0) > LARGEST]
    if not found:
        return None
    before = found[0].momentum
    for norm in found:
        norm.momentum = MOMENTUM
    return (
        f"statistics of BatchNorm would be {before:.2%} those of the last batch, and here a batch moves them by"
        f" {MOMENTUM:.0%}"
    )


def turn_dropout(model: PreTrainedModel) -> str | None:
    """Have the head drop what it was not to keep; what was done, in words."""
    share = vars(model.config).get(DROPOUT) if model.config.model_type in KEEPING else None
    if share is None or share <= LARGEST:
        return None
    kept = round(1 - share, 6)
    setattr(model.config, DROPOUT, kept)
    for module in model.children():
        if isinstance(module, nn.Dropout) and module.p == share:
            module.p = kept
    return f"its head would drop {share:.1%} of its input, which is the share that was kept; here it drops {kept:.1%}"
