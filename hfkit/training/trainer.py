"""The stock Trainer, told which layers learn, when, and how fast."""

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from datasets import Dataset, DatasetDict
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Sampler
from transformers import EvalPrediction, Trainer
from transformers.trainer_pt_utils import nested_detach
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, PredictionOutput, rotate_checkpoints

from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.training import TransferArguments, refuse_token
from hfkit.contract.abilities import Counted, Decision, Pictured, Stored, Tuned, training_collator
from hfkit.contract.codec import Codec
from hfkit.contract.task import Loaded, Task
from hfkit.data.batches import evaluation_order, rows_to_fetch, training_order
from hfkit.errors import Failure, UserError
from hfkit.model.groups import groupwise_schedule, slanted_triangular, triangle_of_each_stage
from hfkit.model.parallel import rebuild_wrapper, shard_by_blocks
from hfkit.model.unfreezing import Unfreezing
from hfkit.prefix.callback import ROWS, Caching, NumberedBatches, NumberedRows
from hfkit.progress import silence_other_bars
from hfkit.runtime.folders import require_writable
from hfkit.runtime.machine import measure
from hfkit.scores.evidence import Evidence, total
from hfkit.training.auto import Auto, refuse_blind
from hfkit.training.checkpoints import (
    LOOKED_AT,
    claim_output_directory,
    find_best,
    find_fault_of_best,
    find_fault_on_resume,
    ignore_recorded_best,
    newest_checkpoint,
    read_state,
    read_weights,
    require_same_run,
    require_whole,
    run_identity,
    spell_as,
    write_identity,
)
from hfkit.training.console import censor_trackers, log_contenders, rates_by_depth, replace_printers
from hfkit.training.epochs import TellEpoch
from hfkit.training.extension import (
    EXTENDED,
    extend_plan,
    find_extensions,
    is_the_end,
    last_step_of,
    refuse_extension,
    suggest_fix,
)
from hfkit.training.interruption import Interruption
from hfkit.training.invariants import Invariants, refuse_non_finite
from hfkit.training.patience import Patience, restore_states
from hfkit.training.plan import AnnouncePlan, plan_groups, plan_rows, plan_stages, reshape_model
from hfkit.training.publishing import check_hub_name, print_report, remove_pickle, retry_later, save_merged
from hfkit.training.refusals import refuse_engines, refuse_flags, refuse_surgery
from hfkit.training.sealed import mark_unfinished, seal

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo

    from hfkit.report.report import Report

MOST_PICTURES = 16  # of augmented training rows in a report


