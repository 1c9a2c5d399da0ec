"""Writes the sample sentiment corpus: templates and words of `sentiment_material`, a fixed seed, JSON-lines files.

Run it as `python -m samples_source.make_sentiment` after a change of the material, and commit what it wrote.
"""

import json
import re
from pathlib import Path
from random import Random
from typing import NamedTuple

from samples_source.sentiment_material import DOMAINS, FILLERS, HELD_OUT, OPINIONS, SHARED

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "sentiment"
SIZES = {"train": 1600, "validation": 320, "test": 320}
SEED = 11
LABELS = ("negative", "positive")
# Of every split, half of each positive. In all but the plain ones, counting good and bad words misleads.
SHARES = {"plain": 0.7, "negation": 0.1, "contrast": 0.1, "comparison": 0.05, "irony": 0.05}
HELD_OUT_SHARE = 0.4  # of validation and test: sentences from templates that training never uses
FACT_SHARE = 0.25  # of every split: a neutral fact stands before or after the opinion
LENGTHS = range(5, 36)  # words
SLOT = re.compile(r"\{([=!+-]?)([a-z]+)(\d?)\}")


class Row(NamedTuple):
    """One row; the files hold only text and label."""

    text: str
    label: str
    kind: str
    template: str


class Draw:
    """Reproducible draws for one split: every phrase of a list is drawn once before any is drawn twice."""

    def __init__(self, split: str, seed: int) -> None:
        self.split = split
        self.left: dict[tuple, list] = {}
        self.random = Random(f"{split} {seed}").random

    def shuffle(self, items: list) -> list:
        """`items` in random order. Python promises never to change `random()`, but not `shuffle()`."""
        return [item for _, item in sorted(((self.random(), item) for item in items), key=lambda pair: pair[0])]

    def draw_one(self, key: tuple, items: list, besides: set) -> object:
        """One of `items` that is not in `besides`; `key` identifies the list."""
        while True:
            if not self.left.get(key):
                self.left[key] = self.shuffle(items)
            if (drawn := self.left[key].pop()) not in besides:
                return drawn


def past_tense(verb: str) -> str:
    """The past tense of a regular verb that doubles no letter."""
    return verb + ("d" if verb.endswith("e") else "ed")


class Sentence:
    """A sentence to be written: a thing of one domain, up to two of its aspects, and a label."""

    def __init__(self, draw: Draw, label: str) -> None:
        self.draw, self.label, self.used = draw, label, set()
        self.domain = draw.draw_one(("domain",), list(DOMAINS[draw.split]), set())
        self.material = DOMAINS[draw.split][self.domain]
        self.nouns: dict[str, str] = {}
        self.aspects: dict[str, tuple[str, str, str]] = {}

    def pick(self, key: tuple, phrases: str) -> str:
        drawn = self.draw.draw_one(key, phrases.split(";"), self.used)
        self.used.add(drawn)
        return drawn

    def fill(self, template: str) -> str:
        """The template with every slot filled, also inside phrases, and with "a" or "an" to suit the next word."""
        text = SLOT.sub(lambda slot: self.fill(self.phrase(*slot.groups())), template)
        return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)

    def phrase(self, sign: str, kind: str, aspect: str) -> str:
        """A phrase for one slot (see `sentiment_material`); it may have slots of its own."""
        side = {"": 0, "+": 0, "-": 1, "=": self.label == "negative", "!": self.label == "positive"}[sign]
        if aspect and aspect not in self.aspects:
            self.aspects[aspect] = self.draw.draw_one(
                (self.domain, "aspect"), self.material["aspects"], {*self.aspects.values()}
            )
            self.nouns[aspect] = self.pick((self.domain, "noun", self.aspects[aspect]), self.aspects[aspect][0])
        if kind == "n":
            return self.nouns[aspect].removesuffix("+")
        if kind in ("was", "is"):
            return {"was": ("was", "were"), "is": ("is", "are")}[kind][self.nouns[aspect].endswith("+")]
        if kind == "a":
            adjectives = self.aspects[aspect][1 + side]
            return self.pick((adjectives,), adjectives)
        if kind == "x":
            return self.pick(("x",), "the {thing};this {thing};{name}")
        if kind in ("thing", "name", "done", "fact"):
            if kind not in self.nouns:
                self.nouns[kind] = self.pick((self.domain, kind), self.material[kind])
            return self.nouns[kind]
        if kind == "case":
            return self.pick((self.domain, kind, side), self.material[kind][side])
        if kind in FILLERS[self.draw.split]:
            return self.pick((kind,), FILLERS[self.draw.split][kind])
        drawn = self.pick((kind, side), OPINIONS[self.draw.split]["love" if kind == "loved" else kind][side])
        return past_tense(drawn) if kind == "loved" else drawn


def capitalise(text: str) -> str:
    """`text` with a capital letter at the start of each of its sentences."""
    return re.sub(r"(^|[.!?] )([a-z])", lambda match: match[1] + match[2].upper(), text)


def write_sentence(draw: Draw, template: str, label: str) -> str:
    """One template filled for one label, sometimes with a neutral fact beside it."""
    sentence = Sentence(draw, label)
    parts = [sentence.fill(template)]
    if draw.random() < FACT_SHARE:
        fact = sentence.fill("{fact}")
        if draw.random() < 0.5:
            parts.append(fact)
        else:  # "It" would have nothing to stand for yet.
            parts.insert(0, re.sub("^It ", sentence.fill("the {thing} "), fact))
    return capitalise(" ".join(parts))


def rows_of(draw: Draw, kind: str, text: str, label: str, count: int, seen: set[str]) -> list[Row]:
    """`count` new rows of one kind and label, every template in turn; `seen` holds those already written."""
    signed = {"positive": "+ ", "negative": "- "}
    lines = [
        line for line in text.strip().splitlines() if not line.startswith(tuple("+-")) or line.startswith(signed[label])
    ]
    made: list[Row] = []
    while len(made) < count:
        for line in draw.shuffle(lines)[: count - len(made)]:
            template = line.removeprefix(signed[label])
            written = write_sentence(draw, template, label)
            if written.casefold() not in seen and len(written.split()) in LENGTHS:
                seen.add(written.casefold())
                made.append(Row(written, label, kind, template))
    return made


def corpus() -> dict[str, list[Row]]:
    """Every split of the corpus, the same on every call."""
    splits: dict[str, list[Row]] = {}
    seen: set[str] = set()
    for split, size in SIZES.items():
        draw = Draw(split, SEED)
        held_out = HELD_OUT.get(split, {})
        rows: list[Row] = []
        for kind, share in SHARES.items():
            for label in LABELS:
                count = round(size * share / 2)
                held = round(count * HELD_OUT_SHARE) if held_out else 0
                rows += rows_of(draw, kind, SHARED[kind], label, count - held, seen)
                rows += rows_of(draw, kind, held_out.get(kind, ""), label, held, seen) if held else []
        splits[split] = draw.shuffle(rows)
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one row per line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in corpus().items():
        lines = [json.dumps({"text": row.text, "label": row.label}, ensure_ascii=False) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
