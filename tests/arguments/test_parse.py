"""Flags: literals < YAML < command line, numbers are numbers, and nothing unknown passes."""

from dataclasses import fields

import pytest
import torch

from hfkit.arguments.parse import nearest_word, parse
from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.strategies import STRATEGIES
from hfkit.arguments.training import TransferArguments, refuse_lost_processes
from hfkit.errors import UserError
from hfkit.runtime.commands import run


def read(tmp_path, *argv, yaml=None, **literals):
    if yaml is not None:
        (tmp_path / "job.yaml").write_text(yaml)
        argv = ("--config", str(tmp_path / "job.yaml"), *argv)
    return parse((RecipeArguments, TransferArguments), argv=list(argv), output_dir=str(tmp_path), **literals)


def test_literals_then_yaml_then_command_line(tmp_path):
    yaml = "learning_rate: 1e-5\nseed: 3\ncheckpoint: bert\n"
    recipe, args = read(tmp_path, "--seed", "4", yaml=yaml, learning_rate=1e-3, weight_decay=0.5)
    assert (args.learning_rate, args.seed, args.weight_decay, recipe.checkpoint) == (1e-5, 4, 0.5, "bert")
    assert isinstance(args.learning_rate, float)


def test_a_strategy_fills_what_nobody_set(tmp_path):
    for name, strategy in STRATEGIES.items():
        _, args = read(tmp_path, "--strategy", name)
        for field in (f.name for f in fields(strategy) if f.name != "summary"):
            assert getattr(args, field) == getattr(strategy, field), field
    _, args = read(tmp_path, "--strategy", "gradual", "--layer_decay", "1.0", "--unfreeze_stages", "2")
    assert (args.layer_decay, args.unfreeze_stages, args.learning_rate) == (1.0, 2, STRATEGIES["gradual"].learning_rate)


