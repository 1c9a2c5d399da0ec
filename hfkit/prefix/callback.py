"""The callback that starts training above the frozen layers: its decision, the row numbers, the proof of each cut."""

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from accelerate import PartialState
from accelerate.utils import gather_object, send_to_device
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import Dataset as MapDataset
from transformers import TrainerCallback, TrainerState

from hfkit.arguments.training import TransferArguments
from hfkit.contract.abilities import varies
from hfkit.contract.codec import Batch, Codec, Collator
from hfkit.data.batches import columns_of, is_number, rows_to_fetch
from hfkit.data.digests import rows_digest
from hfkit.data.loader_workers import hand_over
from hfkit.model.unfreezing import Unfreezing
from hfkit.prefix.cache import Frozen, PrefixCache, Settings, evaluating
from hfkit.prefix.replay import CannotReplay
from hfkit.prefix.rounding import TOLERANCE
from hfkit.prefix.store import Damaged

ROWS = "row_numbers"  # the name they have in a batch
DECISION, ON = "prefix_cache", "on"  # in the log; else the reason
LOOSER = 2  # times as far as activations logits may lie apart: the layers above add to it
FAR = "activations lie further from float32 than rounding explains"
WORTH = 1.5  # times that each row must pass the frozen layers: once is what building costs


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    state: TrainerState
    model: nn.Module
    codec: Codec
    unfreezing: Unfreezing
    fitting: Any
    train_dataset: Dataset
    eval_dataset: Dataset
    judged: Dataset  # the encoded rows that are evaluated
    data_collator: Collator
    training_collator: Collator
    processing_class: Any
    is_fsdp_enabled: bool
    total_steps: int
    epoch_steps: int


