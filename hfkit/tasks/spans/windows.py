"""Questions and passages as windows of tokens, laid out without a loop over windows or tokens in Python.

Each passage is tokenised once, however many questions there are about it and however many windows it fills. Every
window has the question in front; two windows of a passage share some of its tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa
from tokenizers import Encoding
from transformers import PreTrainedTokenizerFast as Tokenizer

from hfkit.data.text.token_columns import lists_of
from hfkit.errors import UserError

PROBE = ("a b", "b a")
KNOWN = ("input_ids", "attention_mask", "token_type_ids")


@dataclass(frozen=True)
class Frame:
    """The special tokens around the two texts of a pair, and the type of every part."""

    before: tuple[int, ...]
    between: tuple[int, ...]
    behind: tuple[int, ...]
    types: tuple[int, int]  # of the tokens of the first and of the second text
    special_types: tuple[tuple[int, ...], ...]  # of the special tokens, in these three places
    null: int  # the place of the token that stands for no answer; from the end if negative

    @property
    def special(self) -> int:
        """How many special tokens there are."""
        return len(self.before) + len(self.between) + len(self.behind)


def read_frame(tokenizer: Tokenizer, checkpoint: str) -> Frame:
    """The frame that a tokenizer puts around a pair of texts.

    Raises:
        UserError: it treats pairs in a way of its own, or makes inputs that no window has.
    """
    encoded = tokenizer(*PROBE)
    ids, sides = encoded["input_ids"], encoded.sequence_ids(0)
    types = encoded["token_type_ids"] if "token_type_ids" in encoded else [0] * len(ids)
    first, second = ([place for place, side in enumerate(sides) if side == which] for which in (0, 1))
    alone = [tokenizer(text, add_special_tokens=False)["input_ids"] for text in PROBE]
    parts = [[ids[place] for place in places] for places in (first, second)]
    strange = [name for name in tokenizer.model_input_names if name not in KNOWN]
    if parts != alone or first[-1] > second[0] or strange:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            f"its tokenizer ({type(tokenizer).__name__}) lays out pairs of texts in a way of its own"
            + (f", with {', '.join(strange)}" if strange else ""),
            "Use a checkpoint that reads plain text",
        )
    before, between, behind = (0, first[0]), (first[-1] + 1, second[0]), (second[-1] + 1, len(ids))
    special = [tuple(ids[start:end]) for start, end in (before, between, behind)]
    runs = tuple(tuple(types[start:end]) for start, end in (before, between, behind))
    return Frame(*special, (types[first[0]], types[second[0]]), runs, find_null(tokenizer, special))


def find_null(tokenizer: Tokenizer, special: Sequence[tuple[int, ...]]) -> int:
    """Where the token that stands for the whole row is: the class token, otherwise the first of the row."""
    before, _, behind = special
    if tokenizer.cls_token_id in before:
        return before.index(tokenizer.cls_token_id)
    if tokenizer.cls_token_id in behind:  # XLNet's comes last
        return behind.index(tokenizer.cls_token_id) - len(behind)
    return 0


def windows(
    batch: dict[str, list],
    rows: list[int],
    processor: Tokenizer,
    frame: Frame,
    longest: int,
    stride: int,
    answers: bool,
    negatives: int | None = None,
) -> pa.Table:
    """A batch of questions and passages as windows of at most `longest` tokens (see `SpanFinder.encode`)."""
    backend = processor.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    backend.encode_special_tokens = True
    questions = backend.encode_batch_fast(batch["question"], add_special_tokens=False)
    known = {passage: number for number, passage in enumerate(dict.fromkeys(batch["context"]))}
    passages = backend.encode_batch(list(known), add_special_tokens=False)
    passage_of = np.array([known[passage] for passage in batch["context"]])  # (rows,)
    cut = most_of_question(frame, longest)
    question_ids = [encoding.ids[:cut] for encoding in questions]

    asked, read = count_tokens(question_ids), np.array([len(one) for one in passages])[passage_of]  # (rows,)
    window_row, start = place_windows(asked, read, frame, longest, stride)
    inside = np.minimum(room_of(asked, frame, longest)[window_row], read[window_row] - start)  # tokens of the passage
    found = {}
    if answers:
        first, last = find_tokens(batch, passages, passage_of)
        holds = (first[window_row] >= start) & (last[window_row] < start + inside) & (last[window_row] >= 0)
        if negatives is not None:
            kept = choose_windows(window_row, holds, negatives)
            window_row, start, inside, holds = window_row[kept], start[kept], inside[kept], holds[kept]
        found["first"], found["last"], found["holds"] = first[window_row], last[window_row], holds
    layout = Layout(frame, asked[window_row], inside)
    flat, begins = flatten([encoding.ids for encoding in passages])
    of_questions, begins_of_questions = flatten(question_ids)
    places = spread(begins[passage_of[window_row]] + start, inside)
    ids = layout.fill(frame.before, frame.between, frame.behind)
    ids[layout.question] = of_questions[spread(begins_of_questions[window_row], layout.asked)]
    ids[layout.passage] = flat[places]
    columns = {"input_ids": lists_of(ids, layout.lengths)}
    if "token_type_ids" in processor.model_input_names:
        types = layout.fill(*frame.special_types)
        types[layout.question], types[layout.passage] = frame.types
        columns["token_type_ids"] = lists_of(types, layout.lengths)
    if "attention_mask" in processor.model_input_names:
        columns["attention_mask"] = lists_of(np.ones_like(ids), layout.lengths)
    columns = {name: columns[name] for name in processor.model_input_names}
    offsets = offsets_of(passages)[places]
    firsts = np.diff(window_row, prepend=-1) > 0
    null = frame.null if frame.null >= 0 else layout.lengths + frame.null
    columns |= {
        "row": pa.array(np.array(rows)[window_row], pa.int32()),
        "first": pa.array(layout.first, pa.int32()),
        "null": pa.array(np.broadcast_to(null, len(window_row)), pa.int32()),
        "begins": lists_of(offsets[:, 0], inside),
        "ends": lists_of(offsets[:, 1], inside),
        "context": pa.array(
            [batch["context"][row] if new else "" for row, new in zip(window_row, firsts, strict=True)]
        ),
        "cut": pa.array(firsts & np.array([len(one) > cut for one in questions])[window_row]),
    }
    if answers:
        for name, place in (("start_positions", found["first"]), ("end_positions", found["last"])):
            inner = layout.first + place - start
            columns[name] = pa.array(np.where(found["holds"], inner, null), pa.int32())
    return pa.table(columns)


@dataclass(frozen=True)
class Layout:
    """Where the parts of every window lie in an array of all their tokens."""

    frame: Frame
    asked: np.ndarray  # tokens of the question, (windows,)
    inside: np.ndarray  # tokens of the passage, (windows,)

    @property
    def lengths(self) -> np.ndarray:
        return self.asked + self.inside + self.frame.special

    @property
    def ends(self) -> np.ndarray:
        return np.cumsum(self.lengths)

    @property
    def first(self) -> np.ndarray:
        """The place of the passage's first token within each window, (windows,)."""
        return self.asked + len(self.frame.before) + len(self.frame.between)

    @property
    def question(self) -> np.ndarray:
        """The places of all tokens of questions."""
        return spread(self.ends - self.lengths + len(self.frame.before), self.asked)

    @property
    def passage(self) -> np.ndarray:
        return spread(self.ends - self.lengths + self.first, self.inside)

    def fill(self, before: Sequence[int], between: Sequence[int], behind: Sequence[int]) -> np.ndarray:
        """An array of all tokens with these values for the special ones of every window."""
        values = np.zeros(int(self.lengths.sum()), dtype=np.int64)
        begins = self.ends - self.lengths
        for place, value in enumerate(before):
            values[begins + place] = value
        for place, value in enumerate(between):
            values[begins + len(before) + self.asked + place] = value
        for place, value in enumerate(behind):
            values[self.ends - len(behind) + place] = value
        return values


