"""Embeddings that never learn, where that is asked for."""

import pytest
import torch

from hfkit import TransferArguments, UserError
from tests.fixtures.runs import trainer


@pytest.mark.parametrize("strategy", ["gradual", "full"])
def test_the_blocks_learn_and_the_embeddings_stay_as_they_were(strategy, checkpoint, corpus, tmp_path):
    run = trainer(
        checkpoint, corpus, tmp_path, strategy=strategy, freeze_embeddings=True, num_train_epochs=3, learning_rate=1e-3
    )
    depths = run.unfreezing.depths.parameters
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    run.train()
    unmoved = {name for name, p in run.model.named_parameters() if torch.equal(p, before[name])}
    assert {name for name in unmoved if depths[name] > 0} == set()
    assert {name for name in depths if depths[name] == 0} == unmoved
    assert run.facts()["plan"][-1]["depths"] == f"1-{run.unfreezing.depths.head}"


OTHERS = [{"strategy": "scratch"}, {"pretrained": False}, {"adapter": "prompt"}, {"train_blocks": "0-1"}]


@pytest.mark.parametrize("flags", OTHERS, ids=str)
def test_where_something_else_says_what_learns_they_cannot_be_frozen(flags, tmp_path):
    with pytest.raises(UserError, match="freeze_embeddings=True with"):
        TransferArguments(output_dir=str(tmp_path), use_cpu=True, **flags, freeze_embeddings=True)
