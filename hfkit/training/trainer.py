"""The stock Trainer, told which layers learn, when, and how fast."""

import functools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.lr_scheduler import LambdaLR
from torch.utils.data import DataLoader, Sampler
from transformers import EvalPrediction
from transformers.trainer_utils import PredictionOutput

from hfkit.arguments.training import TransferArguments
from hfkit.contract.task import Task
from hfkit.data.batches import fetched, in_order, judging_order, training_order
from hfkit.errors import UserError
from hfkit.model.adapters import add_lora
from hfkit.model.groups import groupwise_schedule, slanted_triangular, triangle_of_each_stage
from hfkit.model.parallel import add_to_parameter, rebuild_wrapper, shard_by_blocks
from hfkit.model.surgery import parse_depth_range, reinitialise, train_only
from hfkit.model.unfreezing import Unfreezing
from hfkit.prefix.callback import Caching, NumberedBatches, NumberedRows
from hfkit.runtime.folders import require_writable
from hfkit.runtime.machine import measured
from hfkit.training.auto import Auto, refuse_blind
from hfkit.training.checkpoints import (
    LOOKED_AT,
    claim_output_directory,
    newest_checkpoint,
    read_weights,
    require_same_run,
    run_identity,
    write_identity,
)
from hfkit.training.epochs import TellEpoch
from hfkit.training.invariants import Invariants, refuse_non_finite
from hfkit.training.plan import AnnouncePlan, plan_rows, planned_groups, planned_stages
from hfkit.training.publishing import PublishingTrainer
from hfkit.training.refusals import refuse_before, refuse_engines, refuse_surgery