@pytest.mark.parametrize(
    "argv, yaml, words",
    [
        (["--learning_rat", "3"], None, ["--learning_rat", "abbreviations", "Did you mean --learning_rate?"]),
        (["--learnin_rate=3"], None, ["--learnin_rate=3", "Did you mean --learning_rate?"]),
        ([], "learning_rates: 1", ["learning_rates", "no such flag", "Did you mean learning_rate?"]),
        ([], "1: 2", ["1: no such flag"]),
        ([], "seed: one", ["seed='one'", "must be a whole number"]),
        ([], "seed: 1.5", ["seed=1.5", "must be a whole number"]),
        ([], "seed: .inf", ["seed=inf", "must be a whole number"]),
        ([], "seed: true", ["seed=True", "must be a whole number"]),
        ([], "seed: [1, 2]", ["seed=[1, 2]", "must be a whole number"]),
        ([], "seed: null", ["seed=None", "must be a whole number"]),
        ([], "max_grad_norm: null", ["max_grad_norm=None", "must be a number"]),
        ([], "weight_decay: [0.1]", ["weight_decay=[0.1]", "must be a number"]),
        ([], "weight_decay: true", ["weight_decay=True", "must be a number"]),
        ([], "bf16: 3", ["bf16=3", "must be true or false"]),
        ([], "bf16: perhaps", ["bf16='perhaps'", "must be true or false"]),
        ([], "dataloader_pin_memory: 2", ["dataloader_pin_memory=2", "must be true or false"]),
        ([], "checkpoint: 5", ["checkpoint=5", "must be text"]),
        ([], "run_name: 2024-01-01", ["run_name=", "must be text"]),
        ([], "run_name: 2024-13-45", ["not YAML"]),
        ([], "lr_scheduler_kwargs: {num_cycles: 2}", ["must be text", "JSON in quotes"]),
        ([], "blocks: [a, 5]", ["blocks=['a', 5]", "text or a list of it"]),
        ([], "strategy: null", ["strategy=None", "must be text"]),
        ([], "strategy: 5", ["strategy=5", "must be text"]),
        ([], "strategy: [full]", ["strategy=['full']", "must be text"]),
        ([], "strategy: fulll", ["strategy='fulll'", "one of feature-extraction, full", "Did you mean 'full'?"]),
        ([], "save_strategy: yes", ["save_strategy=True", "must be text"]),
        ([], "save_strategy: epochs", ["save_strategy='epochs'", "Did you mean 'epoch'?"]),
        ([], "hub_strategy: no", ["hub_strategy=False", "must be text"]),
        ([], "seed: 1\nbf16: false\nseed: 1", ["job.yaml: seed", "set twice, again in line 3"]),
        ([], "- a\n- b", ["maps flags to values"]),
        ([], "a: [", ["not YAML"]),
        ([], "a: !!python/object/apply:os.system [ls]", ["not YAML"]),
        (["--config", "nowhere.yaml"], None, ["nowhere.yaml", "no such file"]),
        (["--seed", "x"], None, ["--seed", "invalid int value"]),
        (["--strategy", "fulll"], None, ["strategy='fulll'", "one of feature-ext", "Did you mean 'full'?"]),
        (["--optim", "adamw_torch_fuse"], None, ["optim=", "Did you mean 'adamw_torch_fused'?"]),
        (["--max_steps", "0"], None, ["max_steps=0", "1 or more", "or -1"]),
        ([], "max_steps: 0", ["max_steps=0", "1 or more", "or -1"]),
        (["--num_train_epochs", "nan"], None, ["num_train_epochs=nan", "0 or more"]),
        (["--head_only", "1"], None, ["head_only=1.0", "0 or more and below 1"]),
        (["--unfreeze_until", "-0.1"], None, ["unfreeze_until=-0.1", "0 or more and below 1"]),
        (["--thaw_warmup", "nan"], None, ["thaw_warmup=nan", "0 or more and below 1"]),
        ([], "thaw_warmup: .inf", ["thaw_warmup=inf", "0 or more and below 1"]),
        (["--head_only", "0.3"], None, ["head_only=0.3, unfreeze_until=0.2", "3 stages", "--unfreeze_stages 1"]),
        (["--strategy", "full", "--unfreeze_stages", "2"], None, ["head_only=0.0, unfreeze_until=0.0", "2 stages"]),
        (["--batch_eval_metrics"], None, ["batch_eval_metrics=True", "whole split"]),
        (["--remove_unused_columns"], None, ["remove_unused_columns=True", "collator reads"]),
        (["--dataloader_drop_last"], None, ["dataloader_drop_last=True", "every row is judged"]),
        (["--prediction_loss_only"], None, ["prediction_loss_only=True", "Leave it out"]),
        (["--no_eval_do_concat_batches"], None, ["eval_do_concat_batches=False", "Leave it out"]),
        (["--dataloader_persistent_workers"], None, ["dataloader_persistent_workers=True", "epoch begins"]),
        (["--resume_from_checkpoint", "tru"], None, ["resume_from_checkpoint=tru", "trainer_state.json"]),
        (["--learning_rate", "0"], None, ["learning_rate=0.0", "above 0"]),
        (["--num_processes", "2"], None, ["1 process started", "2 were asked for", "torchrun"]),
    ],
)
def test_mistakes_are_refused_with_the_nearest_right_thing(tmp_path, argv, yaml, words):
    with pytest.raises(UserError) as error:
        read(tmp_path, *argv, yaml=yaml)
    assert all(word in str(error.value) for word in words), error.value


