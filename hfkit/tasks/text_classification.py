"""Text classification: a sentence, a document or a pair of texts in; a class, several, or a number out."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
from datasets import Dataset, DatasetDict, Features, List, Value
from torch import Tensor
from transformers import (
    MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING,
    AutoModelForSequenceClassification,
    PreTrainedConfig,
    PreTrainedModel,
)
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.contract.task import Found, Parsed, Prompt, Tokens
from hfkit.data.bad_rows import Fault, skipped, without
from hfkit.data.batches import text_lengths
from hfkit.data.columns import column_of
from hfkit.data.files import TABLES, one_split, only, read
from hfkit.data.mapping import mapped
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.texts import JOINT, checked_texts, keys, text_columns, text_facts
from hfkit.data.text.token_columns import encoded, lists
from hfkit.data.text.tokenizers import load_tokenizer, marks_read, positions_of, separate_pairs, spelt_out
from hfkit.data.units import checked_units, unit_column
from hfkit.errors import DataError, UserError
from hfkit.model.weights import read_config
from hfkit.tasks.classification.answers import ANSWER_COLUMNS, FEATURES, checked_answers, refuse_other_problem
from hfkit.tasks.classification.base import Classification

SIDES = (("First text", "text"), ("Second text", "text_pair"))  # of a pair in a prompt
LONGEST_TEXT = 256  # tokens; attention costs their square, and what decides mostly stands near the start


@dataclass(frozen=True)
class TextClassification(Classification):
    """Texts, or pairs of them, with a class, several, or a number.

    `load` gives rows of `text` (of pairs also `text_pair`) and `label`, the gold answer as a plain value.
    """

    text_column: str | None = field(
        default=None, metadata={"help": "column of texts; default: the one named text, sentence or the like"}
    )
    text_pair_column: str | None = field(
        default=None,
        metadata={"help": "column of the second text of a pair; default: that of premise and hypothesis or the like"},
    )
    max_length: int | None = field(
        default=None,
        metadata={"help": f"tokens of a text, the rest is cut off; default: {LONGEST_TEXT}, or what the model reads"},
    )
    encoding: str = field(default="utf-8", metadata={"help": "of local .csv, .tsv and .json files, such as latin-1"})

    name: ClassVar[str] = "text-classification"
    auto_model: ClassVar[type] = AutoModelForSequenceClassification
    unit: ClassVar[str] = "text"

    # Loading

    def found(self, *one: str | None) -> Found:
        raw = self.splits(*one)
        texts = text_columns(raw, self.text_column, self.text_pair_column)
        answers = column_of(raw, self.label_column, ANSWER_COLUMNS, "--label_column")
        if answers in texts:
            raise UserError(
                f"column '{answers}'", "texts and labels are two columns", "Set --text_column and --label_column"
            )
        refuse_other_problem(raw, answers, self.problem)
        columns = dict(zip(("text", "text_pair"), texts, strict=False)) | {"label": answers}
        unit = unit_column(raw, self.unit_column)
        return Found(raw, columns | ({"unit": unit} if unit else {}))

    def splits(self, *one: str | None) -> DatasetDict:
        if self.dataset == "sample":
            from hfkit.samples.sentiment import sample_sentiment

            return only(sample_sentiment(), *one) if one else sample_sentiment()
        place = (self.dataset, self.dataset_config, self.dataset_revision)
        if one:
            return one_split(*place, *one, kinds=TABLES, encoding=self.encoding)
        return read(*place, kinds=TABLES, encoding=self.encoding, validation_share=self.validation_share)

    def checked_rows(self, split: str, found: Found, learnt: set[str] | None, *, by_model: bool) -> Dataset:
        raw, columns = found.raw[split], found.columns
        values: dict[str, list] = {}
        faults: list[Fault] = []
        for name in ("text", "text_pair", "unit"):
            if name in columns:
                values[name], wrong = (checked_units if name == "unit" else checked_texts)(raw, columns[name])
                faults += wrong
        values["label"], wrong = checked_answers(raw, columns["label"], self.problem, learnt, by_model=by_model)
        strings = {name: Value("string") for name in values}
        rows = Dataset.from_dict(values, features=Features({**strings, "label": FEATURES[self.problem]}))
        return without(split, rows, sorted(faults + wrong, key=lambda fault: fault.row), self.on_bad_row)

    @property
    def input_column(self) -> str:
        return self.text_column or "text"

    def unanswered(self, raw: Dataset, labels: list[str]) -> tuple[Dataset, list[Fault]]:
        columns, faults = {}, []
        texts = text_columns(DatasetDict(input=raw), self.text_column, self.text_pair_column)
        for name, column in zip(("text", "text_pair"), texts, strict=False):
            columns[name], found = checked_texts(raw, column)
            faults += found
        rows = Dataset.from_dict(columns, features=Features({name: Value("string") for name in columns}))
        return self.unlabelled(rows, labels), sorted(faults, key=lambda fault: fault.row)

    # Model inputs

    def processor(self, checkpoint: str) -> Tokenizer:
        """The checkpoint's tokenizer, set to read every text as text and to give only what the model takes.

        It is saved with the model as it is here, so that others read texts in the same way.

        Raises:
            UserError: there is none, or it cannot be used.
        """
        path = self.path(checkpoint)
        # A "[SEP]" or "</s>" that somebody wrote is no end: BART and T5 would pool there, or fail.
        options: dict[str, Any] = {"split_special_tokens": True}
        tokenizer, config = load_tokenizer(path, checkpoint, **options), read_config(path)
        names = inputs_taken(config, tokenizer.model_input_names)
        if names != tokenizer.model_input_names:
            tokenizer = load_tokenizer(path, checkpoint, **options, model_input_names=names)
        # Some tokenizers name no limit, and others a larger one than the model's table of positions.
        positions = positions_of(config)
        if 0 < positions < tokenizer.model_max_length:
            tokenizer.model_max_length = positions
        separate_pairs(tokenizer)
        return tokenizer

    def model(self, checkpoint: str, labels: list[str], **kwargs: Any) -> PreTrainedModel:
        """The stock model, told which token pads: decoders pool the last token that is none."""
        model = super().model(checkpoint, labels, **kwargs)
        padding = self.processor(checkpoint).pad_token_id
        model.config.get_text_config().pad_token_id = padding
        model.config.pad_token_id = padding
        return model

    def prepare(self, dataset: DatasetDict, processor: Tokenizer, labels: list[str]) -> DatasetDict:
        """Tokens of every row, at most `max_length`, not padded; with `labels`, `row` and whether it was `truncated`.

        Raises:
            UserError: `max_length` does not fit the tokenizer.
            DataError: the tokenizer makes nothing of a text.
        """
        longest = self.longest(processor, pairs="text_pair" in next(iter(dataset.values())).column_names)
        marks = marks_read(processor)
        inputs = {name: List(Value("int32")) for name in processor.model_input_names}
        prepared = {}
        for split, rows in dataset.items():
            tokens = mapped(
                rows,
                tokenized,
                f"Tokenizing {split}",
                features=Features({**inputs, "truncated": Value("bool")}),
                processor=processor,
                longest=longest,
                marks=marks,
            )
            refuse_empty(split, tokens, rows)
            prepared[split] = self.targeted(tokens, rows, labels)
        if processor.is_fast:
            # The tokenizer keeps the last call's truncation and would save it with the model.
            processor.backend_tokenizer.no_truncation()
        return DatasetDict(prepared)

    def longest(self, processor: Tokenizer, *, pairs: bool) -> int:
        """Tokens of a row, special ones included."""
        limit, special = processor.model_max_length, processor.num_special_tokens_to_add(pair=pairs)
        longest = min(limit, LONGEST_TEXT) if self.max_length is None else self.max_length
        if not special < longest <= limit:
            raise UserError(
                f"max_length {longest}",
                f"a row holds more than its {special} special tokens and at most the {limit} that the model reads",
                "Set --max_length between them, or leave it out",
            )
        return longest

    def tokens(self, rows: Dataset, processor: Tokenizer) -> Tokens:
        limit, marks = self.longest(processor, pairs="text_pair" in rows.column_names), marks_read(processor)
        names = [name for name in ("text", "text_pair") if name in rows.column_names]
        texts = [[spelt_out(text, marks) for text in rows[name]] for name in names]
        return Tokens(encoded(texts, processor)["input_ids"], limit, windowed=False)

    def collator(self, processor: Tokenizer) -> PaddedTexts:
        return PaddedTexts(processor)

    def features(self, outputs: Any, batch: Mapping[str, Tensor]) -> Tensor:
        """The mean of the last hidden states over the tokens that are no padding, (batch, features)."""
        mask = batch["attention_mask"].unsqueeze(-1)  # (batch, tokens, 1)
        return (outputs.last_hidden_state * mask).sum(1) / mask.sum(1)

    # Prompts

    def prompt(
        self, example: Mapping[str, Any], labels: Mapping[str, str], shots: Sequence[Mapping[str, Any]]
    ) -> Prompt:
        """One label to choose for a text, or for a pair of them.

        Raises:
            UserError: a row has no single label.
        """
        if self.problem != "single-label":
            raise UserError(
                f"problem={self.problem}", "a prompt chooses one label of several", "Use another baseline for this task"
            )
        whole = "the two texts" if "text_pair" in example else "the text"
        return Prompt(
            f"Choose the label that fits {whole}. The labels are: {', '.join(labels.values())}.",
            tuple((asked(row), labels[row["label"]]) for row in shots),
            asked(example),
            "Label:",
            tuple(labels.values()),
        )

    def answer(self, completion: str, example: Mapping[str, Any], labels: Mapping[str, str]) -> Parsed:
        """The label that stands in the first line, whatever its case and the dot behind it; else none."""
        said = completion.strip().partition("\n")[0].strip(" .").casefold()
        found = [label for label, text in labels.items() if text.strip(" .").casefold() == said]
        return Parsed(found or [""], bool(found))

    # Reporting

    def describe(self, dataset: DatasetDict, prepared: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
        """Per split its rows, labels, repeats, lengths, what was cut off and what was skipped."""
        learnt = set(keys(dataset["train"])) if "train" in dataset else None
        splits = {}
        for split, rows in dataset.items():
            splits[split] = {**text_facts(rows), **self.label_facts(rows)}
            if split != "train" and learnt is not None:
                splits[split]["rows_shared_with_train"] = sum(key in learnt for key in keys(rows))
            if split in (prepared or ()):
                lengths = text_lengths(prepared[split])
                splits[split] |= {
                    "median_tokens": float(np.median(lengths)),
                    "most_tokens": int(lengths.max()),
                    "truncated": sum(prepared[split]["truncated"]),
                }
            splits[split]["skipped"] = skipped(rows)
        return {
            "dataset": self.dataset,
            "synthetic": self.dataset == "sample",
            "problem": self.problem,
            "pairs": "text_pair" in dataset["test"].column_names,
            "labels": self.labels(dataset),
            **splits,
        }

    def shown(self, row: dict[str, Any]) -> dict[str, str]:
        return {"text": JOINT.join(row[name] for name in ("text", "text_pair") if name in row), "picture": ""}


def asked(row: Mapping[str, Any]) -> str:
    """A row as a prompt shows it, each text on one line: a prompt is read by lines."""
    if "text_pair" not in row:
        return f"Text: {' '.join(row['text'].split())}"
    return "\n".join(f"{name}: {' '.join(row[key].split())}" for name, key in SIDES)


def inputs_taken(config: PreTrainedConfig, names: list[str]) -> list[str]:
    """Which of a tokenizer's outputs the model takes: a generic tokenizer gives token types to models without."""
    if type(config) not in MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING:
        return names  # the model will be refused, in words
    taken = inspect.signature(MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING[type(config)].forward).parameters
    # A table of one token type has no row for the second text of a pair.
    single = getattr(config, "type_vocab_size", None) == 1
    return [name for name in names if name in taken and not (single and name == "token_type_ids")]


