"""The private methods of transformers that the trainer overrides or calls: a new version may rename any of them."""

import ast
import inspect
import re
from pathlib import Path

import pytest
from transformers import Trainer

from hfkit.training import auto, fitting, overdue, trained, trainer
from hfkit.training.trainer import TransferTrainer

ROOT = Path(__file__).parents[2]
# Methods of the stock Trainer that are overridden, and why.
OVERRIDDEN = {
    "_run_epoch": "the stock loop only asks after a step whether training has ended",
    "_clip_grad_norm": "only what learns, instead of a walk through all modules",
    "_get_num_items_in_batch": "targets that are not labels count too",
    "_get_train_sampler": "batches of similar length",
    "_get_dataloader": "row numbers travel with every batch",
    "_get_eval_sampler": "longest rows first",
    "_init_training_state": "the best checkpoint is found in an output directory that was moved",
    "_load_from_checkpoint": "the stock method loses the backbone of some models",
    "_load_best_model": "the same",
    "_determine_best_metric": "the latest weights that are as good as the best are kept",
    "_get_learning_rate": "the rate of the top block, not that of the first group",
    "_prepare_for_training": "the output directory is claimed once plan and optimizer were not refused",
    "_load_rng_state": "what was made up for comes between the checkpoint and the next step",
    "_get_grad_norm": "it is kept for a log entry that is due when the run is cut",
    "_finalize_training": "the last checkpoint is deleted only when training is marked as ended",
    "_get_output_dir": "checkpoints are written beside the others",
    "_save_checkpoint": "a checkpoint is sealed before earlier ones are deleted",
    "_save_optimizer_and_scheduler": "what identifies the run is written beside them",
    "_load_optimizer_and_scheduler": "an extension of a run begins with new ones",
    "_save": "training_args.bin, a pickle, is removed",
}
# Methods that are called only, with the arguments that they are given.
CALLED = {
    "_prepare_inputs": ("inputs",),
    "_save_rng_state": ("output_dir",),
    "_maybe_log_save_evaluate": (
        *("tr_loss", "grad_norm", "model", "trial", "epoch", "ignore_keys_for_eval", "start_time", "learning_rate"),
    ),
}


def private_table() -> str:
    """CONTRIBUTING's table of these methods."""
    rows = [f"| `{name}` | overridden: {why} |" for name, why in OVERRIDDEN.items()]
    rows += [f"| `{name}` | called |" for name in CALLED]
    return "\n".join(["| method of `transformers.Trainer` | what hfkit does with it |", "|---|---|", *rows])


def private_names(module) -> set[str]:
    """Every private attribute of the trainer, or of its parent, that a module mentions."""
    pattern = re.compile(r"(self|trainer|self\.trainer|super\(\))\._[a-z]\w*")
    attributes = (node for node in ast.walk(ast.parse(inspect.getsource(module))) if isinstance(node, ast.Attribute))
    return {node.attr for node in attributes if pattern.fullmatch(ast.unparse(node))}


@pytest.mark.parametrize("name", [*OVERRIDDEN, *CALLED])
def test_the_stock_trainer_still_has_it(name):
    assert callable(getattr(Trainer, name, None))


@pytest.mark.parametrize("name", OVERRIDDEN)
def test_an_override_takes_whatever_the_stock_trainer_gives(name):
    stock = inspect.signature(getattr(Trainer, name)).parameters
    inspect.signature(vars(TransferTrainer)[name]).bind(**dict.fromkeys(stock))


@pytest.mark.parametrize("name", CALLED)
def test_a_call_gives_what_the_stock_trainer_takes(name):
    inspect.signature(getattr(Trainer, name)).bind(None, **dict.fromkeys(CALLED[name]))


def test_the_list_is_complete_and_no_name_of_our_own_hides_a_stock_one():
    own = {name for name in vars(TransferTrainer) if name.startswith("_") and not name.startswith("__")}
    used = own.union(*(private_names(module) for module in (trainer, auto, fitting, overdue, trained)))
    assert {name for name in used if hasattr(Trainer, name)} == {*OVERRIDDEN, *CALLED}


def test_contributing_lists_them():
    page = (ROOT / "CONTRIBUTING.md").read_text()
    shown = re.search(r"<!-- private:begin -->\n(.*)\n<!-- private:end -->", page, re.DOTALL)
    assert shown[1] == private_table(), f"write this there:\n{private_table()}"
