"""The codec of models that write: two texts to tokens, a loss over the tokens of the answer, and `generate()`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from uuid import uuid4

import numpy as np
import pyarrow as pa
import torch
from accelerate.utils import extract_model_from_parallel
from datasets import Dataset, Features, List, Value
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForSeq2SeqLM, GenerationConfig, PreTrainedConfig, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer
from transformers.modeling_outputs import BaseModelOutput

from hfkit.contract.codec import Batch, Output, Tokens
from hfkit.contract.target import Nothing
from hfkit.data.batches import text_lengths
from hfkit.data.mapping import map_rows
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.token_columns import encode_texts, lists
from hfkit.data.text.tokenizers import (
    find_readable_marks,
    limit_to_positions,
    load_tokenizer,
    positions_of,
    refuse_other_vocabulary,
    spell_out,
)
from hfkit.errors import UserError
from hfkit.model.conversions import say_once
from hfkit.model.weights import read_config
from hfkit.model.writing import write
from hfkit.tasks.checkpoint_codec import CheckpointCodec
from hfkit.tasks.losses import IGNORED, category_divergence

LONGEST_SOURCE, LONGEST_TARGET = 512, 128  # tokens, unless flags say otherwise
INPUTS = ("input_ids", "attention_mask")
PREFIX = "hfkit_source_prefix"  # in the configuration of a saved model
# What a search starts from in every checkpoint. All else is set anew: BART's own settings for news write at least 56
# tokens with four beams, whatever it is fine-tuned for.
KEPT = (
    *("bos_token_id", "eos_token_id", "pad_token_id", "decoder_start_token_id", "forced_bos_token_id"),
    *("forced_eos_token_id", "bad_words_ids", "suppress_tokens", "begin_suppress_tokens"),
)


class Search(NamedTuple):
    """How an answer is searched for; None: 1 beam and nothing else, or as a finished model was saved."""

    beams: int | None = None
    length_penalty: float | None = None
    no_repeat: int | None = None  # tokens

    def settings(self) -> dict[str, Any]:
        """The entries of a generation config that were asked for."""
        named = ("num_beams", self.beams), ("length_penalty", self.length_penalty)
        found = {name: value for name, value in (*named, ("no_repeat_ngram_size", self.no_repeat)) if value is not None}
        return found | ({"early_stopping": True} if (self.beams or 1) > 1 else {})


DEFAULT = Search()


@dataclass
class PaddedPairs:
    """Encoded rows -> the model's inputs, and the labels padded with -100 to the longest of them."""

    texts: PaddedTexts
    multiple: int = field(init=False)

    def __post_init__(self) -> None:
        self.multiple = self.texts.multiple

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = self.texts([{name: value for name, value in row.items() if name != "labels"} for row in rows])
        if "labels" in rows[0]:
            longest = max(len(row["labels"]) for row in rows)
            labels = np.full((len(rows), -(-longest // self.multiple) * self.multiple), IGNORED, dtype=np.int64)
            for places, row in zip(labels, rows, strict=True):
                places[: len(row["labels"])] = row["labels"]
            batch["labels"] = torch.from_numpy(labels)
        return batch


class Writer(CheckpointCodec):
    """A tokenizer and the way to write: what is put before a source, in which languages, how long, with which search.

    The model is given the labels, of which each architecture makes the inputs of its decoder in its own way; the loss
    is computed here, because theirs knows neither label smoothing nor the other batches of an optimizer step.

    Args:
        checkpoint: as the user named it.
        path: the folder or Hub id that it stands for.
        head_config: the entries for the task in the model's configuration.
        prefix: text before every source; None: what the checkpoint keeps for one of `prefix_keys`.
        languages: of source and target, as the checkpoint calls them.
        max_source_length, max_target_length: tokens, the rest is cut off; None: `LONGEST_SOURCE` and `LONGEST_TARGET`,
            or what the model can read.

    Raises:
        UserError: there is no tokenizer, it cannot be used, or it does not know a language.
    """

    auto_model = AutoModelForSeq2SeqLM

    def __init__(
        self,
        checkpoint: str,
        path: str,
        target: Nothing,
        head_config: Mapping[str, Any],
        *,
        prefix: str | None = None,
        prefix_keys: Sequence[str] = (),
        languages: tuple[str, str] | None = None,
        max_source_length: int | None = None,
        max_target_length: int | None = None,
        search: Search = DEFAULT,
    ) -> None:
        self.target = target
        self.languages, self.search = languages, search
        self.config = read_config(path)
        self.prefix = find_prefix(self.config, prefix_keys) if prefix is None else prefix
        super().__init__(checkpoint, path, {**head_config, PREFIX: self.prefix})
        self.processor: Tokenizer = self._load_tokenizer()
        self.marks = find_readable_marks(self.processor)
        self.max_source_length, self.max_target_length = max_source_length, max_target_length
        self.collate = PaddedPairs(PaddedTexts(self.processor))
        self.label_smoothing = 0.0

    def _load_tokenizer(self) -> Tokenizer:
        # A "</s>" in a text does not end it.
        options: dict[str, Any] = {"split_special_tokens": True, "model_input_names": list(INPUTS)}
        if self.languages:
            options |= dict(zip(("src_lang", "tgt_lang"), self.languages, strict=True))
        tokenizer = load_tokenizer(self.path, self.checkpoint, **options)
        if self.languages:
            self._refuse_unknown_languages(tokenizer)
        refuse_other_vocabulary(tokenizer, self.config, self.checkpoint)
        limit_to_positions(tokenizer, self.config)
        if not tokenizer.is_fast:
            kind = type(tokenizer).__name__
            say_once(f"Checkpoint '{self.checkpoint}': its tokenizer ({kind}) exists in Python only, and reads slowly.")
        return tokenizer

    def _refuse_unknown_languages(self, tokenizer: Tokenizer) -> None:
        """Refuse languages for which the tokenizer would put its unknown token around every text."""
        around = tokenizer("")["input_ids"], tokenizer(text_target="")["input_ids"]
        for flag, language, ids in zip(("source", "target"), self.languages, around, strict=True):
            if tokenizer.unk_token_id is not None and tokenizer.unk_token_id in ids:
                raise UserError(
                    f"{flag}_language '{language}'",
                    f"its tokenizer knows no language '{language}' (checkpoint '{self.checkpoint}')",
                    "Write it as the checkpoint does, such as de, de_DE or deu_Latn",
                )

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> PreTrainedModel:
        model = super().model(pretrained=pretrained, finished=finished, blocks=blocks)
        self._set_generation(model, finished=finished)
        return model

    def _set_generation(self, model: PreTrainedModel, *, finished: bool) -> None:
        """Keep in the model's generation config, which is saved with it, how it is to write."""
        config = model.generation_config
        if not finished:
            config = GenerationConfig(**{name: getattr(config, name) for name in KEPT})
            config.pad_token_id = self.processor.pad_token_id
            config.update(**self._language_settings())
        if not finished or self.max_target_length is not None:
            config.max_length, config.max_new_tokens = None, self.longest_target()
        config.update(**self.search.settings())
        if not config.num_beams or config.num_beams == 1:
            config.early_stopping, config.length_penalty = None, None
        model.generation_config = config

    def _language_settings(self) -> dict[str, int]:
        """Where the answer's language goes: behind the text it starts the decoder (mBART), before it it is forced."""
        if not self.languages:
            return {}
        ids = self.processor(text_target="")["input_ids"]
        special = set(self.processor.all_special_ids) - {self.processor.eos_token_id, self.processor.bos_token_id}
        if ids[-1] in special:
            return {"decoder_start_token_id": ids[-1]}
        return {"forced_bos_token_id": ids[0]} if ids[0] in special else {}

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Tokens of every source, not padded, with its `row` and whether it was `truncated`; with `answers` also the
        tokens of its first target as `labels`, and whether these were cut off: `target_truncated`.

        Raises:
            UserError: a length does not fit the model.
        """
        lengths = self.longest_source(), self.longest_target()
        integers = List(Value("int32"))
        features = {**dict.fromkeys(INPUTS, integers), "truncated": Value("bool")}
        if answers:
            features |= {"labels": integers, "target_truncated": Value("bool")}
        encoded = map_rows(
            rows,
            self._tokenize,
            f"Tokenizing {split}",
            features=Features(features),
            longest_source=lengths[0],
            longest_target=lengths[1] if answers else None,
        )
        if self.processor.is_fast:
            # The tokenizer keeps the last call's truncation and would save it with the model.
            self.processor.backend_tokenizer.no_truncation()
        if answers and (cut := sum(encoded["target_truncated"][:])):
            say_once(
                f"{split}: {cut:,} of {len(rows):,} targets have more than {lengths[1]} tokens, and are cut off there"
                " for the loss; scores are about whole ones (--max_target_length)."
            )
        return encoded.add_column("row", np.arange(len(rows)), new_fingerprint=uuid4().hex, feature=Value("int32"))

    def _tokenize(self, batch: dict[str, list], longest_source: int, longest_target: int | None) -> pa.Table:
        inputs = encode_texts([self._with_prefix(batch["source"])], self.processor)
        truncated = [len(ids) > longest_source for ids in inputs["input_ids"]]
        if any(truncated):
            # Only these are encoded again: the tokenizer knows which special tokens a truncated text keeps.
            long = [row for row, cut in enumerate(truncated) if cut]
            texts = self._with_prefix([batch["source"][row] for row in long])
            again = self.processor(texts, truncation=True, max_length=longest_source)
            for name, ids in inputs.items():
                for row, values in zip(long, again[name], strict=True):
                    ids[row] = values
        columns = {name: lists(inputs[name]) for name in INPUTS} | {"truncated": pa.array(truncated)}
        if longest_target is not None:
            targets = [spell_out(targets[0], self.marks) for targets in batch["target"]]
            whole = self.processor(text_target=targets, verbose=False)["input_ids"]
            cut = self.processor(text_target=targets, truncation=True, max_length=longest_target)["input_ids"]
            columns |= {"labels": lists(cut)}
            columns |= {"target_truncated": pa.array([len(ids) > longest_target for ids in whole])}
        return pa.table(columns)

    def _with_prefix(self, sources: Sequence[str]) -> list[str]:
        return [self.prefix + spell_out(source, self.marks) for source in sources]

    def longest_source(self) -> int:
        """The limit of tokens of a source, prefix and special ones included."""
        beside = len(self.processor(self.prefix)["input_ids"])
        limit = self.processor.model_max_length
        return self._limit("max_source_length", self.max_source_length, LONGEST_SOURCE, beside, limit)

    def longest_target(self) -> int:
        """The limit of tokens of a target, special ones included."""
        beside, positions = len(self.processor(text_target="")["input_ids"]), positions_of(self.config)
        limit = positions if positions > 0 else 10**9  # relative positions end nowhere
        return self._limit("max_target_length", self.max_target_length, LONGEST_TARGET, beside, limit)

    def _limit(self, flag: str, asked: int | None, usual: int, beside: int, limit: int) -> int:
        longest = min(limit, usual) if asked is None else asked
        if not beside < longest <= limit:
            raise UserError(
                f"{flag} {longest}",
                f"there is room for the {beside} tokens that are no text of it, and at most for the {limit} that the"
                " model takes",
                f"Set --{flag} between them, or leave it out",
            )
        return longest

    def tokens(self, rows: Dataset) -> Tokens:
        ids = encode_texts([self._with_prefix(rows["source"][:])], self.processor)["input_ids"]
        return Tokens(ids, self.longest_source(), windowed=False)

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        lengths = text_lengths(encoded)
        found = {
            "median_tokens": float(np.median(lengths)),
            "most_tokens": int(lengths.max()),
            "truncated": sum(encoded["truncated"][:]),
        }
        if "labels" in encoded.column_names:
            targets = [len(labels) for labels in encoded["labels"][:]]
            found |= {"median_target_tokens": float(np.median(targets)), "most_target_tokens": max(targets)}
            found |= {"truncated_targets": sum(encoded["target_truncated"][:])}
        return found

    # The loss

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        self.label_smoothing = label_smoothing

    def inputs(self, batch: Batch) -> dict[str, Tensor]:
        return dict(batch)  # with the labels: a model makes the inputs of its decoder from them

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        output, labels = model(**self.inputs(batch)), batch["labels"]
        total = functional.cross_entropy(
            output["logits"].float().flatten(0, 1),
            labels.flatten(),
            ignore_index=IGNORED,
            reduction="sum",
            label_smoothing=self.label_smoothing,
        )
        return total / count_labels(labels, items), output

    def divergence(self, output: Output, batch: Batch, items: Tensor | int | None = None) -> Tensor:
        logits, (labels, _) = output["logits"].float(), batch["labels"].chunk(2)
        one, other = (half[labels != IGNORED] for half in logits.chunk(2))
        return category_divergence(one, other) / count_labels(labels, items)

    # The answers

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """The tokens that the model writes, (batch, tokens), and -100 behind the end token.

        The encoder does not run again if its output is `known`.
        """
        writer = extract_model_from_parallel(model)
        if known is not None and "labels" in batch:  # without them the decoder had no inputs, and nothing ran
            read = BaseModelOutput(last_hidden_state=known["encoder_last_hidden_state"])
        else:
            read = writer.get_encoder()(**{name: batch[name] for name in INPUTS})
        given = {"encoder_outputs": read, "attention_mask": batch["attention_mask"]}
        settings = writer.generation_config
        written = write(writer, given, settings)[:, 1:]  # without the token that starts the decoder
        ended = torch.isin(written, torch.as_tensor(settings.eos_token_id, device=written.device))
        return {"written": written.masked_fill((ended.cumsum(1) - ended.long()) > 0, IGNORED)}

    def logits(self, output: Output, batch: Batch) -> Tensor:
        """The logits of all tokens of the answers but padding, (tokens, vocabulary)."""
        return output["logits"][batch["labels"] != IGNORED]

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[str]:
        """The text that was written for each row."""
        ids = [row[row != IGNORED].tolist() for row in outputs["written"]]  # -100 is no token, and never decoded
        return [text.strip() for text in self.processor.batch_decode(ids, skip_special_tokens=True)]


def count_labels(labels: Tensor, items: Tensor | int | None) -> Tensor:
    """The number of labels in the whole optimizer step, or in a batch if `items` is None; at least 1."""
    count = (labels != IGNORED).sum() if items is None else torch.as_tensor(items)
    return count.clamp(min=1)


def find_prefix(config: PreTrainedConfig, keys: Sequence[str]) -> str:
    """The text that a checkpoint wants before every source: T5's says so for each task that it was trained on."""
    known = config.to_dict()
    if known.get(PREFIX) is not None:
        return known[PREFIX]
    tasks = known.get("task_specific_params") or {}
    return next((tasks[key]["prefix"] for key in keys if "prefix" in tasks.get(key, {})), "")
