"""The flags of training: the stock arguments with other defaults, further flags, and refusals."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Literal

import torch
from accelerate import PartialState
from transformers import TrainingArguments
from transformers.trainer_utils import HubStrategy
from transformers.utils import is_torch_xla_available, strtobool

from hfkit import progress
from hfkit.arguments.adapters import AdapterArguments
from hfkit.arguments.averages import AverageArguments
from hfkit.arguments.parse import require_choice
from hfkit.arguments.precision import PrecisionArguments
from hfkit.arguments.ranges import refuse_outside
from hfkit.arguments.rates import RateArguments
from hfkit.arguments.regularisers import RegulariserArguments, refuse_contradictions
from hfkit.arguments.strategies import FITS, STRATEGIES
from hfkit.arguments.trackers import require_trackers
from hfkit.arguments.unread import refuse_unfit, refuse_unread
from hfkit.errors import UserError, one_line

# Flags of a recipe that evaluates every epoch and keeps the best one on validation.
KEEP_BEST = {
    "eval_strategy": "epoch",
    "save_strategy": "epoch",
    "save_total_limit": 1,
    "load_best_model_at_end": True,
    "metric_for_best_model": "headline",
}


@dataclass
class TransferArguments(
    AdapterArguments, AverageArguments, PrecisionArguments, RateArguments, RegulariserArguments, TrainingArguments
):
    """The stock training arguments and the fields of a strategy. A field left at None takes the strategy's value."""

    strategy: Literal[tuple(STRATEGIES)] = field(  # type: ignore[valid-type]
        default="gradual",
        metadata={"help": "; ".join(f"{name}: {strategy.summary}" for name, strategy in STRATEGIES.items())},
    )
    learning_rate: float | None = field(default=None, metadata={"help": "peak rate of the top block"})
    layer_decay: float | None = field(
        default=None, metadata={"help": "each block below learns at this factor of the one above it"}
    )
    head_learning_rate: float | None = field(default=None, metadata={"help": "peak rate of the new head"})
    fit_head: Literal[FITS] | None = field(  # type: ignore[valid-type]
        default=None,
        metadata={
            "help": "fit the new head to frozen features in closed form before the first step: judge: it is judged, and"
            " kept if all that is later is worse, and training starts from the head as it was; start: training starts"
            " from it, in place of --head_only; only: training ends with it, where the blocks never learn"
        },
    )
    head_only: float | None = field(
        default=None, metadata={"help": "share of training (0 to 1) in which only the head learns"}
    )
    unfreeze_stages: int | None = field(
        default=None, metadata={"help": "groups that the blocks are thawed in, from the top down; 0 thaws none"}
    )
    unfreeze_until: float | None = field(
        default=None, metadata={"help": "share of training (0 to 1) at which the last group thaws"}
    )
    thaw_warmup: float | None = field(
        default=None, metadata={"help": "share of training over which a newly thawed group warms up"}
    )
    freeze_embeddings: bool = field(
        default=False, metadata={"help": "tables of embeddings before the first block never learn"}
    )
    pretrained: bool | None = field(
        default=None, metadata={"help": "false starts the same architecture from random weights"}
    )
    reinit_blocks: int = field(default=0, metadata={"help": "top blocks that start from random weights"})
    train_blocks: str | None = field(
        default=None, metadata={"help": "the only depths that learn beside the head, such as 1-2; 0: embeddings"}
    )
    slanted_triangular: bool = field(
        default=False, metadata={"help": "the schedule of ULMFiT instead of --lr_scheduler_type"}
    )
    blocks: list[str] = field(
        default_factory=list,
        metadata={
            "help": "module paths of the blocks in forward order, where hfkit finds none or others; a wrong order is"
            " refused"
        },
    )
    # The stock default, 3, is too few passes over a few hundred rows.
    num_train_epochs: float | None = field(
        default=None,
        metadata={
            "help": "passes over the training rows; default: as many as make 1,000 steps, but from 3 to 20, evaluated"
            " ten times"
        },
    )
    keep_weights: Literal["latest", "best"] = field(
        default="latest",
        metadata={
            "help": "of the evaluations of a run: best: of the highest score on validation; latest: of the latest one"
            " that is within one standard error of it"
        },
    )
    patience: int | None = field(
        default=None,
        metadata={"help": "evaluations in a row without a gain that end training; 0: none do; default: 0, of auto 4"},
    )
    resume_from_checkpoint: str | None = field(
        default=None,
        metadata={
            "help": "a folder checkpoint-<step>; true: the newest one in output_dir; auto: the same, or the start where"
            " there is none, so that one command starts a run and goes on with it"
        },
    )
    extend: bool = field(
        default=False,
        metadata={
            "help": "go on with a finished run for more epochs: --num_train_epochs counts all of them, and those that"
            " are added get a new schedule from its last weights"
        },
    )
    num_processes: int | None = field(
        default=None, metadata={"help": "refuse to start with another number of processes"}
    )
    overwrite_output_dir: bool = field(
        default=False, metadata={"help": "replace the checkpoints of a different run in output_dir"}
    )
    train_sampling_strategy: Literal["auto", "group_by_length", "random", "sequential", "batch_rebalance"] = field(
        default="auto",
        metadata={"help": "auto: many texts in batches of like length (group_by_length), else random"},
    )
    unpad: bool | None = field(
        default=None,
        metadata={
            "help": "blocks of text models compute no padding in training, where that is proven to be the same;"
            " default: on a CPU"
        },
    )
    prefix_cache: bool = field(
        default=True, metadata={"help": "compute what frozen layers make of each row once, where that saves time"}
    )
    cache_dir: str | None = field(
        default=None,
        metadata={"help": "folder to keep what is computed once; default: in output_dir, deleted when training ends"},
    )
    cache_dtype: Literal["auto", "float16", "bfloat16", "float32"] = field(
        default="auto",
        metadata={"help": "precision of stored activations; auto: bfloat16 where a run computes in it, else float16"},
    )
    cache_budget: float = field(
        default=20.0, metadata={"help": "GB that stored activations, or pictures, of a split may take"}
    )
    cache_views: int = field(
        default=0, metadata={"help": "train on this many fixed draws of each augmented row, so that they can be stored"}
    )
    # The stock value, 500 steps, is more than a modest dataset has.
    logging_steps: float = field(default=50, metadata={"help": "log every so many steps; below 1: share of training"})
    # The stock default pushes every checkpoint, before there is a report or a card.
    hub_strategy: HubStrategy | str = field(
        default="end", metadata={"help": "end: a run is pushed once, with its card"}
    )
    # The stock default drops columns that only the task's collator reads: pictures, and the number of the row.
    remove_unused_columns: bool = field(default=False, metadata={"help": "the task's collator takes what it needs"})
    # The stock default shows a nan loss as 0.0 in the logs.
    logging_nan_inf_filter: bool = field(default=False, metadata={"help": "see transformers; off, nan is refused"})

    def __post_init__(self) -> None:
        require_choice("strategy", self.strategy, STRATEGIES)
        if self.fit_head is not None:
            require_choice("fit_head", self.fit_head, FITS)
        require_choice("keep_weights", self.keep_weights, ("latest", "best"))
        chosen = self.fit_strategy(STRATEGIES[self.strategy])
        if self.fit_head is None and self.head_only is not None and chosen.fit_head == "start":
            self.fit_head = "no"  # steps were asked for by name
        for name in (f.name for f in fields(chosen) if f.name not in ("summary", "decided")):
            if getattr(self, name) is None:
                setattr(self, name, getattr(chosen, name))
        refuse_outside(self)
        self._refuse_frozen_embeddings()
        if self.fit_head == "only" and self.unfreeze_stages:
            rule = "training would end with the fit, and the blocks are to learn"
            raise UserError(f"fit_head=only with strategy={self.strategy}", rule, "Set --strategy feature-extraction")
        self._require_order()
        self.check_averages(
            adapted=self.adapted,
            pretrained=self.pretrained,
            blocks_learn=self.unfreeze_stages > 0,
            evaluated=self.eval_strategy != "no",
        )
        if self.max_steps > 0:
            self.num_train_epochs = self.num_train_epochs or 3.0  # not looked at, and the stock trainer compares it
        elif self.num_train_epochs is not None and not self.num_train_epochs > 0:
            raise UserError(f"num_train_epochs={self.num_train_epochs}", "it must be above 0", "Set 1 or more")
        if self.patience and not self.load_best_model_at_end:
            rule = "it goes by the best weights so far, which are not kept"
            raise UserError(f"patience={self.patience}", rule, "Leave it out, or set --load_best_model_at_end true")
        for name, needed, rule in (
            ("remove_unused_columns", False, "the task's collator reads columns that the model does not"),
            (
                "dataloader_persistent_workers",
                False,
                "a worker that lives on would not hear that an epoch begins, and draw the same again",
            ),
            (
                "enable_jit_checkpoint",
                False,
                "it saves in the middle of a step, from where no run resumes to the same bits",
            ),
            ("batch_eval_metrics", False, "metrics are of a whole split, not of a batch"),
            ("dataloader_drop_last", False, "it would drop rows of validation and test too, and every row is judged"),
            ("prediction_loss_only", False, "every row is judged by its answer"),
            ("eval_do_concat_batches", True, "answers are read from the whole split at once"),
        ):
            if getattr(self, name) is not needed:
                raise UserError(f"{name}={getattr(self, name)}", rule, "Leave it out")
        refuse_contradictions(self, self)
        refuse_token(self.hub_token)
        if self.hub_strategy != HubStrategy.END:
            rule = "a run is pushed when it has ended, with report and card"
            raise UserError(f"hub_strategy={self.hub_strategy}", rule, "Leave it out")
        self._resolve_resume()
        self._name_precision()
        self.check_rates(fp16=self.fp16)
        if (self.bf16 or self.bf16_full_eval) and not (torch.accelerator.is_available() or is_torch_xla_available()):
            # A CPU computes in bfloat16 too, and the stock arguments refuse it unless the CPU was asked for by name.
            self.use_cpu = True
        refuse_unfit(self)
        join_group_on_cpu(self)
        self._complete()
        refuse_unread(self)
        if (self.fp16 or self.fp16_full_eval) and self.device.type == "cpu":
            rule = "a CPU does not compute in float16, and would ignore it"
            raise UserError("fp16=True", rule, "Try --precision bf16")
        require_trackers(self.report_to)
        progress.switch(not self.disable_tqdm)
        # Pinned memory is of no use without a GPU, and every epoch would warn about it.
        self.dataloader_pin_memory = self.dataloader_pin_memory and torch.cuda.is_available()
        # Adam's moments of rare tokens fade into numbers below 1e-38, and a CPU adds those many times more slowly. The
        # setting belongs to a thread and to the threads it starts later: torch's start with the first large operation.
        torch.set_flush_denormal(self.device.type == "cpu")
        refuse_lost_processes(self.num_processes, self.world_size)

    @property
    def decided(self) -> bool:
        """True if validation decides after each stage (see `Strategy`)."""
        return STRATEGIES[self.strategy].decided

    @property
    def starts_fitted(self) -> bool:
        """True if a fitted head is where training starts, or ends, and not only a contender."""
        return self.fit_head in ("start", "only")

    @contextmanager
    def cache_folder(self) -> Iterator[Path]:
        """`cache_dir`, or a folder in `output_dir` that is deleted at the end; shared by all processes."""
        try:
            yield self.cache_place
        finally:
            if self.cache_dir is None and self.process_index == 0:
                shutil.rmtree(self.cache_place, ignore_errors=True)

    @property
    def cache_place(self) -> Path:
        return Path(self.cache_dir or Path(self.output_dir, "hfkit_cache"))

    @property
    def may_repeat_rows(self) -> bool:
        """True if a row may be seen again, in a second epoch or in a later run."""
        return self.cache_dir is not None or self.max_steps > 0 or (self.num_train_epochs or 2) > 1

    def _refuse_frozen_embeddings(self) -> None:
        """Refuse to freeze embeddings where something else says what learns.

        Raises:
            UserError: naming both flags.
        """
        others = {
            "pretrained=False": not self.pretrained,  # they know nothing yet
            f"adapter={self.adapter}": self.adapted,  # a prompt is learnt at their depth
            f"train_blocks={self.train_blocks}": self.train_blocks is not None,
        }
        for name in (name for name, true in others.items() if true and self.freeze_embeddings):
            rule = "what learns is said already"
            raise UserError(f"freeze_embeddings=True with {name}", rule, "Leave out one of them")

    def _require_order(self) -> None:
        if self.unfreeze_stages > 1 and self.head_only >= self.unfreeze_until:
            raise UserError(
                f"head_only={self.head_only}, unfreeze_until={self.unfreeze_until}",
                f"{self.unfreeze_stages} stages would thaw at once, for the last comes no later than the first",
                "Raise --unfreeze_until above --head_only, or set --unfreeze_stages 1",
            )

    def _complete(self) -> None:
        """Let transformers check and complete its own flags, which it does with errors of every kind.

        Raises:
            UserError: with what it says.
        """
        try:
            super().__post_init__()
        except UserError:
            raise
        except Exception as error:
            raise UserError("flags", one_line(error), "Change one of them, or install what is missing") from error

    def _resolve_resume(self) -> None:
        """Check the path of the checkpoint. True and 'auto' mean the newest one, which the trainer finds."""
        given = self.resume_from_checkpoint
        if self.extend and given is None:
            given = True
        if given == "auto":
            return
        if str(given).lower() in ("true", "false"):
            self.resume_from_checkpoint = True if str(given).lower() == "true" else None
        elif given and not Path(given, "trainer_state.json").is_file():
            raise UserError(
                f"resume_from_checkpoint={given}",
                "a checkpoint is a folder with trainer_state.json in it",
                "Give the path of a folder checkpoint-<step>, true for the newest one in output_dir, or auto",
            )


