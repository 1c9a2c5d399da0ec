"""The samples of written text keep their promises, and the T5 that was trained for them loads without hfkit."""

import json
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer

from hfkit.baselines.copying import split_sentences
from hfkit.samples.reports import sample_reports
from hfkit.samples.toy_language import sample_toy_language
from samples_source import make_reports, make_toy_language
from samples_source.make_t5 import CARD, Settings, make, measure

SAMPLES = Path(__file__).parents[2] / "hfkit" / "samples"


@pytest.mark.parametrize("program", [make_reports, make_toy_language])
def test_the_programs_write_the_committed_files(program, tmp_path):
    program.write(tmp_path)
    for split in ("train", "validation", "test"):
        assert (tmp_path / f"{split}.jsonl").read_bytes() == (program.FOLDER / f"{split}.jsonl").read_bytes()
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 200_000


def test_no_summary_stands_in_its_report():
    for rows in sample_reports().values():
        for row in rows:
            assert row["summary"] not in row["document"] and "{" not in row["document"] + row["summary"]
            assert 2 <= len(split_sentences(row["document"])) <= 6


def test_the_words_of_test_are_in_train_and_its_sentences_are_not():
    splits = sample_toy_language()
    for side in ("source", "target"):
        known = {word.strip(".?").lower() for text in splits["train"][side] for word in text.split()}
        asked = {word.strip(".?").lower() for text in splits["test"][side] for word in text.split()}
        assert len(asked - known) <= 2  # of a plural with a prefix there are many
    assert not set(splits["train"]["source"]) & set(splits["test"]["source"])


def test_the_t5_is_what_its_card_says():
    model = AutoModelForSeq2SeqLM.from_pretrained(SAMPLES / "t5", dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(SAMPLES / "t5")
    record = json.loads((SAMPLES / "t5" / "training.json").read_text())
    assert (SAMPLES / "t5" / "README.md").read_text() == CARD.format(**record)
    assert (SAMPLES / "t5" / "model.safetensors").stat().st_size < 3_000_000
    # What its card says of it holds for the weights as they are stored.
    assert measure(model, tokenizer)["accuracy"] == pytest.approx(record["accuracy"], abs=0.005)
    assert record["accuracy"] > 0.6


@pytest.mark.slow
def test_training_it_repeats(tmp_path):
    settings = Settings(vocabulary=400, hidden=16, blocks=1, batch=4, steps=6)
    for folder in ("one", "two"):
        make(tmp_path / folder, settings)
    one, two = ((tmp_path / folder / "model.safetensors").read_bytes() for folder in ("one", "two"))
    assert one == two
