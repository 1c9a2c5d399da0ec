"""Flags of adapters: a kind brings its size and its rate, and what would be ignored or never learn is refused."""

import pytest

from hfkit import TransferArguments
from hfkit.arguments.adapters import KINDS, describe_parts, kind_of
from hfkit.errors import UserError


def arguments(**flags) -> TransferArguments:
    return TransferArguments("out", use_cpu=True, report_to="none", **flags)


def test_a_kind_brings_its_size_and_its_rate():
    for name, kind in KINDS.items():
        args = arguments(strategy="lora", adapter=name)
        assert args.adapted and args.learning_rate == kind.learning_rate
        sizes = {flag: vars(args)[flag] or 0 for flag in ("lora_rank", "oft_block_size", "virtual_tokens")}
        assert sizes == dict.fromkeys(sizes, 0) | ({kind.sized: kind.size} if kind.sized else {})
        again = arguments(
            **{flag: value for flag, value in vars(args).items() if flag in ("strategy", "adapter", *sizes)}
        )
        assert vars(again)["lora_rank"] == sizes["lora_rank"]
    assert arguments(strategy="lora", adapter="vera", lora_rank=8, learning_rate=0.5).lora_rank == 8
    into = arguments(strategy="gradual", adapter="ia3")
    assert (into.learning_rate, into.lora_rank, into.unfreeze_stages) == (1e-4, 0, 3)


def test_without_a_kind_a_rank_asks_for_lora():
    assert [arguments(strategy=name).adapter for name in ("lora", "full")] == ["lora", None]
    assert arguments(strategy="full", lora_rank=4).adapter == "lora"
    assert describe_parts(vars(arguments(strategy="full", lora_rank=4))) == "low-rank adapters (LoRA of rank 4)"
    assert kind_of({"adapter": "merge", "lora_rank": 4}) is KINDS["lora"] and kind_of({"lora_rank": 0}) is None


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"adapter": "lor"}, "adapter='lor': one of lora, dora"),
        ({"adapter": "dora", "lora_rank": 0}, "adapter=dora, lora_rank=0: it is 1 or more"),
        ({"lora_rank": 0}, "lora_rank=0: strategy=lora trains adapters of rank 1 or more"),
        (
            {"adapter": "ia3", "lora_rank": 4},
            "lora_rank=4 with adapter=ia3: it is a size of lora and dora and vera alone",
        ),
        ({"virtual_tokens": 4}, "virtual_tokens=4 with adapter=lora: it is a size of prefix and prompt alone"),
        ({"strategy": "full", "oft_block_size": 4}, "oft_block_size=4: it is a size of oft alone"),
        ({"adapter": "prompt", "virtual_tokens": 0}, "virtual_tokens=0: it is 1 or more"),
        ({"strategy": "feature-extraction", "adapter": "dora"}, "adapter=dora with unfreeze_stages=0: .* ever learn"),
        ({"adapter": "prefix", "pretrained": False}, "adapter=prefix with pretrained=False: .* cannot be had again"),
        ({"adapter": "dora", "checkpoint_adapter": "train"}, "checkpoint_adapter=train with adapter=dora"),
    ],
)
def test_what_would_be_ignored_or_never_learn_is_refused(flags, said):
    with pytest.raises(UserError, match=said):
        arguments(**{"strategy": "lora"} | flags)
