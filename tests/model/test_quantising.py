"""Frozen layers in few bits: where the machine has what it takes, from the first step to the saved model."""

from importlib.util import find_spec

import pytest
import torch
from transformers import AutoModelForTokenClassification

from hfkit import TransferArguments
from hfkit.arguments.adapters import KINDS
from hfkit.errors import UserError
from hfkit.model import quantising
from hfkit.model.digests import digest
from tests.fixtures.runs import trainer


@pytest.mark.parametrize(
    ("flags", "given"),
    [
        ({"strategy": "full"}, "strategy=full"),
        ({"strategy": "feature-extraction"}, "strategy=feature-extraction"),
        ({"strategy": "lora", "adapter": "prefix"}, "adapter=prefix"),
        ({"strategy": "lora", "adapter": "ia3"}, "adapter=ia3"),
        ({"strategy": "lora", "adapter": "dora"}, "adapter=dora"),
        ({"strategy": "lora", "checkpoint_adapter": "train"}, "checkpoint_adapter=train"),
    ],
)
def test_few_bits_beside_what_learns_otherwise_are_refused(flags, given):
    with pytest.raises(UserError, match=f"quantize=8bit with {given}: weights in few bits cannot learn"):
        TransferArguments("out", quantize="8bit", **flags)
    with pytest.raises(UserError, match="quantize='2bit': one of 8bit, 4bit"):
        TransferArguments("out", quantize="2bit", strategy="lora")


def test_without_its_package_it_is_refused_by_name(checkpoint, monkeypatch):
    monkeypatch.setattr(quantising, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="quantize=4bit: the package bitsandbytes .* is not installed. Run: pip"):
        quantising.quantise(AutoModelForTokenClassification.from_pretrained(checkpoint), "4bit")


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "width"), [(name, width) for name in KINDS for width in KINDS[name].beside])
def test_a_run_beside_few_bits(width, kind, checkpoint, corpus, tmp_path):
    """Its frozen bits stay, it resumes to the same ones, and the floats that are saved answer as it did."""
    flags = dict(strategy="lora", adapter=kind, quantize=width, num_train_epochs=1, learning_rate=0.01)
    flags |= dict(precision="fp32", save_strategy="steps", eval_strategy="epoch", save_steps=3)
    if find_spec("bitsandbytes") is None:
        with pytest.raises(UserError, match=f"quantize={width}: the package bitsandbytes"):
            trainer(checkpoint, corpus, tmp_path / "run", **flags)
        return
    run = trainer(checkpoint, corpus, tmp_path / "run", **flags)
    assert len(quantising.find_quantised(run.model)) == 4 * 6  # six linear layers in each block
    run.train()
    assert run.invariants.checked["frozen_depths_unchanged"] == 1
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", rows=run.rows, **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-3"))
    mine, others = ({name: one for name, one in each.model.named_parameters()} for each in (run, resumed))
    assert digest(mine.values()) == digest(others[name] for name in mine)
    run.save_model()
    saved = AutoModelForTokenClassification.from_pretrained(tmp_path / "run").eval()
    assert {parameter.dtype for parameter in saved.parameters()} == {torch.float32}
    batch = run.codec.inputs(run.data_collator([run.eval_dataset[i] for i in range(4)]))
    with torch.inference_mode():
        expected = run.model.eval()(**batch).logits
        # 8 bits round the rows on their way through, too.
        bound = 1e-5 if width == "4bit" else 0.02 * expected.abs().max().item()
        assert torch.allclose(saved(**batch).logits, expected, atol=bound)
