"""Classified texts and pairs of texts: rows, codec and view."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Literal

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from torch import Tensor
from transformers import AutoModelForSequenceClassification, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.contract.codec import Batch, Tokens
from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.snippets import literal, plain_text
from hfkit.contract.target import Labels, Target
from hfkit.contract.view import Example, Mistake, Shown, Text
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.batches import text_lengths
from hfkit.data.files import TEXT_TABLES, read_one_split, read_splits, take_split
from hfkit.data.mapping import map_rows
from hfkit.data.text.hiding import NOTHING, WORD_STARTS, HiddenWords, Hiding, find_stand_in
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.texts import JOINT, check_texts, row_keys, text_columns, text_facts
from hfkit.data.text.token_columns import encode_texts, lists, mark_word_starts
from hfkit.data.text.tokenizers import (
    find_readable_marks,
    spell_out,
)
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.model.conversions import say_once
from hfkit.model.sources import read_pooling
from hfkit.tasks.classification.codec import Classifier
from hfkit.tasks.classification.flags import ClassifiedRows
from hfkit.tasks.classification.kinds import Kind
from hfkit.tasks.classification.label_columns import ANSWER_COLUMNS
from hfkit.tasks.classification.onnx_snippets import TEXTS
from hfkit.tasks.classification.view import ClassifiedView
from hfkit.tasks.inputs import load_text_tokenizer

LONGEST_TEXT = 256  # tokens; attention is quadratic in it, and what matters is usually near the start
TEXT = "The parcel came a day late, but all of it was there."
PAIR = ("A man is playing a guitar on stage.", "Somebody makes music.")


@dataclass(frozen=True)
class ClassifiedTexts(ClassifiedRows):
    """Rows of `text` and `label`; pairs also have `text_pair`."""

    text_column: str | None
    text_pair_column: str | None
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "text"

    @property
    def main_column(self) -> str:
        return self.text_column or "text"

    def read(self, source: Source, only_one: Only | None) -> Raw:
        raw = self._splits(source, only_one)
        named = [self.label_column] if self.label_column else self.cells.columns
        texts = text_columns(raw, self.text_column, self.text_pair_column, (*named, *chain(*ANSWER_COLUMNS)))
        unit = find_unit_column(raw, self.unit_column)
        raw, answers, writing = self.find_answers(raw, texts, unit)
        columns = dict(zip(("text", "text_pair"), texts, strict=False)) | {"label": answers}
        return Raw(raw, columns | ({"unit": unit} if unit else {}), writing=writing)

    def _splits(self, source: Source, only_one: Only | None) -> DatasetDict:
        if source.dataset == "sample":
            return self.sample() if only_one is None else take_split(self.sample(), only_one.name)
        if only_one is not None:
            return read_one_split(source, only_one.name, kinds=TEXT_TABLES)
        return read_splits(source, kinds=TEXT_TABLES)

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        rows, columns = raw.splits[split], raw.columns
        values, faults = self._texts(rows, [(name, columns[name]) for name in ("text", "text_pair") if name in columns])
        answers, wrong = self.check_answers(rows, raw, target, finished=finished)
        strings = {name: Value("string") for name in values}
        features = Features({**strings, "label": self.kind.feature})
        return Dataset.from_dict({**values, "label": answers}, features=features), faults + wrong

    def _texts(self, rows: Dataset, columns: list[tuple[str, str]]) -> tuple[dict[str, list], list[Fault]]:
        values, faults = {}, []
        for name, column in columns:
            values[name], wrong = check_texts(rows, column)
            faults += wrong
        return values, faults

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        texts = text_columns(DatasetDict(input=raw), self.text_column, self.text_pair_column)
        values, faults = self._texts(raw, list(zip(("text", "text_pair"), texts, strict=False)))
        rows = Dataset.from_dict(values, features=Features({name: Value("string") for name in values}))
        return rows, sorted(faults, key=lambda fault: fault.row)

    def input_columns(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        pairs = self.text_pair_column or facts.get("pairs")
        return (self.main_column, self.text_pair_column or "text_pair") if pairs else (self.main_column,)

    def target(self, splits: DatasetDict) -> Labels:
        return self.kind.target(splits)

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, labels, repeats and skipped rows."""
        learnt = set(row_keys(splits["train"])) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            of_splits[split] = {**text_facts(rows), **self.kind.facts(self.references(rows))}
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(key in learnt for key in row_keys(rows))
            of_splits[split]["skipped"] = count_skipped(rows)
        return {"problem": self.problem, "pairs": "text_pair" in splits["test"].column_names, **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        return [JOINT.join(key) for key in row_keys(rows)]


class TextClassifier(Classifier):
    """A tokenizer and the labels of texts.

    The tokenizer reads special tokens in a text as plain text, and gives only the inputs that the model takes. It is
    saved with the model like this, so that others read texts in the same way.

    Args:
        max_length: tokens of a row, the rest is cut off; None: `LONGEST_TEXT`, or what the model can read.

        hiding: which words are hidden behind the mask token in training.

    Raises:
        UserError: there is no tokenizer, or it cannot be used, or not for hiding words.
    """

    auto_model = AutoModelForSequenceClassification

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Labels,
        head_config: Mapping[str, Any],
        kind: Kind,
        *,
        balanced: bool = False,
        max_length: int | None = None,
        hiding: Hiding = NOTHING,
    ) -> None:
        super().__init__(checkpoint, path, target, head_config, kind, balanced=balanced)
        self.max_length, self.hiding = max_length, hiding
        self.processor: Tokenizer = self._load_tokenizer()
        self.pooling = read_pooling(path, f"checkpoint '{checkpoint}'")
        self.collate = PaddedTexts(self.processor)

    def _load_tokenizer(self) -> Tokenizer:
        tokenizer = load_text_tokenizer(self.path, self.checkpoint, self.auto_model)
        if not tokenizer.is_fast:
            kind = type(tokenizer).__name__
            say_once(f"Checkpoint '{self.checkpoint}': its tokenizer ({kind}) exists in Python only, and reads slowly.")
        if self.hiding:
            refuse_without_words(tokenizer, self.hiding)
        return tokenizer

    def model(self, **options: Any) -> PreTrainedModel:
        """The stock model, with the padding token in its configuration: decoders pool the last token before it."""
        model = super().model(**options)
        padding = self.processor.pad_token_id
        model.config.get_text_config().pad_token_id = padding
        model.config.pad_token_id = padding
        return model

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Tokens of every row, at most `max_length`, not padded; with its `row`, whether it was `truncated`, and for
        `answers` its `labels`. Training rows also have `WORD_STARTS` if words of them are to be hidden.

        Raises:
            UserError: `max_length` does not fit the tokenizer.
            DataError: the tokenizer turns a text into nothing.
        """
        tokens = self.tokenize(rows, split, with_words=split == "train" and bool(self.hiding))
        for fault in find_empty(tokens, rows):
            raise fault.to_error(split, skippable=answers)
        return self.with_numbers(tokens, rows, answers=answers)

    def find_unreadable(self, rows: Dataset) -> list[Fault]:
        return find_empty(self.tokenize(rows, "rows"), rows)

    def tokenize(self, rows: Dataset, named: str, *, with_words: bool = False) -> Dataset:
        """Tokens of every row, and whether it was `truncated`."""
        names = [*self.processor.model_input_names, *([WORD_STARTS] if with_words else [])]
        tokens = map_rows(
            rows,
            tokenize_batch,
            f"Tokenizing {named}",
            features=Features({**{name: List(Value("int32")) for name in names}, "truncated": Value("bool")}),
            processor=self.processor,
            longest=self.longest(pairs="text_pair" in rows.column_names),
            with_words=with_words,
            marks=find_readable_marks(self.processor),
        )
        if self.processor.is_fast:
            # The tokenizer keeps the last call's truncation and would save it with the model.
            self.processor.backend_tokenizer.no_truncation()
        return tokens

    @property
    def varies(self) -> Literal["rows"] | None:
        return "rows" if self.hiding else None

    def vary(self, seed: int) -> PaddedTexts:
        return HiddenWords(self.processor, hiding=self.hiding, seed=seed)

    def longest(self, *, pairs: bool) -> int:
        """The limit of tokens in a row, including special ones."""
        limit, special = self.processor.model_max_length, self.processor.num_special_tokens_to_add(pair=pairs)
        longest = min(limit, LONGEST_TEXT) if self.max_length is None else self.max_length
        if not special < longest <= limit:
            raise UserError(
                f"max_length {longest}",
                f"a row holds more than its {special} special tokens and at most the {limit} that the model reads",
                "Set --max_length between them, or leave it out",
            )
        return longest

    def tokens(self, rows: Dataset) -> Tokens:
        limit, marks = self.longest(pairs="text_pair" in rows.column_names), find_readable_marks(self.processor)
        names = [name for name in ("text", "text_pair") if name in rows.column_names]
        texts = [[spell_out(text, marks) for text in rows[name][:]] for name in names]
        return Tokens(encode_texts(texts, self.processor)["input_ids"], limit, windowed=False)

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        lengths = text_lengths(encoded)
        return {
            "median_tokens": float(np.median(lengths)),
            "most_tokens": int(lengths.max()),
            "truncated": sum(encoded["truncated"][:]),
        }

    def features(self, outputs: Any, batch: Batch) -> Tensor:
        """One vector of a text, by `pooling` of the last hidden states of all tokens but padding, (batch, features)."""
        hidden, mask = outputs.last_hidden_state, batch["attention_mask"]  # (batch, tokens, features), (batch, tokens)
        if self.pooling == "max":
            return hidden.masked_fill(mask.unsqueeze(-1) == 0, -torch.inf).amax(1)
        if self.pooling != "mean":
            places = torch.arange(1, mask.shape[1] + 1, device=mask.device)
            token = (mask * places).argmax(1) if self.pooling == "lasttoken" else mask.argmax(1)
            return hidden[torch.arange(len(hidden), device=hidden.device), token]
        return (hidden * mask.unsqueeze(-1)).sum(1) / mask.unsqueeze(-1).sum(1)


class ClassifiedText(ClassifiedView):
    """Texts, or pairs of them."""

    auto_processor: ClassVar[str] = "AutoTokenizer"
    tag: ClassVar[str] = "text-classification"
    role: ClassVar[str] = "tokenizer"

    def __init__(self, kind: Kind, max_length: int | None) -> None:
        super().__init__(kind)
        self.max_length = max_length

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(JOINT.join(row[name] for name in ("text", "text_pair") if name in row))

    def mistakes(self, predictions: list, references: list, rows: Dataset, limit: int) -> list[Mistake]:
        def show_row(row: int) -> Shown:
            return self.row(rows[row])

        return self.kind.mistakes(predictions, references, show_row, limit)

    def call(self, examples: Sequence[Example], facts: Mapping[str, Any]) -> str:
        text = literal(plain_text(examples) or TEXT)
        if facts.get("pairs"):
            text = f"{{{literal('text')}: {literal(PAIR[0])}, {literal('text_pair')}: {literal(PAIR[1])}}}"
        # The pipeline fails on texts that are longer than the model can read.
        longest = self.max_length or cut_at(facts)
        return f"{text}, truncation=True" + (f", max_length={longest}" if longest else "")

    def first_answer(self, call: str) -> str:
        # The pipeline returns one answer for a pair, but a list with one answer for a text.
        return call if "{" in call else f"{call}[0]"

    def top_k(self, target: Target) -> str:
        return "None"

    def graph_call(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return TEXTS.replace("@longest@", str(longest))


def cut_at(facts: Mapping[str, Any]) -> int | None:
    """The number of tokens at which rows were cut off; None if none was."""
    splits = [of_split for of_split in facts.values() if isinstance(of_split, dict) and of_split.get("truncated")]
    return max((of_split["most_tokens"] for of_split in splits), default=None)


def tokenize_batch(
    batch: dict[str, list],
    processor: Tokenizer,
    longest: int,
    marks: tuple[str, ...] = (),
    with_words: bool = False,
) -> pa.Table:
    """A batch of `text` (and `text_pair`) as tokens, cut off at `longest`, with `marks` as plain text.

    Args:
        with_words: mark in `WORD_STARTS` where words begin.
    """
    texts = [[spell_out(text, marks) for text in batch[name]] for name in ("text", "text_pair") if name in batch]
    inputs = encode_texts(texts, processor)
    truncated = [len(ids) > longest for ids in inputs["input_ids"]]
    if any(truncated):
        # Only these are encoded again: the tokenizer knows which special tokens a truncated text keeps.
        long = [row for row, cut in enumerate(truncated) if cut]
        again = processor(*([column[row] for row in long] for column in texts), truncation=True, max_length=longest)
        for name, rows in inputs.items():
            for row, values in zip(long, again[name], strict=True):
                rows[row] = values
    if with_words:
        inputs[WORD_STARTS] = mark_word_starts(texts, processor, longest)
    return pa.table({name: lists(rows) for name, rows in inputs.items()} | {"truncated": pa.array(truncated)})


def refuse_without_words(tokenizer: Tokenizer, hiding: Hiding) -> None:
    """Refuse to hide words of a tokenizer that does not know them, or has nothing to put in their place.

    Raises:
        UserError: naming the flag.
    """
    if not tokenizer.is_fast:
        rule = f"{type(tokenizer).__name__} exists in Python only, and cannot say which word a token belongs to"
        raise UserError(str(hiding), rule, "Leave it out, or use a checkpoint with a fast tokenizer (tokenizer.json)")
    find_stand_in(tokenizer, hiding)


def find_empty(tokens: Dataset, rows: Dataset) -> list[Fault]:
    rule = "the tokenizer makes no token of it, and no model reads an empty row"
    empty = np.flatnonzero(text_lengths(tokens) == 0).tolist()
    return [Fault(row, "text", f"text {rows[row]['text']!r}", rule, "Remove the row") for row in empty]
