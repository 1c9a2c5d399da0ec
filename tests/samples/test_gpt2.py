"""The bundled GPT-2: loads without hfkit, knows some English, and the program that trained it works and repeats."""

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)

from hfkit.errors import UserError
from samples_source.gpt2_card import render_card
from samples_source.make_gpt2 import BLOCK, Settings, hold_out, make, read_texts, token_losses

GPT2 = Path(__file__).parents[2] / "hfkit" / "samples" / "gpt2"
SENTENCES = [
    "I don't know what you want me to say.",
    "She bought three books for her brother yesterday.",
    "We were late because the train had stopped.",
    "How many of the children have a red apple?",
    "The results show that the new method works well.",
]
WORDS = ["the", "old", "tree", "a", "small", "bird", "sings", "over", "green", "hills", "and", "rivers"]
FAST = Settings(vocabulary=300, hidden=16, blocks=2, heads=2, batch=2, steps=12)


def text_file(folder: Path) -> Path:
    """A file of 50 lines in `folder`, no two the same."""
    lines = [" ".join(WORDS[(row * step + step) % len(WORDS)] for step in range(1, 9)) for row in range(50)]
    path = folder / "lines.txt"
    path.write_text("\n".join(f"{line} {row}" for row, line in enumerate(lines)), encoding="utf-8")
    return path


def test_it_loads_as_a_classifier_with_only_the_head_missing():
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        GPT2, num_labels=2, dtype=torch.float32, output_loading_info=True
    )
    assert set(loading["missing_keys"]) == {"score.weight"}
    assert not loading["unexpected_keys"] and not loading["mismatched_keys"]
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_padding_does_not_change_what_the_classifier_says():
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(GPT2, num_labels=2, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(GPT2)
    with torch.no_grad():
        together = model(**tokenizer(SENTENCES, padding=True, return_tensors="pt")).logits
        alone = torch.cat([model(**tokenizer(sentence, return_tensors="pt")).logits for sentence in SENTENCES])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)
    assert together.std(0).min() > 0  # it reads the sentence


@pytest.mark.parametrize(
    "text", [*SENTENCES, "  two spaces,\ta tab\nand a line", "Grüße, 東京 🙂", "x = [1, 2]; don't!"]
)
def test_the_tokenizer_gives_any_text_back(text):
    tokenizer = AutoTokenizer.from_pretrained(GPT2)
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_one_token_begins_ends_and_pads():
    tokenizer, config = AutoTokenizer.from_pretrained(GPT2), AutoConfig.from_pretrained(GPT2)
    assert {tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token} == {"<|endoftext|>"}
    assert {config.bos_token_id, config.eos_token_id, config.pad_token_id} == {tokenizer.pad_token_id}
    assert len(tokenizer) == config.vocab_size and tokenizer.model_max_length == config.n_positions == BLOCK


def test_it_is_small_enough_to_ship():
    assert (GPT2 / "model.safetensors").stat().st_size <= 1_200_000
    assert sum(path.stat().st_size for path in GPT2.iterdir()) <= 1_500_000
    with safe_open(GPT2 / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(name).dtype for name in weights.keys()} == {torch.float16}


def test_it_predicts_english_far_better_than_random_weights():
    tokenizer = AutoTokenizer.from_pretrained(GPT2)
    trained = AutoModelForCausalLM.from_pretrained(GPT2, dtype=torch.float32).eval()
    torch.manual_seed(0)
    untrained = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(GPT2), dtype=torch.float32).eval()
    for sentence in SENTENCES:
        rows = tokenizer([sentence])["input_ids"]
        losses = [token_losses(model, rows, tokenizer.eos_token_id)[0] for model in (trained, untrained)]
        known, random = (sum(nats) / len(nats) for nats in losses)
        assert known < random - 2, sentence


def test_the_card_says_what_training_wrote_and_no_path_of_a_machine():
    text = (GPT2 / "training.json").read_text(encoding="utf-8")
    record = json.loads(text)
    assert (GPT2 / "README.md").read_text(encoding="utf-8") == render_card(record)
    assert not [word for word in record["command"].split() if word.startswith(("/", "~", ".."))]
    assert record["validation"]["perplexity"] < record["validation"]["unigram_perplexity"] / 4
    assert all(source["licence"] in render_card(record) for source in record["sources"])


def test_no_source_asks_for_the_same_licence_or_is_one_recipes_are_judged_on():
    record = json.loads((GPT2 / "training.json").read_text(encoding="utf-8"))
    for source in record["sources"]:
        assert source["licence"] in {"Apache-2.0", "CC BY 2.0", "MIT", "public domain"}
        assert source["name"].endswith("train.parquet") and "sentiment" not in source["name"]


def test_the_program_runs_and_repeats(tmp_path):
    text = text_file(tmp_path)
    for name, settings in (("a", FAST), ("b", FAST), ("c", replace(FAST, seed=1))):
        make([text], tmp_path / name, settings)
    a, b, c = (tmp_path / name for name in "abc")
    for file in ("model.safetensors", "tokenizer.json", "config.json"):
        assert (a / file).read_bytes() == (b / file).read_bytes(), file
    assert (a / "model.safetensors").read_bytes() != (c / "model.safetensors").read_bytes()
    record = json.loads((a / "training.json").read_text())
    assert record["sources"][0]["texts"] == 49 and record["validation"]["texts"] == 1
    assert math.isfinite(record["validation"]["perplexity"])
    assert str(tmp_path) not in (a / "training.json").read_text() + (a / "README.md").read_text()
    AutoModelForCausalLM.from_pretrained(a, dtype=torch.float32)
    assert AutoTokenizer.from_pretrained(a).pad_token_id == 0


def test_nothing_held_out_is_trained_on(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("\n".join(["the same line"] * 30 + [f"line {row}" for row in range(100)]))
    training, held_out = hold_out(read_texts(path), seed=0)
    assert len(held_out) == 2 and len(training) == 99
    assert not set(training) & set(held_out)


def test_text_that_cannot_be_used_is_named(tmp_path):
    (tmp_path / "one.txt").write_text("alone\n\n")
    (tmp_path / "rows.parquet").write_bytes(b"")
    for name, why in (("none.txt", "not a file"), ("one.txt", "1 texts"), ("rows.parquet", "must be a .txt")):
        with pytest.raises(UserError, match=why):
            read_texts(tmp_path / name)
