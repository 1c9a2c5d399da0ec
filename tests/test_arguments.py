"""Flags: literals < YAML < command line, numbers are numbers, and nothing unknown passes."""

from dataclasses import fields

import pytest

from hfkit.arguments import RecipeArguments, TransferArguments, nearest, parse, refuse_lost_processes
from hfkit.errors import UserError, run
from hfkit.strategies import STRATEGIES


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
        ([], "seed: one", ["seed='one'", "of type int"]),
        ([], "seed: 1.5", ["seed=1.5", "of type int"]),
        ([], "seed: true", ["seed=True", "of type int"]),
        ([], "- a\n- b", ["maps flags to values"]),
        ([], "a: [", ["not YAML"]),
        ([], "a: !!python/object/apply:os.system [ls]", ["not YAML"]),
        (["--config", "nowhere.yaml"], None, ["nowhere.yaml", "no such file"]),
        (["--seed", "x"], None, ["--seed", "invalid int value"]),
        (["--strategy", "fulll"], None, ["fulll"]),
        (["--learning_rate", "0"], None, ["learning_rate=0.0", "above 0", "--unfreeze_stages"]),
        (["--num_processes", "2"], None, ["1 process started", "2 were asked for", "torchrun"]),
    ],
)
def test_mistakes_are_refused_with_the_nearest_right_thing(tmp_path, argv, yaml, words):
    with pytest.raises(UserError) as error:
        read(tmp_path, *argv, yaml=yaml)
    assert all(word in str(error.value) for word in words), error.value


def test_a_launcher_that_lost_processes_is_noticed(monkeypatch):
    for name in ("WORLD_SIZE", "RANK"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MASTER_PORT", "29500")  # what `accelerate launch --cpu --num_processes 2` leaves
    with pytest.raises(UserError, match="torchrun"):
        refuse_lost_processes(None, 1)
    monkeypatch.setenv("WORLD_SIZE", "1")
    refuse_lost_processes(None, 1)


def test_bare_debug_is_accepted_and_with_a_value_it_is_the_stock_flag(tmp_path):
    assert read(tmp_path, "--debug", "--seed", "7")[1].seed == 7
    assert [option.value for option in read(tmp_path, "--debug", "underflow_overflow")[1].debug] == [
        "underflow_overflow"
    ]


def test_nearest():
    assert nearest("--unfreez_stage", ["--seed", "--unfreeze_stages", "--unfreeze_until"]) == "--unfreeze_stages"


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
