"""Trains the bundled GPT-2 from scratch: byte-level BPE, four blocks, openly licensed English, one CPU thread.

    python -m samples_source.make_gpt2 --text tatoeba_en_de/train.parquet tiny_shakespeare/train.parquet \
        --output hfkit/samples/gpt2

The text stays outside the project. Beside the checkpoint lie training.json, what was run and measured, and README.md,
the card that is rendered from it.
"""

import argparse
import json
import math
import platform
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import pyarrow.parquet
import tokenizers
import torch
import transformers
from tokenizers import Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel
from tokenizers.trainers import BpeTrainer
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

from hfkit.errors import UserError
from hfkit.progress import progress
from hfkit.runtime.commands import ANEW, run
from samples_source.gpt2_card import render_card

END = "<|endoftext|>"  # begins and ends every text, and pads
BLOCK = 128  # tokens: the positions of the model, and the length of every training sequence
HELD_OUT = 0.02  # of the texts of every source
PEAK_LEARNING_RATE = 4e-3
WARM_UP = 0.05  # of the steps
WEIGHT_DECAY = 0.1


@dataclass(frozen=True)
class Source:
    """The origin of a folder of text, and the way from one row of its parquet file to one text."""

    text: Callable[[dict[str, Any]], str]
    licence: str
    credit: str


SOURCES = {
    "gsm8k": Source(
        lambda row: row["question"],
        "MIT",
        "questions of GSM8K, copyright OpenAI (github.com/openai/grade-school-math)",
    ),
    "scitldr_a": Source(
        lambda row: " ".join(row["source"]),
        "Apache-2.0",
        "abstracts in SciTLDR, Allen Institute for AI (github.com/allenai/scitldr)",
    ),
    "self_instruct_human": Source(
        lambda row: "\n".join(part for part in (row["instruction"], row["input"], row["output"]) if part),
        "Apache-2.0",
        "the human-written seed tasks of Self-Instruct (github.com/yizhongw/self-instruct)",
    ),
    "tatoeba_en_de": Source(
        lambda row: row["translation"]["en"],
        "CC BY 2.0",
        "English sentences of the Tatoeba Project (tatoeba.org), by way of manythings.org/anki",
    ),
    "tiny_shakespeare": Source(
        lambda row: row["text"],
        "public domain",
        "speeches from plays of William Shakespeare (github.com/karpathy/char-rnn)",
    ),
}


@dataclass(frozen=True)
class Settings:
    """The sizes and the length of training; every field is a flag."""

    vocabulary: int = 3000  # tokens, END among them
    hidden: int = 80
    blocks: int = 4
    heads: int = 4
    batch: int = 16  # sequences of BLOCK tokens
    steps: int = 10_000
    seed: int = 0


def read_texts(path: Path) -> list[str]:
    """The texts of a file, each once, in order: the lines of a .txt, or the rows of a .parquet of a known source.

    Raises:
        UserError: the file is missing, or is neither of the two, or too short to hold anything out.
    """
    if not path.is_file():
        raise UserError(f"--text {path}", "it is not a file", "Check the path")
    if path.suffix == ".txt":
        texts = path.read_text(encoding="utf-8").splitlines()
    elif path.suffix == ".parquet" and path.parent.name in SOURCES:
        texts = [SOURCES[path.parent.name].text(row) for row in pyarrow.parquet.read_table(path).to_pylist()]
    else:
        raise UserError(
            f"--text {path}",
            f"it must be a .txt with one text a line, or a .parquet in a folder named {', '.join(SOURCES)}",
            "Write the texts to a .txt",
        )
    # A text that comes twice could be learnt in training and asked for in validation.
    texts = list(dict.fromkeys(text.strip() for text in texts if text.strip()))
    if len(texts) < 2:
        raise UserError(f"--text {path}", f"{len(texts)} texts, and one is held out", "Give a longer file")
    return texts


def hold_out(texts: list[str], seed: int) -> tuple[list[str], list[str]]:
    """(training, validation) texts; at least one is held out."""
    chosen = set(Random(seed).sample(range(len(texts)), max(1, round(HELD_OUT * len(texts)))))
    return (
        [text for row, text in enumerate(texts) if row not in chosen],
        [text for row, text in enumerate(texts) if row in chosen],
    )


