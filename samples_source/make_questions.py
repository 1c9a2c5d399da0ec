"""Writes the sample of questions about passages: facts of `questions_material`, a fixed seed, JSON lines.

Run it as `python -m samples_source.make_questions` after a change of the material, and commit what it wrote. A line is
a passage with its questions; of one that the passage does not answer, the answers are empty.
"""

import json
import re
from pathlib import Path
from random import Random

from samples_source.questions_material import FACTS, HELD, SHARED, WORDS

FOLDER = Path(__file__).parents[1] / "hfkit" / "samples" / "questions"
SIZES = {"train": 80, "validation": 40, "test": 60}  # passages
FACTS_TOLD = (2, 1)  # of the first and the second subject of a passage
QUESTIONS = 3  # about each
UNANSWERABLE = 0.25  # of the questions
HELD_OUT_SHARE = 0.4  # of the sentences and questions of validation and test: from templates train never uses
SEED = 13
SLOT = re.compile(r"\{(\w+)\}")


class Draw:
    """Reproducible draws for one split. Python promises never to change `random()`, and of nothing else of it."""

    def __init__(self, split: str) -> None:
        self.split, self.random = split, Random(f"{split} {SEED}").random
        self.words = {kind: words.split(";") for kind, words in {**SHARED, **WORDS[split]}.items()}

    def choose(self, items: list) -> object:
        return items[int(self.random() * len(items))]

    def shuffle(self, items: list) -> list:
        return [item for _, item in sorted(((self.random(), item) for item in items), key=lambda pair: pair[0])]

    def word(self, kind: str) -> str:
        if kind == "person":
            return f"{self.choose(self.words['first'])} {self.choose(self.words['last'])}"
        return self.choose(self.words[kind])

    def template(self, written: str) -> str:
        """One of the templates, of those held out only where the split has them."""
        common, _, held = written.partition(f"|{HELD}|")
        held_out = self.split != "train" and self.random() < HELD_OUT_SHARE
        return self.choose((held if held_out else common).split("|"))


def tell(draw: Draw, kind: str, fact: str, subject: str, taken: set[str]) -> tuple[str, dict[str, str]]:
    """A sentence that tells a fact, and the words in its slots: none that the passage has already."""
    sentence, slots = draw.template(FACTS[kind][fact][0]), {}
    for slot in SLOT.findall(sentence):
        word = draw.word(slot)
        while word in taken:
            word = draw.word(slot)
        slots[slot] = word
        taken.add(word)
    sentence = SLOT.sub(lambda match: slots[match[1]], sentence).replace("X", subject)
    return sentence[0].upper() + sentence[1:], slots


def passage(draw: Draw) -> dict:
    """A passage about two subjects of one kind, and questions about them."""
    kind = draw.choose(sorted(FACTS))
    taken: set[str] = set()
    subjects: list[str] = []
    while len(subjects) < 2:
        name = draw.word(kind)
        if name not in taken:
            subjects.append(name)
            taken.add(name)
    told: list[tuple[str, str, str, dict[str, str]]] = []  # sentence, subject, fact, slots
    for subject, facts_told in zip(subjects, FACTS_TOLD, strict=True):
        facts = draw.shuffle(sorted(FACTS[kind]))[:facts_told]
        for fact in facts:
            sentence, slots = tell(draw, kind, fact, subject, taken)
            told.append((sentence, subject, fact, slots))
    told = draw.shuffle(told)
    text = " ".join(sentence for sentence, *_ in told)
    sentences = {(subject, fact): sentence for sentence, subject, fact, _ in told}
    asked: dict[str, dict] = {}
    while len(asked) < QUESTIONS:
        subject = draw.choose(subjects)
        known = {fact: slots for _, who, fact, slots in told if who == subject}
        missing = [fact for fact in sorted(FACTS[kind]) if fact not in known]
        answerable = draw.random() >= UNANSWERABLE or not missing
        fact = draw.choose(sorted(known) if answerable else missing)
        question, _, slot = draw.template(FACTS[kind][fact][1]).rpartition(">")
        question = question.replace("X", subject)
        if question in asked:
            continue
        answers = [find(known[fact][slot], sentences[subject, fact], text)] if answerable else []
        asked[question] = {"question": question, "answers": answers}
    return {"context": text, "qas": list(asked.values())}


def find(answer: str, sentence: str, text: str) -> list:
    """An answer and its place in the text, as a whole word of the sentence that tells it."""
    within = re.search(rf"(?<!\w){re.escape(answer)}(?!\w)", sentence)
    return [answer, text.index(sentence) + within.start()]


def corpus() -> dict[str, list[dict]]:
    """Every split of the corpus, the same on every call."""
    splits = {}
    for split, size in SIZES.items():
        draw = Draw(split)
        splits[split] = [passage(draw) for _ in range(size)]
    return splits


def write(folder: Path) -> None:
    """Write the corpus as `folder`/{train,validation,test}.jsonl, one passage per line."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, rows in corpus().items():
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        (folder / f"{split}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write(FOLDER)
