"""Writes the sample NER corpus: templates and names of `ner_material`, a fixed seed, three JSON-lines files.

Run it as `python -m samples_source.make_ner` after a change of the material, and commit what it wrote.
"""

import json
import re
from pathlib import Path
from random import Random

from samples_source.ner_material import HELD_OUT, NAMES, PATTERNS, SHARED, TYPES, WORDS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "ner"
SIZES = {"train": 480, "validation": 320, "test": 320}
SEED = 7
HELD_OUT_SHARE = 0.36  # of validation and test: sentences from templates that training never uses
NO_ENTITY_SHARE = 0.18  # of every split
LENGTHS = range(4, 36)  # words
TYPE_OF_KIND = {kind: name for name, kinds in TYPES.items() for kind in kinds}
SLOT = re.compile(r"\{(\w+)\}")

Sentence = tuple[list[str], list[str]]  # words, IOB2 tags


def templates(registers: dict[str, str]) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """(register, line) of every template: those with an entity slot, then those without."""
    lines = [(register, line) for register, text in registers.items() for line in text.strip().splitlines()]
    named = [any(kind in TYPE_OF_KIND for kind in SLOT.findall(line)) for _, line in lines]
    return (
        [line for line, has_name in zip(lines, named, strict=True) if has_name],
        [line for line, has_name in zip(lines, named, strict=True) if not has_name],
    )


class Draw:
    """Reproducible draws for one split: every name and every filler is drawn once before any is drawn twice."""

    def __init__(self, split: str, seed: int) -> None:
        self.lists = {kind: names.split(";") for kind, names in {**WORDS, **PATTERNS, **NAMES[split]}.items()}
        self.left: dict[str, list[str]] = {kind: [] for kind in self.lists}
        self.random = Random(f"{split} {seed}").random

    def shuffle(self, items: list) -> list:
        """`items` in random order. Python promises never to change `random()`, but not `shuffle()`."""
        return [item for _, item in sorted(((self.random(), item) for item in items), key=lambda pair: pair[0])]

    def name(self, kind: str) -> str:
        """A phrase of `kind`, with the slots inside it filled."""
        if not self.left[kind]:
            self.left[kind] = self.shuffle(self.lists[kind])
        return SLOT.sub(lambda slot: self.name(slot[1]), self.left[kind].pop())


def fill(draw: Draw, register: str, line: str) -> Sentence:
    """The words and tags of one template with every slot filled."""
    words: list[str] = []
    tags: list[str] = []
    used: set[str] = set()
    for piece in line.split():
        slot = SLOT.fullmatch(piece)
        if slot is None:
            words, tags = [*words, piece], [*tags, "O"]
            continue
        while (filled := draw.name(slot[1])) in used:
            pass
        used.add(filled)
        phrase, before = filled.split(), words[-1].lower() if words else ""
        if before == "a" and phrase[0][0] in "AEIOaeio":
            words[-1] += "n"
        if before == phrase[0] == "the":
            phrase = phrase[1:]
        label, outside = TYPE_OF_KIND.get(slot[1]), int(phrase[0] == "the")
        words += phrase
        tags += ["O"] * outside
        tags += [f"{'I' if i else 'B'}-{label}" if label else "O" for i in range(len(phrase) - outside)]
    if register == "forum":
        words = [word.lower() for word in words]
    elif register == "headlines":
        words = [word[0].upper() + word[1:] for word in words]
    elif words[0][0].islower() and not line[0].islower():
        words[0] = words[0][0].upper() + words[0][1:]
    return words, tags


def sentences(draw: Draw, pool: list[tuple[str, str]], count: int, seen: set[str]) -> list[Sentence]:
    """`count` new sentences, every template of `pool` in turn; `seen` holds those already written, in lower case."""
    made: list[Sentence] = []
    while len(made) < count:
        for register, line in draw.shuffle(pool)[: count - len(made)]:
            words, tags = fill(draw, register, line)
            key = " ".join(words).casefold()
            if key not in seen and len(words) in LENGTHS:
                seen.add(key)
                made.append((words, tags))
    return made


def corpus() -> dict[str, list[Sentence]]:
    """Every split of the corpus, the same on every call."""
    splits: dict[str, list[Sentence]] = {}
    seen: set[str] = set()
    named, plain = templates(SHARED)
    for split, size in SIZES.items():
        draw = Draw(split, SEED)
        held_named, held_plain = templates(HELD_OUT.get(split, {}))
        held = HELD_OUT_SHARE if split in HELD_OUT else 0.0
        rows: list[Sentence] = []
        for pool, share in (
            (held_named, held * (1 - NO_ENTITY_SHARE)),
            (held_plain, held * NO_ENTITY_SHARE),
            (plain, (1 - held) * NO_ENTITY_SHARE),
        ):
            rows += sentences(draw, pool, round(share * size), seen)
        rows += sentences(draw, named, size - len(rows), seen)
        splits[split] = draw.shuffle(rows)
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one sentence per line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in corpus().items():
        lines = [json.dumps({"tokens": words, "tags": tags}, ensure_ascii=False) for words, tags in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