def refuse_token(token: str | None) -> None:
    """Refuse a Hub token given as an argument: arguments are saved, and others on the machine can see them."""
    if token is not None:
        rule = "a flag is seen by others and kept with the run"
        raise UserError("hub_token", rule, "Set HF_TOKEN in the environment, or run `hf auth login`")


def join_group_on_cpu(args: TransferArguments) -> None:
    """Connect the processes of a launcher with the timeout that was asked for.

    The stock arguments pass it on for GPUs alone, and take a group that is there already.
    """
    on_cpu = args.use_cpu or strtobool(os.environ.get("ACCELERATE_USE_CPU", "false"))
    if on_cpu and int(os.environ.get("WORLD_SIZE", 1)) > 1 and not torch.distributed.is_initialized():
        PartialState(cpu=True, backend=args.ddp_backend, timeout=args.ddp_timeout_delta)


def refuse_lost_processes(asked: int | None, started: int) -> None:
    """Refuse to train with fewer processes than the launcher was asked for.

    `accelerate launch --cpu --num_processes 2` prepares an address for several processes and then starts one. The
    address alone proves nothing: job scripts of clusters export one for every program.

    Raises:
        UserError: `asked` differs from `started`, or accelerate's launcher left an address but no rank.
    """
    launched = {"MASTER_PORT", "ACCELERATE_MIXED_PRECISION"} <= os.environ.keys()
    lost = started == 1 and launched and not {"WORLD_SIZE", "RANK"} & os.environ.keys()
    if lost if asked is None else asked != started:
        raise UserError(
            f"{started} {'process' if started == 1 else 'processes'} started",
            f"{'several' if asked is None else asked} were asked for, and the launcher did not start them",
            "On CPU start them with: torchrun --nproc_per_node 2 recipes/<recipe>.py --use_cpu",
        )
