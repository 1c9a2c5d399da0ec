"""A counter of bytes: interpolated Kneser-Ney over the bytes of the training texts, with exact probabilities.

Source: Kneser and Ney 1995; Chen and Goodman 1999, section 2.7 (interpolated, one discount for each order).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from hfkit.baselines.base import Answers, Baseline
from hfkit.contract.abilities import Spoken, Stretch
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.progress import track

SYMBOLS = 256  # bytes; the one after them stands before a text
BASE = SYMBOLS + 1
ORDERS = (3, 5, 7)  # bytes of an n-gram, of which validation chooses; 257 ** 7 fits into 64 bits
MOST_BYTES = 20_000_000  # of training text that are counted


class Level(NamedTuple):
    """The counts of one order."""

    grams: np.ndarray  # codes of n-grams that occur, in rising order
    counts: np.ndarray  # how often; of a lower order, after how many different bytes
    contexts: np.ndarray  # codes of their beginnings, in rising order
    totals: np.ndarray  # of each of these, the sum of its counts
    kinds: np.ndarray  # and the number of different bytes after it
    discount: float


class KneserNey:
    """Probabilities of bytes after the bytes before them; after every context they sum to 1.

    Args:
        texts: of training, each by itself.
        order: bytes of the longest n-gram.
    """

    def __init__(self, texts: Iterable[bytes], order: int) -> None:
        self.order = order
        codes = np.concatenate([code_grams(text, order) for text in texts])  # (bytes of all texts,)
        grams, counts = np.unique(codes, return_counts=True)
        self.levels = [make_level(grams, counts)]
        for shorter in range(order - 1, 0, -1):
            # An n-gram without its first byte: how many different bytes stood before it is its count.
            grams, counts = np.unique(self.levels[-1].grams % BASE**shorter, return_counts=True)
            self.levels.append(make_level(grams, counts))

    def probabilities(self, text: bytes) -> np.ndarray:
        """Of every byte of a text after the ones before it, (bytes,)."""
        return self.score_codes(code_grams(text, self.order))

    def score_codes(self, codes: np.ndarray) -> np.ndarray:
        """The probabilities of the last bytes of n-grams, (n-grams,)."""
        found = np.full(len(codes), 1 / SYMBOLS)
        for shorter, level in zip(range(1, self.order + 1), reversed(self.levels), strict=True):
            grams = codes % BASE**shorter
            counts = look_up(level.grams, level.counts, grams)
            totals = look_up(level.contexts, level.totals, grams // BASE)
            kinds = look_up(level.contexts, level.kinds, grams // BASE)
            own = np.maximum(counts - level.discount, 0) + level.discount * kinds * found
            found = np.where(totals > 0, own / np.maximum(totals, 1), found)
        return found


def code_grams(text: bytes, order: int) -> np.ndarray:
    """For every byte a number for it and the `order` - 1 before it, (bytes,); before the text there are marks."""
    symbols = np.concatenate([np.full(order - 1, SYMBOLS), np.frombuffer(text, np.uint8)]).astype(np.int64)
    codes = np.zeros(len(text), np.int64)
    for place in range(order):
        codes = codes * BASE + symbols[place : place + len(text)]
    return codes


def make_level(grams: np.ndarray, counts: np.ndarray) -> Level:
    contexts, first, kinds = np.unique(grams // BASE, return_index=True, return_counts=True)
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    discount = once / (once + 2 * twice) if once and twice else 0.5
    return Level(grams, counts, contexts, np.add.reduceat(counts, first), kinds, float(discount))


def look_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The values of some keys, 0 for unknown ones."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, values[places], 0)


def nats_of(model: KneserNey, stretches: Sequence[Stretch]) -> tuple[float, int]:
    """Minus the logarithm of the probability of the texts of a row, and their bytes."""
    nats, size = 0.0, 0
    for before, text in stretches:
        context, own = before.encode("utf-8", "replace")[-model.order :], text.encode("utf-8", "replace")
        # The context is cut, and no mark may stand where something was cut off.
        codes = code_grams(context + own, model.order)[len(context) :]
        nats -= float(np.log(model.score_codes(codes)).sum())
        size += len(own)
    return nats, size


@dataclass(frozen=True)
class ByteCounter(Baseline):
    """Counts n-grams of bytes in the training texts.

    For tasks whose rows say which texts are predicted. The length of the n-grams is the best of a few on validation.
    """

    name: ClassVar[str] = "Kneser-Ney bytes"
    description: ClassVar[str] = "n-grams of bytes, counted in the training texts, with Kneser-Ney smoothing"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """How likely the texts of every test row are.

        Raises:
            UserError: the rows have no texts to predict.
        """
        if not isinstance(task.rows, Spoken):
            raise UserError(
                f"baseline '{self.name}'", "it predicts texts byte by byte, and here a row asks for another answer",
                "Leave it out",
            )  # fmt: skip
        spoken = {split: task.rows.stretches(of_split) for split, of_split in rows.splits.items()}
        texts = list(take_bytes(stretch for row in spoken["train"] for stretch in row))
        costs = {}
        for order in track(ORDERS, "Counting bytes"):
            model = KneserNey(texts, order)
            costs[order] = sum(nats_of(model, row)[0] for row in spoken["validation"]), model
        best = min(costs, key=lambda order: costs[order][0])
        answers = [task.rows.to_answer(*nats_of(costs[best][1], row)) for row in spoken["test"]]
        return Answers(answers, facts={"order": best})


def take_bytes(stretches: Iterable[Stretch]) -> Iterable[bytes]:
    """Texts with what stands before them, as many as are counted."""
    size = 0
    for before, text in stretches:
        whole = (before + text).encode("utf-8", "replace")
        if not whole:
            continue
        yield whole
        size += len(whole)
        if size > MOST_BYTES:
            return
