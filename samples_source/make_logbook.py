"""Writes the sample documents for language modelling: templates of `logbook_material`, a fixed seed, JSON lines.

Run it as `python -m samples_source.make_logbook` after a change of the material, and commit what it wrote.
"""

import json
import re
from pathlib import Path
from random import Random

from samples_source.logbook_material import DAYS, ENDINGS, HELD_OUT, HOURS, MIDDLES, OPENINGS, SIDES, WORDS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "logbook"
SIZES = {"train": 500, "validation": 80, "test": 100}
SEED = 18
SLOT = re.compile(r"\{(?P<kind>[a-z]+)(?P<more>[+-]\d+)?\}")
MOST_MIDDLES = 7


def pick(draw: Random, items: list[str]) -> str:
    """One of some items. Python promises never to change `random()`, but not `choice()`."""
    return items[int(draw.random() * len(items))]


def fill(line: str, drawn: dict[str, str]) -> str:
    """A sentence with the words and numbers of its document in the slots."""

    def value(slot: re.Match) -> str:
        known = drawn[slot["kind"]]
        return known if slot["more"] is None else str(int(known) + int(slot["more"]))

    return SLOT.sub(value, line)


def document(draw: Random, split: str) -> str:
    """The entries of one day in one place, with the same names and numbers throughout."""
    place = pick(draw, list(OPENINGS))
    drawn = {kind: pick(draw, words.split(";")) for kind, words in WORDS[split].items()}
    drawn |= {"day": pick(draw, DAYS.split(";")), "hour": pick(draw, HOURS.split(";"))}
    drawn |= {"side": pick(draw, SIDES.split(";"))}
    drawn |= {"n": str(3 + int(draw.random() * 17)), "m": str(2 + int(draw.random() * 8))}
    middles = MIDDLES[place].strip().splitlines()
    if split != "train":
        middles += HELD_OUT[place].strip().splitlines()
    middles = [line for _, line in sorted((draw.random(), line) for line in middles)]
    count = 1 + int(draw.random() * min(MOST_MIDDLES, len(middles)))
    opening = pick(draw, OPENINGS[place].strip().splitlines())
    ending = pick(draw, ENDINGS[place].strip().splitlines())
    text = " ".join(fill(line, drawn) for line in (opening, *middles[:count], ending))
    # The name of a star may begin a sentence.
    return re.sub(r"(^|[.] )([a-z])", lambda found: found[1] + found[2].upper(), text)


def corpus() -> dict[str, list[str]]:
    """Every split of the corpus, the same on every call; no document comes twice."""
    splits: dict[str, list[str]] = {}
    seen: set[str] = set()
    for split, size in SIZES.items():
        draw, documents = Random(f"{split} {SEED}"), []
        while len(documents) < size:
            text = document(draw, split)
            if text not in seen:
                seen.add(text)
                documents.append(text)
        splits[split] = documents
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one document a line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, documents in corpus().items():
        lines = [json.dumps({"text": text}, ensure_ascii=False) for text in documents]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
