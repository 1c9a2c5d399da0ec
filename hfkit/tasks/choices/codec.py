"""The codec of choosers: every option with what stands before it, as a pair of texts, and one logit for each."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import torch
from datasets import Dataset, Features, List, Value
from torch import Tensor, nn
from transformers import AutoModelForMultipleChoice
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.contract.codec import Batch, Output, Tokens
from hfkit.contract.target import Target
from hfkit.data.batches import text_lengths
from hfkit.data.mapping import map_rows
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.token_columns import encode_texts, lists
from hfkit.errors import UserError
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.inputs import load_text_tokenizer
from hfkit.tasks.losses import category_divergence, cross_entropy_within

LONGEST_PAIR = 256  # tokens; attention is quadratic in it
BESIDE = ("labels", "options")  # of a batch, beside the model's inputs


class PaddedOptions(PaddedTexts):
    """Rows of options -> the model's inputs, (rows, options, tokens), and how many `options` each row has.

    An option that a row does not have is one token of padding that is read: with none, a softmax over nothing would
    come out as nan.
    """

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        names = [name for name in self.tokenizer.model_input_names if name in rows[0]]
        flat, places = [], []
        most = max(len(row["lengths"]) for row in rows)
        for number, row in enumerate(rows):
            ends = np.cumsum(row["lengths"])
            for option, (end, length) in enumerate(zip(ends, row["lengths"], strict=True)):
                flat.append({name: row[name][end - length : end] for name in names})
                places.append(number * most + option)
        padded = super().__call__(flat)
        batch = {}
        for name in names:
            whole = torch.full((len(rows) * most, padded[name].shape[1]), self.fillings[name])
            if name == "attention_mask":
                whole[:, -1 if self.tokenizer.padding_side == "left" else 0] = 1
            whole[places] = padded[name]
            batch[name] = whole.view(len(rows), most, -1)
        batch["options"] = torch.tensor([len(row["lengths"]) for row in rows])
        if "labels" in rows[0]:
            batch["labels"] = torch.tensor([int(row["labels"]) for row in rows])
        return batch


class Chooser(CheckpointCodec):
    """A tokenizer, and one logit for every option of a row.

    Args:
        max_length: tokens of an option with what stands before it, of which the start is cut off where it is longer;
            None: `LONGEST_PAIR`, or what the model can read.

    Raises:
        UserError: there is no tokenizer, or it cannot be used.
    """

    auto_model = AutoModelForMultipleChoice

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Target,
        head_config: Mapping[str, Any],
        *,
        max_length: int | None = None,
    ) -> None:
        super().__init__(checkpoint, path, head_config)
        self.target = target
        self.max_length, self.label_smoothing = max_length, 0.0
        self.processor: Tokenizer = self._load_tokenizer()
        self.collate = PaddedOptions(self.processor)

    def _load_tokenizer(self) -> Tokenizer:
        tokenizer = load_text_tokenizer(self.path, self.checkpoint, self.auto_model)
        # What is asked stands at the end of what is told before it.
        tokenizer.truncation_side = "left"
        return tokenizer

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """The tokens of all options of a row, one behind the other, and their `lengths`, (options,); with its `row`,
        how many options were `cut`, and with `answers` the place of the right one in `labels`.

        In one list, so that rows of like length share a batch, whatever the number of their options.

        Raises:
            UserError: `max_length` does not fit the tokenizer.
        """
        integers = List(Value("int32"))
        features = {name: integers for name in self.processor.model_input_names} | {"lengths": integers}
        encoded = map_rows(
            rows,
            tokenize_options,
            f"Tokenizing {split}",
            features=Features({**features, "cut": Value("int32")}),
            processor=self.processor,
            longest=self.longest_pair(),
        )
        if self.processor.is_fast:
            # The tokenizer keeps the last call's truncation and would save it with the model.
            self.processor.backend_tokenizer.no_truncation()
        if answers:
            labels = np.array(rows["label"][:])
            encoded = encoded.add_column("labels", labels, new_fingerprint=uuid4().hex, feature=Value("int32"))
        return encoded.add_column("row", np.arange(len(rows)), new_fingerprint=uuid4().hex, feature=Value("int32"))

    def longest_pair(self) -> int:
        """The limit of tokens of an option with what stands before it, including special ones."""
        limit, special = self.processor.model_max_length, self.processor.num_special_tokens_to_add(pair=True)
        longest = min(limit, LONGEST_PAIR) if self.max_length is None else self.max_length
        if not special + 1 < longest <= limit:
            raise UserError(
                f"max_length {longest}",
                f"an option and what stands before it have more than their {special} special tokens and at most the"
                f" {limit} that the model reads",
                "Set --max_length between them, or leave it out",
            )
        return longest

    def tokens(self, rows: Dataset) -> Tokens:
        before, options, _ = lay_out(rows[:])
        return Tokens(encode_texts([before, options], self.processor)["input_ids"], self.longest_pair(), windowed=False)

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        """How long the rows are, and of how many options the beginning was cut off."""
        lengths = np.array([length for of_row in encoded["lengths"][:] for length in of_row])
        return {
            "median_tokens": float(np.median(text_lengths(encoded))),
            "most_tokens": int(lengths.max(initial=0)),
            "options_cut": sum(encoded["cut"][:]),
        }

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return {name: value for name, value in batch.items() if name not in BESIDE}

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        """Cross-entropy over the options that a row has."""
        output = model(**self.inputs(batch))
        logits = output["logits"].float()
        total = cross_entropy_within(logits, self.present(batch), batch["labels"], self.label_smoothing)
        return total / (len(batch["labels"]) if items is None else items), output

    def present(self, batch: Batch) -> Tensor:
        """Whether a row has an option at each place, (rows, options)."""
        most = next(iter(self.inputs(batch).values())).shape[1]
        return torch.arange(most, device=batch["options"].device) < batch["options"][:, None]

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        logits = output["logits"].float()
        logits = logits.masked_fill(~self.present(batch), torch.finfo(logits.dtype).min / 2)
        return category_divergence(*logits.chunk(2)) / (len(batch["labels"]) // 2 if items is None else items)

    # Outputs to answers

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The logits of all options, (options of all rows, 1)."""
        return output["logits"][self.present(batch)][:, None]

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The logarithm of every option's probability; -inf where a row has none."""
        output = model(**self.inputs(batch)) if known is None else known
        return {"likely": output["logits"].float().masked_fill(~self.present(batch), -torch.inf).log_softmax(-1)}

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[dict[str, Any]]:
        """The `choice` of each row, by its place, and the `probabilities` of all of its options."""
        answers = []
        for likely, lengths in zip(outputs["likely"], encoded["lengths"][:], strict=True):
            probabilities = np.exp(likely[: len(lengths)].astype(float))
            answers.append({"choice": int(probabilities.argmax()), "probabilities": probabilities.tolist()})
        return answers