class TransferTrainer(PublishingTrainer):
    """A `Trainer` with layer-wise rates and a freeze plan, judged by its task.

    - all parameters are in named optimizer groups from the start, one per (depth, decays?);
    - the plan of the strategy says which depths learn at each optimizer step, and is checked while it runs;
    - the loss is averaged over the labels of the whole optimizer step, across micro-batches and processes;
    - a non-finite loss or gradient stops the run before the weights are touched;
    - a run resumes only from its own checkpoints, and then ends bit-identical on CPU.

    Raises:
        UserError: an output directory that is not this run's, or an engine or optimizer that would not honour the plan.
    """

    def __init__(
        self, model: nn.Module, args: TransferArguments, *, task: Task, processing_class: Any, **kwargs: Any
    ) -> None:
        require_writable(Path(args.output_dir))
        refuse_surgery(args)
        blocks = tuple(args.blocks)
        if args.reinit_blocks:
            reinitialise(model, args.reinit_blocks, blocks)
        if args.lora_rank:
            model = add_lora(model, args.lora_rank, blocks)
        if args.train_blocks:
            train_only(model, parse_depth_range(args.train_blocks), blocks)
        refuse_before(model, args, kwargs.get("train_dataset"))
        if args.metric_for_best_model == "headline":
            args.metric_for_best_model = task.headline
        self.task = task
        self.labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
        kwargs.setdefault("data_collator", task.collator(processing_class))
        with warnings.catch_warnings():
            # The task's own loss smooths several labels too.
            warnings.filterwarnings("ignore", message="Label smoothing is not compatible with multi-label")
            super().__init__(
                model,
                args,
                processing_class=processing_class,
                compute_loss_func=functools.partial(
                    task.loss,
                    label_smoothing=args.label_smoothing_factor,
                    weights=task.weights(kwargs["train_dataset"]),
                ),
                compute_metrics=self._judge,
                preprocess_logits_for_metrics=_compacted(task),
                **kwargs,
            )
        refuse_engines(self)
        # Else a model whose forward pass takes no labels (DeiT with a distillation head) would not be judged.
        self.label_names = ["labels"]
        self.unfreezing = Unfreezing(model, blocks)
        self.unfreezing.on_change = self._rebuild_wrapper
        shard_by_blocks(self.accelerator, model, self.unfreezing.depths)
        self.invariants = Invariants(self.unfreezing)
        self.training_collator = task.training_collator(processing_class, args.seed)
        self.caching = Caching(self)
        callbacks = [self.invariants, self.unfreezing, AnnouncePlan(self), TellEpoch(self), self.caching]
        if args.strategy == "auto":
            refuse_blind(args, task, self.eval_dataset)
            callbacks.append(Auto(self))
        for callback in callbacks:
            self.add_callback(callback)
        self._weights = self._starting_weights()
        self._size: int | None = None  # parameters besides the embeddings
        self._identity: dict[str, Any] = {}
        self._train_cost: dict[str, float] = {}
        self._rates: dict[int, float] = {}  # depth -> rate of the last optimizer step
        # The loop hands only arrays to compute_metrics; decoding needs the rows they belong to.
        self.judged: Dataset | None = None
        self._decoded: tuple[list, list] = ([], [])

    # What is trained, and how fast

    def set_initial_training_values(self, args, dataloader):
        values = super().set_initial_training_values(args, dataloader)
        self.total_steps, self.epoch_steps = values[-1], values[1]
        self.unfreezing.plan = planned_stages(self.model, self.unfreezing, args, self.total_steps, self.epoch_steps)
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
        return planned_groups(self.model, self.unfreezing, self.args)

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
        stock = super().create_scheduler(num_training_steps, optimizer)
        warmup = round(self.args.thaw_warmup * num_training_steps)
        if isinstance(stock, LambdaLR):
            factor = stock.lr_lambdas[0]
            if self.args.strategy == "auto":
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

    def training_step(self, model, inputs, num_items_in_batch=None) -> Tensor:
        with self.caching.replayed(self.model, inputs, "train"):
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
            rows = NumberedRows(fetched(dataset), self.caching, split)
            return super()._get_dataloader(rows, *args, sampler_fn=lambda _: sampler_fn(dataset), **kwargs)
        finally:
            self.data_collator = collator

    def prediction_step(self, model: nn.Module, inputs: dict[str, Any], *args, **kwargs) -> tuple:
        with self.caching.replayed(self.model, inputs, "eval"):
            return super().prediction_step(model, inputs, *args, **kwargs)

    # How it is judged

    def evaluate(self, eval_dataset=None, *args, **kwargs) -> dict[str, float]:
        rows = self.eval_dataset if eval_dataset is None else eval_dataset
        self.judged = self.eval_dataset[rows] if isinstance(rows, str) else rows
        return super().evaluate(eval_dataset, *args, **kwargs)

    def _get_eval_sampler(self, eval_dataset: Dataset) -> Sampler:
        return judging_order(eval_dataset)

    def predict(self, test_dataset: Dataset, *args, **kwargs) -> PredictionOutput:
        self.judged = test_dataset
        found, gold, metrics = super().predict(test_dataset, *args, **kwargs)
        return PredictionOutput(in_order(found, test_dataset), in_order(gold, test_dataset), metrics)

    def predictions(self, prepared: Dataset) -> list:
        """One plain prediction per row of the split that was prepared, the same on every process."""
        self.predict(prepared)
        return self._decoded[0]

    def tune_decision(self, prepared: Dataset) -> dict[str, float]:
        """Move the head's bias to where the task's headline is best on `prepared`, rows that were not trained on.

        Nothing else moves, and the saved model stays a plain one.

        Returns:
            The headline on `prepared` `before` and `after`: equal where the task or its head has nothing to move.
        """
        hooks = self.preprocess_logits_for_metrics, self.compute_metrics
        # Encoder-decoders return hidden states beside the logits: those of every row would fill the memory.
        self.preprocess_logits_for_metrics = lambda outputs, _: outputs[0] if isinstance(outputs, tuple) else outputs
        self.compute_metrics = None
        try:
            logits, gold, _ = self.predict(prepared)
        finally:
            self.preprocess_logits_for_metrics, self.compute_metrics = hooks

        def headline(logits: np.ndarray) -> float:
            ids = self.task.compact(torch.from_numpy(logits), torch.from_numpy(gold)).numpy()
            return self.task.score(*self.task.decode(ids, prepared, self.labels))[self.task.headline]

        before = headline(logits)
        shift, bias = self.task.decision_bias(logits, prepared, self.labels), self._head_bias()
        if shift is None or bias is None:
            return {"before": before, "after": before}
        add_to_parameter(bias, torch.from_numpy(shift))
        return {"before": before, "after": headline(logits + shift.astype(logits.dtype))}

    def _head_bias(self) -> nn.Parameter | None:
        """The bias with one value per label in the head; under adapters the copy that was trained."""
        depths = self.unfreezing.depths
        found = [
            parameter
            for name, parameter in self.model.named_parameters()
            if depths.parameters[name] == depths.head
            and name not in self.unfreezing.always_frozen
            and parameter.shape == (len(self.labels),)
        ]
        return found[0] if len(found) == 1 else None

    def _judge(self, output: EvalPrediction) -> dict[str, float]:
        outputs = in_order(output.predictions, self.judged)
        self._decoded = self.task.decode(outputs, self.judged, self.labels)
        return self.task.score(*self._decoded)

    # What is written

    def train(self, resume_from_checkpoint: str | bool | None = None, **kwargs):
        """Train as the plan says, from the start or from a checkpoint of this very run.

        Raises:
            UserError: the checkpoint or the output directory belongs to another run; nothing was changed.
        """
        if resume_from_checkpoint in (True, "auto"):
            needed = resume_from_checkpoint is True
            resume_from_checkpoint = newest_checkpoint(Path(self.args.output_dir), needed=needed)
        self._claim(resume_from_checkpoint or None)
        try:
            with measured() as self._train_cost, self.args.cache_folder() as folder:
                if self.args.may_repeat_rows:
                    self._keep_in(folder)
                return super().train(resume_from_checkpoint, **kwargs)
        finally:
            self.unfreezing.release(self.model)
            self.caching.close()

    def _keep_in(self, folder: Path) -> None:
        budget = int(self.args.cache_budget * 1e9)
        self.training_collator = self.task.cached(self.training_collator, self.train_dataset, folder, budget)
        if isinstance(self.eval_dataset, Dataset):
            self.data_collator = self.task.cached(self.data_collator, self.eval_dataset, folder, budget)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if self.is_fsdp_enabled:
            # The optimizer comes next, and of shards it asks a state for all that requires gradients now.
            self.unfreezing.apply(self.model, self.unfreezing.plan.lowest_trainable(self.state.global_step - 1))
        if self.args.lora_rank or self.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)
        else:
            read_weights(self.model, resume_from_checkpoint)

    def _load_best_model(self) -> None:
        if self.args.lora_rank or self.is_fsdp_enabled:
            super()._load_best_model()
        else:
            read_weights(self.model, self.state.best_model_checkpoint)

    def facts(self) -> dict[str, Any]:
        """What happened in training, as plain values for the report: plan, log_history, cost, invariants."""
        return {
            "plan": self.plan_rows(),
            "log_history": self.state.log_history,
            "cost": self._train_cost,
            "invariants": dict(self.invariants.checked),
        }

    def plan_rows(self) -> list[dict]:
        """The plan as rows (see `hfkit.training.plan`); known once training has begun."""
        epochs = self.total_steps / self.epoch_steps
        return plan_rows(self.model, self.unfreezing, self._groups(), total_steps=self.total_steps, epochs=epochs)

    def _get_learning_rate(self) -> float:
        # The stock method reports group 0, here the embeddings; --learning_rate means the top block.
        self._rates = {group["depth"]: group["lr"] for group in self.optimizer.param_groups}
        return self._rates[self.unfreezing.depths.head - 1]

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        if "learning_rate" in logs:
            lowest = self.unfreezing.lowest
            logs["head_learning_rate"] = self._rates.get(self.unfreezing.depths.head, logs["learning_rate"])
            logs["lowest_learning_rate"] = self._rates.get(lowest, logs["learning_rate"])
            logs["lowest_trainable_depth"] = lowest
        super().log(logs, start_time)

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
        if checkpoint:
            require_same_run(Path(checkpoint), self._identity)
        if self.is_world_process_zero():
            claim_output_directory(Path(self.args.output_dir), self._identity, overwrite=self.args.overwrite_output_dir)

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

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            write_identity(Path(output_dir), self._identity)


def _compacted(task: Task):
    return lambda logits, labels: task.compact(logits[0] if isinstance(logits, tuple) else logits, labels)
