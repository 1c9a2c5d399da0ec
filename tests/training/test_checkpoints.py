"""A run that is resumed ends as the one that was not interrupted, also where the best epoch is kept."""

import torch

from hfkit.tasks.tagging.judges import EntityJudge
from tests.fixtures.runs import trainer


def same_bits(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_that_keeps_its_best_epoch_resumes_to_the_same_bits(checkpoint, corpus, tmp_path):
    flags = dict(
        strategy="full",
        num_train_epochs=4,
        learning_rate=3e-3,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model=EntityJudge.headline.key,
    )
    whole = trainer(checkpoint, corpus, tmp_path / "whole", **flags)
    whole.train()
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-12"))
    assert same_bits(resumed.model.state_dict(), whole.model.state_dict())
    last = [(tmp_path / name / "checkpoint-24" / "model.safetensors").read_bytes() for name in ("whole", "resumed")]
    assert last[0] == last[1]
    scores = [[(e["step"], e["eval_f1"]) for e in t.state.log_history if "eval_f1" in e] for t in (whole, resumed)]
    assert [step for step, _ in scores[0]] == [6, 12, 18, 24] and scores[0] == scores[1]
    assert whole.state.best_metric == resumed.state.best_metric == max(score for _, score in scores[0]) > 0