def tokenized(batch: dict[str, list], processor: Tokenizer, longest: int, marks: tuple[str, ...] = ()) -> pa.Table:
    """A batch of `text` (and `text_pair`) as tokens, cut off at `longest`, with `marks` spelt out."""
    texts = [[spelt_out(text, marks) for text in batch[name]] for name in ("text", "text_pair") if name in batch]
    inputs = encoded(texts, processor)
    truncated = [len(ids) > longest for ids in inputs["input_ids"]]
    if any(truncated):
        # Only these once more: the tokenizer knows which special tokens a cut text keeps.
        long = [row for row, cut in enumerate(truncated) if cut]
        again = processor(*([column[row] for row in long] for column in texts), truncation=True, max_length=longest)
        for name, rows in inputs.items():
            for row, values in zip(long, again[name], strict=True):
                rows[row] = values
    return pa.table({name: lists(rows) for name, rows in inputs.items()} | {"truncated": pa.array(truncated)})


def refuse_empty(split: str, tokens: Dataset, rows: Dataset) -> None:
    empty = np.flatnonzero(text_lengths(tokens) == 0)
    if len(empty):
        row = int(empty[0])
        raise DataError(
            f"text {rows[row]['text']!r}",
            "the tokenizer makes no token of it, and no model reads an empty row",
            "Remove the row",
            split=split,
            row=row,
            column="text",
        )
