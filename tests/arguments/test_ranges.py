"""Ranges of flags: no number that cannot be meant gets past `parse`, whichever flag it is given to."""

import math
import re
from dataclasses import fields
from functools import cache

import pytest

from hfkit.arguments.parse import parse
from hfkit.arguments.ranges import Range, ranges_of, refuse_outside
from hfkit.arguments.recipe import RecipeArguments
from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError
from hfkit.ledger.arguments import CompareArguments, own_parser, split_flags
from hfkit.tasks import TASKS

KINDS = (RecipeArguments, TransferArguments, CompareArguments, *TASKS)


def takes_numbers(kind: object) -> bool:
    return re.search(r"\b(int|float)\b", str(kind)) is not None


NUMBERS = [(kind, one.name, str(one.type)) for kind in KINDS for one in fields(kind) if takes_numbers(one.type)]


@cache
def defaults(kind: type) -> dict:
    """What `vars` gives of flags that nobody set; it costs a second for training, so it is asked once."""
    return dict(vars(kind(output_dir="unused") if kind is TransferArguments else kind()))


def refusal(kind: type, name: str, value: object) -> str:
    """What the check at the begin of every `__post_init__` says of this value."""
    asked = object.__new__(kind)
    asked.__dict__.update({**defaults(kind), name: value})
    with pytest.raises(UserError) as error:
        refuse_outside(asked)
    return str(error.value)


@pytest.mark.parametrize("kind, name, typed", NUMBERS, ids=[f"{kind.__name__}-{name}" for kind, name, _ in NUMBERS])
def test_what_cannot_be_meant_is_refused_for_every_flag_that_takes_a_number(kind, name, typed):
    refuse_outside(type("Flags", (), {"__init__": lambda self: self.__dict__.update(defaults(kind))})())
    allowed = ranges_of(kind)
    assert name in allowed, f"{name} of {kind.__name__} has no range"
    wrong = [math.nan, math.inf, -math.inf, 1e400, 10**400, -(10**400), -2, -(10**9)]
    for value in wrong + [-1] * (-1 not in allowed[name].also):
        message = refusal(kind, name, [value] if "list" in typed else value)
        assert message.startswith(f"{name}=") and str(allowed[name]) in message and len(message) < 300


@pytest.mark.parametrize(
    "argv",
    [
        ["--max_grad_norm", "nan"],
        ["--adam_beta1", "2"],
        ["--seed", "-1"],
        ["--seed", str(2**40)],
        ["--seed", "9" * 400],
        ["--learning_rate", "1e400"],
        ["--save_total_limit", "0"],
        ["--save_steps", "0"],
        ["--max_steps", "-7"],
        ["--shots", "-1"],
        ["--test_share", "nan"],
        ["--fp16"],
        ["--strategy", "lora", "--lora_rank", "0"],
        ["--output_dir", ""],
        ["--dataset", " "],
        ["--baseline", ""],
    ],
    ids=" ".join,
)
def test_nothing_is_written_before_a_flag_is_refused(tmp_path, monkeypatch, argv):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as error:
        parse((RecipeArguments, TASKS[0], TransferArguments), argv=["--output_dir", "out", "--use_cpu", *argv])
    flag = argv[-2].removeprefix("--") if len(argv) > 1 else "fp16"
    assert str(error.value).startswith(f"{flag}=") and not list(tmp_path.iterdir())


@pytest.mark.parametrize("flag", ["--output_dir", "--dataset", "--checkpoint", "--cache_dir"])
def test_a_token_in_the_name_of_a_place_is_refused_and_not_repeated(tmp_path, monkeypatch, flag):
    monkeypatch.chdir(tmp_path)
    token = "hf_" + "Ab1" * 11
    with pytest.raises(UserError, match=f"{flag[2:]}: it holds what looks like a Hugging Face token") as error:
        parse((RecipeArguments, TASKS[0], TransferArguments), argv=["--use_cpu", flag, f"runs/{token}/a"])
    assert token not in str(error.value) and not list(tmp_path.iterdir())
    with pytest.raises(UserError, match="compare_dir: it holds"):
        split_flags(["--compare_dir", token])
    parse((TASKS[0],), argv=["--dataset", "postgresql://ada:word@host/rows"])


def test_a_yaml_file_that_is_nested_too_deep_is_no_traceback(tmp_path):
    (tmp_path / "deep.yaml").write_text("a: " + "[" * 5000)
    with pytest.raises(UserError, match="deep.yaml"):
        parse((RecipeArguments,), argv=["--config", str(tmp_path / "deep.yaml")])


@pytest.mark.parametrize("flag", ["seeds", "tune", "label_budgets", "jobs"])
def test_those_of_compare_are_refused_too(flag):
    with pytest.raises(UserError, match=f"{flag}=-1"):
        split_flags([f"--{flag}", "-1"])
    assert "[1 or more and at most 4,096]" in own_parser().format_help()


def test_the_help_tells_the_range(capsys):
    with pytest.raises(SystemExit):
        parse((RecipeArguments, TransferArguments), argv=["--help"])
    shown = " ".join(capsys.readouterr().out.split())
    for text in ("[0 or more and below 1]", "[above 0]", "or -1]", "[0 or more and at most 4,294,967,295]"):
        assert text in shown


@pytest.mark.parametrize(
    "allowed, inside, outside, text",
    [
        (Range(0.0, 1.0, below=True), [0, 0.5], [1, 1.0, -1e-9], "0 or more and below 1"),
        (Range(1, 9, also=(-1,)), [1, 9, -1], [0, 10, -2], "1 or more and at most 9, or -1"),
        (Range(0.0, above=True), [1e-30, 1e308], [0, -0.0], "above 0"),
        (Range(), [-1e308, 7], [math.nan, math.inf, 10**400], "finite"),
    ],
)
def test_a_range_holds_its_ends_as_it_says(allowed, inside, outside, text):
    assert all(value in allowed for value in inside)
    assert not any(value in allowed for value in outside)
    assert str(allowed) == text
