"""A plan has something to train in each of its stages."""

import pytest
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2LMHeadModel,
    ResNetConfig,
    ResNetForImageClassification,
)

from hfkit import TransferArguments
from hfkit.errors import UserError
from hfkit.model.unfreezing import Unfreezing
from hfkit.training.plan import plan_stages, plan_title
from tests.tiny.families import BART, SIZES


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


@pytest.mark.parametrize("kind", ["tables", "stem", "written with"])
def test_only_tables_of_embeddings_are_frozen_for_good(kind, tmp_path):
    model = {
        "tables": lambda: BertForSequenceClassification(BertConfig(**SIZES, vocab_size=400)),
        "stem": lambda: ResNetForImageClassification(
            ResNetConfig(embedding_size=8, hidden_sizes=[8, 16], depths=[1, 1])
        ),
        "written with": lambda: GPT2LMHeadModel(
            GPT2Config(n_embd=16, n_head=2, n_layer=3, n_positions=32, vocab_size=400)
        ),
    }[kind]()
    args = TransferArguments(output_dir=str(tmp_path), strategy="gradual", freeze_embeddings=True, use_cpu=True)
    plan = plan_stages(model, Unfreezing(model), args, 40, 10)
    assert plan.lowest[-1] == (1 if kind == "tables" else 0)
    assert ("the embeddings frozen" in plan_title(args, plan)) == (kind == "tables")
