"""How a run knows itself by what decides its weights, and makes the output directory its own."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch
from datasets import Dataset
from torch import Tensor, nn

from hfkit.arguments.training import TransferArguments
from hfkit.contract.task import Task
from hfkit.model.unfreezing import Unfreezing
from hfkit.training.checkpoints import (
    LOOKED_AT,
    claim_output_directory,
    refuse_other_results,
    require_same_run,
    run_identity,
)
from hfkit.training.extension import EXTENDED, find_extensions, is_the_end, last_step_of, suggest_fix
from hfkit.training.resuming import find_best, read_state, take_along


class Run(Protocol):
    """The attributes of a trainer that are used here."""

    args: TransferArguments
    task: Task
    model: nn.Module
    train_dataset: Dataset
    eval_dataset: Dataset
    unfreezing: Unfreezing
    starting_weights: list[Tensor]
    accelerator: Any

    def groups(self) -> list[dict]: ...
    def is_world_process_zero(self) -> bool: ...


@dataclass(frozen=True)
class Claim:
    """A run that is about to begin: its identity, and what it goes on from."""

    identity: dict[str, Any]  # with its extensions
    extensions: list[dict]
    extends: bool  # goes on from the last checkpoint in its output directory, which is that of a run it extends
    best: Path | None  # of the run until now


def identify(run: Run) -> dict[str, Any]:
    """The identity of a run, as it would be without extensions (see `run_identity`)."""
    # They choose the best weights, or the penalty of a fitted head.
    chooses = run.args.load_best_model_at_end or run.args.chooses or run.args.fit_head != "no"
    choosing = [run.eval_dataset] if chooses else []
    return run_identity(
        run.args.to_dict(),
        task=vars(run.task),
        model_config=run.model.config.to_dict(),
        weights=run.starting_weights,
        rows=[run.train_dataset, *choosing],
        world_size=run.args.world_size,
        groups=run.groups(),
    )


def starting_weights(model: nn.Module, unfreezing: Unfreezing, args: TransferArguments) -> list[Tensor]:
    """The beginnings of the weights that come from the checkpoint; what is new draws its own."""
    own = args.checkpoint_adapter == "train"
    drawn = unfreezing.depths.head - args.reinit_blocks
    found = [
        parameter.detach().flatten()[:LOOKED_AT].clone()
        for name, parameter in model.named_parameters()
        if args.pretrained
        and unfreezing.depths.parameters[name] < drawn
        and (own or not args.adapted or name in unfreezing.always_frozen)
    ]
    if own:  # its settings decide as much as its matrices
        settings = model.peft_config["default"]
        found.append(torch.tensor([settings.lora_alpha, settings.lora_dropout, settings.use_rslora]))
    return found


def make_claim(run: Run, identity: dict[str, Any], checkpoint: Path | None) -> Claim:
    """Refuse a checkpoint or an output directory of another run. Nothing is changed yet.

    Raises:
        UserError: naming what differs.
    """
    folder = Path(run.args.output_dir)
    extensions = find_extensions(checkpoint, identity, run.args)
    if extensions:
        identity = {**identity, EXTENDED: extensions}
    begins = bool(extensions) and last_step_of(extensions) == read_state(checkpoint)["global_step"]
    if checkpoint is not None and not begins:
        require_same_run(checkpoint, identity, otherwise=partial(suggest_fix, checkpoint))
    extends = begins and is_the_end(checkpoint, folder)
    if run.is_world_process_zero():
        refuse_other_results(folder, identity, overwrite=run.args.overwrite_output_dir, extends=extends)
    best = find_best(checkpoint) if checkpoint is not None else None
    if best is not None and not run.args.load_best_model_at_end and not best.parent.samefile(folder):
        best = None  # of another output directory, and never to be loaded
    return Claim(identity, extensions, extends, best)


def take_output_directory(run: Run, claim: Claim) -> None:
    """Make the output directory this run's own, once nothing refuses its plan any more.

    The best checkpoint of a run that is resumed elsewhere is copied, so that one folder has all that a run needs.
    """
    folder = Path(run.args.output_dir)
    if run.is_world_process_zero():
        claim_output_directory(folder, claim.identity, extends=claim.extends)
        if claim.best is not None and not claim.best.parent.samefile(folder):
            take_along(claim.best, folder)
    run.accelerator.wait_for_everyone()
