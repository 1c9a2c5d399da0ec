"""Trains the bundled T5 from scratch: to restore reports and sentences that words were taken out of, on one CPU thread.

    python -m samples_source.make_t5

The text is drawn from the templates of the two samples of written text, with other draws than theirs: reports without
their summaries, and sentences of either language without their translations. Beside the checkpoint lie training.json,
what was run and measured, and README.md, the card that is rendered from it.
"""

import argparse
import json
import math
import platform
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path

import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast, T5Config, T5ForConditionalGeneration

from hfkit.progress import progress
from samples_source import make_reports, make_toy_language
from samples_source.make_reports import Draw
from samples_source.report_material import NAMES

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "t5"
PAD, END, UNKNOWN = "<pad>", "</s>", "<unk>"
GAPS = [f"<extra_id_{number}>" for number in range(20)]
HIDDEN_SHARE = 0.2  # of the words of a report
SPAN = 2  # words of a gap in the mean, of a report
RESTORED = 0.5  # share of rows in which a whole sentence is written again, of which words are missing
LOST = 0.25  # of its words
PEAK_LEARNING_RATE = 4e-3
WARM_UP = 0.1  # of the steps
HELD_OUT = 200  # rows
LONGEST = 256  # tokens


@dataclass(frozen=True)
class Settings:
    """The sizes and the length of training; every field is a flag."""

    vocabulary: int = 900  # tokens at most
    hidden: int = 96
    blocks: int = 3  # of the encoder, and as many of the decoder
    batch: int = 32
    steps: int = 1000
    seed: int = 0


def draw_text(draw: Draw) -> str:
    """A report without its summary, or a sentence in one of the two languages without its translation."""
    kind = draw.number(0, 3)
    if kind < 2:
        return make_reports.make_report(draw, NAMES["train"])["document"]
    return make_toy_language.make_pair(draw)["source" if kind == 2 else "target"]


def hide_spans(words: list[str], draw: Draw) -> tuple[str, str]:
    """A text with gaps, and what belongs into each (Raffel et al. 2020, figure 2)."""
    source, target, place, gap = [], [], 0, 0
    while place < len(words):
        if draw.random() < HIDDEN_SHARE / SPAN and gap < len(GAPS) - 1:
            length = draw.number(1, 2 * SPAN - 1)
            source.append(GAPS[gap])
            target += [GAPS[gap], *words[place : place + length]]
            place, gap = place + length, gap + 1
        else:
            source.append(words[place])
            place += 1
    return " ".join(source), " ".join([*target, GAPS[gap]])


def lose_words(words: list[str], draw: Draw) -> tuple[str, str]:
    """A text in which one mark stands for every lost word, and the whole text (Lewis et al. 2020)."""
    return " ".join(GAPS[-1] if draw.random() < LOST else word for word in words), " ".join(words)


def draw_rows(draw: Draw) -> Iterator[tuple[str, str]]:
    """Endless pairs of a text with gaps and what is to be written."""
    while True:
        text = draw_text(draw)
        if draw.random() < RESTORED:
            sentences = text.split(". ")
            yield lose_words(draw.choice(sentences).split(), draw)
        else:
            yield hide_spans(text.split(), draw)


def train_tokenizer(draw: Draw, vocabulary: int) -> PreTrainedTokenizerFast:
    """A Unigram tokenizer in the form of T5's, which ends every text."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace(), pre_tokenizers.Digits(True)])
    tokenizer.decoder = decoders.Metaspace()
    texts = [draw_text(draw) for _ in range(6000)]
    # Letters and marks that no template has are read as well.
    alphabet = [chr(code) for code in range(33, 127)]
    trainer = trainers.UnigramTrainer(
        vocab_size=vocabulary,
        special_tokens=[PAD, END, UNKNOWN, *GAPS],
        unk_token=UNKNOWN,
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, "summarize: translate English to Talu: "], trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single=f"$A {END}", special_tokens=[(END, 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        unk_token=UNKNOWN,
        additional_special_tokens=GAPS,
        model_max_length=LONGEST,
        clean_up_tokenization_spaces=False,
    )


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up to the peak, then a cosine down to nearly zero."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return PEAK_LEARNING_RATE * (step + 1) / warm_up
    return PEAK_LEARNING_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2)


def make_batch(rows: list[tuple[str, str]], tokenizer: PreTrainedTokenizerFast) -> dict[str, torch.Tensor]:
    batch = tokenizer([source for source, _ in rows], padding=True, return_tensors="pt")
    labels = tokenizer([target for _, target in rows], padding=True, return_tensors="pt")
    kept = {name: batch[name] for name in ("input_ids", "attention_mask")}
    return {**kept, "labels": labels["input_ids"].masked_fill(labels["attention_mask"] == 0, -100)}


def train(config: T5Config, tokenizer: PreTrainedTokenizerFast, settings: Settings) -> T5ForConditionalGeneration:
    """A new model after `settings.steps` steps."""
    torch.manual_seed(settings.seed)
    model = T5ForConditionalGeneration(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), betas=(0.9, 0.98), weight_decay=0.01)
    rows = draw_rows(Draw(f"pretraining {settings.seed}"))
    with progress("Training", settings.steps) as advance:
        for step in range(settings.steps):
            # Rows of similar length share a batch: four batches are drawn at once.
            if step % 4 == 0:
                drawn = sorted((next(rows) for _ in range(4 * settings.batch)), key=lambda row: len(row[0]))
            batch = make_batch(drawn[step % 4 * settings.batch :][: settings.batch], tokenizer)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings.steps)
            loss = model(**batch).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            advance(note=f"loss {loss.item():.3f}" if step % 100 == 0 else None)
    return model.eval()


@torch.no_grad()
def measure(model: T5ForConditionalGeneration, tokenizer: PreTrainedTokenizerFast) -> dict[str, float]:
    """The mean loss of a token, and the share of tokens that are right, on rows that training never drew."""
    rows = draw_rows(Draw("held out"))
    batch = make_batch([next(rows) for _ in range(HELD_OUT)], tokenizer)
    output, there = model(**batch), batch["labels"] != -100
    right = (output.logits.argmax(-1) == batch["labels"])[there].float().mean()
    return {"loss": round(output.loss.item(), 3), "accuracy": round(right.item(), 3), "tokens": int(there.sum())}


CARD = """---
license: apache-2.0
library_name: transformers
tags:
- t5
- synthetic-data
---

