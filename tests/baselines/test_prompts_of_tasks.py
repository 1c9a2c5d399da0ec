"""Prompts of tasks whose answers are written, or are options of a row's own."""

import pytest
import torch
from datasets import DatasetDict
from transformers import LlamaConfig, LlamaForCausalLM

from hfkit.baselines import Decision, FewShotPrompt, ZeroShotPrompt
from hfkit.contract.abilities import Prompted
from hfkit.tasks import MultipleChoice, QuestionAnswering, Summarization, Translation
from tests.baselines.test_decision import CHAT
from tests.tiny import text as tiny

WRITTEN = (QuestionAnswering, Summarization, Translation)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    torch.manual_seed(0)
    folder, tokenizer = tmp_path_factory.mktemp("assistant"), tiny.byte_bpe()
    tokenizer.chat_template, tokenizer.model_max_length = CHAT, 2048
    tokenizer.pad_token = tokenizer.eos_token
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, vocab_size=len(tokenizer), initializer_range=0.3, max_position_embeddings=2048)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def few(task):
    rows = task.load()
    return rows.with_splits(DatasetDict({split: of.select(range(6)) for split, of in rows.splits.items()}))


@pytest.mark.parametrize("task", [MultipleChoice(), *(kind() for kind in WRITTEN)], ids=lambda task: task.key)
def test_gold_answers_that_a_prompt_shows_are_read_as_right(task):
    rows = few(task)
    assert isinstance(task, Prompted)
    shown = [task.prompt(row, {}, [row]) for row in rows["test"]]
    read = [task.read_completion(p.shots[0][1], row, {}) for p, row in zip(shown, rows["test"], strict=True)]
    assert all(answer.readable for answer in read)
    scores = task.judge.score([answer.prediction for answer in read], task.rows.references(rows["test"]))
    perfect = task.judge.perfect_predictions(task.rows.references(rows["test"]))
    key = task.judge.headline.key
    assert scores[key] == task.judge.score(perfect, task.rows.references(rows["test"]))[key]
    wrong = task.read_completion("nothing of the kind", rows["test"][0], {}).prediction
    assert task.judge.score([wrong], task.rows.references(rows["test"].select([0])))[key] < scores[key]


def test_options_of_a_row_are_compared_by_their_likelihood(checkpoint):
    task, rows = MultipleChoice(), few(MultipleChoice())
    for baseline in (ZeroShotPrompt(checkpoint), FewShotPrompt(checkpoint, shots=1, orders=2), Decision(checkpoint)):
        found = baseline.answers(task, rows)
        chosen = [answer["choice"] for answer in found.predictions]
        assert all(0 <= place < len(row["options"]) for place, row in zip(chosen, rows["test"], strict=True))
        assert task.judge.score(found.predictions, task.rows.references(rows["test"]))
    assert (
        len(FewShotPrompt(checkpoint, shots=1, orders=2).answers(task, rows).facts["orders"]["raw"]["headlines"]) == 2
    )


@pytest.mark.parametrize("task", [kind() for kind in WRITTEN], ids=lambda task: task.key)
def test_answers_that_are_written_are_judged(task, checkpoint):
    found = ZeroShotPrompt(checkpoint).answers(task, few(task))
    assert len(found.predictions) == 6 and 0 <= found.facts["unparseable"] <= 1