def most_of_question(frame: Frame, longest: int) -> int:
    """Tokens of a question, of which more are cut off: half of what a window holds."""
    return max((longest - frame.special) // 2, 1)


def room_of(asked: np.ndarray, frame: Frame, longest: int) -> np.ndarray:
    """Tokens of the passage that a window of each row holds, (rows,)."""
    return longest - frame.special - asked


def place_windows(
    asked: np.ndarray, read: np.ndarray, frame: Frame, longest: int, stride: int
) -> tuple[np.ndarray, np.ndarray]:
    """The row of every window, and its first token of the passage, (windows,) each.

    Args:
        asked, read: tokens of each row's question and passage, (rows,).
        stride: tokens that two windows share; half of a window at most, where a question is long.
    """
    room = room_of(asked, frame, longest)
    step = room - np.minimum(stride, room // 2)
    count = 1 + np.maximum(-(-(read - room) // step), 0)
    row = np.repeat(np.arange(len(read)), count)
    number = np.arange(len(row)) - np.repeat(np.cumsum(count) - count, count)
    return row, number * step[row]


def find_tokens(
    batch: dict[str, list], passages: Sequence[Encoding], passage_of: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first and the last token of every row's first gold answer, (rows,) each; -1 where there is none."""
    found, offsets = np.full((2, len(passage_of)), -1), {}
    for row, (texts, starts) in enumerate(zip(batch["texts"], batch["starts"], strict=True)):
        if not texts or not len(passages[passage_of[row]]):
            continue
        if passage_of[row] not in offsets:
            offsets[passage_of[row]] = np.array(passages[passage_of[row]].offsets)
        begins, ends = offsets[passage_of[row]].T
        first = int(np.searchsorted(ends, starts[0], side="right"))
        last = int(np.searchsorted(begins, starts[0] + len(texts[0]), side="left")) - 1
        # Between two tokens there may be characters that the tokenizer drops, and an answer may be all of such.
        if first <= last:
            found[:, row] = first, last
    return found[0], found[1]


def choose_windows(row: np.ndarray, holds: np.ndarray, negatives: int) -> np.ndarray:
    """The windows to learn from: all that hold the answer, and of each row's others at most so many, evenly spaced."""
    kept = holds.copy()
    others = np.flatnonzero(~holds)
    count = np.bincount(row[others], minlength=row.max(initial=-1) + 1)
    rank = np.arange(len(others)) - (np.cumsum(count) - count)[row[others]]
    most = np.minimum(count, negatives)[row[others]]
    # Of `count` windows the i-th is taken where i * most / count passes a whole number.
    taken = (rank + 1) * most // count[row[others]] > rank * most // count[row[others]]
    kept[others[taken]] = True
    # A row is never left without a window.
    bare = np.setdiff1d(np.unique(row), row[kept])
    kept[np.searchsorted(row, bare)] = True
    return kept


def flatten(rows: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Lists one behind the other, and where each begins."""
    lengths = count_tokens(rows)
    flat = np.fromiter(chain.from_iterable(rows), np.int64, int(lengths.sum()))
    return flat, np.cumsum(lengths) - lengths


def count_tokens(rows: Sequence[Any]) -> np.ndarray:
    return np.fromiter(map(len, rows), np.int64, len(rows))


def offsets_of(passages: Sequence[Encoding]) -> np.ndarray:
    """First and last character (excluded) of every token of all passages, (tokens, 2)."""
    pairs = chain.from_iterable(chain.from_iterable(encoding.offsets for encoding in passages))
    return np.fromiter(pairs, np.int32).reshape(-1, 2)


def spread(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """The numbers from each start on, `lengths` of them, one run behind the other."""
    total = np.cumsum(lengths)
    return np.repeat(starts - (total - lengths), lengths) + np.arange(int(total[-1]) if len(total) else 0)
