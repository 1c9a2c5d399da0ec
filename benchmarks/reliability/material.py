"""Tiny rows and random checkpoints on which a run takes seconds."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image, ImageDraw
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import (
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    ResNetConfig,
    ResNetForImageClassification,
    ViTImageProcessor,
)

PEOPLE, PLACES = ["anna", "boris", "carla", "dmitri"], ["paris", "lima", "oslo", "cairo"]
LIKED, DISLIKED, THINGS = ["likes", "painted"], ["left", "saw"], ["rain", "bread", "music", "snow"]
COLOURS = {"blue": (30, 40, 200), "red": (210, 40, 30)}
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
ROWS = {"train": 96, "validation": 24, "test": 24}
PICTURES = {"train": 8, "validation": 3, "test": 3}  # of each colour


def make_material(folder: Path) -> None:
    """Write bert/, resnet/, ner/, reviews/ and images/ into a folder, once."""
    if (folder / "whole").exists():
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    save_bert(folder / "bert")
    save_resnet(folder / "resnet")
    write_rows(folder / "ner", draw_sentence)
    write_rows(folder / "reviews", draw_review)
    draw_pictures(folder / "images")
    (folder / "whole").touch()


def save_bert(folder: Path) -> None:
    words = [*SPECIAL, *PEOPLE, *PLACES, *LIKED, *DISLIKED, *THINGS, "in", "."]
    letters = [chr(number) for number in range(33, 127)]
    vocabulary = dict.fromkeys([*words, *letters, *(f"##{letter}" for letter in letters)])
    tokenizer = Tokenizer(models.WordPiece({word: i for i, word in enumerate(vocabulary)}, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=64, **names).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=32,
        num_hidden_layers=4,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=64,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)


def save_resnet(folder: Path) -> None:
    torch.manual_seed(0)
    sizes = {"embedding_size": 8, "hidden_sizes": [8, 16], "depths": [1, 1], "layer_type": "basic"}
    ResNetForImageClassification(ResNetConfig(**sizes)).save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)


def draw_sentence(draw: random.Random) -> dict:
    """Words and tags with a rule that can be learnt."""
    verb, thing = draw.choice(LIKED + DISLIKED), draw.choice(THINGS)
    words, tags = [draw.choice(PEOPLE), verb, thing], ["B-PER", "O", "O"]
    if draw.random() < 0.7:
        words, tags = [*words, "in", draw.choice(PLACES)], [*tags, "O", "B-LOC"]
    return {"tokens": [*words, "."], "tags": [*tags, "O"]}


def draw_review(draw: random.Random) -> dict:
    """A text and its label with a rule that can be learnt."""
    label = draw.choice(["negative", "positive"])
    verb = draw.choice(LIKED if label == "positive" else DISLIKED)
    return {"text": f"{draw.choice(PEOPLE)} {verb} {draw.choice(THINGS)}.", "label": label}


def write_rows(folder: Path, draw_row: Callable[[random.Random], dict]) -> None:
    folder.mkdir()
    for seed, (split, count) in enumerate(ROWS.items()):
        draw = random.Random(seed)
        lines = [json.dumps(draw_row(draw)) + "\n" for _ in range(count)]
        (folder / f"{split}.jsonl").write_text("".join(lines))


def draw_pictures(folder: Path) -> None:
    """`train/red/0.png` and so on: noise with a disc in the colour of its class."""
    for split, count in PICTURES.items():
        for colour, rgb in COLOURS.items():
            (folder / split / colour).mkdir(parents=True)
            for number in range(count):
                draw = random.Random(f"{split} {colour} {number}")
                image = Image.frombytes("RGB", (40, 36), draw.randbytes(40 * 36 * 3))
                x, y = draw.randrange(4, 20), draw.randrange(4, 18)
                ImageDraw.Draw(image).ellipse((x, y, x + 14, y + 14), fill=rgb)
                image.save(folder / split / colour / f"{number}.png")
