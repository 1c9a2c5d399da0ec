"""Language modelling: every token counts once, rows of training are shared, and what is lost is told."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.utils.data import DataLoader

from hfkit.contract.answering import join_batches, to_array
from hfkit.data.batches import rows_to_fetch
from hfkit.errors import DataError, UserError
from hfkit.tasks import LanguageModelling
from hfkit.tasks.language.codec import Document
from hfkit.tasks.language.text_view import TEXT
from tests.tiny import text as tiny
from tests.tiny.language import causal, documents, write_rows


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return causal("GPT-2", tmp_path_factory.mktemp("gpt2"))


def encode(checkpoint, texts, split="test", **flags):
    task = LanguageModelling(**flags)
    codec = task.codec(checkpoint, task.guess_target(0))
    return codec, codec.encode(Dataset.from_dict({"text": texts}), split=split, answers=True)


def likelihoods(codec, model, encoded, batch=4):
    loader = DataLoader(rows_to_fetch(encoded), batch_size=batch, collate_fn=codec.collate)
    with torch.no_grad():
        pieces = [{name: to_array(value) for name, value in codec.outputs(model, one).items()} for one in loader]
    return codec.decode(join_batches(pieces), encoded)


@pytest.mark.parametrize(("longest", "stride"), [(64, None), (16, 0), (16, 5), (3, 2)])
def test_every_token_of_a_long_document_is_predicted_once(checkpoint, longest, stride):
    texts = [" ".join(documents(12, 0)), "anna saw oslo"]
    codec, encoded = encode(checkpoint, texts, max_length=longest, stride=stride)
    tokens = codec.tokenize(texts, "")
    predicted = {0: [], 1: []}
    for row in encoded:
        predicted[row["row"]] += [label for label in row["labels"] if label != -100]
        assert len(row["input_ids"]) <= longest
    assert [predicted[0], predicted[1]] == tokens


def test_training_predicts_the_same_tokens_and_the_end_of_every_document(checkpoint):
    texts = documents(30, 0, most=9)
    codec, encoded = encode(checkpoint, texts, split="train", max_length=32)
    labels = [label for row in encoded["labels"] for label in row if label != -100]
    end = codec.processor.eos_token_id
    assert sorted(labels) == sorted(token for ids in codec.tokenize(texts, "") for token in [*ids, end])
    assert codec.facts(encoded)["empty_share"] < 0.05


def test_documents_are_as_likely_in_a_shared_row_as_alone(checkpoint):
    texts = documents(20, 0)
    codec, packed = encode(checkpoint, texts, split="train")
    model = codec.model().eval()
    together = likelihoods(codec, model, packed, 3)
    ended = [codec.processor.eos_token_id]
    alone = []
    for ids in codec.tokenize(texts, ""):
        row = [codec.start, *ids, *ended]
        one = codec.lay_out([Document(0, row, [True] * len(row))], "", together=False, shared=0)
        alone += likelihoods(codec, model, one)
    assert [one["tokens"] for one in together] == [one["tokens"] for one in alone]
    np.testing.assert_allclose([one["nats"] for one in together], [one["nats"] for one in alone], rtol=1e-5)


def test_paragraphs_of_a_plain_text_are_documents(tmp_path, capsys):
    book = "\n\n".join("\n".join(documents(2, seed)) for seed in range(20))
    (tmp_path / "book.txt").write_text(book)
    rows = LanguageModelling(dataset=str(tmp_path / "book.txt")).load()
    assert "20 paragraphs" in capsys.readouterr().out
    assert sum(map(len, rows.splits.values())) == 20 and "\n" in rows["test"]["text"][0]
    lines = LanguageModelling(dataset=str(tmp_path / "book.txt"), split_documents="lines").load()
    assert sum(map(len, lines.splits.values())) == 40


def test_an_empty_text_is_a_fault(tmp_path):
    folder = write_rows(tmp_path / "rows", "text", lambda rows, seed: [*documents(rows - 1, seed), " "])
    with pytest.raises(DataError, match="every row has a text"):
        LanguageModelling(dataset=folder).load()
    assert len(LanguageModelling(dataset=folder, on_bad_row="skip").load()["train"]) == 23


def test_characters_that_the_tokenizer_loses_are_counted(tmp_path, capsys):
    encode(causal("Gemma", tmp_path), ["anna saw 雪 and 雪", "boris left oslo"])
    assert "no token for 2 characters ('雪' 2)" in capsys.readouterr().out


def test_bytes_lose_nothing(checkpoint, capsys):
    encode(checkpoint, ["anna saw 雪 and ß\x00\u200d"])
    assert "no token" not in capsys.readouterr().out


def test_a_model_that_reads_both_ways_is_refused(tmp_path):
    task = LanguageModelling()
    codec = task.codec(tiny.bert(tmp_path), task.guess_target(0))
    with pytest.raises(UserError, match="from left to right"):
        codec.model()


def test_a_model_that_cannot_keep_documents_apart_reads_one_a_row(tmp_path, capsys):
    codec, encoded = encode(causal("BLOOM", tmp_path), documents(6, 0), split="train")
    assert "one document a row" in capsys.readouterr().out and len(encoded) == 6
    assert np.isfinite([one["nats"] for one in likelihoods(codec, codec.model().eval(), encoded)]).all()


@pytest.mark.parametrize(("flags", "rule"), [({"max_length": 65}, "at most the 64"), ({"stride": 64}, "fewer tokens")])
def test_lengths_that_do_not_fit_are_refused(checkpoint, flags, rule):
    with pytest.raises(UserError, match=rule):
        encode(checkpoint, ["anna"], **flags)


@pytest.mark.slow
def test_the_snippet_says_the_bits_that_predict_says(checkpoint):
    task = LanguageModelling()
    codec = task.codec(checkpoint, task.guess_target(0))
    encoded = encode(checkpoint, [TEXT])[1]
    (answer,) = likelihoods(codec, codec.model().eval(), encoded)
    code = task.view.snippet(checkpoint, task.guess_target(0), [], {})
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert abs(float(said.split()[0]) - task.view.record(answer, {"text": TEXT})["bits_per_byte"]) < 1e-3
