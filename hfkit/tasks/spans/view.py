"""The view of questions and the stretches of text that answer them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal, write_program
from hfkit.contract.target import Target
from hfkit.contract.view import Example, Mistake, Shown, Span, Spans, Text
from hfkit.data.text.texts import JOINT
from hfkit.tasks.spans.judge import AnswerJudge

LABEL = "answer"
GAP = "…"
AROUND = 25  # words of a passage shown on each side of an answer
MOST_CHARACTERS = 2_000  # of a passage, beside a mistake
OF_A_KIND = 7  # mistakes to show
PIECE = re.compile(r"\S+")
PAIR = ("Who wrote to Charles Babbage?", "Ada Lovelace wrote to Charles Babbage from London.")

ASK = """\
inputs = processor(question, passage, return_offsets_mapping=True, return_tensors={pt})
offsets = inputs.pop({offset_mapping})[0].tolist()
output = model(**inputs)
start, end = output.start_logits[0].tolist(), output.end_logits[0].tolist()
best = (-1e9, 0, 0)
for first in [place for place, side in enumerate(inputs.sequence_ids(0)) if side == 1]:
    for last in range(first, min(first + {longest}, len(offsets))):
        if inputs.sequence_ids(0)[last] == 1:
            best = max(best, (start[first] + end[last], offsets[first][0], offsets[last][1]))
"""
GRAPH = """\
import numpy as np
import onnxruntime
from transformers import AutoTokenizer

FOLDER = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

question, passage = "Who wrote to Charles Babbage?", "Ada Lovelace wrote to Charles Babbage from London."
# Of a longer passage this reads the beginning: give it in windows that overlap.
inputs = tokenizer(
    [question],
    [passage],
    truncation="only_second",
    max_length=@longest@,
    return_offsets_mapping=True,
    return_tensors="np",
)
offsets = inputs.pop("offset_mapping")[0]
given = {one.name: inputs[one.name] for one in session.get_inputs()}
start, end = (logits[0] for logits in session.run(["start_logits", "end_logits"], given))

