"""Writes the sample of translations from English into Talu, a made-up language (see `toy_language_material`).

Run it as `python -m samples_source.make_toy_language` after a change of the material, and commit what it wrote.
"""

import json
from pathlib import Path
from typing import NamedTuple

from samples_source.make_reports import Draw
from samples_source.toy_language_material import ADJECTIVES, NOUNS, NUMBERS, PLACES, THINGS, VERBS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "toy_language"
SIZES = {"train": 1200, "validation": 100, "test": 150}
SEED = 19
TIMES = {"past": "ka", "future": "so", "present": ""}


def read(table: str) -> list[list[str]]:
    return [line.split() for line in table.splitlines()]


class Group(NamedTuple):
    """A noun and what belongs to it, in both languages."""

    english: str
    talu: str
    many: bool


def draw_group(draw: Draw, nouns: str) -> Group:
    """'the two old farmers' and 'niteloma vekka du le'."""
    one, several, noun = draw.choice(read(nouns))
    many, known = draw.random() < 0.4, draw.random() < 0.7
    english, talu = [several if many else one], [("ni" if many else "") + noun]
    if draw.random() < 0.5:
        adjective, stem = draw.choice(read(ADJECTIVES))
        english.insert(0, adjective)
        talu.append(stem + noun[-1])
    if many and draw.random() < 0.5:
        number, word = draw.choice(NUMBERS.split(";")).split()
        english.insert(0, number)
        talu.append(word)
    if known:
        english.insert(0, "the")
        talu.append("le")
    elif not many:
        english.insert(0, "an" if english[0][0] in "aeiou" else "a")
    return Group(" ".join(english), " ".join(talu), many)


def conjugate(base: str, past: str, time: str, *, many: bool, no: bool, asks: bool) -> tuple[str, str]:
    """What stands before the subject of a question or behind that of a statement, and the rest of the verb."""
    third = f"{base[:-1]}ies" if base.endswith("ry") else f"{base}s"
    if time == "future":
        return f"will{' not' if no else ''}" if not asks else "will", base
    helper = "did" if time == "past" else "do" if many else "does"
    if asks or no:
        return helper + (" not" if no and not asks else ""), base
    return "", past if time == "past" else base if many else third


def make_pair(draw: Draw) -> dict[str, str]:
    """A sentence as `source`, and its translation as `target`."""
    base, past, stem = draw.choice(read(VERBS))
    time = draw.choice(sorted(TIMES))
    no, asks = draw.random() < 0.25, draw.random() < 0.2
    who, what = draw_group(draw, NOUNS), draw_group(draw, THINGS)
    helper, verb = conjugate(base, past, time, many=who.many, no=no, asks=asks)
    english = [helper, who.english, "not" if asks and no else "", verb] if asks else [who.english, helper, verb]
    talu = ["ekke" if asks else "", f"{TIMES[time]}{stem}e", "mu" if no else "", who.talu, what.talu]
    english.append(what.english)
    if draw.random() < 0.5:
        place, word = draw.choice(read(PLACES))
        english.append(f"in the {place}")
        talu.append(f"en {word} le")
    source, target = (" ".join(part for part in parts if part) for parts in (english, talu))
    mark = "?" if asks else "."
    return {"source": f"{source[0].upper()}{source[1:]}{mark}", "target": f"{target[0].upper()}{target[1:]}{mark}"}


def make_pairs(split: str, size: int, seen: set[str]) -> list[dict[str, str]]:
    """So many pairs, none of whose sources is in `seen`."""
    draw, found = Draw(f"{split} {SEED}"), []
    while len(found) < size:
        pair = make_pair(draw)
        if pair["source"] not in seen:
            seen.add(pair["source"])
            found.append(pair)
    return found


def write(folder: Path) -> None:
    """Write the pairs as `folder`/{train,validation,test}.jsonl, one to a line."""
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    for split, size in SIZES.items():
        lines = [json.dumps(pair, ensure_ascii=False) for pair in make_pairs(split, size, seen)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
