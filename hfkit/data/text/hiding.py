"""Words hidden in training, one by one or in spans, so that the model must use their context."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.data.seeding import make_generator
from hfkit.data.text.padding import IGNORED, PaddedTexts
from hfkit.errors import UserError

SPAN = 3  # words, in the mean; SpanBERT's are 3.8
MOST_IN_SPANS = 0.75  # of the words: with more, spans of this length would have no word between them
WORD_STARTS = "word_starts"  # the column that says where words begin, where the labels do not


@dataclass(frozen=True)
class Hiding:
    """The share of the words that are hidden in a training step, and how."""

    words: float = 0.0  # one by one
    spans: float = 0.0  # in spans

    def __bool__(self) -> bool:
        return self.words > 0 or self.spans > 0

    def __str__(self) -> str:
        return f"word_dropout={self.words}" if self.words else f"span_masking={self.spans}"

    def draw(self, count: int, *key: int) -> np.ndarray:
        """Which of the first `count` words of a row are hidden, (count,): a pure function of the key and each word."""
        hidden = np.zeros(count, dtype=bool)
        if self.words:
            hidden |= make_generator(*key, 0).random(count) < self.words
        if self.spans:
            hidden |= draw_spans(make_generator(*key, 1), count, self.spans)
        return hidden


NOTHING = Hiding()


def draw_spans(draw: np.random.Generator, count: int, share: float) -> np.ndarray:
    """A mask of words, (count,): each is hidden with probability `share`, in spans of geometric length.

    A word after a hidden one is hidden too with the same probability wherever the span began, so lengths are geometric
    with a mean of `SPAN`; spans begin so often that they hold the share.

    Source: spans of Joshi et al. 2020 (SpanBERT), section 3.1, without their limit of ten words.
    """
    begins, ends = share / (1 - share) / SPAN, 1 / SPAN
    hidden, inside = np.zeros(count, dtype=bool), draw.random() < share
    for word, chance in enumerate(draw.random(count)):
        hidden[word] = inside
        inside = chance >= ends if inside else chance < begins
    return hidden


def find_stand_in(tokenizer: Tokenizer, hiding: Hiding) -> int:
    """The id of the token that takes the place of hidden ones: that of a mask, or of an unknown word.

    Raises:
        UserError: the tokenizer has neither, or means something else by it.
    """
    token, others = tokenizer.mask_token, ("pad_token", "bos_token", "eos_token", "cls_token", "sep_token")
    if token is None and tokenizer.unk_token not in [getattr(tokenizer, name) for name in others]:
        token = tokenizer.unk_token
    if token is None:
        raise UserError(
            str(hiding),
            f"words are hidden behind a mask token, or one for unknown words, and {type(tokenizer).__name__} has"
            " neither",
            "Leave it out, or use another checkpoint",
        )
    return tokenizer.convert_tokens_to_ids(token)


@dataclass
class HiddenWords(PaddedTexts):
    """Replaces whole words by the mask token: what is hidden can only be recognised by its context.

    Words begin where `WORD_STARTS` is 1, or where tokens have labels; of a row in several windows, the column `words`
    says which ones these are, so that a word in two of them is hidden in both.

    Source: word dropout of Iyyer et al. 2015, section 3.3, with the encoder's own mask token instead of deletion.
    """

    hiding: Hiding = NOTHING
    seed: int = 0
    epoch: int = 0
    stand_in: int = field(init=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.stand_in = find_stand_in(self.tokenizer, self.hiding)
        self.fillings[WORD_STARTS] = 0

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = super().__call__(rows)
        first = batch.pop(WORD_STARTS) == 1 if WORD_STARTS in batch else batch["labels"] != IGNORED
        word, ids = first.cumsum(1), batch["input_ids"]  # (batch, tokens): 0 before the first word, then its number
        hidden = torch.zeros(len(rows), int(word.max()) + 1, dtype=torch.bool)
        for places, row, count in zip(hidden, rows, word.amax(1).tolist(), strict=True):
            numbers = np.asarray(row["words"] if "words" in row else range(count), dtype=int)
            drawn = self.hiding.draw(numbers.max(initial=-1) + 1, self.seed, self.epoch, row["row"])
            places[1 : count + 1] = torch.from_numpy(drawn[numbers])
        special = torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids))
        return {**batch, "input_ids": ids.masked_fill(hidden.gather(1, word) & ~special, self.stand_in)}