inside = np.array([side == 1 for side in inputs.sequence_ids(0)])
scores = np.where(inside[:, None] & inside[None, :], start[:, None] + end[None, :], -np.inf)
scores = np.triu(scores, 0) + np.where(np.triu(np.ones_like(scores)), 0, -np.inf)
first, last = np.unravel_index(scores.argmax(), scores.shape)
print(passage[offsets[first][0] : offsets[last][1]])
"""


class AnsweredQuestions:
    """Questions with their passages, and answers as marked stretches of these.

    Args:
        judge: decides which answers are mistakes.
        longest: tokens of an answer.
    """

    answers: ClassVar[type[Shown]] = Spans
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def __init__(self, judge: AnswerJudge, longest: int) -> None:
        self.judge, self.longest = judge, longest

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(JOINT.join((row["question"], row["context"])))

    def answer(self, answer: Mapping[str, Any] | list[str], row: Mapping[str, Any]) -> Spans:
        """A prediction, or the texts of gold answers, in the passage."""
        places = self.places(answer, row)
        return mark(row["context"], places, cuts=places)

    def places(self, answer: Mapping[str, Any] | list[str], row: Mapping[str, Any]) -> list[tuple[int, int]]:
        """The characters of a prediction or of gold answers in the passage; none where there is no answer, or where it
        has no place.
        """
        if isinstance(answer, Mapping):
            if answer.get("start") is not None:
                return [(answer["start"], answer["end"])]
            texts = [answer["text"]] if answer["text"] else []
        else:
            texts = answer[:1]  # several gold answers say the same
            if row.get("starts"):
                return [(row["starts"][0], row["starts"][0] + len(texts[0]))]
        return [(place, place + len(text)) for text in texts if (place := row["context"].find(text)) >= 0]

    def record(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        return dict(answer)

    def mistakes(
        self, predictions: list[Mapping[str, Any]], references: list[list[str]], rows: Dataset, limit: int
    ) -> list[Mistake]:
        """Rows by the kind of mistake, some of each: the passage around both answers, with the question before it."""
        kinds: dict[str, list[int]] = {}
        for row, (answer, gold) in enumerate(zip(predictions, references, strict=True)):
            if (kind := self.kind_of(answer["text"], gold)) is not None:
                kinds.setdefault(kind, []).append(row)
        chosen = [(kind, row) for kind, of_kind in kinds.items() for row in of_kind[:OF_A_KIND]][:limit]
        return [
            self.mistake(kind, len(kinds[kind]), row, predictions[row], references[row], rows) for kind, row in chosen
        ]

    def kind_of(self, text: str, gold: list[str]) -> str | None:
        """The kind of a mistake; None if it is none."""
        match = self.judge.match(text, gold)
        if match.exact:
            return None
        if not gold:
            return "answered where there is no answer"
        if not text:
            return "no answer found"
        if not match.f1:
            return "found elsewhere"
        return "too short" if match.precision == 1 else "too long" if match.recall == 1 else "overlaps"

    def mistake(
        self, kind: str, count: int, number: int, answer: Mapping[str, Any], gold: list[str], rows: Dataset
    ) -> Mistake:
        row = rows[number]
        theirs, ours = self.places(gold, row), self.places(answer, row)
        sides = [mark(row["context"], places, cuts=theirs + ours) for places in (theirs, ours)]
        given = Text(JOINT.join((row["question"], row["context"][:MOST_CHARACTERS])))
        why = f"{kind}, {count} in test" if count > 1 else f"{kind}, once in test"
        return Mistake(number, kind, why, given, *clip_around(*sides))

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """An answer of suitable length with the text around it."""
        for row in rows.select(range(min(len(rows), 200))):
            if row["texts"] and len(row["texts"][0]) < 60:
                (start, end), passage = self.places(row["texts"], row)[0], row["context"]
                before, after = passage[max(0, start - 100) : start].strip(), passage[end : end + 100].strip()
                return {LABEL: Example(Text(passage[start:end]), before, after)}
        return {}

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """With the model class alone: transformers has no pipeline for it any more. It reads one window."""
        names = {"pt": literal("pt"), "offset_mapping": literal("offset_mapping"), "longest": self.longest}
        lines = [
            f"question = {literal(PAIR[0])}",
            f"passage = {literal(PAIR[1])}  # a longer one: in windows",
            ASK.format(**names).rstrip(),
        ]
        if getattr(target, "margin", None) is None:
            lines.append("print(passage[best[1] : best[2]])")
        else:
            margin = "model.config.hfkit_no_answer_margin"
            lines += [
                "null = inputs.input_ids[0].tolist().index(processor.cls_token_id) if processor.cls_token else 0",
                "nothing = start[null] + end[null]  # the score of no answer",
                f"print({literal('')} if nothing - best[0] > {margin} else passage[best[1] : best[2]])",
            ]
        return write_program("AutoModelForQuestionAnswering", model, loaded, *lines)

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return GRAPH.replace("@longest@", str(longest))


def mark(passage: str, places: Iterable[tuple[int, int]], *, cuts: Iterable[tuple[int, int]]) -> Spans:
    """The words of a passage with some stretches marked.

    Args:
        cuts: stretches at whose ends words are cut in two, so that a mark may begin within one.
    """
    ends = sorted({side for place in cuts for side in place})
    pieces: list[tuple[int, int]] = []
    for word in PIECE.finditer(passage):
        sides = [word.start(), *(side for side in ends if word.start() < side < word.end()), word.end()]
        pieces += list(zip(sides, sides[1:], strict=False))
    starts = [start for start, _ in pieces]
    spans = []
    for start, end in places:
        inside = [number for number, (begin, behind) in enumerate(pieces) if begin < end and behind > start]
        if inside:
            spans.append(Span(inside[0], inside[-1] + 1, LABEL))
    tokens = tuple(passage[start:end] for start, end in pieces)
    return Spans(tokens, tuple(spans), total=len(tokens), text=passage, starts=tuple(starts))


def clip_around(gold: Spans, ours: Spans) -> tuple[Spans, Spans]:
    """Both answers in the words around them, the same ones; an ellipsis stands for those between two far apart.

    Args:
        gold, ours: the same words with marks of their own.
    """
    marked = [word for span in (*gold.spans, *ours.spans) for word in range(span.start, span.end)] or [AROUND]
    near = {word for place in marked for word in range(place - AROUND, place + AROUND + 1)}
    kept = sorted(near & set(range(gold.total)))
    words: list[int | None] = []
    for before, word in zip([kept[0], *kept], kept, strict=False):
        words += [None, word] if word - before > 1 else [word]
    tokens = tuple(GAP if word is None else gold.tokens[word] for word in words)
    place = {word: number for number, word in enumerate(words) if word is not None}
    return tuple(
        Spans(
            tokens,
            tuple(Span(place[one.start], place[one.end - 1] + 1, one.label) for one in side.spans),
            kept[0],
            max(side.total, kept[0] + len(tokens)),
        )
        for side in (gold, ours)
    )
