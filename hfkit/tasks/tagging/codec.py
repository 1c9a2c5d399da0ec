"""The codec of taggers: words to windows of tokens, and logits at every word's first token to one tag per word."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import numpy as np
import torch
from datasets import Dataset, Features, List, Value
from tokenizers import normalizers
from torch import Tensor
from transformers import AutoModelForTokenClassification
from transformers import PreTrainedTokenizerFast as Tokenizer

from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch, Output, Tokens
from hfkit.contract.target import Labels
from hfkit.data.mapping import map_rows
from hfkit.data.text.hiding import NOTHING, HiddenWords, Hiding, find_stand_in
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.tokenizers import limit_to_positions, load_tokenizer, refuse_other_vocabulary
from hfkit.errors import UserError
from hfkit.model.weights import read_config
from hfkit.tasks.label_codec import LabelCodec
from hfkit.tasks.tagging.windows import glues_words, window_facts, windows

HANDICAPS = tuple(step / 4 for step in range(-4, 13))  # logits
LONGEST_WINDOW = 512  # tokens; many tokenizers name no limit, and attention is quadratic in it
OUTSIDE = "O"


class WordTagger(LabelCodec):
    """A tokenizer and tags: every word has its label at its first token, in exactly one window.

    Args:
        max_length: tokens in a window; None: what the model can read, at most `LONGEST_WINDOW`.
        stride: tokens that two windows share; None: a quarter of the window.
        hiding: which words are hidden behind the mask token in training.

    Raises:
        UserError: there is no tokenizer, it cannot tell which word a token belongs to, or words are to be hidden and it
            has no token for that.
    """

    auto_model = AutoModelForTokenClassification

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Labels,
        head_config: Mapping[str, Any],
        *,
        max_length: int | None = None,
        stride: int | None = None,
        hiding: Hiding = NOTHING,
    ) -> None:
        super().__init__(checkpoint, path, target, head_config)
        self.max_length, self.stride, self.hiding = max_length, stride, hiding
        self.processor: Tokenizer = self._load_tokenizer()
        self.collate = PaddedTexts(self.processor, token_labels=True)
        # The tag of a word without any token, about which the model cannot be asked.
        self.without_token = OUTSIDE if OUTSIDE in self.labels else self.labels[0]

    def _load_tokenizer(self) -> Tokenizer:
        """The checkpoint's fast tokenizer, configured to read separate words as words of running text."""
        tokenizer = load_tokenizer(self.path, self.checkpoint)
        if not tokenizer.is_fast:
            raise UserError(
                f"checkpoint '{self.checkpoint}'",
                f"its tokenizer ({type(tokenizer).__name__}) exists in Python only, transformers cannot convert it, and"
                " it cannot say which word a token belongs to",
                "Use a checkpoint with a fast tokenizer (tokenizer.json)",
            )
        if glues_words(tokenizer):
            tokenizer = load_tokenizer(self.path, self.checkpoint, add_prefix_space=True)
        if glues_words(tokenizer):
            # Classes that only wrap tokenizer.json accept this argument and ignore it.
            backend = tokenizer.backend_tokenizer
            steps = [normalizers.Prepend(" "), *([backend.normalizer] if backend.normalizer else [])]
            backend.normalizer = normalizers.Sequence(steps)
        if self.hiding:
            find_stand_in(tokenizer, self.hiding)
        config = read_config(self.path)
        refuse_other_vocabulary(tokenizer, config, self.checkpoint)
        limit_to_positions(tokenizer, config)
        # Windows begin at the start of the document.
        tokenizer.truncation_side = "right"
        return tokenizer

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Windows of tokens, at least one per row.

        Besides the model's inputs a window has `row`, `words` (the words it answers for, in order) and `words_in_row`
        (0 in later windows of a row); with `answers` also `labels` (-100 except at the first token of each of those
        words), otherwise `word_starts` (1 at those tokens, 0 elsewhere).

        Raises:
            UserError: `max_length` or `stride` do not fit the tokenizer.
        """
        longest, stride = self.window()
        integers = List(Value("int32"))
        inputs = {name: integers for name in self.processor.model_input_names}
        extra = {"row": Value("int32"), "words": integers, "words_in_row": Value("int32")}
        extra["labels" if answers else "word_starts"] = integers
        encoded = map_rows(
            rows,
            windows,
            f"Tokenizing {split}",
            features=Features({**inputs, **extra}),
            numbered=True,
            processor=self.processor,
            ids={label: number for number, label in enumerate(self.labels)} if answers else None,
            longest=longest,
            stride=stride,
        )
        # The tokenizer keeps the last call's truncation and would save it with the model.
        self.processor.backend_tokenizer.no_truncation()
        return encoded

    def window(self) -> tuple[int, int]:
        """The number of tokens in a window, including special ones, and the number that two windows share."""
        limit, special = self.processor.model_max_length, self.processor.num_special_tokens_to_add()
        longest = min(limit, LONGEST_WINDOW) if self.max_length is None else self.max_length
        if not special < longest <= limit:
            raise UserError(
                f"max_length {longest}",
                f"a window holds more than its {special} special tokens and at most the {limit} that the model reads",
                "Set --max_length between them, or leave it out",
            )
        stride = (longest - special) // 4 if self.stride is None else self.stride
        if not 0 <= stride < longest - special:
            raise UserError(
                f"stride {stride}",
                f"two windows share fewer tokens than the {longest - special} that one holds",
                "Set a smaller --stride, or leave it out",
            )
        return longest, stride

    def tokens(self, rows: Dataset) -> Tokens:
        limit, _ = self.window()
        ids = self.processor(rows["tokens"][:], is_split_into_words=True, verbose=False)["input_ids"]
        return Tokens(ids, limit, windowed=True)

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        return window_facts(encoded)

    @property
    def varies(self) -> Literal["rows"] | None:
        return "rows" if self.hiding else None

    def vary(self, seed: int) -> PaddedTexts:
        return HiddenWords(self.processor, token_labels=True, hiding=self.hiding, seed=seed)

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return {name: value for name, value in batch.items() if name not in ("labels", "word_starts")}

    # Outputs to tags

    def positions(self, batch: Batch) -> Tensor:
        return batch["labels"] if "labels" in batch else torch.where(batch["word_starts"] == 1, 0, -100)

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The logits of all tokens but padding, (tokens, labels)."""
        return output["logits"][batch["attention_mask"].bool()]

    def reduce(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The best label at every labelled token and -100 elsewhere, (batch, tokens)."""
        return torch.where(labels == -100, -100, logits.argmax(-1))

    def decode_reduced(self, reduced: np.ndarray, encoded: Dataset) -> list[list[str]]:
        """One tag per word."""
        tags = [[self.without_token] * words for words in self._words_of_rows(encoded)]
        for output, row, words in zip(reduced, encoded["row"][:], encoded["words"][:], strict=True):
            # By order, not by position: a tokenizer that pads on the left shifts the positions.
            for word, label in zip(words, output[output != -100].tolist(), strict=True):
                tags[row][word] = self.labels[label]
        return tags

    def _words_of_rows(self, encoded: Dataset) -> list[int]:
        rows = np.array(encoded["row"][:])
        first = np.diff(rows, prepend=-1) != 0
        return np.array(encoded["words_in_row"][:])[first].tolist()

    def features(self, outputs: Any, batch: Batch) -> Tensor:
        return outputs.last_hidden_state

    def with_targets(self, encoded: Dataset, rows: Dataset) -> Dataset:
        raise UserError(f"labels {', '.join(self.labels[:3])}", "a row has one for every word", "Use another baseline")

    # The decision

    def decision(
        self, outputs: Mapping[str, np.ndarray], encoded: Dataset, headline: Callable[[list], float]
    ) -> Decision:
        """The handicap of O with the best score: rare entities are missed more often than invented.

        One number for all types: one for each would be overfitted to the few entities of the validation rows.
        """
        logits, gold = outputs["logits"], torch.from_numpy(outputs["positions"])

        def score(shift: np.ndarray) -> float:
            shifted = torch.from_numpy(logits + shift.astype(logits.dtype))
            return headline(self.decode_reduced(self.reduce(shifted, gold).numpy(), encoded))

        nothing = np.zeros(len(self.labels))
        before = score(nothing)
        if OUTSIDE not in self.labels:
            return Decision(nothing, before, before)
        outside = np.arange(len(self.labels)) == self.labels.index(OUTSIDE)
        best = max(HANDICAPS, key=lambda handicap: (score(np.where(outside, -handicap, 0.0)), -abs(handicap)))
        shift = np.where(outside, -best, 0.0)
        return Decision(shift, before, score(shift) if best else before)
