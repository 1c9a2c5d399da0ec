"""A plan has something to train in each of its stages."""

import pytest
from transformers import BartConfig, BartForConditionalGeneration

from hfkit import TransferArguments
from hfkit.errors import UserError
from hfkit.model.unfreezing import Unfreezing
from hfkit.training.plan import plan_stages
from tests.tiny.families import BART


@pytest.mark.parametrize("strategy", ["feature-extraction", "auto", "lp-ft", "gradual", "full"])
def test_a_head_without_weights_of_its_own_is_not_trained_alone(strategy, tmp_path):
    model = BartForConditionalGeneration(BartConfig(**BART, vocab_size=20))
    args = TransferArguments(output_dir=str(tmp_path), strategy=strategy, use_cpu=True)
    if strategy in ("full", "gradual"):  # blocks that thaw in turns begin with those at the top
        lowest = {"full": (0,), "gradual": (3, 2, 0)}[strategy]
        assert plan_stages(model, Unfreezing(model), args, 40, 10).lowest == lowest
        return
    refused = f"strategy '{strategy}': the head of BartForConditionalGeneration shares its weights"
    with pytest.raises(UserError, match=refused):
        plan_stages(model, Unfreezing(model), args, 40, 10)
