"""Tells the sampler and the collator of training which epoch begins."""

from typing import Any, Protocol

from torch.utils.data import Sampler
from transformers import TrainerCallback

from hfkit.contract.abilities import varies
from hfkit.contract.codec import Codec
from hfkit.data.batches import EqualClasses, LengthBuckets, SortedSteps


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    epoch_steps: int
    codec: Codec
    training_collator: Any  # its attribute `epoch` is set, where the codec varies its inputs
    train_sampler: Sampler


class TellEpoch(TrainerCallback):
    """Tells the training collator and the sampler which epoch begins, before the loader's workers take a copy."""

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, args, state, control, **kwargs):
        # Not state.epoch, a float that a resumed run begins in the middle.
        epoch = state.global_step // self.trainer.epoch_steps
        if varies(self.trainer.codec):
            self.trainer.training_collator.epoch = epoch % args.cache_views if args.cache_views else epoch
        if isinstance(self.trainer.train_sampler, LengthBuckets | SortedSteps | EqualClasses):
            self.trainer.train_sampler.epoch = epoch
