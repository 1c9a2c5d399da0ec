"""The stock Trainer, told which layers learn, when, and how fast."""

import json
import warnings
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import finalize

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, Sampler
from transformers import EvalPrediction, Trainer
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_pt_utils import nested_detach
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, PredictionOutput

from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.training import TransferArguments, refuse_token
from hfkit.contract.abilities import Counted, Decision, Stored, training_collator
from hfkit.contract.codec import Codec
from hfkit.contract.task import Loaded, Task
from hfkit.data.batches import evaluation_order, rows_to_fetch, training_order
from hfkit.errors import UserError
from hfkit.model.mixout import Mixout
from hfkit.model.parallel import rebuild_wrapper, shard_by_blocks
from hfkit.model.unfreezing import Unfreezing
from hfkit.prefix.callback import ROWS, Caching, NumberedBatches, NumberedRows
from hfkit.progress import silence_other_bars
from hfkit.runtime.folders import require_writable
from hfkit.runtime.machine import measure
from hfkit.scores.evidence import Evidence
from hfkit.training.adapting import leave_room
from hfkit.training.auto import Auto, refuse_blind
from hfkit.training.averages.callback import Averages
from hfkit.training.budget import early_stopping, settle_length
from hfkit.training.checkpoints import write_identity
from hfkit.training.claiming import Claim, identify, make_claim, starting_weights, take_output_directory
from hfkit.training.console import add_rates, censor_trackers, replace_printers
from hfkit.training.epochs import TellEpoch
from hfkit.training.evaluating import Encoded, Evaluated, choose_best_by, in_row_order, tune_decision
from hfkit.training.extension import extend_plan, last_step_of, refuse_extension
from hfkit.training.fitting import FitHead
from hfkit.training.generators import draw_for_one_loader, set_generators
from hfkit.training.hangs import EndHangs
from hfkit.training.holding import Holding
from hfkit.training.interruption import Interruption
from hfkit.training.invariants import Invariants, refuse_non_finite
from hfkit.training.keeping import Keeping
from hfkit.training.overdue import PENDING, Overdue, read_pending
from hfkit.training.patience import Patience, restore_states
from hfkit.training.plan import AnnouncePlan, plan_groups, plan_rows, plan_stages, reshape_model
from hfkit.training.precision import Precision
from hfkit.training.publishing import check_hub_name, make_report, publish, push_folder, remove_pickle, save_adapted
from hfkit.training.r_drop import RDrop, repeat
from hfkit.training.rate_range import RateRange, scale_groups
from hfkit.training.refusals import refuse_engines, refuse_flags, refuse_surgery
from hfkit.training.regularisers import balance, fit_loss
from hfkit.training.resuming import (
    find_checkpoint,
    find_fault_of_weights,
    ignore_recorded_best,
    read_weights,
    refuse_states_with_code,
    require_whole,
)
from hfkit.training.saving import best_after, rotate, write_model, write_sealed
from hfkit.training.scheduling import require_all_groups, schedule_groups
from hfkit.training.sealed import has_seal
from hfkit.training.sparing import clip_by_norms, spare_steps
from hfkit.training.trained import find_trained, mark_trained, take_up
from hfkit.training.unpadding import SkipPadding

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from hfkit.report.report import Report


