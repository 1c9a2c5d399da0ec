"""Named-entity recognition on pre-tokenised text: words and IOB2 tags in, exactly one tag per word out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from tokenizers import normalizers
from torch import Tensor
from transformers import AutoModelForTokenClassification, PreTrainedConfig
from transformers import PreTrainedTokenizerFast as Tokenizer

from hfkit.contract.task import Found, Parsed, Prompt, Task, Tokens
from hfkit.data.bad_rows import Fault, kept_rows
from hfkit.data.columns import column_named, evenly
from hfkit.data.files import one_split, only, read
from hfkit.data.mapping import mapped
from hfkit.data.text.padding import PaddedTexts
from hfkit.data.text.tags import entities, orphans, scheme_of, split_tag
from hfkit.data.text.texts import TEXT_COLUMNS
from hfkit.data.text.tokenizers import load_tokenizer
from hfkit.data.units import checked_units, unit_column
from hfkit.errors import UserError
from hfkit.tasks.tagging.errors import entity_breakdown, entity_errors
from hfkit.tasks.tagging.prompts import NOTHING, read_entities, written_entities
from hfkit.tasks.tagging.sentences import checked_tags, checked_words, facts, iob2_rows, types_of, unknown_types
from hfkit.tasks.tagging.windows import first_windows, glues_words, window_facts, windows
from hfkit.tasks.tagging.word_dropout import WordDropout
from hfkit.tasks.tagging.words import asked_words, told_entities

TOKENS_COLUMNS = ("tokens", "words")
TAGS_COLUMNS = ("ner_tags", "tags", "labels", "ner_labels", "ner")
HANDICAPS = tuple(step / 4 for step in range(-4, 13))  # logits
MOST_WORDS = 20  # of a sentence that is shown as a whole
LONGEST_WINDOW = 512  # tokens; many tokenizers name no limit, and attention is quadratic in it


@dataclass(frozen=True)
class NER(Task):
    """Entities in sentences that are split into words already.

    `load` gives rows of `tokens` and IOB2 `tags`, and beside them what was found: `scheme` (the corpus's own),
    `converted` (the tags of this row were changed) and `invalid_transitions` (how many its scheme does not allow).
    """

    name: ClassVar[str] = "token-classification"
    auto_model: ClassVar[type] = AutoModelForTokenClassification
    headline: ClassVar[str] = "f1"
    unit: ClassVar[str] = "sentence"

    tokens_column: str | None = field(
        default=None,
        metadata={"help": f"column of words; default: the one named {' or '.join(TOKENS_COLUMNS)}"},
    )
    tags_column: str | None = field(
        default=None,
        metadata={"help": f"column of entity tags; default: the one named {' or '.join(TAGS_COLUMNS)}"},
    )
    max_length: int | None = field(
        default=None,
        metadata={"help": f"tokens in a window; default: what the tokenizer allows, at most {LONGEST_WINDOW}"},
    )
    stride: int | None = field(
        default=None,
        metadata={"help": "tokens shared by two windows of one document; default: a quarter of the window"},
    )
    word_dropout: float = field(
        default=0.0,
        metadata={"help": "share of the words hidden behind the mask token in training, so that context must tell"},
    )

    def found(self, *one: str | None) -> Found:
        raw = self.splits(*one)
        columns = {
            "tokens": column_named(raw, self.tokens_column, TOKENS_COLUMNS, "--tokens_column"),
            "tags": column_named(raw, self.tags_column, TAGS_COLUMNS, "--tags_column"),
        }
        unit = unit_column(raw, self.unit_column)
        return Found(raw, columns | ({"unit": unit} if unit else {}))

    def splits(self, *one: str | None) -> DatasetDict:
        if self.dataset == "sample":
            from hfkit.samples import sample_ner

            return only(sample_ner(), *one) if one else sample_ner()
        place = (self.dataset, self.dataset_config, self.dataset_revision)
        return one_split(*place, *one) if one else read(*place)

    def checked(self, found: Found, known: list[str] | None = None) -> DatasetDict:
        """Rows of words and IOB2 tags."""
        sentences: dict[str, dict[str, list]] = {}
        for split, raw in found.raw.items():
            types = types_of([known]) if known is not None and split == "test" else None
            if known is None and sentences:
                types = types_of(sentences["train"]["tags"])
            sentences[split] = self.checked_rows(split, raw, found.columns, types, by_model=known is not None)
        if known is None and not types_of(sentences["train"]["tags"]):
            raise UserError(
                f"column '{found.columns['tags']}'",
                "every tag is O, so there is nothing to find",
                "Check that this is the tag column",
            )
        scheme = scheme_of(chain.from_iterable(rows["tags"] for rows in sentences.values()))
        loaded = DatasetDict()
        for split, rows in sentences.items():
            loaded[split] = iob2_rows(rows["tokens"], rows["tags"], scheme)
            if "unit" in rows:
                loaded[split] = loaded[split].add_column("unit", rows["unit"], feature=Value("string"))
        if known is None and self.max_train_rows is not None:
            loaded["train"] = loaded["train"].select(evenly(len(loaded["train"]), self.max_train_rows))
        return loaded

    def checked_rows(
        self, split: str, raw: Dataset, columns: dict[str, str], types: set[str] | None, *, by_model: bool
    ) -> dict[str, list]:
        """Words and tags of a split, and units if there are any, without the rows at fault.

        Args:
            types: the only ones that rows may have, of train or of a finished model; None: any.
        """
        words, faults = checked_words(raw, columns["tokens"])
        tags, wrong = checked_tags(raw, columns["tags"], words, {fault.row for fault in faults})
        faults += wrong
        if types is not None:
            faults += unknown_types(tags, columns["tags"], types, by_model=by_model)
        values = {"tokens": words, "tags": tags}
        if "unit" in columns:
            values["unit"], wrong = checked_units(raw, columns["unit"])
            faults += wrong
        kept = kept_rows(split, len(raw), sorted(faults, key=lambda fault: fault.row), None)
        return {name: [column[row] for row in kept] for name, column in values.items()}

    @property
    def input_column(self) -> str:
        return self.tokens_column or "text"

    def unanswered(self, raw: Dataset, labels: list[str]) -> tuple[Dataset, list[Fault]]:
        """Rows of `tokens`; where a row is a text, also of `text` and of where its words `starts`.

        Raises:
            UserError: no column of words or of texts, or several.
        """
        usual = TOKENS_COLUMNS if set(TOKENS_COLUMNS) & set(raw.column_names) else chain(*TEXT_COLUMNS)
        column = column_named(DatasetDict(input=raw), self.tokens_column, tuple(usual), "--tokens_column")
        rows, faults = asked_words(raw[column][:], column)
        tags = [[labels[0]] * len(words) for words in rows["tokens"]]
        return rows.add_column("tags", tags, feature=List(Value("string"))), faults

    def labels(self, dataset: DatasetDict) -> list[str]:
        """O, then B- and I- of every type that any split holds, by type."""
        kinds = sorted(types_of(chain.from_iterable(rows["tags"] for rows in dataset.values())))
        return ["O", *(f"{prefix}-{kind}" for kind in kinds for prefix in "BI")]

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """Nothing: only the labels are looked at.

        Raises:
            UserError: they are no IOB2 tags.
        """
        strange = [label for label in config.id2label.values() if label != "O" and not label.startswith(("B-", "I-"))]
        if strange:
            raise UserError(
                f"labels {', '.join(strange[:3])}",
                "the labels of a model for entities are O, and B-TYPE or I-TYPE for the words of each type",
                "Rename them in the id2label of its config.json, or use another model",
            )
        return {}

    def processor(self, checkpoint: str) -> Tokenizer:
        """The checkpoint's fast tokenizer, set so that words given one by one read as words of running text.

        Raises:
            UserError: there is no tokenizer, or only one that cannot say which word a token came from.
        """
        path = self.path(checkpoint)
        tokenizer = load_tokenizer(path, checkpoint)
        if not tokenizer.is_fast:
            raise UserError(
                f"checkpoint '{checkpoint}'",
                f"its tokenizer ({type(tokenizer).__name__}) cannot say which word a token belongs to",
                "Use a checkpoint with a fast tokenizer (tokenizer.json)",
            )
        if glues_words(tokenizer):
            tokenizer = load_tokenizer(path, checkpoint, add_prefix_space=True)
        if glues_words(tokenizer):
            # Classes that only wrap tokenizer.json accept the argument above and ignore it.
            backend = tokenizer.backend_tokenizer
            steps = [normalizers.Prepend(" "), *([backend.normalizer] if backend.normalizer else [])]
            backend.normalizer = normalizers.Sequence(steps)
        if not 0 <= self.word_dropout < 1 or (self.word_dropout and tokenizer.mask_token is None):
            raise UserError(
                f"word_dropout={self.word_dropout}",
                f"it is a share from 0 to below 1, and needs a mask token (here: {tokenizer.mask_token})",
                "Use --word_dropout 0.1 with a checkpoint that has one, else 0",
            )
        # Windows are counted from the document's start.
        tokenizer.truncation_side = "right"
        return tokenizer

    def prepare(self, dataset: DatasetDict, processor: Tokenizer, labels: list[str]) -> DatasetDict:
        """Windows of tokens, at least one per row, each word labelled on its first token in exactly one window.

        Beside the model's inputs and `labels` (-100 on every other token), a window carries `row` (of its split),
        `words` (which words its labels stand for, in order) and `gold` (the row's tags; empty in later windows).

        Raises:
            UserError: `max_length` or `stride` do not fit the tokenizer.
        """
        longest, stride = self.window(processor)
        ids = {label: number for number, label in enumerate(labels)}
        inputs = {name: List(Value("int32")) for name in processor.model_input_names}
        extra = {"labels": List(Value("int32")), "row": Value("int32"), "words": List(Value("int32"))}
        prepared = {}
        for split, rows in dataset.items():
            prepared[split] = mapped(
                rows,
                windows,
                f"Tokenizing {split}",
                features=Features({**inputs, **extra, "gold": List(Value("string"))}),
                numbered=True,
                processor=processor,
                ids=ids,
                longest=longest,
                stride=stride,
            )
        # The tokenizer keeps the last call's truncation and would save it with the model.
        processor.backend_tokenizer.no_truncation()
        return DatasetDict(prepared)

    def tokens(self, rows: Dataset, processor: Tokenizer) -> Tokens:
        limit, _ = self.window(processor)
        return Tokens(processor(rows["tokens"][:], is_split_into_words=True, verbose=False)["input_ids"], limit, True)

    def window(self, processor: Tokenizer) -> tuple[int, int]:
        """Tokens in a window, special ones included, and tokens that two windows share."""
        limit, special = processor.model_max_length, processor.num_special_tokens_to_add()
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

    def collator(self, processor: Tokenizer) -> PaddedTexts:
        return PaddedTexts(processor, token_labels=True)

    @property
    def varies(self) -> Literal["batches"] | None:
        return "batches" if self.word_dropout else None

    def training_collator(self, processor: Tokenizer, seed: int) -> PaddedTexts:
        if not self.word_dropout:
            return self.collator(processor)
        return WordDropout(processor, token_labels=True, share=self.word_dropout, seed=seed)

    def compact(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The best label at every labelled token and -100 elsewhere, (batch, tokens)."""
        return torch.where(labels == -100, -100, logits.argmax(-1))

    def decode(
        self, outputs: np.ndarray, prepared: Dataset, labels: list[str]
    ) -> tuple[list[list[str]], list[list[str]]]:
        """Predicted and gold tags of every row, one per word; a word without any token is O."""
        references = [gold for gold, first in zip(prepared["gold"], first_windows(prepared), strict=True) if first]
        predictions = [["O"] * len(gold) for gold in references]
        for output, row, words in zip(outputs, prepared["row"], prepared["words"], strict=True):
            # By order and not by place: a tokenizer that pads on the left shifts the places.
            for word, label in zip(words, output[output != -100].tolist(), strict=True):
                predictions[row][word] = labels[label]
        return predictions, references

    def references(self, split: Dataset) -> list[list[str]]:
        return list(split["tags"])

    def score(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, float]:
        """Strict entity scores (see `entity_scores`) and how many predicted I- tags continue nothing."""
        # seqeval brings scikit-learn along, which a plan or a help text need not wait for.
        from hfkit.scores.metrics import entity_scores

        return {
            **entity_scores(predictions, references),
            "invalid_predictions": float(sum(map(orphans, predictions))),
        }

    def tallies(self, predictions: list[list[str]], references: list[list[str]]) -> np.ndarray:
        """Entities of each sentence, (rows, 3): correct, predicted, gold."""
        pairs = [(set(entities(ours)), set(entities(gold))) for ours, gold in zip(predictions, references, strict=True)]
        return np.array([(len(ours & gold), len(ours), len(gold)) for ours, gold in pairs]).reshape(-1, 3)

    def headline_of(self, sums: np.ndarray) -> np.ndarray:
        """F1 of summed tallies, (..., 3) -> (...); 0 where there is no entity at all."""
        correct, predicted, gold = np.moveaxis(np.asarray(sums, dtype=float), -1, 0)
        return 2 * correct / np.maximum(predicted + gold, 1)

    def decision_bias(self, logits: np.ndarray, prepared: Dataset, labels: list[str]) -> np.ndarray | None:
        """The handicap of O that gives the best entity F1: rare entities are missed more often than invented.

        One number for all types: one for each would fit the few entities of the validation rows.
        """
        outside = labels.index("O")
        width = logits.shape[1]
        gold = np.array([row + [-100] * (width - len(row)) for row in prepared["labels"]])

        def headline(handicap: float) -> float:
            shifted = logits.copy()
            shifted[..., outside] -= handicap
            ids = self.compact(torch.from_numpy(shifted), torch.from_numpy(gold)).numpy()
            return float(self.headline_of(self.tallies(*self.decode(ids, prepared, labels)).sum(0)))

        best = max(HANDICAPS, key=lambda handicap: (headline(handicap), -abs(handicap)))
        return np.where(np.arange(len(labels)) == outside, -best, 0.0) if best else None

    def prompt_names(self, labels: list[str]) -> list[str]:
        """The types of entities, in order."""
        return list(dict.fromkeys(kind for label in labels if (kind := split_tag(label)[1])))

    def prompt(
        self, example: Mapping[str, Any], labels: Mapping[str, str], shots: Sequence[Mapping[str, Any]]
    ) -> Prompt:
        """The entities of a sentence to list, as `entity_answers` writes them."""
        return Prompt(
            f"List the entities in the sentence as 'type: words', separated by '; ', or answer '{NOTHING}'. "
            f"The types are: {', '.join(labels.values())}.",
            tuple(
                (f"Sentence: {' '.join(row['tokens'])}", written_entities(row["tokens"], row["tags"], labels))
                for row in shots
            ),
            f"Sentence: {' '.join(example['tokens'])}",
            "Entities:",
        )

    def answer(self, completion: str, example: Mapping[str, Any], labels: Mapping[str, str]) -> Parsed:
        """One tag per word; an answer that is no list of entities is all O."""
        tags = read_entities(completion, example["tokens"], labels)
        return Parsed(["O"] * len(example["tokens"]) if tags is None else tags, tags is not None)

    def breakdown(self, predictions: list[list[str]], references: list[list[str]]) -> dict[str, Any]:
        return entity_breakdown(predictions, references)

    def errors(
        self, predictions: list[list[str]], references: list[list[str]], rows: Dataset, limit: int
    ) -> list[dict[str, Any]]:
        return entity_errors(predictions, references, list(rows["tokens"]), limit)

    def shown(self, row: dict[str, Any]) -> dict[str, str]:
        return {"text": " ".join(row["tokens"]), "picture": ""}

    def said(self, answer: list[str], row: dict[str, Any]) -> str:
        words = row["tokens"]
        return "; ".join(f"{kind}: {' '.join(words[a:b])}" for kind, a, b in entities(answer)) or "no entity"

    def told(self, prediction: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
        return told_entities(prediction, row)

    def examples(self, rows: Dataset, limit: int) -> dict[str, dict[str, str]]:
        """Of each type the first entity in a sentence of some length, with the words around it."""
        found: dict[str, tuple[bool, int, int, int]] = {}
        for row, tags in enumerate(rows["tags"]):
            for kind, start, end in entities(tags):
                plain = end - start < len(tags) <= MOST_WORDS
                if kind not in found or (plain and not found[kind][0]):
                    found[kind] = plain, row, start, end
        examples = {}
        for kind, (_, row, start, end) in sorted(found.items())[:limit]:
            words = rows[row]["tokens"]
            parts = {"before": words[:start], "text": words[start:end], "after": words[end:]}
            examples[kind] = {name: " ".join(part) for name, part in parts.items()} | {"picture": ""}
        return examples

    def describe(self, dataset: DatasetDict, prepared: Mapping[str, Dataset] | None = None) -> dict[str, Any]:
        """What the report says of the data: per split its rows, words, entities, repeats and everything changed."""
        seen_in_train = set(map(tuple, dataset["train"]["tokens"])) if "train" in dataset else None
        splits = {split: facts(rows) for split, rows in dataset.items()}
        for split, rows in dataset.items():
            if split != "train" and seen_in_train is not None:
                splits[split]["rows_shared_with_train"] = sum(tuple(words) in seen_in_train for words in rows["tokens"])
            if split in (prepared or ()):
                splits[split] |= window_facts(prepared[split])
        return {
            "dataset": self.dataset,
            "synthetic": self.dataset == "sample",
            "scheme": next(iter(dataset.values()))["scheme"][0],
            "labels": self.labels(dataset),
            **splits,
        }