def train_tokenizer(texts: Iterable[str], vocabulary: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with `END` as token 0; it has fewer than `vocabulary` tokens if the text is short."""
    bpe = Tokenizer(BPE())
    bpe.pre_tokenizer = ByteLevel(add_prefix_space=False)
    bpe.decoder = ByteLevelDecoder()
    alphabet = ByteLevel.alphabet()  # every byte, so that no text is out of vocabulary
    trainer = BpeTrainer(vocab_size=vocabulary, special_tokens=[END], initial_alphabet=alphabet, show_progress=False)
    bpe.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=END,
        eos_token=END,
        pad_token=END,
        model_max_length=BLOCK,
        padding_side="right",
        clean_up_tokenization_spaces=False,
    )


def encode(tokenizer: PreTrainedTokenizerFast, texts: list[str]) -> list[list[int]]:
    # Long texts are cut into blocks later, so the tokenizer's warning about them is not for us.
    return tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]


def repeat_forever(rows: list[list[int]], end: int, generator: torch.Generator) -> Iterator[int]:
    """The tokens of all rows, endlessly and in a new order each time, with `end` before every row."""
    while True:
        for row in torch.randperm(len(rows), generator=generator).tolist():
            yield end
            yield from rows[row]


def learning_rate(step: int, steps: int) -> float:
    """Linear warm-up to the peak, then a cosine down to nearly zero."""
    warm_up = max(1, round(WARM_UP * steps))
    if step < warm_up:
        return PEAK_LEARNING_RATE * (step + 1) / warm_up
    return PEAK_LEARNING_RATE * (0.01 + 0.99 * (1 + math.cos(math.pi * (step - warm_up) / (steps - warm_up))) / 2)


def train(rows: list[list[int]], end: int, config: GPT2Config, settings: Settings) -> GPT2LMHeadModel:
    """A new model after `settings.steps` steps of next-token prediction on `rows` of token ids."""
    torch.manual_seed(settings.seed)
    model = GPT2LMHeadModel(config).train()
    matrices = [parameter for parameter in model.parameters() if parameter.ndim > 1]
    vectors = [parameter for parameter in model.parameters() if parameter.ndim == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": WEIGHT_DECAY}, {"params": vectors, "weight_decay": 0.0}],
        betas=(0.9, 0.95),
    )
    stream = repeat_forever(rows, end, torch.Generator().manual_seed(settings.seed))
    with progress("Training", settings.steps) as advance:
        for step in range(settings.steps):
            ids = torch.tensor(list(islice(stream, settings.batch * BLOCK))).view(settings.batch, BLOCK)
            for group in optimizer.param_groups:
                group["lr"] = learning_rate(step, settings.steps)
            loss = model(input_ids=ids, labels=ids).loss
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            advance(note=f"loss {loss.item():.3f}" if step % 100 == 0 else None)
    return model.eval()


@torch.no_grad()
def token_losses(model: GPT2LMHeadModel, rows: list[list[int]], end: int) -> tuple[list[float], list[int]]:
    """(nats, token) of every token of `rows` and of the `end` after each; a long row is read in several blocks."""
    losses: list[float] = []
    targets: list[int] = []
    for row in rows:
        ids = [end, *row, end]
        for start in range(0, len(ids) - 1, BLOCK - 1):
            piece = torch.tensor(ids[start : start + BLOCK])
            logits = model(input_ids=piece[None]).logits[0, :-1].float()  # (tokens, vocabulary)
            losses += torch.nn.functional.cross_entropy(logits, piece[1:], reduction="none").tolist()
            targets += piece[1:].tolist()
    return losses, targets


def unigram_losses(targets: list[int], rows: list[list[int]], end: int, vocabulary: int) -> list[float]:
    """Nats of every target under the frequencies of training tokens, one added to each count."""
    counts = Counter({end: len(rows)})
    for row in rows:
        counts.update(row)
    total = counts.total() + vocabulary
    return [-math.log((counts[token] + 1) / total) for token in targets]


def quality(losses: list[float], unigram: list[float], texts: list[str]) -> dict[str, float]:
    """Perplexity per token and bits per byte of text, of the model and of the unigram baseline."""
    size = sum(len(text.encode()) for text in texts)
    return {
        "texts": len(texts),
        "tokens": len(losses),
        "perplexity": round(math.exp(sum(losses) / len(losses)), 2),
        "unigram_perplexity": round(math.exp(sum(unigram) / len(unigram)), 2),
        "bits_per_byte": round(sum(losses) / math.log(2) / size, 3),
        "unigram_bits_per_byte": round(sum(unigram) / math.log(2) / size, 3),
    }


def measure(
    model: GPT2LMHeadModel,
    tokenizer: PreTrainedTokenizerFast,
    splits: dict[Path, tuple[list[str], list[str]]],
    rows: list[list[int]],
) -> tuple[list[dict[str, Any]], dict[str, float]]:
    """Every source with the quality on its held-out texts, and the quality on all; `rows` are the training rows."""
    end = tokenizer.eos_token_id
    sources, all_losses, all_unigram, all_texts = [], [], [], []
    for path, (training, held_out) in splits.items():
        losses, targets = token_losses(model, encode(tokenizer, held_out), end)
        unigram = unigram_losses(targets, rows, end, len(tokenizer))
        source = SOURCES.get(path.parent.name)
        sources.append(
            {
                "name": place_of(path),
                "credit": source.credit if source else "not stated",
                "licence": source.licence if source else "not stated",
                "texts": len(training),
                "characters": sum(map(len, training)),
                "validation": quality(losses, unigram, held_out),
            }
        )
        all_losses, all_unigram, all_texts = all_losses + losses, all_unigram + unigram, all_texts + held_out
    return sources, quality(all_losses, all_unigram, all_texts)


def place_of(path: Path) -> str:
    """A file without the folders of this machine: 'tiny_shakespeare/train.parquet'."""
    return f"{path.parent.name}/{path.name}"


def command_of(paths: list[Path], output: Path, settings: Settings) -> str:
    """The command that trains the same model, without the folders of this machine."""
    changed = [
        f"--{field.name} {getattr(settings, field.name)}"
        for field in fields(Settings)
        if getattr(settings, field.name) != field.default
    ]
    places = " ".join(place_of(path) for path in paths)
    folder = output.name if output.is_absolute() else output.as_posix()
    return " ".join(["python -m samples_source.make_gpt2 --text", places, "--output", folder, *changed])


def make(paths: list[Path], output: Path, settings: Settings) -> None:
    """Train on the texts of `paths` and write the checkpoint, training.json and the card into `output`.

    Raises:
        UserError: a file cannot be used.
    """
    began = time.perf_counter()
    splits = {path: hold_out(read_texts(path), settings.seed) for path in paths}
    texts = [text for training, _ in splits.values() for text in training]
    tokenizer = train_tokenizer(texts, settings.vocabulary)
    end = tokenizer.eos_token_id
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=BLOCK,
        n_embd=settings.hidden,
        n_layer=settings.blocks,
        n_head=settings.heads,
        # Far more text than the model can learn by heart; whoever fine-tunes sets dropout in the config.
        resid_pdrop=0.0,
        embd_pdrop=0.0,
        attn_pdrop=0.0,
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
    )
    rows = encode(tokenizer, texts)
    model = train(rows, end, config, settings)
    output.mkdir(parents=True, exist_ok=True)
    model.half().save_pretrained(output)
    tokenizer.save_pretrained(output)

    # What is measured is what was stored, after the rounding to fp16.
    stored = GPT2LMHeadModel.from_pretrained(output, dtype=torch.float32).eval()
    sources, everything = measure(stored, tokenizer, splits, rows)
    record = {
        "command": command_of(paths, output, settings),
        "settings": {**asdict(settings), "vocabulary": len(tokenizer), "positions": BLOCK, "held_out": HELD_OUT},
        "optimizer": {
            "name": "AdamW",
            "peak_learning_rate": PEAK_LEARNING_RATE,
            "warm_up": WARM_UP,
            "weight_decay": WEIGHT_DECAY,
        },
        "sources": sources,
        "parameters": sum(parameter.numel() for parameter in stored.parameters()),
        "tokens_in_training_text": sum(map(len, rows)) + len(rows),
        "tokens_trained_on": settings.steps * settings.batch * BLOCK,
        "validation": everything,
        "threads": torch.get_num_threads(),
        "seconds": round(time.perf_counter() - began, 1),
        "versions": {
            "python": platform.python_version(),
            "tokenizers": tokenizers.__version__,
            "torch": torch.__version__,
            "transformers": transformers.__version__,
        },
    }
    (output / "training.json").write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    (output / "README.md").write_text(render_card(record), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, nargs="+", required=True, help=".txt, or .parquet of a known source")
    parser.add_argument("--output", type=Path, required=True)
    for field in fields(Settings):
        parser.add_argument(f"--{field.name}", type=int, default=field.default)
    arguments = parser.parse_args()
    # The order of sums depends on the number of threads, and with it the last digits of the weights.
    torch.set_num_threads(1)
    settings = Settings(**{field.name: getattr(arguments, field.name) for field in fields(Settings)})
    make(arguments.text, arguments.output, settings)


if __name__ == "__main__":
    run(main, ANEW)
