"""Writes the sample of reports and summaries: templates and words of `report_material`, a fixed seed, JSON lines.

Run it as `python -m samples_source.make_reports` after a change of the material, and commit what it wrote.
"""

import json
import re
from pathlib import Path
from random import Random

from samples_source.report_material import KINDS, NAMES, WORDS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "reports"
SIZES = {"train": 480, "validation": 70, "test": 110}
SEED = 17
SLOT = re.compile(r"\{(\w+)\}")
NEW_NAMES = 0.2  # of validation and test: reports whose names training never has
ASIDES = range(1, 4)  # sentences beside the point
ARROW = "-> "


class Draw:
    """Reproducible draws. Python promises never to change `random()`, but nothing else of the module."""

    def __init__(self, seed: str) -> None:
        self.random = Random(seed).random

    def number(self, low: int, high: int) -> int:
        return low + int(self.random() * (high - low + 1))

    def choice(self, items: list) -> object:
        return items[int(self.random() * len(items))]

    def shuffle(self, items: list) -> list:
        return [item for _, item in sorted(((self.random(), item) for item in items), key=lambda pair: pair[0])]


def draw_words(draw: Draw, names: dict[str, str]) -> dict[str, str]:
    """A word for every slot."""
    words = {slot: draw.choice(listed.split(";")) for slot, listed in {**WORDS, **names}.items()}
    for slot in ("town", "club"):
        others = [one for one in NAMES["train"][slot].split(";") if one != words[slot]]
        words[f"{slot}2"] = draw.choice(others)
    goals = draw.number(1, 5)
    numbers = {"goals": goals, "fewer": draw.number(0, goals - 1), "minutes": draw.number(5, 85)}
    numbers |= {"people": draw.number(20, 900), "percent": draw.number(2, 40)}
    return {**words, **{name: str(number) for name, number in numbers.items()}}


def make_report(draw: Draw, names: dict[str, str]) -> dict[str, str]:
    """A report as `document`, and its `summary`."""
    kind = KINDS[draw.choice(sorted(KINDS))]
    *events, summary = draw.choice(kind["events"]).splitlines()
    asides = draw.shuffle(kind["aside"].splitlines())[: draw.choice(list(ASIDES))]
    later = draw.shuffle([draw.choice(events), *asides])
    words = draw_words(draw, names)

    def fill(line: str) -> str:
        filled = SLOT.sub(lambda slot: words[slot[1]], line)
        return filled[0].upper() + filled[1:]

    document = " ".join(map(fill, [draw.choice(kind["open"].splitlines()), *later]))
    return {"document": document, "summary": fill(summary.removeprefix(ARROW))}


def make_reports(split: str, size: int, seen: set[str]) -> list[dict[str, str]]:
    """So many reports, none of which is in `seen`."""
    draw, found = Draw(f"{split} {SEED}"), []
    while len(found) < size:
        new = split in ("validation", "test") and draw.random() < NEW_NAMES
        report = make_report(draw, NAMES["test" if new else "train"])
        if report["document"] not in seen:
            seen.add(report["document"])
            found.append(report)
    return found


def write(folder: Path) -> None:
    """Write the reports as `folder`/{train,validation,test}.jsonl, one to a line."""
    folder.mkdir(parents=True, exist_ok=True)
    seen: set[str] = set()
    for split, size in SIZES.items():
        lines = [json.dumps(report, ensure_ascii=False) for report in make_reports(split, size, seen)]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