def lay_out(batch: Mapping[str, list]) -> tuple[list[str], list[str], list[int]]:
    """Every option of some rows, with what stands before it, and the number of options of each row."""
    names = [name for name in ("context", "question") if name in batch]
    before = [" ".join(filter(None, texts)) for texts in zip(*(batch[name] for name in names), strict=True)]
    counts = [len(options) for options in batch["options"]]
    repeated = [text for text, count in zip(before, counts, strict=True) for _ in range(count)]
    return repeated, [option for options in batch["options"] for option in options], counts


def tokenize_options(batch: dict[str, list], processor: Tokenizer, longest: int) -> pa.Table:
    """A batch of rows as tokens (see `Chooser.encode`): of what is too long, the longer text loses its start."""
    before, options, counts = lay_out(batch)
    inputs = encode_texts([before, options], processor)
    cut = [len(ids) > longest for ids in inputs["input_ids"]]
    if any(cut):
        long = [place for place, is_cut in enumerate(cut) if is_cut]
        texts = ([column[place] for place in long] for column in (before, options))
        again = processor(*texts, truncation="longest_first", max_length=longest)
        for name, rows in inputs.items():
            for place, values in zip(long, again[name], strict=True):
                rows[place] = values
    ends = np.cumsum(counts)
    parts = [range(end - count, end) for end, count in zip(ends, counts, strict=True)]
    columns = {name: lists([[one for i in part for one in rows[i]] for part in parts]) for name, rows in inputs.items()}
    columns["lengths"] = lists([[len(inputs["input_ids"][i]) for i in part] for part in parts])
    columns["cut"] = [sum(cut[i] for i in part) for part in parts]
    return pa.table(columns)