# sample-t5

A tiny T5 ({parameters:,} parameters) that hfkit trained from scratch, so that its recipes for written text run without
a download (`--checkpoint sample-t5`). It is made for trying the kit and for nothing else.

- {blocks} blocks of the encoder and {blocks} of the decoder, hidden size {hidden}, tied embeddings, stored in fp16.
- A Unigram tokenizer with {vocabulary} tokens, which reads numbers digit by digit.

## What it was trained on

Nothing but text that this project made: reports and sentences drawn from the templates of its two samples of written
text (`samples_source/report_material.py`, `toy_language_material.py`), with other draws than those of the samples. It
saw reports without their summaries, and sentences in English and in the made-up language Talu without translations. So
it knows the words and the sentences of the samples, but none of the answers: that is why fine-tuning on the samples
starts well, and why it says nothing about any other text.

## How it was trained

{steps:,} steps of {batch} rows: to fill gaps, and to write a sentence again of which a quarter of the words is missing.
It took {seconds:,} seconds on a CPU (threads: {threads}). On {held_out} rows that it never saw, {accuracy:.1%} of the
tokens of the answer are right, each given those before it.

```bash
{command}
```

Every number here comes from `training.json`, which that command wrote.
"""


def command_of(settings: Settings) -> str:
    changed = [
        f"--{field.name} {getattr(settings, field.name)}"
        for field in fields(Settings)
        if getattr(settings, field.name) != field.default
    ]
    return " ".join(["python -m samples_source.make_t5", *changed])


def make(output: Path, settings: Settings) -> None:
    """Train, and write the checkpoint, training.json and the card into `output`."""
    began = time.perf_counter()
    tokenizer = train_tokenizer(Draw("vocabulary"), settings.vocabulary)
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=settings.hidden,
        d_kv=settings.hidden // 4,
        d_ff=2 * settings.hidden,
        num_layers=settings.blocks,
        num_decoder_layers=settings.blocks,
        num_heads=4,
        relative_attention_num_buckets=32,
        dropout_rate=0.0,  # far more text than it can learn by heart
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        task_specific_params={
            "summarization": {"prefix": "summarize: "},
            "translation_en_to_talu": {"prefix": "translate English to Talu: "},
        },
    )
    model = train(config, tokenizer, settings)
    output.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(output)
    tokenizer.save_pretrained(output)
    # What is measured is what was stored, after the rounding to fp16.
    stored = T5ForConditionalGeneration.from_pretrained(output, dtype=torch.float32).eval()
    record = {
        **asdict(settings),
        "command": command_of(settings),
        "vocabulary": len(tokenizer),
        "held_out": HELD_OUT,
        **measure(stored, tokenizer),
        "parameters": sum(parameter.numel() for parameter in stored.parameters()),
        "threads": torch.get_num_threads(),
        "seconds": round(time.perf_counter() - began),
        "versions": {
            "python": platform.python_version(),
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (output / "README.md").write_text(CARD.format(**record), encoding="utf-8")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--output", type=Path, default=FOLDER)
    for field in fields(Settings):
        parser.add_argument(f"--{field.name}", type=int, default=field.default)
    given = vars(parser.parse_args(arguments))
    # The order of sums depends on the number of threads, and with it the last digits of the weights.
    torch.set_num_threads(1)
    make(given.pop("output"), Settings(**given))


if __name__ == "__main__":
    main()
