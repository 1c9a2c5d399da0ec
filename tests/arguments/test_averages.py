"""Averages of weights that mean nothing are refused by name."""

import pytest

from hfkit.arguments.parse import parse
from hfkit.arguments.training import TransferArguments
from hfkit.errors import UserError


def read(argv: list[str], folder) -> TransferArguments:
    return parse((TransferArguments,), argv=["--output_dir", str(folder), "--use_cpu", *argv])[0]


def test_shares_come_from_the_end_to_the_start(tmp_path):
    assert read([], tmp_path).wise_ft_shares == () and not read([], tmp_path).averages
    assert read(["--wise_ft", "0.2", "1", "0.7", "0.7"], tmp_path).wise_ft_shares == (1.0, 0.7, 0.2)
    assert read(["--wise_ft", "auto"], tmp_path).wise_ft_shares == (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)


def test_a_soup_is_of_so_many(tmp_path):
    evaluated = ["--eval_strategy", "epoch"]
    assert [
        read([*flags, *evaluated], tmp_path).soup_size for flags in ([], ["--soup", "3"], ["--soup", "greedy"])
    ] == [*(0, 3, 5)]


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["--wise_ft", "0"], "each share is a number above 0"),
        (["--wise_ft", "0.5", "1.5"], "each share is a number above 0"),
        (["--wise_ft", "auto", "0.5"], "or all of it is auto"),
        (["--wise_ft", "auto", "--strategy", "lora"], "adapters"),
        (["--wise_ft", "auto", "--strategy", "scratch"], "begin at random"),
        (["--wise_ft", "auto", "--strategy", "feature-extraction"], "never learn"),
        (["--ema", "1"], "ema=1"),
        (["--soup", "1", "--eval_strategy", "epoch"], "a number from 2 to 999"),
        (["--soup", "all", "--eval_strategy", "epoch"], "a number from 2 to 999"),
        (["--soup", "greedy"], "none are"),
        (["--soup", "3", "--eval_strategy", "epoch", "--strategy", "lora"], "adapters"),
    ],
    ids=" ".join,
)
def test_what_means_nothing_is_refused(argv, why, tmp_path):
    with pytest.raises(UserError) as error:
        read(argv, tmp_path)
    assert why in str(error.value)