@pytest.mark.parametrize(
    "yaml, name, value",
    [
        ("blocks: encoder.layer.*", "blocks", ["encoder.layer.*"]),
        ("blocks: [a.*, b]", "blocks", ["a.*", "b"]),
        ("save_strategy: no", "save_strategy", "no"),
        ("save_strategy: best", "save_strategy", "best"),
        ("dataloader_pin_memory: false", "dataloader_pin_memory", False),
        ("bf16_full_eval: 'false'", "bf16_full_eval", False),
        ("save_total_limit: null", "save_total_limit", None),
        ("seed: '3'", "seed", 3),
        ("seed: 3.0", "seed", 3),
        ("weight_decay: 1", "weight_decay", 1.0),
        (
            "lr_scheduler_type: cosine_with_restarts\nlr_scheduler_kwargs: '{\"num_cycles\": 2}'",
            "lr_scheduler_kwargs",
            {"num_cycles": 2},
        ),
        ("strategy: lora", "lora_rank", STRATEGIES["lora"].lora_rank),
        ("head_only: 0.3\nunfreeze_stages: 1", "head_only", 0.3),
        ("num_train_epochs: 0\nmax_steps: 5", "max_steps", 5),
    ],
)
def test_yaml_values_arrive_as_from_the_command_line(tmp_path, yaml, name, value):
    read_value = getattr(read(tmp_path, yaml=yaml, save_total_limit=1)[1], name)
    assert read_value == value and isinstance(read_value, type(value))


@pytest.mark.parametrize("flag", ["bf16", "bf16_full_eval"])
def test_bfloat16_needs_no_other_flag_on_a_cpu(flag, tmp_path):
    _, args = read(tmp_path, f"--{flag}", "true")
    assert getattr(args, flag) and args.use_cpu == (not torch.accelerator.is_available())
    assert not read(tmp_path)[1].use_cpu


def test_a_strategy_is_refused_in_python_too(tmp_path):
    with pytest.raises(UserError, match="Did you mean 'full'"):
        TransferArguments(output_dir=str(tmp_path), strategy="fulll")


def test_true_resumes_from_the_newest_checkpoint(tmp_path):
    assert read(tmp_path, "--resume_from_checkpoint", "true")[1].resume_from_checkpoint is True
    assert read(tmp_path, yaml="resume_from_checkpoint: true")[1].resume_from_checkpoint is True
    assert read(tmp_path, yaml="resume_from_checkpoint: false")[1].resume_from_checkpoint is None
    assert read(tmp_path, yaml="resume_from_checkpoint: null")[1].resume_from_checkpoint is None


def test_the_training_arguments_may_be_left_out():
    assert parse((RecipeArguments,), argv=["--checkpoint", "bert"]) == (RecipeArguments(checkpoint="bert"),)


def test_own_flags_of_a_program_are_proposed():
    with pytest.raises(UserError, match=r"Did you mean --rows\?"):
        parse((RecipeArguments,), argv=["--row", "3"], own_flags=("--rows",))


def test_a_launcher_that_lost_processes_is_noticed(monkeypatch):
    for name in ("WORLD_SIZE", "RANK", "ACCELERATE_MIXED_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTER_PORT", "29500")
    refuse_lost_processes(None, 1)  # what the job script of a cluster exports
    # What `accelerate launch --cpu --num_processes 2` leaves.
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    with pytest.raises(UserError, match="torchrun"):
        refuse_lost_processes(None, 1)
    refuse_lost_processes(1, 1)
    refuse_lost_processes(None, 2)  # mpirun
    monkeypatch.setenv("WORLD_SIZE", "1")
    refuse_lost_processes(None, 1)


def test_bare_debug_is_accepted_and_with_a_value_it_is_the_stock_flag(tmp_path):
    assert read(tmp_path, "--debug", "--seed", "7")[1].seed == 7
    assert [option.value for option in read(tmp_path, "--debug", "underflow_overflow")[1].debug] == [
        "underflow_overflow"
    ]


def test_nearest():
    assert nearest_word("--unfreez_stage", ["--seed", "--unfreeze_stages", "--unfreeze_until"]) == "--unfreeze_stages"


def test_user_errors_end_with_code_2_and_one_line(capsys, monkeypatch):
    def fails():
        raise UserError("x=1", "it must be 2", "Use 2")

    monkeypatch.setattr("sys.argv", ["recipe"])
    with pytest.raises(SystemExit) as stop:
        run(fails)
    assert stop.value.code == 2 and capsys.readouterr().err == "error: x=1: it must be 2. Use 2.\n"
    monkeypatch.setattr("sys.argv", ["recipe", "--debug"])
    with pytest.raises(UserError):
        run(fails)
