"""Tiny random models that read and write, of five architectures, and pairs of texts with a rule that can be learnt."""

import random
from pathlib import Path

import torch
from datasets import Dataset, DatasetDict
from tokenizers import decoders, processors
from transformers import (
    BartConfig,
    BartForConditionalGeneration,
    MarianConfig,
    MarianMTModel,
    MBartConfig,
    MBartForConditionalGeneration,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from tests.tiny.text import NOUNS, PEOPLE, PLACES, VERBS, unigram

ARCHITECTURES = ("t5", "bart", "marian", "pegasus", "mbart")
PREFIX = "anna likes "  # of words that the tokenizer knows


def make_model(architecture: str, vocabulary: int, *, layers: int = 2, hidden: int = 32) -> PreTrainedModel:
    """A random model; the same weights on every call."""
    torch.manual_seed(0)
    ids = {"pad_token_id": 0, "eos_token_id": 2, "vocab_size": vocabulary}
    if architecture == "t5":
        config = T5Config(
            d_model=hidden,
            d_kv=hidden // 2,
            d_ff=2 * hidden,
            num_layers=layers,
            num_decoder_layers=layers,
            num_heads=2,
            dropout_rate=0.0,
            decoder_start_token_id=0,
            task_specific_params={"summarization": {"prefix": PREFIX}},
            **ids,
        )
        return T5ForConditionalGeneration(config)
    classes = {
        "bart": (BartConfig, BartForConditionalGeneration),
        "marian": (MarianConfig, MarianMTModel),
        "pegasus": (PegasusConfig, PegasusForConditionalGeneration),
        "mbart": (MBartConfig, MBartForConditionalGeneration),
    }
    kind, model = classes[architecture]
    sizes = {"d_model": hidden, "encoder_layers": layers, "decoder_layers": layers, "max_position_embeddings": 64}
    sizes |= {f"{side}_{part}": n for side in ("encoder", "decoder") for part, n in
              (("attention_heads", 2), ("ffn_dim", 2 * hidden))}  # fmt: skip
    return model(kind(**sizes, **ids, bos_token_id=2, decoder_start_token_id=2, forced_eos_token_id=2))


def make_tokenizer() -> PreTrainedTokenizerFast:
    tokenizer = unigram()
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", special_tokens=[("</s>", 2)]
    )
    tokenizer.backend_tokenizer.decoder = decoders.Metaspace()
    return tokenizer


def writer(folder: Path, architecture: str = "t5", **sizes: int) -> str:
    """A random model with its tokenizer, saved to `folder`."""
    tokenizer = make_tokenizer()
    make_model(architecture, len(tokenizer), **sizes).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def pairs(rows: int, seed: int) -> list[dict]:
    """Sentences, and in their summaries who it was and where."""
    draw = random.Random(seed)
    found = []
    for _ in range(rows):
        who, where = draw.choice(PEOPLE), draw.choice(PLACES)
        extra = [f"{draw.choice(PEOPLE)} {draw.choice(VERBS)} {draw.choice(NOUNS)}" for _ in range(draw.randrange(3))]
        text = " . ".join([f"{who} {draw.choice(VERBS)} {draw.choice(NOUNS)} in {where}", *extra])
        found.append({"document": f"{text} .", "summary": f"{who} in {where}"})
    return found


def pair_splits(train: int = 64, validation: int = 16, test: int = 16) -> DatasetDict:
    """The sentences as a DatasetDict of `document` and `summary`."""
    sizes = {"train": train, "validation": validation, "test": test}
    return DatasetDict({split: Dataset.from_list(pairs(n, seed)) for seed, (split, n) in enumerate(sizes.items())})


def pair_folder(folder: Path, **sizes: int) -> str:
    """The same as parquet files, one per split, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in pair_splits(**sizes).items():
        rows.to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)
