"""The mark that training has ended: a run that is killed in its baselines or report repeats no step of it.

It is a folder that is sealed like a checkpoint. It has no weights but averaged ones: it names the checkpoint that has
the others, and holds what else comes of a training, the generators above all, so that everything after it ends as it
would have.
"""

import json
from pathlib import Path
from typing import Any

from transformers.trainer import TRAINER_STATE_NAME, TrainerState
from transformers.trainer_utils import SaveStrategy, TrainOutput

from hfkit.contract.abilities import varies
from hfkit.model.unfreezing import FreezePlan
from hfkit.training.checkpoints import TRAINED, differences, read_identity, write_identity
from hfkit.training.extension import EXTENDED
from hfkit.training.patience import settings_of
from hfkit.training.resuming import announce, find_fault_of_weights
from hfkit.training.saving import keep_alone, write_sealed
from hfkit.training.sealed import find_fault, put_all_in_place

FACTS = "hfkit_trained.json"


def mark_trained(trainer: Any, identity: dict[str, Any]) -> None:
    """Write the mark, if a checkpoint holds the weights that training ended with, and delete what is not kept.

    All processes have to ask.

    Not of a sharded model: it takes a training to spread it over the processes again.
    """
    args, state = trainer.args, trainer.state
    weights = find_weights(trainer)
    if args.save_strategy != SaveStrategy.NO and not trainer.is_fsdp_enabled and weights is not None:
        write_mark(trainer, identity, weights)
    trainer.averages.clear()
    # The stock trainer does so at the end of its training, before there would be a mark.
    if args.should_save and args.save_total_limit == 1 and state.best_model_checkpoint:
        keep_alone(Path(args.output_dir), state.best_model_checkpoint)


def write_mark(trainer: Any, identity: dict[str, Any], weights: str) -> None:
    """Write the mark.

    Args:
        weights: the name of the checkpoint that has them.
    """
    args, state = trainer.args, trainer.state
    with write_sealed(trainer, Path(args.output_dir, TRAINED)) as folder:
        trainer._save_rng_state(str(folder))
        if args.should_save:
            plan = trainer.unfreezing.plan
            facts = {
                "weights": weights,
                "cost": trainer.train_cost,
                "checked": trainer.invariants.checked,
                "plan": {"starts": plan.starts, "lowest": plan.lowest},
                "total_steps": trainer.total_steps,
                "epoch_steps": trainer.epoch_steps,
                "callbacks": settings_of(trainer.callback_handler.callbacks),
                "epoch": trainer.training_collator.epoch if varies(trainer.codec) else None,
            }
            (folder / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            trainer.averages.write_result(folder)
            state.save_to_json(str(folder / TRAINER_STATE_NAME))
            write_identity(folder, identity)


def find_weights(trainer: Any) -> str | None:
    """The name of the checkpoint with the weights that training ended with; None if they were not saved."""
    folder, state = Path(trainer.args.output_dir), trainer.state
    if trainer.args.load_best_model_at_end and state.best_model_checkpoint is not None:
        found = Path(state.best_model_checkpoint)
        return found.name if found.parent.samefile(folder) else None
    last = f"checkpoint-{state.global_step}"
    return last if (folder / last).is_dir() else None


def find_trained(trainer: Any, identity: dict[str, Any]) -> Path | None:
    """The mark in the output directory, if this very run has ended there, for good, and all it needs is whole."""
    folder = Path(trainer.args.output_dir)
    if trainer.is_world_process_zero():
        put_all_in_place(folder)
    trainer.accelerator.wait_for_everyone()
    mark = folder / TRAINED
    if not mark.is_dir():
        return None
    fault = find_fault(mark)
    if fault is None:
        facts = json.loads((mark / FACTS).read_text(encoding="utf-8"))
        weights = folder / facts["weights"]
        fault = (
            gone := find_fault_of_weights(weights)
        ) and f"its weights are those of {weights.name}, and there {gone}"
    if fault is not None:
        announce(f"{TRAINED} passed over: {fault}")
        return None
    if facts["callbacks"] != settings_of(trainer.callback_handler.callbacks):
        return None  # with more patience, early stopping might not have ended it
    saved = read_identity(mark)
    extensions = saved.pop(EXTENDED, [])
    if differences(saved, identity) or (trainer.args.extend and not extensions):
        return None
    return mark


def take_up(trainer: Any, mark: Path) -> TrainOutput:
    """Bring a trainer to where it was when its training ended, without a step."""
    facts = json.loads((mark / FACTS).read_text(encoding="utf-8"))
    trainer.extensions = read_identity(mark).get(EXTENDED, [])
    trainer.unfreezing.plan = FreezePlan(tuple(facts["plan"]["starts"]), tuple(facts["plan"]["lowest"]))
    trainer.total_steps, trainer.epoch_steps = facts["total_steps"], facts["epoch_steps"]
    trainer.train_cost, trainer.invariants.checked = facts["cost"], facts["checked"]
    weights = mark.parent / facts["weights"]
    trainer._load_from_checkpoint(str(weights))
    trainer.averages.read(mark)
    trainer.averages.clear()
    state = trainer.state = TrainerState.load_from_json(str(mark / TRAINER_STATE_NAME))
    state.init_training_references(trainer, state.max_steps, state.num_train_epochs, None)
    if state.best_model_checkpoint is not None:
        state.best_model_checkpoint = str(Path(trainer.args.output_dir, Path(state.best_model_checkpoint).name))
    if varies(trainer.codec):  # the report shows pictures as the last epoch drew them
        trainer.training_collator.epoch = facts["epoch"]
    trainer._load_rng_state(str(mark))
    announce(
        f"Training had ended (step {state.global_step} of {state.max_steps}): its weights are those of"
        f" {weights.name}, and no step is repeated."
    )
    metrics = next(entry for entry in reversed(state.log_history) if "train_loss" in entry)
    return TrainOutput(state.global_step, metrics["train_loss"], dict(metrics))
