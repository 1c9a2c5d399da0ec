"""Training without padding, where a batch shows that a model computes the same."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

import numpy as np
from accelerate.utils import gather_object, send_to_device
from datasets import Dataset
from torch import Tensor, nn
from transformers import TrainerCallback

from hfkit.arguments.training import TransferArguments
from hfkit.contract.codec import Codec, Collator
from hfkit.data.batches import is_text, rows_to_fetch, text_lengths
from hfkit.model.depth import Depths
from hfkit.model.paths import base_of, find_core
from hfkit.model.unfreezing import Unfreezing
from hfkit.model.unpadding import Places, Unpadding, is_same
from hfkit.prefix.cache import evaluating
from hfkit.prefix.rounding import TOLERANCE, computing_in_float32

DECISION, ON = "unpadding", "on"  # in the log; else the reason
MASK = "attention_mask"
WORTH = 0.05  # share of padding below which a batch is computed as it is


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    model: nn.Module
    codec: Codec
    training_collator: Collator
    caching: Any
    train_dataset: Dataset
    unfreezing: Unfreezing
    is_fsdp_enabled: bool


class SkipPadding(TrainerCallback):
    """Has the blocks of a text model compute real tokens alone in every step, where that is proven to be the same."""

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer
        self.unpadding: Unpadding | None = None

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        self.unpadding = None
        if not is_text(self.trainer.train_dataset) or self._computes_no_block(state.global_step):
            return
        # A resumed run keeps to what was decided.
        decided = [entry[DECISION] for entry in state.log_history if DECISION in entry]
        if decided and ON not in decided:
            return
        reason = next(filter(None, gather_object([self._reason_against(proven=ON in decided)])), None)
        if reason is not None:
            self.unpadding = None
        if not decided:
            state.log_history.append({"step": state.global_step, DECISION: reason or ON})

    @contextmanager
    def around_blocks(self) -> Iterator[None]:
        """Within it `skip_padding` has an effect; what else is put around blocks stands in between."""
        with self.unpadding.around_blocks() if self.unpadding else nullcontext():
            yield

    @contextmanager
    def skip_padding(self, inputs: Mapping[str, Any]) -> Iterator[None]:
        """Within it a forward and a backward pass over `inputs`, and nothing else, leave their padding out."""
        mask = inputs.get(MASK)
        if self.unpadding is None or mask is None:
            yield
            return
        places = Places(mask)
        if places.padding <= WORTH * mask.numel():
            yield
            return
        with self.unpadding.skip_padding(places):
            yield

    def _computes_no_block(self, step: int) -> bool:
        """Whether steps begin at the head, with what is stored of the blocks."""
        plan, head = self.trainer.unfreezing.plan, self.trainer.unfreezing.depths.head
        return bool(self.trainer.caching.of_train) and min(plan.lowest[plan.stage(step) :]) >= head

    def _reason_against(self, *, proven: bool) -> str | None:
        """Why padding is computed, in words; None where nothing is against leaving it out."""
        trainer, args = self.trainer, self.trainer.args
        # Steps of small models on an accelerator are as long as it takes to launch them, and this launches more.
        if not (args.device.type == "cpu" if args.unpad is None else args.unpad):
            return "not asked for"
        if trainer.is_fsdp_enabled or args.torch_compile:
            return "a model in parts or a compiled one runs as a whole"
        if args.activation_checkpointing:
            return "activation checkpointing runs the insides of blocks again"
        core = find_core(trainer.model)
        if core.config.is_encoder_decoder:
            return "source and target have places of their own"
        try:
            self.unpadding = Unpadding(find_blocks(core, trainer.unfreezing.depths))
        except ValueError as error:
            return str(error)
        if proven:
            return None
        batch = self._look()
        if batch.get(MASK) is None or (places := Places(batch[MASK], part=0)).padding == 0:
            return "batches have no padding"

        def run() -> Tensor:
            _, output = trainer.codec.loss(trainer.model, batch)
            return trainer.codec.logits(output, batch).float()

        with evaluating(trainer.model), computing_in_float32(trainer.model):
            return is_same(self.unpadding, places, run, TOLERANCE["float32"])

    def _look(self) -> dict[str, Tensor]:
        """A batch with as many tokens as the largest step: the longest row over and over, and two shorter ones."""
        # Not fewer: a model may compute another thing from some number of tokens on.
        trainer, size = self.trainer, self.trainer.args.train_batch_size * (2 if self.trainer.args.r_drop else 1)
        order = np.argsort(text_lengths(trainer.train_dataset), kind="stable")
        rows = [order[0], order[len(order) // 2], *[order[-1]] * max(1, size - 2)]
        batch = trainer.training_collator(rows_to_fetch(trainer.train_dataset).__getitems__([int(row) for row in rows]))
        return send_to_device(batch, trainer.args.device)


def find_blocks(core: nn.Module, depths: Depths) -> list[nn.Module]:
    """The modules of the blocks, which have paths in the model or in its base model."""
    modules = dict(core.named_modules())
    base = base_of(core, modules)
    paths = [path if path in modules else f"{base}{path}" for path in depths.names[1:-1]]
    return [modules[path] for path in paths]
