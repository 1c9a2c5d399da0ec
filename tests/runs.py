"""Tiny training runs for the tests: the real trainer, the real NER task, a random encoder of four layers."""

from collections.abc import Callable
from pathlib import Path

from accelerate.utils import DistributedType
from transformers import TrainerCallback, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.tasks import NER


def at(event: str, act: Callable) -> TrainerCallback:
    """A callback that does one thing at one event of training."""
    callback = TrainerCallback()
    setattr(callback, event, act)
    return callback


def shard_on_cpu(args: TransferArguments) -> None:
    """Let accelerate shard here: it does so over GPUs only, torch in processes without them as well."""
    args.distributed_state.distributed_type = DistributedType.MULTI_GPU


def trainer(
    checkpoint: str, data: str, output: Path, *, task: dict | None = None, sharded: bool = False, **flags
) -> TransferTrainer:
    """A trainer ready to run: 2 epochs at batch 4 unless the flags say otherwise; the head is seeded.

    `task` holds flags of the task, `flags` those of training; `sharded` trains in parts over all processes.
    """
    defaults = dict(
        num_train_epochs=2,
        per_device_train_batch_size=4,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
    )
    args = TransferArguments(output_dir=str(output), **{**defaults, **flags})
    if sharded:
        shard_on_cpu(args)
    task = NER(dataset=data, **task or {})
    set_seed(args.seed)
    raw = task.load()
    labels, processor = task.labels(raw), task.processor(checkpoint)
    rows = task.prepare(raw, processor, labels)
    return TransferTrainer(
        model=task.model(checkpoint, labels, pretrained=args.pretrained),
        args=args,
        task=task,
        train_dataset=rows["train"],
        eval_dataset=rows["validation"],
        processing_class=processor,
    )