class Evaluated(NamedTuple):
    """The answers to one split, and what they should have been."""

    split: str
    predictions: list
    references: list


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
        self.encoded = Encoded(codec, rows.splits, encoded or {})
        codec.fit_loss(self.encoded["train"], label_smoothing=args.label_smoothing_factor)
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
        self.caching = Caching(self)
        self.console = replace_printers(self)
        self.trackers = censor_trackers(self)
        self.patience = Patience()
        callbacks = [self.invariants, self.unfreezing, AnnouncePlan(self), self.patience, TellEpoch(self), self.caching]
        if args.decided:
            refuse_blind(args, task, self.eval_dataset)
            callbacks.append(Auto(self))
        self.interruption = Interruption(self)
        for callback in [*callbacks, self.interruption]:
            self.add_callback(callback)
        self.rates: dict[int, float] = {}  # depth -> rate of the last optimizer step
        self.judged: Dataset = self.eval_dataset  # the encoded rows of the evaluation that runs, or ran last
        self.evaluated: Evaluated | None = None
        self.decision: Decision | None = None
        self.untuned: list | None = None  # answers to test before the decision was moved
        self._read: Callable[..., dict[str, Tensor]] = codec.outputs  # what an evaluation keeps of the model's output
        self._weights = self._starting_weights()
        self._size: int | None = None  # parameters besides the embeddings
        self._identity: dict[str, Any] = {}
        self.extensions: list[dict] = []  # of the run, see `hfkit.training.extension`
        self._train_cost: dict[str, float] = {}

    # What trains, and how fast

    def set_initial_training_values(self, args, dataloader):
        values = super().set_initial_training_values(args, dataloader)
        self.total_steps, self.epoch_steps = values[-1], values[1]
        plan = plan_stages(self.model, self.unfreezing, args, self.total_steps, self.epoch_steps)
        self.unfreezing.plan = extend_plan(plan) if self.extensions else plan
        return values

    def _run_epoch(self, **kwargs: Any) -> None:
        # The stock loop asks only after a step whether training has ended.
        if not self.control.should_training_stop:
            super()._run_epoch(**kwargs)

    def get_optimizer_cls_and_kwargs(self, args, model=None):
        kind, kwargs = super().get_optimizer_cls_and_kwargs(args, model)
        if {"params", "model", "optimizer_dict"} & set(kwargs):
            raise UserError(f"optim={args.optim}", "it makes its own parameter groups", "Use --optim adamw_torch_fused")
        return kind, {**kwargs, "params": self._groups()}

    def _groups(self) -> list[dict]:
        return plan_groups(self.model, self.unfreezing, self.args)

    def create_optimizer(self, model=None):
        optimizer = super().create_optimizer(model)
        grouped = [id(p) for group in optimizer.param_groups for p in group["params"]]
        if sorted(grouped) != sorted(id(p) for p in self.model.parameters()) or "name" not in optimizer.param_groups[0]:
            raise UserError(
                f"optimizer {type(optimizer).__name__}",
                "its groups must hold every parameter exactly once, by depth",
                "Leave `optimizers` to TransferTrainer and choose by --optim",
            )
        return optimizer

    def create_scheduler(self, num_training_steps: int, optimizer=None):
        if self.lr_scheduler is not None:
            return self.lr_scheduler
        num_training_steps -= last_step_of(self.extensions)
        stock = super().create_scheduler(num_training_steps, optimizer)
        warmup = round(self.args.thaw_warmup * num_training_steps)
        if isinstance(stock, LambdaLR):
            factor = stock.lr_lambdas[0]
            if self.args.decided:
                factor = triangle_of_each_stage(self.unfreezing.plan.starts, num_training_steps)
            elif self.args.slanted_triangular:
                factor = slanted_triangular(num_training_steps)
            self.lr_scheduler = groupwise_schedule(
                optimizer or self.optimizer, factor, self.unfreezing.plan.thaw_step, warmup
            )
        elif warmup or self.args.slanted_triangular:
            raise UserError(
                f"lr_scheduler_type={self.args.lr_scheduler_type}",
                "it follows the loss, so thawed groups cannot warm up on it",
                "Use linear or cosine, or --thaw_warmup 0",
            )
        return self.lr_scheduler

    def _rebuild_wrapper(self) -> None:
        if isinstance(self.model_wrapped, DistributedDataParallel):
            rebuild_wrapper(self.model_wrapped, **self.accelerator.ddp_handler.to_kwargs())

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, output = self.codec.loss(model, inputs, num_items_in_batch)
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
        with self.caching.replay_prefix(self.model, inputs, "train"):
            loss = super().training_step(model, inputs, num_items_in_batch)
        # Under fp16 the gradient scaler skips steps with infinite gradients itself, and lowers its scale.
        complete = self.accelerator.sync_gradients and not self.args.fp16
        refuse_non_finite(self.state.global_step, loss, self.unfreezing.trainable if complete else ())
        return loss

    def _clip_grad_norm(self, model: nn.Module) -> Tensor:
        # The stock method walks through every module in each step: with a head alone that is half of its cost.
        return self.accelerator.clip_grad_norm_([p for _, p in self.unfreezing.trainable], self.args.max_grad_norm)

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
        self.train_sampler = training_order(self.train_dataset, self.args) or super()._get_train_sampler(train_dataset)
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
            outputs = self._read(model, inputs, output)
        return loss.detach().mean(), nested_detach(outputs), numbers.to(self.args.device)

    def evaluate(self, eval_dataset=None, *args, **kwargs) -> dict[str, float]:
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        if not isinstance(rows, dict):  # of several sets each is evaluated by itself
            self._refuse_unknown(rows)
        self.judged = rows
        return super().evaluate(eval_dataset, *args, **kwargs)

    def evaluation_loop(self, dataloader: Any, description: str, *args: Any, **kwargs: Any) -> Any:
        with self.console.evaluation(description, len(dataloader)):
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

    @contextmanager
    def _reading(self, read: Callable[..., dict[str, Tensor]]) -> Iterator[None]:
        """Within it evaluations keep something else of the model's output, and score nothing."""
        before, self._read, self.compute_metrics = (self._read, self.compute_metrics), read, None
        try:
            yield
        finally:
            self._read, self.compute_metrics = before

    def tune_decision(self, *, keep_untuned: bool = True) -> dict[str, float]:
        """Move the decision to where the headline is best on validation, rows that were not trained on.

        Nothing but the head's own parameters moves, and the saved model stays a plain one.

        Args:
            keep_untuned: answer the test rows first if it moves, so that the report can show both.

        Returns:
            The headline on validation `before` and `after`: equal where there is nothing to move.
        """
        if not isinstance(self.codec, Tuned):
            self.predict(self.encoded["validation"])
            headline = total(self.evidence)
            return {"before": headline, "after": headline}
        rows, judge, gold = self.encoded["validation"], self.task.judge, self.references("validation")
        with self._reading(self.codec.decision_outputs):
            outputs = self.predict(rows).predictions

        def headline(predictions: list) -> float:
            return judge.headline.sign * total(judge.evidence(predictions, gold))

        decision, sign = self.codec.decision(outputs, rows, headline), judge.headline.sign
        if not decision.shift.any():
            return {"before": sign * decision.before, "after": sign * decision.before}
        untuned = self.predictions("test") if keep_untuned else None
        if not self.codec.apply(decision, self._head_parameters()):
            return {"before": sign * decision.before, "after": sign * decision.before}
        self.decision, self.untuned = decision, untuned
        return {"before": sign * decision.before, "after": sign * decision.after}

    def _head_parameters(self) -> list[nn.Parameter]:
        """Those of the head; under adapters the copy that was trained."""
        depths, frozen = self.unfreezing.depths, self.unfreezing.always_frozen
        return [
            parameter
            for name, parameter in self.model.named_parameters()
            if depths.parameters[name] == depths.head and name not in frozen
        ]

    # Files

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """Train as the plan says, from the start or from a checkpoint of this very run.

        Raises:
            UserError: the checkpoint is damaged, or it or the output directory belongs to another run; nothing was
                changed.
        """
        if resume_from_checkpoint in (True, "auto") or (self.args.extend and not resume_from_checkpoint):
            needed, with_best = resume_from_checkpoint != "auto" or self.args.extend, self.args.load_best_model_at_end
            folder = Path(self.args.output_dir)
            resume_from_checkpoint = newest_checkpoint(folder, needed=needed, with_best=with_best)
        elif resume_from_checkpoint:
            given = Path(resume_from_checkpoint)
            require_whole(given, find_fault_on_resume(given, with_best=self.args.load_best_model_at_end))
        self._claim(resume_from_checkpoint or None)
        try:
            # The console's bars last: a run that breaks off leaves the terminal as it was.
            with measure() as self._train_cost, self.args.cache_folder() as folder, self.console.bars:
                if self.args.may_repeat_rows:
                    self._keep_in(folder)
                with self.interruption.at_safe_points():
                    return super().train(resume_from_checkpoint, **kwargs)
        finally:
            self.unfreezing.release(self.model)
            self.caching.close()

    def _keep_in(self, folder: Path) -> None:
        if isinstance(self.codec, Stored):
            budget = int(self.args.cache_budget * 1e9)
            self.training_collator = self.codec.store(self.training_collator, self.train_dataset, folder, budget)
            self.data_collator = self.codec.store(self.data_collator, self.eval_dataset, folder, budget)

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
            self.patience.watch(callbacks, anew=self._begins_extension)
            best = find_best(Path(resume_from_checkpoint))
            found = best is not None and best.is_dir()
            self.state.best_model_checkpoint = str(spell_as(Path(self.args.output_dir), best)) if found else None
        return begin

    @property
    def _begins_extension(self) -> bool:
        """True where no step of the last extension was taken yet."""
        return bool(self.extensions) and self.state.global_step == last_step_of(self.extensions)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        if not self._begins_extension:
            super()._load_optimizer_and_scheduler(checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:
            # The optimizer comes next, and of shards it asks a state for all that requires gradients now.
            self.unfreezing.apply(self.model, self.unfreezing.plan.lowest_trainable(self.state.global_step - 1))
        if self.args.lora_rank or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            read_weights(self.model, resume_from_checkpoint)

    def _load_best_model(self) -> None:
        best = Path(self.state.best_model_checkpoint)
        require_whole(best, find_fault_of_best(best))
        if self.args.lora_rank or self.is_fsdp_enabled:
            super()._load_best_model()
        else:
            read_weights(self.model, self.state.best_model_checkpoint)

    def facts(self) -> dict[str, Any]:
        """The record of the training as plain values for the report (see `Report.add_training`)."""
        return {
            "plan": self.plan_rows(),
            "log_history": self.state.log_history,
            "cost": self._train_cost,
            "invariants": dict(self.invariants.checked),
            "extended": self.extensions,
        }

    def plan_rows(self) -> list[dict]:
        """The plan as rows (see `hfkit.training.plan`); known once training has begun."""
        return plan_rows(
            self.model,
            self.unfreezing,
            self._groups(),
            total_steps=self.total_steps,
            epochs=self.total_steps / self.epoch_steps,
            first_step=last_step_of(self.extensions),
        )

    def _get_learning_rate(self) -> float:
        # The stock method reports group 0, here the embeddings; --learning_rate means the top block.
        self.rates = {group["depth"]: group["lr"] for group in self.optimizer.param_groups}
        return self.rates[self.unfreezing.depths.head - 1]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        for_trackers: dict[str, float] = {}
        if "learning_rate" in logs:
            head, lowest = self.unfreezing.depths.head, self.unfreezing.lowest
            logs["head_learning_rate"] = self.rates.get(head, logs["learning_rate"])
            logs["lowest_learning_rate"] = self.rates.get(lowest, logs["learning_rate"])
            logs["lowest_trainable_depth"] = lowest
            # Of every depth: too much for the log of the run, which the report keeps.
            for_trackers = rates_by_depth(self) if self.trackers else {}
        logs |= for_trackers
        super().log(logs, start_time)
        for name in for_trackers:
            del logs[name], self.state.log_history[-1][name]

    def _claim(self, checkpoint: str | None) -> None:
        """Know this run by what decides its weights; refuse a checkpoint or an output directory of another one."""
        choosing = [self.eval_dataset] if self.args.load_best_model_at_end else []
        self._identity = run_identity(
            self.args.to_dict(),
            task=vars(self.task),
            model_config=self.model.config.to_dict(),
            weights=self._weights,
            rows=[self.train_dataset, *choosing],
            world_size=self.args.world_size,
            groups=self._groups(),
        )
        given, folder = checkpoint and Path(checkpoint), Path(self.args.output_dir)
        self.extensions = find_extensions(given, self._identity, self.args)
        if self.extensions:
            self._identity[EXTENDED] = self.extensions
        begins = bool(self.extensions) and last_step_of(self.extensions) == read_state(given)["global_step"]
        if given is not None and not begins:
            require_same_run(given, self._identity, otherwise=partial(suggest_fix, given))
        if self.is_world_process_zero():
            extends = begins and is_the_end(given, folder)
            claim_output_directory(folder, self._identity, overwrite=self.args.overwrite_output_dir, extends=extends)

    def _starting_weights(self) -> list[Tensor]:
        """The beginnings of the weights that come from the checkpoint; what is new draws its own."""
        adapted, drawn = bool(self.args.lora_rank), self.unfreezing.depths.head - self.args.reinit_blocks
        return [
            parameter.detach().flatten()[:LOOKED_AT].clone()
            for name, parameter in self.model.named_parameters()
            if self.args.pretrained
            and self.unfreezing.depths.parameters[name] < drawn
            and (not adapted or name in self.unfreezing.always_frozen)
        ]

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Save a checkpoint and seal it, and only then let the stock rotation delete earlier ones."""
        folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
        if self.args.should_save:
            mark_unfinished(folder)
        limit, self.args.save_total_limit = self.args.save_total_limit, None
        try:
            super()._save_checkpoint(model, trial)
        finally:
            self.args.save_total_limit = limit
        self.accelerator.wait_for_everyone()  # every process writes a file of its own
        if self.args.should_save:
            seal(folder)
            best = self.state.best_model_checkpoint
            rotate_checkpoints(str(folder.parent), limit, best_model_checkpoint=best, use_mtime=True)
        self.accelerator.wait_for_everyone()  # or another one might read the manifest before it is complete

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            write_identity(Path(output_dir), self._identity)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        super()._save(output_dir, state_dict)
        if self.args.should_save:
            remove_pickle(Path(output_dir or self.args.output_dir))

    @silence_other_bars()
    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Save a plain model that loads without hfkit or peft; adapters are merged in, and kept in `adapter/`."""
        folder = Path(output_dir or self.args.output_dir)
        if not self.args.lora_rank or folder.name.startswith(PREFIX_CHECKPOINT_DIR):
            # Told that nobody asked, the stock method does not push, before report and card are there.
            super().save_model(output_dir, _internal_call=True)
        elif self.args.should_save:
            save_merged(self.model, self.processing_class, folder)

    # Report, card and push

    def report(self, recipe: RecipeArguments) -> "Report":
        """The report of this run so far: how it was trained, and its answers to test. All processes have to ask.

        Args:
            recipe: the flags it started from, for the record.
        """
        from hfkit.report.report import Report

        predictions = self.predictions("test")
        report = Report(
            self.task,
            self.rows,
            encoded_facts={split: self.codec.facts(rows) for split, rows in self.encoded.items()},
            settings={**vars(recipe), **vars(self.task), **self.args.to_dict()},
            active=self.is_world_process_zero(),
        )
        facts = self.facts()
        report.add_training(**facts)
        if isinstance(self.codec, Pictured):
            report.show(self.codec.pictures(self.encoded["train"], self.training_collator, MOST_PICTURES))
        gain = ""
        if self.decision is not None:
            sign = self.task.judge.headline.sign
            gain = f"validation {sign * self.decision.before:.3f} before, {sign * self.decision.after:.3f} after tuning"
        report.add(f"fine-tuned ({self.args.strategy})", predictions, cost=facts["cost"], description=gain)
        if self.untuned is not None:
            report.add("the same, decision not tuned", self.untuned, cost=facts["cost"])
        return report

    def publish(self, report: "Report") -> None:
        """End a run: write report and card, print the scores, and with --push_to_hub push it all.

        Raises:
            UserError: the output directory cannot be written.
            Failure: it was not pushed; the run itself is complete.
        """
        if not self.is_world_process_zero():
            return
        page = report.save(self.args.output_dir)
        if self.rows.draw and self.rows.draw.record:
            self.rows.draw.record.save(Path(self.args.output_dir))
        self.create_model_card()
        log_contenders(self, self.trackers, report.contenders, self.task.judge.headline.key)
        print_report(report, page)
        if self.args.push_to_hub:
            try:
                print(f"Pushed: {self.push_to_hub().repo_url}")
            except (UserError, Failure) as error:
                raise retry_later(self.args, self.hub_model_id, error) from error

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
        from hfkit.hub.push import push

        refuse_token(token)
        if not self.is_world_process_zero():
            return None
        if self.hub_model_id is None:
            self.init_hf_repo()
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        self.create_model_card()
        return push(
            Path(self.args.output_dir),
            self.hub_model_id,
            private=self.args.hub_private_repo if private is None else private,
            revision=revision or self.args.hub_revision,
            message=commit_message or "End of training",
        ).commit


class Encoded(Mapping[str, Dataset]):
    """The encoded splits of some rows, each made when it is first asked for."""

    def __init__(self, codec: Codec, splits: DatasetDict, known: Mapping[str, Dataset]) -> None:
        self.codec, self.splits, self.known = codec, splits, dict(known)

    def __getitem__(self, split: str) -> Dataset:
        if split not in self.known:
            self.known[split] = self.codec.encode(self.splits[split], split=split, answers=True)
        return self.known[split]

    def __iter__(self) -> Iterator[str]:
        return iter(self.splits)

    def __len__(self) -> int:
        return len(self.splits)

    def split_of(self, rows: Dataset) -> str:
        """The name of a split.

        Raises:
            UserError: these rows are none.
        """
        for split, known in self.known.items():
            if known is rows:
                return split
        raise UserError(
            f"{len(rows)} rows to evaluate",
            "a trainer evaluates its own splits, whose gold answers it has",
            "Give one of trainer.encoded, such as trainer.encoded['test']",
        )


def with_so_many_labels(count: int) -> dict[str, Tensor]:
    """A batch in which the stock trainer counts so many labels, whether or not the model shifts its own."""
    labels = torch.zeros(()).expand(count)
    return {"labels": labels, "shift_labels": labels}


def choose_best_by(args: TransferArguments, task: Task) -> None:
    """Let the arguments name the score that decides, and on which side it is better: a word error rate is lowest.

    Raises:
        UserError: they name something else; nobody knows on which side that is better, and the worst epoch may be kept.
    """
    judge = task.judge
    if args.metric_for_best_model == "headline":
        args.metric_for_best_model = judge.headline.key
    for score in judge.scores:
        if args.metric_for_best_model in (score.key, f"eval_{score.key}"):
            args.greater_is_better = score.better == "higher"
    known = ["loss", *(score.key for score in judge.scores)]
    if (args.metric_for_best_model or "loss").removeprefix("eval_") not in known:
        raise UserError(
            f"metric_for_best_model='{args.metric_for_best_model}'",
            f"it is a score of this task: {', '.join(known)}",
            "Leave it out, or name one of them",
        )


def in_row_order(outputs: Mapping[str, np.ndarray], rows: np.ndarray) -> dict[str, np.ndarray]:
    """Outputs by name, sorted by the rows that they are of."""
    order = np.argsort(rows, kind="stable")
    return {name: values[order] for name, values in outputs.items()}
