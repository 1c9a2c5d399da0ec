"""Families of encoders on the whole path: thawed in stages, cached, judged, saved, read again with the same answers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import AutoModelForQuestionAnswering, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.errors import UserError
from hfkit.inference.saved import load_saved
from hfkit.tasks import QuestionAnswering
from tests.tiny import text as tiny
from tests.tiny.families import FAMILIES

NAMES = ("BERT", "RoBERTa", "DistilBERT", "DeBERTa-v2, -v3", "ELECTRA", "ModernBERT", "XLNet")
IN_EVERY_RUN = ("BERT", "XLNet")  # XLNet pads on the left, and its token for the whole row comes last
# Of six steps the first trains the head alone, the upper half thaws after it, and the lower half in the second epoch.
STAGES = {"strategy": "gradual", "layer_decay": 0.8, "head_only": 0.17, "unfreeze_stages": 2, "unfreeze_until": 0.67}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    splits = tiny.question_splits(12, 6, 8, unanswerable=1.0, sentences=3)
    return tiny.folder_of(splits, tmp_path_factory.mktemp("questions") / "data")


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow) for name in NAMES]
)
def test_a_family_goes_the_whole_path(name, data, tmp_path):
    family = next(family for family in FAMILIES if family.name == name)
    checkpoint = family.save(family.pretrained(), tmp_path)
    args = TransferArguments(
        output_dir=str(tmp_path / "run"),
        num_train_epochs=6,
        per_device_train_batch_size=6,
        per_device_eval_batch_size=4,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        eval_strategy="epoch",
        prefix_cache=True,
        cache_dir=str(tmp_path / "cache"),
        **STAGES,
    )
    task = QuestionAnswering(dataset=data, max_length=32, stride=8)
    set_seed(args.seed)
    rows = task.load(checkpoint)
    codec = task.codec(checkpoint, rows.target)
    model = codec.model()
    (head,) = (module for module in model.modules() if getattr(module, "out_features", None) == 2)
    torch.nn.init.normal_(head.weight)  # else all scores are so close that rounding decides
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert {"prefix_cache": "on"}.items() <= next(e for e in trainer.state.log_history if "prefix_cache" in e).items()
    moved = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    depths = trainer.unfreezing.depths
    assert {depths.parameters[name] for name in moved} == set(range(depths.head + 1))
    assert trainer.unfreezing.plan.lowest == (depths.head, 2, 0)

    # The stock loss of windows without padding is the same.
    window = trainer.encoded["train"].select([0])
    batch = codec.collate([window[0]])
    with torch.no_grad():
        ours, _ = codec.loss(trainer.model.eval(), batch)
        stock = trainer.model(
            **codec.inputs(batch), **{key: batch[key] for key in ("start_positions", "end_positions")}
        )
    assert float(ours) == pytest.approx(float(stock.loss), rel=1e-5)

    scores = trainer.evaluate()
    assert 0 <= scores["eval_f1"] <= 1 and np.isfinite(scores["eval_loss"])
    trainer.tune_decision()
    trainer.save_model()
    answers = trainer.predictions("test")
    plain = AutoModelForQuestionAnswering.from_pretrained(tmp_path / "run")
    assert type(plain) is type(trainer.model)
    saved = load_saved(str(tmp_path / "run"))
    # Without a report nobody knows the lengths of its windows.
    saved = replace(saved, codec=task.codec(str(tmp_path / "run"), saved.codec.target))
    again = saved.predictions(rows["test"], batch_size=4)
    assert [{**answer, "probability": None} for answer in again] == [{**a, "probability": None} for a in answers]
    together = saved.predictions(rows["test"], batch_size=8)  # padding changes nothing
    for one, other in zip(answers, together, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-5)


def test_a_head_that_searches_in_another_way_is_refused_by_name(tmp_path):
    from transformers import XLNetForQuestionAnswering

    family = next(family for family in FAMILIES if family.name == "XLNet")
    family.save(family.pretrained(), tmp_path)
    XLNetForQuestionAnswering(family.pretrained().config).save_pretrained(tmp_path)
    codec = QuestionAnswering().codec(str(tmp_path), QuestionAnswering().guess_target(0))
    with pytest.raises(UserError, match="XLNetForQuestionAnswering, which searches a beam of starts"):
        codec.model(finished=True)
    assert type(codec.model()).__name__ == "XLNetForQuestionAnsweringSimple"