class TransferTrainer(Trainer):
    """A `Trainer` with layer-wise rates and a freeze plan, whose task judges it.

    - all parameters are in named optimizer groups from the start, one per (depth, decays?);
    - the plan of the strategy says which depths learn at each optimizer step, and is checked while it runs;
    - the loss is averaged over the labels of the whole optimizer step, across micro-batches and processes;
    - a non-finite loss or gradient stops the run before the weights are touched;
    - a run resumes only from its own checkpoints, and then ends bit-identical on CPU;
    - README.md is the card of the run's report, on every way out, and only what was staged is pushed.

    Args:
        codec: of the task and the checkpoint; it belongs to this training.
        rows: checked rows; `encoded` holds what the codec makes of each split.
        encoded: splits that are encoded already; the others are encoded here, or when they are asked for.

    Raises:
        UserError: an output directory that is not this run's, an engine or optimizer that would not honour the plan, or
            with push_to_hub no way to push.
    """

    def __init__(
        self,
        model: nn.Module,
        args: TransferArguments,
        *,
        task: Task,
        codec: Codec,
        rows: Loaded,
        encoded: Mapping[str, Dataset] | None = None,
        **kwargs: Any,
    ) -> None:
        require_writable(Path(args.output_dir))
        refuse_surgery(args)
        blocks = tuple(args.blocks)
        model = reshape_model(model, args)
        refuse_flags(model, args)
        choose_best_by(args, task)
        self.task, self.codec, self.rows = task, codec, rows
        self.encoded = Encoded(codec, rows.splits, leave_room(codec, args, encoded))
        settle_length(args, len(self.encoded["train"]))
        fit_loss(codec, self.encoded["train"], args)
        self.balanced = balance(self.encoded["train"], codec, args)
        with warnings.catch_warnings():
            # The codec's own loss smooths several labels too.
            warnings.filterwarnings("ignore", message="Label smoothing is not compatible with multi-label")
            super().__init__(
                model,
                args,
                data_collator=codec.collate,
                train_dataset=self.encoded["train"],
                eval_dataset=self.encoded["validation"],
                processing_class=codec.processor,
                compute_metrics=self._score,
                **kwargs,
            )
        # The stock trainer then counts the labels of the whole optimizer step, and leaves it to the loss to divide by
        # them: many heads accept that number and ignore it.
        self.model_accepts_loss_kwargs = True
        refuse_engines(self)
        refuse_extension(args, sharded=self.is_fsdp_enabled)
        self.unfreezing = Unfreezing(model, blocks)
        self.unfreezing.on_change = self._rebuild_wrapper
        shard_by_blocks(self.accelerator, model, self.unfreezing.depths)
        self.invariants = Invariants(self.unfreezing)
        self.training_collator = training_collator(codec, args.seed)
        self.caching, self.averages, self.unpadding = Caching(self), Averages(self), SkipPadding(self)
        self.console = replace_printers(self)
        self.trackers = censor_trackers(self)
        self.precision, self.patience, self.fitting = Precision(self), Patience(), FitHead(self)
        self.keeping = Keeping(self)
        self.r_drop = RDrop(self) if args.r_drop else None
        callbacks = [self.invariants, self.unfreezing, AnnouncePlan(self), self.patience, TellEpoch(self), self.caching]
        callbacks += [self.unpadding, self.precision, self.keeping]
        if args.decided:
            refuse_blind(args, task, self.eval_dataset)
            callbacks.append(Auto(self))
        callbacks += [self.averages, self.fitting]  # a fit that is evaluated is one of the weights to average
        callbacks.append(RateRange(self))
        self.holding, self.interruption, self.hangs = Holding(Path(args.output_dir)), Interruption(self), EndHangs(args)
        finalize(self, self.holding.end)
        callbacks += early_stopping(args)
        for callback in [*callbacks, Overdue(self), self.interruption, self.hangs]:
            self.add_callback(callback)
        self.rates: dict[int, float] = {}  # depth -> rate of the last optimizer step
        self.judged: Dataset = self.eval_dataset  # the encoded rows of the evaluation that runs, or ran last
        self.evaluated: Evaluated | None = None
        self.decision: Decision | None = None
        self.untuned: list | None = None  # answers to test before the decision was moved
        self.read: Callable[..., dict[str, Tensor]] = codec.outputs  # what an evaluation keeps of the model's output
        self.mixout = Mixout(model, self.unfreezing.depths, args.mixout, args.reinit_blocks) if args.mixout else None
        self.starting_weights = starting_weights(model, self.unfreezing, args)
        self._size: int | None = None  # parameters besides the embeddings
        self.claim: Claim | None = None  # what it says of itself, since training began
        self.resumed_from: str | None = None
        self.unfinished: Path | None = None  # where checkpoints are written at the moment
        self.generators: dict[str, Any] | None = None  # see `hfkit.training.overdue`, like the next ones
        self.norms: Tensor | None = None  # of the gradients of this step
        self.grad_norm: Tensor | float | None = None
        self.learning_rate: float | None = None
        self.pending: dict[str, Any] = {}
        self.extensions: list[dict] = []  # of the run, see `hfkit.training.extension`
        self.train_cost: dict[str, float] = {}

    # What trains, and how fast

    def set_initial_training_values(self, args, dataloader):
        values = super().set_initial_training_values(args, dataloader)
        self.total_steps, self.epoch_steps = values[-1], values[1]
        fitted = self.fitting.decide()
        plan = plan_stages(self.model, self.unfreezing, args, self.total_steps, self.epoch_steps, fitted=fitted)
        self.unfreezing.plan = extend_plan(plan) if self.extensions else plan
        if self.r_drop:
            self.r_drop.refuse_without_draws()
        return values

    def _run_epoch(self, **kwargs: Any) -> None:
        # The stock loop asks only after a step whether training has ended.
        if not self.control.should_training_stop:
            super()._run_epoch(**kwargs)

    def get_optimizer_cls_and_kwargs(self, args, model=None):
        kind, kwargs = super().get_optimizer_cls_and_kwargs(args, model)
        if {"params", "model", "optimizer_dict"} & set(kwargs):
            raise UserError(f"optim={args.optim}", "it makes its own parameter groups", "Use --optim adamw_torch_fused")
        return kind, {**kwargs, "params": self.groups()}

    def groups(self) -> list[dict]:
        return plan_groups(self.model, self.unfreezing, self.args)

    def create_optimizer(self, model=None):
        optimizer = super().create_optimizer(model)
        require_all_groups(optimizer, self.model)
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.lr_scheduler is None:
            steps = num_training_steps - last_step_of(self.extensions)
            stock = super().create_scheduler(steps, optimizer)
            plan = self.unfreezing.plan
            self.lr_scheduler = schedule_groups(stock, optimizer or self.optimizer, self.args, plan, steps)
        return self.lr_scheduler

    def _rebuild_wrapper(self) -> None:
        if isinstance(self.model_wrapped, DistributedDataParallel):
            rebuild_wrapper(self.model_wrapped, **self.accelerator.ddp_handler.to_kwargs())

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, output = self.codec.loss(model, inputs, num_items_in_batch)
        if self.r_drop and torch.is_grad_enabled():  # not in an evaluation
            loss = self.r_drop.add_divergence(loss, output, inputs, num_items_in_batch)
        if self.args.average_tokens_across_devices and num_items_in_batch is not None:
            # Gradients are averaged over processes, and the labels were counted over all of them.
            loss = loss * (self.accelerator.num_processes // self.get_tp_size())
        return (loss, output) if return_outputs else loss

    def _get_num_items_in_batch(self, batch_samples: list, device: torch.device) -> Tensor | int | None:
        if isinstance(self.codec, Counted):
            batch_samples = [with_so_many_labels(self.codec.count_targets(batch)) for batch in batch_samples]
        items = super()._get_num_items_in_batch(batch_samples, device)
        if items is None and batch_samples:
            # Each micro-batch would take a mean of its own.
            raise TypeError(f"{type(self.codec).__name__} needs `count_targets`: its batches have no tensor of labels")
        return items

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        if self.r_drop:
            inputs.update(repeat(inputs))
        replaying = self.caching.replay_prefix(self.model, inputs, "train")
        with self.unpadding.around_blocks(), replaying, self.unpadding.skip_padding(inputs):
            loss = super().training_step(model, inputs, num_items_in_batch)
        # Under fp16 the gradient scaler skips steps with infinite gradients itself, and lowers its scale.
        complete = self.accelerator.sync_gradients and not self.args.fp16
        self.norms = refuse_non_finite(self.state.global_step, loss, self.unfreezing.trainable if complete else ())
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        # The stock method walks through every module in each step: with a head alone that is half of its cost.
        learning = [p for _, p in self.unfreezing.trainable]
        if self.norms is None or self.is_fsdp_enabled:
            return self.accelerator.clip_grad_norm_(learning, self.args.max_grad_norm)
        return clip_by_norms(learning, self.norms, self.args.max_grad_norm)

    def floating_point_ops(self, inputs: dict[str, Any]) -> int:
        if self._size is None:
            self._size = self.model.num_parameters(exclude_embeddings=True)
        return 6 * inputs[self.model.main_input_name].numel() * self._size

    def get_train_dataloader(self) -> DataLoader:
        judging, self.data_collator = self.data_collator, self.training_collator
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = judging

    def _get_train_sampler(self, train_dataset=None) -> Sampler | None:
        order = self.balanced or training_order(self.train_dataset, self.args)
        self.train_sampler = order or super()._get_train_sampler(train_dataset)
        return self.train_sampler

    def _get_dataloader(self, dataset: Dataset, *args: Any, sampler_fn: Any, **kwargs: Any) -> DataLoader:
        split, collator = "train" if kwargs.get("is_training") else "eval", self.data_collator
        self.data_collator = NumberedBatches(collator, dataset)
        try:
            rows = NumberedRows(rows_to_fetch(dataset), self.caching, split)
            return super()._get_dataloader(rows, *args, sampler_fn=lambda _: sampler_fn(dataset), **kwargs)
        finally:
            self.data_collator = collator

    # Evaluation

    def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
        """The loss, what `decode` reads by name, and which rows they are of: rows come back in another order."""
        numbers = inputs[ROWS]
        with torch.no_grad(), self.caching.replay_prefix(self.model, inputs, "eval"):
            inputs = self._prepare_inputs(inputs)
            items = self._get_num_items_in_batch([inputs], self.args.device)
            with self.compute_loss_context_manager():
                loss, output = self.compute_loss(model, inputs, return_outputs=True, num_items_in_batch=items)
        # No longer above the frozen layers: a codec that generates runs the whole model.
        with torch.no_grad(), self.compute_loss_context_manager():
            outputs = self.read(model, inputs, output)
        return loss.detach().mean(), nested_detach(outputs), numbers.to(self.args.device)

    def evaluate(self, eval_dataset=None, *args, **kwargs) -> dict[str, float]:
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        if not isinstance(rows, dict):  # of several sets each is evaluated by itself
            self._refuse_unknown(rows)
        self.judged = rows
        return super().evaluate(eval_dataset, *args, **kwargs)

    def evaluation_loop(self, dataloader: Any, description: str, *args: Any, **kwargs: Any) -> Any:
        with self.console.evaluation(description, len(dataloader)), draw_for_one_loader(), self.averages.in_place():
            return super().evaluation_loop(dataloader, description, *args, **kwargs)

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Sampler:
        return evaluation_order(eval_dataset)

    def predict(self, test_dataset: Dataset, *args, **kwargs) -> PredictionOutput:
        """Outputs by name and in the order of the encoded rows, and the numbers of those rows as `label_ids`."""
        self._refuse_unknown(test_dataset)
        self.judged = test_dataset
        found = super().predict(test_dataset, *args, **kwargs)
        outputs = in_row_order(found.predictions, found.label_ids)
        return PredictionOutput(outputs, np.sort(found.label_ids), found.metrics)

    def _refuse_unknown(self, rows: Dataset) -> None:
        """Refuse rows without gold answers, before a pass over them that ends in scores."""
        if self.compute_metrics is not None:
            self.encoded.split_of(rows)

    def _score(self, output: EvalPrediction) -> dict[str, float]:
        split = self.encoded.split_of(self.judged)
        predictions = self.codec.decode(in_row_order(output.predictions, output.label_ids), self.judged)
        self.evaluated = Evaluated(split, predictions, self.references(split))
        return self.task.judge.score(predictions, self.evaluated.references)

    def references(self, split: str) -> list:
        """The gold answers of a split."""
        return self.task.rows.references(self.rows[split])

    @property
    def evidence(self) -> Evidence:
        """The evidence of the last evaluation."""
        return self.task.judge.evidence(self.evaluated.predictions, self.evaluated.references)

    def outputs(self, split: str) -> dict[str, np.ndarray]:
        """The parts of the model's output that the codec reads, by name and encoded row, the same on every process."""
        return self.predict(self.encoded[split]).predictions

    def predictions(self, split: str) -> list:
        """One plain prediction per row of a split, the same on every process."""
        self.predict(self.encoded[split])
        return self.evaluated.predictions

    def tune_decision(self, *, keep_untuned: bool = True) -> dict[str, float]:
        """Move the decision to where the headline is best on validation, rows that were not trained on.

        Nothing moves but the head's own parameters, or an entry of the configuration: what is saved stays plain.

        Args:
            keep_untuned: answer the test rows first if the headline moves, so that the report can show both.

        Returns:
            The headline on validation `before` and `after`: equal where there is nothing to move.
        """
        return tune_decision(self, keep_untuned=keep_untuned)

    # Files

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """Train as the plan says, from the start or from a checkpoint of this very run.

        With True or 'auto', training that had ended is not repeated.

        Raises:
            UserError: the checkpoint is damaged, or it or the output directory belongs to another run, or is in use by
                another process; nothing was changed.
        """
        if self.is_world_process_zero():
            self.holding.begin()
        asked = resume_from_checkpoint or self.args.extend  # an extension goes on from the newest checkpoint
        self.precision.settle(asked)
        identity = identify(self)
        if asked in (True, "auto") and (mark := find_trained(self, identity)) is not None:
            return take_up(self, mark)
        self.resumed_from = find_checkpoint(self.args, asked)
        self.claim = make_claim(self, identity, self.resumed_from and Path(self.resumed_from))
        self.extensions = self.claim.extensions
        self.averages.begin()
        try:
            # The console's bars last: a run that breaks off leaves the terminal as it was.
            with measure() as self.train_cost, self.args.cache_folder() as folder, self.console.bars:
                if self.args.may_repeat_rows:
                    self._keep_in(folder)
                mixing = self.mixout.mixing() if self.mixout else nullcontext()
                with spare_steps(self.args.device), self.hangs.training(), self.interruption.at_safe_points(), mixing:
                    output = super().train(self.resumed_from, **kwargs)
                self.averages.choose()
        finally:
            self.unfreezing.release(self.model)
            self.caching.close()
        self.precision.add_cost(self.train_cost)
        mark_trained(self, self.claim.identity)
        return output

    def _keep_in(self, folder: Path) -> None:
        if isinstance(self.codec, Stored):
            budget = int(self.args.cache_budget * 1e9)
            # Those of validation first: they are fewer, and masks of training rows may be large.
            self.data_collator = self.codec.store(self.data_collator, self.eval_dataset, folder, budget)
            self.training_collator = self.codec.store(self.training_collator, self.train_dataset, folder, budget)

    def _init_training_state(
        self, max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
    ):
        with ignore_recorded_best():
            begin = super()._init_training_state(
                max_steps, num_update_steps_per_epoch, num_train_epochs, resume_from_checkpoint, trial
            )
        callbacks = self.callback_handler.callbacks
        self.patience.watched = []
        if resume_from_checkpoint is not None:
            restore_states(callbacks, self.state, restored=self.args.restore_callback_states_from_checkpoint)
            self.patience.watch(callbacks, anew=self.begins_extension)
            # As a checkpoint of this output directory, however the path it was resumed from is spelt.
            best = self.claim.best
            self.state.best_model_checkpoint = str(Path(self.args.output_dir, best.name)) if best else None
        return begin

    def _prepare_for_training(self, *args, **kwargs):
        ready = super()._prepare_for_training(*args, **kwargs)
        take_output_directory(self, self.claim)  # plan and optimizer were not refused
        return ready

    @property
    def begins_extension(self) -> bool:
        """True where no step of the last extension was taken yet."""
        return bool(self.extensions) and self.state.global_step == last_step_of(self.extensions)

    def _load_rng_state(self, checkpoint: str | None) -> None:
        if self.generators is None:
            with refuse_states_with_code(checkpoint):
                super()._load_rng_state(checkpoint)
        else:  # what was made up for comes between the checkpoint and the next step
            set_generators(self.generators)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self.begins_extension:
            with refuse_states_with_code(checkpoint):
                super()._load_optimizer_and_scheduler(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:
            # The optimizer comes next, and of shards it asks a state for all that requires gradients now.
            self.unfreezing.apply(self.model, self.unfreezing.plan.lowest_trainable(self.state.global_step - 1))
        if self.args.adapted or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            read_weights(self.model, resume_from_checkpoint)

    def _determine_best_metric(self, metrics: dict[str, float], trial: Any) -> bool:
        found = super()._determine_best_metric(metrics, trial)
        self.keeping.choose(metrics, is_best=found)
        return found

    def _load_best_model(self) -> None:
        best = Path(self.state.best_model_checkpoint)
        require_whole(best, find_fault_of_weights(best, sealed=has_seal(best)))
        if self.args.adapted or self.is_fsdp_enabled:
            super()._load_best_model()
        else:
            read_weights(self.model, self.state.best_model_checkpoint)
        self.averages.read(best)

    def _finalize_training(self, *args, **kwargs):
        # It would delete all checkpoints but the best one before there is a mark that training has ended.
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            return super()._finalize_training(*args, **kwargs)
        finally:
            self.args.save_total_limit = limit

    def facts(self) -> dict[str, Any]:
        """The record of the training as plain values for the report (see `Report.add_training`)."""
        return {
            "plan": self.plan_rows(),
            "log_history": self.state.log_history,
            "cost": self.train_cost,
            "invariants": dict(self.invariants.checked),
            "extended": self.extensions,
        }

    def plan_rows(self) -> list[dict]:
        """The plan as rows (see `hfkit.training.plan`); known once training has begun."""
        rows = plan_rows(
            self.model,
            self.unfreezing,
            scale_groups(self.groups(), self.state.log_history),
            total_steps=self.total_steps,
            epochs=self.total_steps / self.epoch_steps,
            first_step=last_step_of(self.extensions),
        )
        return self.fitting.plan_rows(rows)

    def _get_learning_rate(self) -> float:
        # The stock method reports group 0, here the embeddings; --learning_rate means the top block.
        self.rates = {group["depth"]: group["lr"] for group in self.optimizer.param_groups}
        self.learning_rate = self.rates[self.unfreezing.depths.head - 1]
        return self.learning_rate

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        for_trackers = add_rates(self, logs)
        super().log(logs, start_time)
        for name in for_trackers:
            del logs[name], self.state.log_history[-1][name]

    def _get_grad_norm(self, model, grad_norm=None):
        self.grad_norm = super()._get_grad_norm(model, grad_norm=grad_norm)
        return self.grad_norm

    def _get_output_dir(self, trial: Any) -> str:
        return str(self.unfinished) if self.unfinished else super()._get_output_dir(trial)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint beside the others, seal it, give it its name, and only then delete earlier ones."""
        state, args = self.state, self.args
        final = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{state.global_step}")
        best = best_after(state, final, args)
        self.pending = read_pending(self)
        limit, args.save_total_limit = args.save_total_limit, None
        try:
            with write_sealed(self, final) as folder:
                super()._save_checkpoint(model, trial)
                state.best_model_checkpoint = best  # the stock method looks for it where this one is written
                if args.should_save:
                    self.averages.write(folder)
                    state.save_to_json(str(folder / TRAINER_STATE_NAME))
        finally:
            args.save_total_limit = limit
        if args.should_save:
            rotate(final.parent, limit, newest=final, best=best)
        self.accelerator.wait_for_everyone()

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            write_identity(Path(output_dir), self.claim.identity)
            Path(output_dir, PENDING).write_text(json.dumps(self.pending) + "\n", encoding="utf-8")
            self.fitting.write(Path(output_dir))

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            remove_pickle(Path(output_dir or self.args.output_dir))

    @silence_other_bars()
    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save a plain model that loads without hfkit or peft; adapters are merged in, and kept in `adapter/`."""
        folder = Path(output_dir or self.args.output_dir)
        # Told that nobody asked, the stock method does not push, before report and card are there.
        save = partial(super().save_model, _internal_call=True)
        if folder.name.startswith(PREFIX_CHECKPOINT_DIR) or not self.args.should_save:
            save(output_dir)  # with shards, all processes gather them
            return
        with write_model(folder) as unfinished:
            if self.args.adapted:
                save_adapted(self.model, self.processing_class, unfinished, self.args)
            else:
                save(str(unfinished))

    # Report, card and push

    def report(self, recipe: RecipeArguments) -> "Report":
        """The report of this run so far: how it was trained, and its answers to test. All processes have to ask.

        Args:
            recipe: the flags it started from, for the record.
        """
        return make_report(self, recipe)

    def publish(self, report: "Report") -> None:
        """End a run: write report and card, print the scores, and with --push_to_hub push it all.

        Raises:
            UserError: the output directory cannot be written.
            Failure: it was not pushed; the run itself is complete.
        """
        if self.is_world_process_zero():
            publish(self, report)

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write README.md from report.json; what the stock card takes as arguments stands in the report.

        Raises:
            UserError: there is no report yet, or the folder cannot be written.
        """
        from hfkit.hub.card import write_card

        if self.is_world_process_zero():
            write_card(Path(self.args.output_dir))

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Refuse what could not be pushed in the end. Nothing is created before there is something to push."""
        if self.is_world_process_zero():
            # Also in the arguments: report and card say under which name the model is found.
            self.hub_model_id = self.args.hub_model_id = check_hub_name(self.args)

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs: Any,
    ) -> "CommitInfo | None":
        """Push what `save_model` and the report have left in the output directory (see `hfkit.hub.push`).

        Only the first process pushes; the others return None at once. It always waits for the end.

        Raises:
            UserError: there is no report or no model yet, or something given cannot be pushed.
            Failure: the Hub or the way to it failed.
        """
        refuse_token(token)
        if not self.is_world_process_zero():
            return None
        if self.hub_model_id is None:
            self.init_hf_repo()
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        self.create_model_card()
        message = commit_message or "End of training"
        return push_folder(self.args, self.hub_model_id, message, private=private, revision=revision)


def with_so_many_labels(count: int) -> dict[str, Tensor]:
    """A batch in which the stock trainer counts so many labels, whether or not the model shifts its own."""
    labels = torch.zeros(()).expand(count)
    return {"labels": labels, "shift_labels": labels}