class Caching(TrainerCallback):
    """Gives the model what its frozen layers return, instead of running them, wherever the plan freezes some.

    It follows the plan of `trainer.unfreezing` and acts after it. When in doubt it switches itself off and prints the
    reason on one line; the model then runs its frozen layers as usual.
    """

    def __init__(self, trainer: Run) -> None:
        self.trainer = trainer
        self.folder = trainer.args.cache_place / "activations"
        self.of_train: list[PrefixCache] = []  # one for each view
        self.of_eval: PrefixCache | None = None
        self._proven: set[tuple[str, int]] = set()
        self._depth: int | None = None

    # Called by the training loop

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        plan = self.trainer.unfreezing.plan
        cuts = sorted({depth for depth in plan.lowest[plan.stage(state.global_step) :] if depth > 0})
        self.of_train, self.of_eval = [], None
        self._proven, self._depth = set(), plan.lowest_trainable(state.global_step)
        if not args.prefix_cache or not cuts:
            return
        # A resumed run keeps to what was decided: fewer cuts are left, and their reasons may be other ones.
        decided = [entry[DECISION] for entry in state.log_history if DECISION in entry]
        reason = self._reason_against() if not decided else decided[-1] if decided[-1] != ON else None
        if reason is None:
            with evaluating(model):
                reason = self._open(model, cuts, decided=bool(decided))
        if reason is not None:
            self._give_up(reason)
        elif not decided:
            state.log_history.append({"step": state.global_step, DECISION: ON})

    def on_step_begin(self, args, state, control, **kwargs):
        lowest = self.trainer.unfreezing.lowest
        if lowest != self._depth:
            for cache in self._caches():
                if self._depth in cache.stores:
                    cache.drop(self._depth)
            self._depth = lowest

    def close(self) -> None:
        """Forget everything, and delete what is not kept for later runs; calling it again does nothing."""
        for cache in self._caches():
            cache.close()
        self.of_train, self.of_eval = [], None
        if self.trainer.args.cache_dir is None and PartialState().is_main_process:
            shutil.rmtree(self.folder, ignore_errors=True)

    # Called in every step

    @contextmanager
    def replay_prefix(self, model: nn.Module, inputs: dict[str, Any], split: str) -> Iterator[None]:
        """Within it a forward pass over `inputs` starts above the frozen layers, if their activations are there.

        Takes the row numbers out of `inputs`, and puts in what the loader left out.
        """
        if ROWS not in inputs:
            yield
            return
        rows = inputs.pop(ROWS).cpu().numpy()
        cache, depth = self._cache(split), self.trainer.unfreezing.lowest
        ready = cache is not None and depth in cache.stores
        if ready and (split, depth) not in self._proven:
            self._complete(inputs, rows, split)
            ready = self._proves(model, cache, depth, rows, inputs, split)
        replaying = None
        if ready:
            given = {**cache.blanks(len(rows)), **inputs}
            with suppress(Damaged):  # so much that the layers are run as usual
                replaying = cache.replay(depth, rows, given)
        if replaying is None:
            self._complete(inputs, rows, split)
            yield
            return
        inputs.update(given)
        with replaying:
            yield

    def without_inputs(self, split: str) -> bool:
        """Whether a batch may do without what only the frozen layers read: pictures need not be decoded."""
        cache = self._cache(split)
        return cache is not None and bool(cache.unread) and self.trainer.unfreezing.lowest in cache.stores

    def logits(self, model: nn.Module, rows: Dataset, numbers: list[int], split: str) -> tuple[Tensor, Tensor]:
        """Logits and labels of some rows of a split, without dropout and without gradients."""
        trainer = self.trainer
        collator = trainer.training_collator if split == "train" and self.of_train else trainer.data_collator
        batch = NumberedBatches(collator, rows)(NumberedRows(rows_to_fetch(rows), self, split).__getitems__(numbers))
        batch = {name: value.to(trainer.args.device) for name, value in batch.items()}
        with evaluating(model), self.replay_prefix(model, batch, split):
            return model(**trainer.codec.inputs(batch))["logits"], batch["labels"]

    # How it is decided

    def _reason_against(self) -> str | None:
        """Why activations are not to be stored, in words; None where nothing is against it."""
        trainer, args = self.trainer, self.trainer.args
        drawn = varies(trainer.codec)
        if drawn == "batches" or (drawn == "rows" and not args.cache_views):
            wayout = "" if drawn == "batches" else "; --cache_views 4 would keep four draws of each row"
            return f"the inputs are drawn anew in every epoch{wayout}"
        if args.activation_checkpointing:
            return "activation checkpointing computes layers twice"
        if trainer.is_fsdp_enabled:
            return "a model in parts runs in all processes together"
        if args.torch_compile:
            return "a compiled model runs as a whole"
        if args.adapted:
            return "adapters learn inside frozen layers"
        config = trainer.model.config.to_dict()
        if any("layerdrop" in name and share for name, share in config.items()):
            return "the model leaves out whole layers at random (layerdrop)"
        if config.get("apply_spec_augment"):
            return "the model masks its inputs at random (apply_spec_augment)"
        if int(os.environ.get("LOCAL_WORLD_SIZE", args.world_size)) < args.world_size:
            return "several machines do not share a disk"
        return None

    def _open(self, model: nn.Module, cuts: list[int], *, decided: bool) -> str | None:
        trainer, args = self.trainer, self.trainer.args
        frozen = Frozen(model, trainer.unfreezing.depths)
        if any(p.requires_grad and frozen.depths.parameters[n] < min(cuts) for n, p in model.named_parameters()):
            return "something below the frozen blocks learns"
        # Accelerators may compute single precision with as few bits as float16 has (TF32).
        coarse = args.fp16 or args.device.type != "cpu"
        computed = "bfloat16" if args.bf16 else "float16" if coarse else "float32"
        keep = args.cache_dir is not None
        mixed = args.bf16 or args.fp16
        settings = Settings(self.folder, args.cache_dtype, computed, mixed, args.cache_budget, keep)
        drawn_anew = varies(trainer.codec) is not None
        views = args.cache_views if drawn_anew else 1
        passes, evaluations = self._passes()
        if passes < WORTH * views and not settings.keep and not decided:
            return f"each row passes the frozen layers {passes:.1f} times, and storing takes one pass"
        identity = {
            "processor": repr(trainer.processing_class),
            "precision": [args.bf16, args.fp16, args.tf32],
        }
        collator, rows = trainer.training_collator, rows_digest(trainer.train_dataset)
        try:
            for view in range(views):
                drawn = {}
                if drawn_anew:
                    collator.epoch = view
                    drawn = {"view": view, "seed": args.seed, "task": trainer.task}
                self.of_train.append(
                    PrefixCache.build(
                        frozen,
                        trainer.train_dataset,
                        self._inputs_by(collator, view if drawn_anew else None),
                        cuts,
                        settings,
                        {**identity, **drawn, "rows": rows},
                        desc="Frozen layers: train",
                    )
                )
            if isinstance(trainer.eval_dataset, Dataset) and evaluations >= 2:
                self.of_eval = PrefixCache.build(
                    frozen,
                    trainer.eval_dataset,
                    self._inputs_by(trainer.data_collator),
                    cuts,
                    settings,
                    {**identity, "rows": rows_digest(trainer.eval_dataset)},
                    desc="Frozen layers: validation",
                )
        except CannotReplay as error:
            return str(error)
        self._read_what_else_is_needed(model)
        return None

    def _read_what_else_is_needed(self, model: nn.Module) -> None:
        """Have inputs read all the same where answers come with them, or where answers are read from them."""
        for cache in self._caches():
            if not can_stack(cache.rows, "labels"):
                cache.unread = {}
        if self.of_eval and self.of_eval.unread and self._runs_model_for_answers(model):
            self.of_eval.unread = {}

    def _runs_model_for_answers(self, model: nn.Module) -> bool:
        """Whether the codec runs the model once more for its outputs: it would generate from blank inputs."""
        trainer = self.trainer
        rows = rows_to_fetch(trainer.eval_dataset).__getitems__([0, 1])
        batch = send_to_device(trainer.data_collator(rows), trainer.args.device)
        _, known = trainer.codec.loss(model, batch)
        with count_calls(model) as calls:
            trainer.codec.outputs(model, batch, known)
        return bool(calls)

    def _inputs_by(self, collator: Collator, view: int | None = None) -> Collator:
        """A collator that leaves answers out: frozen layers are run on a model's inputs alone.

        Args:
            view: the epoch whose draws it makes, whichever one runs; None if nothing is drawn.
        """

        def collate(rows: Any) -> Batch:
            if view is None:
                return self.trainer.codec.inputs(collator(rows))
            epoch, collator.epoch = collator.epoch, view
            try:
                return self.trainer.codec.inputs(collator(rows))
            finally:
                collator.epoch = epoch

        return collate

    def _passes(self) -> tuple[float, int]:
        """How often the whole plan takes each training row, and the validation split, through frozen layers."""
        trainer, args = self.trainer, self.trainer.args
        plan, total = trainer.unfreezing.plan, trainer.total_steps
        ends = [*plan.starts[1:], total]
        steps = sum(end - start for start, end, low in zip(plan.starts, ends, plan.lowest, strict=True) if low > 0)
        every = {"epoch": trainer.epoch_steps, "steps": args.eval_steps}.get(str(args.eval_strategy.value))
        evaluations = int(steps / every) if every else 0
        if trainer.fitting.obstacle is None:  # the head is fitted on one more pass of each split, and judged
            return steps / trainer.epoch_steps + 1, evaluations + 2
        return steps / trainer.epoch_steps, evaluations

    def _cache(self, split: str) -> PrefixCache | None:
        if split == "eval":
            known = self.of_eval is not None and self.trainer.judged is self.of_eval.rows
            return self.of_eval if known else None
        if len(self.of_train) < 2:
            return self.of_train[0] if self.of_train else None
        return self.of_train[self.trainer.training_collator.epoch % len(self.of_train)]

    def _caches(self) -> list[PrefixCache]:
        return [*self.of_train, *([self.of_eval] if self.of_eval else [])]

    def _complete(self, inputs: dict[str, Any], rows: np.ndarray, split: str) -> None:
        """Put in what the loader left out."""
        if not is_bare(inputs):
            return
        trainer, judged = self.trainer, split == "eval"
        data = trainer.judged if judged else trainer.train_dataset
        collator = trainer.data_collator if judged else trainer.training_collator
        batch, device = collator(data.__getitems__(rows.tolist())), inputs["labels"].device
        inputs.update({name: value.to(device) for name, value in batch.items()})

    def _logits(self, model: nn.Module, inputs: dict[str, Tensor]) -> Tensor:
        """The logits of a batch, as its loss is computed: those of all places at once may not fit into memory."""
        _, output = self.trainer.codec.loss(model, inputs)
        return self.trainer.codec.logits(output, inputs)

    def _proves(
        self, model: nn.Module, cache: PrefixCache, depth: int, rows: np.ndarray, inputs: dict[str, Tensor], split: str
    ) -> bool:
        """Run the first batch at a cut in three ways; a difference switches the cache off.

        The untouched model, and the model from the cut on, with this batch's own activations rounded as they are
        stored, may differ by that rounding. From the same model with the store's activations, only what padding does to
        a computation may tell them apart: a store that is wrong by a thousandth is no longer hidden by the rounding.
        In half precision that is told from the activations: of logits there may be a handful, which differ by chance.
        """
        codec, settings = self.trainer.codec, cache.settings
        given = codec.inputs(inputs)
        # As in the steps to come: without what only the frozen layers read.
        bare = {**given, **cache.blanks(len(rows))}
        with evaluating(model):
            real = self._logits(model, inputs)
            with cache.replay_computed(depth, given):
                rounded = self._logits(model, inputs | bare)
            try:
                with cache.replay(depth, rows, given):
                    replayed = self._logits(model, inputs | bare)
            except Damaged:
                real = rounded = replayed = real[:0]
            far = settings.mixed and real.numel() > 0 and not cache.holds(depth, rows, given)
        # A batch may hold nothing to compare (sentences without words are legal): the largest of nothing does not
        # exist, and the next batch is the first then. Of all processes, or some would go on and others not.
        if not all(gather_object([real.numel() > 0])):
            return False
        self._proven.add((split, depth))
        largest = 1e-12 + real.abs().max().item()
        pairs = ((real, rounded, settings.tolerance), (rounded, replayed, TOLERANCE[settings.computed]))
        found = [((one - other).abs().max().item() / largest, LOOSER * limit) for one, other, limit in pairs]
        # `not … <=`, and not `>`: a nan is no match either.
        wrong = [apart for apart, limit in found if not apart <= limit]
        told = gather_object([f"logits differ by {wrong[0]:.2g} of the largest" if wrong else far and FAR])
        reason = next(filter(None, told), None)
        if reason is not None:
            self._give_up(f"at depth {depth} {reason}")
        return reason is None

    def _give_up(self, reason: str) -> None:
        self.close()
        self.trainer.state.log_history.append({"step": self.trainer.state.global_step, DECISION: reason})
        if PartialState().is_main_process:
            print(f"Prefix cache off: {reason}.")


