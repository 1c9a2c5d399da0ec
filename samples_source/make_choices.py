"""Writes the sample of choices: goals and what they take, from `choices_material`, a fixed seed, JSON lines.

Run it as `python -m samples_source.make_choices` after a change of the material, and commit what it wrote.
"""

import json
from pathlib import Path
from random import Random

from samples_source.choices_material import NAMES, PAIRS, SIZES, WAYS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "choices"
ROWS = {"train": 100, "validation": 80, "test": 150}
FEWEST, MOST = 2, 5  # options
HELD_OUT_SHARE = 0.4  # of validation and test: from ways of asking that train never uses
SEED = 13


def pairs_of_splits() -> dict[str, list[tuple[str, str]]]:
    """What is to be done and what it takes, in splits that share nothing."""
    pairs = [tuple(one.split(">")) for one in PAIRS.strip().replace("\n", ";").split(";")]
    found, start = {}, 0
    for split, size in SIZES.items():
        found[split] = pairs[start : start + size]
        start += size
    return found


class Draw:
    """Reproducible draws for one split. Python promises never to change `random()`, and of nothing else of it."""

    def __init__(self, split: str) -> None:
        self.random = Random(f"{split} {SEED}").random

    def choose(self, items: list) -> object:
        return items[int(self.random() * len(items))]

    def shuffle(self, items: list) -> list:
        return [item for _, item in sorted(((self.random(), item) for item in items), key=lambda pair: pair[0])]


def row(draw: Draw, split: str, pairs: list[tuple[str, str]], number: int) -> dict:
    """One question with its options."""
    goal, right = pairs[number % len(pairs)]
    count = FEWEST + int(draw.random() * (MOST - FEWEST + 1))
    wrong = draw.shuffle([thing for _, thing in pairs if thing != right])[: count - 1]
    held = split != "train" and draw.random() < HELD_OUT_SHARE
    way = draw.choose(WAYS["held" if held else "train"].split("|"))
    name = draw.choose(NAMES[split].split(";"))
    question = way.replace("NAME", name).replace("GOAL", goal).replace("OTHER", wrong[0])
    options = draw.shuffle([right, *wrong])
    return {"question": question[0].upper() + question[1:], "choices": options, "label": options.index(right)}


def corpus() -> dict[str, list[dict]]:
    """Every split of the corpus, the same on every call."""
    splits = {}
    for split, pairs in pairs_of_splits().items():
        draw = Draw(split)
        splits[split] = draw.shuffle([row(draw, split, pairs, number) for number in range(ROWS[split])])
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one question per line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in corpus().items():
        lines = [json.dumps(one, ensure_ascii=False) for one in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
