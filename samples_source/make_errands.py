"""Writes the sample conversations: short errands whose answer stands in the question, a fixed seed, JSON lines.

Run it as `python -m samples_source.make_errands` after a change, and commit what it wrote.
"""

import json
from collections.abc import Callable
from pathlib import Path
from random import Random

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "errands"
SIZES = {"train": 450, "validation": 60, "test": 90}
SEED = 18
SHARE_OF_SECOND_TURNS = 0.4
SYSTEM = "Answer in one short sentence."
# The splits speak of other people and things: the form of an answer is learnt, its words stand in the question.
NAMES = {
    "train": "Mara;Ivo;Lene;Tomas;Greta;Aron;Wanda;Felix",
    "validation": "Nils;Edda;Olga",
    "test": "Jorun;Pavel;Hedy;Caspar",
}
THINGS = {
    "train": "key;lamp;coat;map;bread;letter;ladder;kettle;rope;book",
    "validation": "basket;ring;spoon;clock",
    "test": "bell;drum;flute;candle;shovel",
}
PLACES = {
    "train": "cellar;kitchen;barn;garden;attic;harbour;school",
    "validation": "chapel;office;yard",
    "test": "library;stable;mill;station",
}
COLOURS = "red;blue;green;white;black;yellow"


class Draw:
    """Reproducible draws for one split. Python promises never to change `random()`, but not `choice()`."""

    def __init__(self, split: str) -> None:
        self.split, self.random = split, Random(f"{split} {SEED}").random

    def one(self, words: str) -> str:
        listed = words.split(";")
        return listed[int(self.random() * len(listed))]

    def two(self, words: str) -> tuple[str, str]:
        first = self.one(words)
        while (second := self.one(words)) == first:
            pass
        return first, second

    def number(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low + 1))

    @property
    def words(self) -> tuple[str, str, str]:
        return NAMES[self.split], THINGS[self.split], PLACES[self.split]


Pair = tuple[str, str]  # a question and its answer


def ask_where(draw: Draw) -> Pair:
    names, things, places = draw.words
    (name, other), (thing, second), (place, elsewhere) = draw.two(names), draw.two(things), draw.two(places)
    story = f"{name} left the {thing} in the {place}, and {other} took the {second} to the {elsewhere}."
    if draw.random() < 0.5:
        return f"{story} Where is the {thing}?", f"The {thing} is in the {place}."
    return f"{story} Where is the {second}?", f"The {second} is in the {elsewhere}."


def ask_who(draw: Draw) -> Pair:
    names, things, _ = draw.words
    (name, other), (thing, second) = draw.two(names), draw.two(things)
    colour = draw.one(COLOURS)
    story = f"The {colour} {thing} belongs to {name}, and the {second} to {other}."
    if draw.random() < 0.5:
        return f"{story} Whose is the {thing}?", f"The {thing} belongs to {name}."
    return f"{story} Whose is the {second}?", f"The {second} belongs to {other}."


def ask_colour(draw: Draw) -> Pair:
    names, things, _ = draw.words
    (thing, second), (colour, other) = draw.two(things), draw.two(COLOURS)
    story = f"{draw.one(names)} painted the {thing} {colour} and the {second} {other}."
    if draw.random() < 0.5:
        return f"{story} Which colour has the {thing}?", f"The {thing} is {colour}."
    return f"{story} Which colour has the {second}?", f"The {second} is {other}."


def ask_count(draw: Draw) -> Pair:
    names, things, _ = draw.words
    name, thing, first, more = draw.one(names), draw.one(things), draw.number(1, 5), draw.number(1, 4)
    return (
        f"{name} had {first} of them, and found {more} more. Is that {first + more} or {first + more + 1} {thing}s?",
        f"That is {first + more}.",
    )


def ask_order(draw: Draw) -> Pair:
    _, things, _ = draw.words
    first, second = draw.two(things)
    if draw.random() < 0.5:
        return f"Say these two the other way round: {first}, {second}.", f"{second}, {first}."
    return f"Repeat this: {first}, {second}, {first}.", f"{first}, {second}, {first}."


ERRANDS: tuple[Callable[[Draw], Pair], ...] = (ask_where, ask_who, ask_colour, ask_count, ask_order)


def conversation(draw: Draw) -> list[dict[str, str]]:
    """One or two errands, in a third of the conversations behind a message of the system."""
    pairs = [ERRANDS[draw.number(0, len(ERRANDS) - 1)](draw)]
    if draw.random() < SHARE_OF_SECOND_TURNS:
        pairs.append(ERRANDS[draw.number(0, len(ERRANDS) - 1)](draw))
    messages = [{"role": "system", "content": SYSTEM}] if draw.random() < 1 / 3 else []
    for question, answer in pairs:
        messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return messages


def corpus() -> dict[str, list[list[dict[str, str]]]]:
    """Every split, the same on every call; no conversation comes twice."""
    splits: dict[str, list[list[dict[str, str]]]] = {}
    seen: set[str] = set()
    for split, size in SIZES.items():
        draw, found = Draw(split), []
        while len(found) < size:
            messages = conversation(draw)
            key = json.dumps(messages[-2:])
            if key not in seen:
                seen.add(key)
                found.append(messages)
        splits[split] = found
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one conversation a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in corpus().items():
        lines = [json.dumps({"messages": messages}, ensure_ascii=False) for messages in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
