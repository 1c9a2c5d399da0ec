"""Settings that would be without effect, or end a run in its middle, are refused when flags are read."""

import pytest

from hfkit.arguments.parse import parse
from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError


@pytest.mark.parametrize(
    "argv, words",
    [
        (["--optim", "adafactor", "--optim_args", "x=y"], "the optimizer adafactor reads no 'x=y'"),
        (["--optim", "rmsprop", "--optim_args", "alpha=0.9,x=y"], "reads no 'x=y'"),
        (["--optim_args", "x"], "optim_args=x"),
        (["--optim_target_modules", "all-linear"], "reads none"),
        (["--lr_scheduler_kwargs", "[1]"], "it is an object in JSON"),
        (["--lr_scheduler_kwargs", '{"nosuch": 1}'], "unexpected keyword argument 'nosuch'"),
        (["--gradient_checkpointing_kwargs", "5"], "it is an object in JSON"),
        (["--fsdp_config", "x.json"], "without --fsdp it is without effect"),
        (["--label_names", "x"], "this is not read"),
        (["--torch_compile_backend", "nosuch"], "one of no, eager"),
        (["--torch_compile_mode", "nosuch"], "one of default, reduce-overhead"),
        (["--accelerator_config", "nosuch.json"], "No such file"),
        (["--output_dir", "a\udcffb"], "its name is no UTF-8"),
    ],
)
def test_settings_that_nothing_reads_are_refused(argv, words, tmp_path):
    with pytest.raises(UserError, match=words):
        parse((TransferArguments,), argv=["--output_dir", str(tmp_path), "--use_cpu", *argv])


@pytest.mark.parametrize(
    "argv",
    [
        ["--optim", "rmsprop", "--optim_args", "alpha=0.9"],
        ["--lr_scheduler_type", "cosine_with_min_lr", "--lr_scheduler_kwargs", '{"min_lr": 0.0001}'],
    ],
)
def test_settings_that_are_read_are_accepted(argv, tmp_path):
    (args,) = parse((TransferArguments,), argv=["--output_dir", str(tmp_path), "--use_cpu", *argv])
    assert args.optim_args == "alpha=0.9" or args.lr_scheduler_kwargs == {"min_lr": 0.0001}
