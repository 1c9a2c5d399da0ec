"""Writes the sample corpus for part-of-speech tagging: templates and words of `pos_material`, a fixed seed, JSON lines.

Run it as `python -m samples_source.make_pos` after a change of the material, and commit what it wrote.
"""

import json
import re
from pathlib import Path
from random import Random

from samples_source.pos_material import EVERYDAY, HELD_OUT, SHARED, TAGS, USUAL, WORDS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "pos"
SIZES = {"train": 800, "validation": 160, "test": 160}
SEED = 13
HELD_OUT_SHARE = 0.4  # of validation and test: sentences from templates that training never uses
TAG_OF_WORD = {word: tag for tag, words in USUAL.items() for word in words.split()}
SLOT = re.compile(r"\{(?P<kind>\w+)(?:/(?P<tag>[A-Z]+))?\}")

Sentence = tuple[list[str], list[str]]  # words, universal tags


def templates(registers: dict[str, str]) -> list[tuple[str, str]]:
    """(register, line) of every template."""
    return [(register, line) for register, text in registers.items() for line in text.strip().splitlines()]


def split_tag(word: str) -> tuple[str, str]:
    """A word of a template, and the tag after it or its usual one."""
    plain, _, tag = word.rpartition("/")
    return (plain, tag) if plain else (word, TAG_OF_WORD[word.lower()])


class Draw:
    """Reproducible draws for one split: every word of a list is drawn once before any is drawn twice."""

    def __init__(self, split: str, seed: int) -> None:
        self.lists: dict[str, list[str]] = {}
        for words in (EVERYDAY, WORDS[split]):
            for kind, listed in words.items():
                self.lists[kind] = self.lists.get(kind, []) + listed.split(";")
        self.left: dict[str, list[str]] = {kind: [] for kind in self.lists}
        self.random = Random(f"{split} {seed}").random

    def shuffle(self, items: list) -> list:
        """`items` in random order. Python promises never to change `random()`, but not `shuffle()`."""
        return [item for _, item in sorted(((self.random(), item) for item in items), key=lambda pair: pair[0])]

    def word(self, kind: str) -> str:
        if not self.left[kind]:
            self.left[kind] = self.shuffle(self.lists[kind])
        return self.left[kind].pop()


def fill(draw: Draw, register: str, line: str) -> Sentence:
    """The words and tags of one template with every slot filled, no word drawn twice."""
    words: list[str] = []
    tags: list[str] = []
    used: set[str] = set()
    for piece in line.split():
        slot = SLOT.fullmatch(piece)
        if slot is None:
            word, tag = split_tag(piece)
        else:
            while (word := draw.word(slot["kind"])) in used:
                pass
            used.add(word)
            tag = slot["tag"] or TAGS[slot["kind"]]
            if words and words[-1].lower() == "a" and word[0] in "AEIOaeio":
                words[-1] += "n"
        words.append(word)
        tags.append(tag)
    if register == "forum":
        words = [word.lower() for word in words]
    else:
        words[0] = words[0][0].upper() + words[0][1:]
    return words, tags


def sentences(draw: Draw, pool: list[tuple[str, str]], count: int, seen: set[str]) -> list[Sentence]:
    """`count` new sentences, every template of `pool` in turn; `seen` holds those already written, in lower case."""
    made: list[Sentence] = []
    while len(made) < count:
        for register, line in draw.shuffle(pool)[: count - len(made)]:
            words, tags = fill(draw, register, line)
            key = " ".join(words).casefold()
            if key not in seen:
                seen.add(key)
                made.append((words, tags))
    return made


def corpus() -> dict[str, list[Sentence]]:
    """Every split of the corpus, the same on every call."""
    splits: dict[str, list[Sentence]] = {}
    seen: set[str] = set()
    for split, size in SIZES.items():
        draw = Draw(split, SEED)
        held = round(HELD_OUT_SHARE * size) if split in HELD_OUT else 0
        rows = sentences(draw, templates(HELD_OUT.get(split, {})), held, seen)
        rows += sentences(draw, templates(SHARED), size - held, seen)
        splits[split] = draw.shuffle(rows)
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one sentence per line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in corpus().items():
        lines = [json.dumps({"tokens": words, "upos": tags}, ensure_ascii=False) for words, tags in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
