"""Tiny causal language models with random weights, and documents and conversations in memory."""

import json
import random
from pathlib import Path

import torch
import transformers as hf
from transformers import AutoModelForCausalLM

from tests.tiny import text as tiny
from tests.tiny.families import DECODER, FAMILIES, OTHERS

KNOWN = {family.name: family for family in (*FAMILIES, *OTHERS)}
CAUSAL = ("GPT-2", "Llama", "Qwen3", "Gemma", "Gemma 3")


def config_of(name: str) -> hf.PreTrainedConfig:
    if name == "Gemma 3":  # three layers of which the first two see a few tokens only
        kinds = ["sliding_attention", "sliding_attention", "full_attention"]
        return hf.Gemma3TextConfig(**DECODER, sliding_window=4, layer_types=kinds)
    return KNOWN[name].config()


def causal(name: str, folder: Path, **settings: object) -> str:
    """A random causal model of a family with its tokenizer, saved to `folder`; the same weights on every call."""
    tokenizer, config = KNOWN[name].processor(), config_of(name)
    config.vocab_size = len(tokenizer)
    for kind in ("pad", "bos", "eos"):
        setattr(config, f"{kind}_token_id", getattr(tokenizer, f"{kind}_token_id"))
    config.update(settings)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4)  # so that what a token sees shows in its logits
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def documents(rows: int, seed: int, most: int = 3) -> list[str]:
    """Texts of one to `most` sentences."""
    draw, sentences = random.Random(seed), [" ".join(row["tokens"]) for row in tiny.ner_rows(most * rows, seed)]
    return [" ".join(sentences[most * row :][: draw.randint(1, most)]) for row in range(rows)]


def conversations(rows: int, seed: int) -> list[list[dict[str, str]]]:
    """One or two questions with a short answer each, some behind a message of the system."""
    draw, found = random.Random(seed), []
    for _ in range(rows):
        messages = [{"role": "system", "content": "be short."}] if draw.random() < 0.3 else []
        for _ in range(draw.randint(1, 2)):
            person, place = draw.choice(tiny.PEOPLE), draw.choice(tiny.PLACES)
            messages.append({"role": "user", "content": f"{person} left {place}. who left?"})
            messages.append({"role": "assistant", "content": f"{person}."})
        found.append(messages)
    return found


def write_rows(folder: Path, column: str, make: object, sizes: tuple[int, int, int] = (24, 8, 10)) -> str:
    """A folder of JSON lines for train, validation and test."""
    folder.mkdir()
    for seed, (split, rows) in enumerate(zip(("train", "validation", "test"), sizes, strict=True)):
        lines = [json.dumps({column: value}) for value in make(rows, seed)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return str(folder)
