"""The decision baseline: transformers' own pipeline, answer for answer."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import LlamaConfig, LlamaForCausalLM, pipeline

from hfkit import RecipeArguments
from hfkit.baselines import Decision, choose_baselines
from hfkit.baselines.prompting.decision import Questions, refuse_options, request_of
from hfkit.contract.abilities import Prompt
from hfkit.errors import UserError
from hfkit.tasks import NER, TextClassification
from hfkit.tasks.tagging.prompts import write_tags
from tests.tiny import text as tiny

CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


@pytest.fixture(scope="module")
def assistant(tmp_path_factory) -> str:
    """A chat model of two layers with weights at random, large enough for answers to differ."""
    torch.manual_seed(0)
    folder, tokenizer = tmp_path_factory.mktemp("assistant"), tiny.byte_bpe()
    tokenizer.chat_template, tokenizer.model_max_length = CHAT, 512
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = LlamaConfig(**sizes, vocab_size=len(tokenizer), initializer_range=0.3, max_position_embeddings=512)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def task(tmp_path_factory) -> TextClassification:
    return TextClassification(dataset=tiny.folder_of(tiny.review_splits(), tmp_path_factory.mktemp("reviews")))


def test_answers_are_those_of_the_stock_pipeline(assistant, task):
    rows = task.load()
    stock = pipeline("decision", model=assistant)
    found = Decision(assistant).answers(task, rows)
    names = {label: label for label in rows.labels}
    for row, ours, top in zip(rows["test"], found.probabilities, found.predictions, strict=True):
        theirs = stock(request_of(task.prompt(row, names, ()).query, task.prompt(row, names, ())))["answer"]
        np.testing.assert_allclose(ours, [theirs["probabilities"][label] for label in rows.labels], atol=1e-4)
        assert top[0] == theirs["choice"]
    assert np.ptp(found.probabilities[:, 0]) > 0.01 and found.facts["prompts_cut"] == 0


def test_entities_are_asked_for_one_by_one(assistant, tmp_path):
    words = "Anna Lee left Rome with anna .".split()
    rows = [(words, ["B-PER", "I-PER", "O", "B-LOC", "O", "B-PER", "O"]), (["it", "rains", "."], ["O"] * 3)]
    split = Dataset.from_dict({"tokens": [row for row, _ in rows], "ner_tags": [tags for _, tags in rows]})
    task = NER(dataset=tiny.folder_of(DatasetDict(train=split, validation=split, test=split), tmp_path))
    loaded, stock = task.load(), pipeline("decision", model=assistant)
    found = Decision(assistant).answers(task, loaded)
    names = {"PER": "PER", "LOC": "LOC"}
    asked = task.ask_parts(loaded["test"][0], names)
    assert [prompt.instruction.split("'")[1] for prompt in asked] == ["Anna Lee", "Rome"]
    options = [stock(request_of(prompt.query, prompt))["answer"]["choice"] for prompt in asked]
    first, second = ({"none of these": None}.get(option, option) for option in options)
    expected = write_tags(words, [first, second])
    assert found.predictions == [expected, ["O"] * 3] and found.facts["prompts"] == 2
    assert task.join_parts(loaded["test"][0], names, ["PER", "none of these"]) == ["B-PER", "I-PER"] + ["O"] * 5


def test_a_row_that_is_too_long_loses_its_end_and_is_counted(assistant, task):
    tokenizer = tiny.byte_bpe()
    tokenizer.chat_template = CHAT
    prompt = Prompt("Which one?", (), "word " * 200, options=("one", "two"))
    whole = Questions(tokenizer, 10_000, assistant).tokenise(prompt)
    questions = Questions(tokenizer, 200, assistant)
    [cut] = questions.write([prompt])
    assert questions.cut == 1 and 190 < len(cut.context) <= 200 < len(whole)
    assert cut.context[:50] == whole[:50] and cut.context[-40:] == whole[-40:]
    with pytest.raises(UserError, match="the question alone has more than the 20 tokens"):
        Questions(tokenizer, 20, assistant).write([prompt])


def test_what_it_cannot_answer_is_refused(task):
    with pytest.raises(UserError, match="here they are written"):
        refuse_options(0, task.key)
    with pytest.raises(UserError, match="27 options: a decision has a letter for each option, 26 at most"):
        refuse_options(27, task.key)
    tokenizer = tiny.byte_bpe()
    with pytest.raises(UserError, match="no chat template"):
        Questions(tokenizer, 100, "plain")
    tokenizer.chat_template = "{{ raise_exception('roles must be poetry') }}"
    with pytest.raises(UserError, match="roles must be poetry"):
        Questions(tokenizer, 100, "poet").write([Prompt("Which one?", (), "a", options=("one", "two"))])


def test_it_is_made_from_the_flags(assistant):
    [made] = choose_baselines(RecipeArguments(baseline=["decision"], prompt_checkpoint=assistant))
    assert made == Decision(assistant)
    with pytest.raises(UserError, match="--prompt_checkpoint"):
        choose_baselines(RecipeArguments(baseline=["decision"]))