def can_stack(rows: Dataset, column: str) -> bool:
    """Whether `torch.tensor` takes the column as it is, for any rows: numbers, or equally long lists of them."""
    if column not in rows.column_names:
        return False
    (values,) = columns_of(rows, [column])
    if pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        lengths, numbers = pc.list_value_length(values), values.flatten()
        return len(lengths.unique()) == 1 and not lengths.null_count and is_plain(numbers)
    return is_plain(values)


def is_plain(values: pa.Array) -> bool:
    """Whether these are numbers, none of them missing."""
    return is_number(values.type) and not values.null_count


def is_bare(inputs: Mapping[str, Any]) -> bool:
    """Whether a batch is one of `NumberedBatches` for rows that were not read: it has its answers alone."""
    return inputs.keys() == {"labels"}


class NumberedRows(MapDataset):
    """Rows with their numbers, for `NumberedBatches`; nothing but the number where nothing else will be read."""

    def __init__(self, rows: Any, caching: Caching | None, split: str) -> None:
        self.rows, self.caching, self.split = rows, caching, split

    def __len__(self) -> int:
        return len(self.rows)

    def __getstate__(self) -> dict[str, Any]:
        # A loader's worker on another start method gets a copy, and would copy the whole trainer with it.
        return {**vars(self), "caching": None}

    def __getitems__(self, numbers: list[int]) -> tuple[list[int], Any]:
        bare = self.caching is not None and self.caching.without_inputs(self.split)
        return numbers, None if bare else self.rows.__getitems__(numbers)


class NumberedBatches:
    """A collator that puts the numbers of the rows into the batch, beside what the collator inside makes of them."""

    def __init__(self, collator: Any, prepared: Dataset) -> None:
        self.collator, self.prepared = collator, prepared

    @cached_property
    def labels(self) -> list:
        return self.prepared["labels"][:]

    def __call__(self, fetched: tuple[list[int], Any]) -> dict[str, Tensor]:
        numbers, rows = fetched
        batch = {"labels": torch.tensor([self.labels[n] for n in numbers])} if rows is None else self.collator(rows)
        batch = {**batch, ROWS: torch.tensor(numbers)}
        hand_over(batch)
        return batch


@contextmanager
def count_calls(model: nn.Module) -> Iterator[list[nn.Module]]:
    """Within it every module of the model that is called is added to the list."""
    calls: list[nn.Module] = []
    hooks = [module.register_forward_pre_hook(lambda module, _: calls.append(module)) for module in model.modules()]
    try:
        yield calls
    finally:
        for hook in hooks:
            hook.remove()
