"""Embeddings that never learn, where that is asked for."""

import pytest
import torch

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
