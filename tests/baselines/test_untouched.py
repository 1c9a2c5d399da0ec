"""The checkpoint as it is: the answers of its model, and no answer where a part of it is fresh."""

import pytest
import torch

from hfkit.baselines import Untouched
from hfkit.contract.target import Nothing
from hfkit.errors import UserError
from hfkit.tasks import LanguageModelling, TextClassification
from tests.tiny import text as tiny
from tests.tiny.language import causal, documents, write_rows


def test_likelihoods_are_those_of_the_checkpoint(tmp_path):
    checkpoint = causal("GPT-2", tmp_path / "checkpoint")
    write_rows(tmp_path / "texts", "text", documents)
    task = LanguageModelling(dataset=str(tmp_path / "texts"))
    rows = task.load()
    found = Untouched(checkpoint).predict(task, rows)
    codec = task.codec(checkpoint, Nothing())
    model, text = codec.model().eval(), rows["test"]["text"][0]
    ids = torch.tensor([[codec.start, *codec.processor(text, add_special_tokens=False)["input_ids"]]])
    with torch.no_grad():
        logs = model(input_ids=ids).logits.log_softmax(-1)[0, :-1]
    nats = -logs.gather(1, ids[0, 1:, None]).sum().item()
    # The end of the text is predicted too, or not: one token more or none.
    assert len(found) == len(rows["test"]) and found[0]["tokens"] - (ids.shape[1] - 1) in (0, 1)
    assert found[0]["nats"] >= nats - 1e-3


def test_a_fresh_head_is_refused(tmp_path):
    checkpoint = tiny.bert(tmp_path / "bert")
    task = TextClassification(dataset=tiny.folder_of(tiny.review_splits(), tmp_path / "reviews"))
    with pytest.raises(UserError, match="2 of its parameters are fresh for this task .bert.pooler"):
        Untouched(checkpoint).predict(task, task.load())
