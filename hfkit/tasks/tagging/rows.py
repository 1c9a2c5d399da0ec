"""Sentences that are split into words, with a tag for each word."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

from datasets import Dataset, DatasetDict, Features, List, Value

from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Labels, Target, names_of
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import find_column, find_usual_column, space_evenly
from hfkit.data.conll_files import line_faults
from hfkit.data.files import read_one_split, read_splits, take_split
from hfkit.data.text.tags import scheme_of
from hfkit.data.text.texts import TEXT_COLUMNS
from hfkit.data.text.words import Level
from hfkit.data.units import find_unit_column
from hfkit.data.unlabelled import leave_unlabelled_test
from hfkit.errors import UserError
from hfkit.tasks.tagging.sentences import (
    PLAIN,
    check_tags,
    check_words,
    entity_facts,
    iob2_rows,
    tag_facts,
    types_of,
    unknown_tags,
    unknown_types,
)
from hfkit.tasks.tagging.span_rows import check_spans, find_spans_column, span_columns
from hfkit.tasks.tagging.words import read_rows_to_predict

TOKENS_COLUMNS = ("tokens", "words")


@dataclass(frozen=True)
class TaggedWords:
    """Rows of `tokens` and `tags`, or of a text with spans of characters, which become words and tags.

    Rows that were a text keep it as `text`, with the `starts` of its words, and `mended` has the kind of every span
    that was mended. Tags of entities become IOB2, with more columns about the original: `scheme` (of the corpus),
    `converted` (whether the tags of this row changed) and `invalid_transitions` (how many the scheme does not allow).
    Plain tags stay.
    """

    tokens_column: str | None
    tags_column: str | None
    unit_column: str | None
    usual_tags: tuple[tuple[str, ...], ...]  # usual names of the column of tags, by tiers
    sample: Callable[[], DatasetDict]
    entities: bool = True  # the tags mark entities in one of four schemes; False: each word has a tag of its own
    level: Level | None = None  # how running text is split into words

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "sentence"

    @property
    def main_column(self) -> str:
        return self.tokens_column or "text"

    def read(self, source: Source, only_one: Only | None) -> Raw:
        if source.dataset == "sample":
            raw = self.sample() if only_one is None else take_split(self.sample(), only_one.name)
        else:
            raw = read_splits(source) if only_one is None else read_one_split(source, only_one.name)
            raw = leave_unlabelled_test(raw, self.find_spans(raw) or self.tags_column, self.usual_tags)
        columns = self.find_columns(raw)
        unit = find_unit_column(raw, self.unit_column)
        return Raw(raw, columns | ({"unit": unit} if unit else {}))

    def find_spans(self, raw: DatasetDict) -> str | None:
        if not self.entities:
            return None
        return find_spans_column(raw, self.tags_column, TOKENS_COLUMNS, tuple(chain(*self.usual_tags)))

    def find_columns(self, raw: DatasetDict) -> dict[str, str]:
        if spans := self.find_spans(raw):
            return span_columns(raw, self.tokens_column, spans)
        return {
            "tokens": find_column(raw, self.tokens_column, TOKENS_COLUMNS, "--tokens_column"),
            "tags": find_usual_column(raw, self.tags_column, self.usual_tags, "--tags_column"),
        }

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        rows, columns = raw.splits[split], raw.columns
        if "spans" in columns:
            found, faults = check_spans(split, rows, columns, self.level, ask=split == "train" and not finished)
            return found, faults + self.unknown(found["tags"][:], columns["spans"], target, finished=finished)
        words, faults = check_words(rows, columns["tokens"])
        # A sentence with a line at fault has no words, which is no fault of its own.
        odd = line_faults(rows)
        faults = odd + [fault for fault in faults if fault.row not in {one.row for one in odd}]
        bad = {fault.row for fault in faults}
        tags, wrong = check_tags(rows, columns["tags"], words, bad, entities=self.entities)
        faults += wrong
        faults += self.unknown(tags, columns["tags"], target, finished=finished)
        features = Features({"tokens": List(Value("string")), "tags": List(Value("string"))})
        return Dataset.from_dict({"tokens": words, "tags": tags}, features=features), faults

    def unknown(self, tags: list[list[str]], column: str, target: Target | None, *, finished: bool) -> list[Fault]:
        """A fault for each row with a tag that the target does not have."""
        if target is None:
            return []
        if self.entities:
            return unknown_types(tags, column, types_of([names_of(target)]), by_model=finished)
        return unknown_tags(tags, column, set(names_of(target)), by_model=finished)

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        known = set(chain.from_iterable(train["tags"][:]))
        # Entities are checked in `settle`: if only train has none, the better error names rows of the other splits.
        if not self.entities and len(known) < 2:
            raise UserError(
                f"column '{raw.columns['tags']}'",
                f"every word of train has the tag {', '.join(known) or 'none'}, so there is nothing to learn",
                "Check that this is the tag column",
            )

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        if not self.entities:
            return splits
        if not finished and not types_of(splits["train"]["tags"]):
            raise UserError(
                f"column '{raw.columns.get('tags') or raw.columns['spans']}'",
                "every tag is O, so there is nothing to find" if "tags" in raw.columns else "there is no span at all",
                f"Check that this is the {'tag column' if 'tags' in raw.columns else 'column of spans'}",
            )
        scheme = scheme_of(chain.from_iterable(rows["tags"][:] for rows in splits.values()))
        return DatasetDict({split: iob2_rows(rows, scheme) for split, rows in splits.items()})

    def classes(self, rows: Dataset) -> list[tuple[str, ...]] | None:
        """The types of the entities in each row; plain tags are none."""
        if not self.entities:
            return None
        return [tuple(sorted(types_of([tags]))) for tags in rows["tags"][:]]

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Rows of `tokens`; a row that is a text also has `text` and the `starts` of its words.

        Raises:
            UserError: no column of words or of texts, or several.
        """
        usual = (TOKENS_COLUMNS, *TEXT_COLUMNS)
        column = find_usual_column(DatasetDict(input=raw), self.tokens_column, usual, "--tokens_column")
        return read_rows_to_predict(raw[column][:], column, self.level or "words")

    def target(self, splits: DatasetDict) -> Labels:
        """O, then B- and I- of every type in any split, by type; or all plain tags."""
        tags = chain.from_iterable(rows["tags"][:] for rows in splits.values())
        if not self.entities:
            return Labels(tuple(sorted(set(chain.from_iterable(tags)))))
        return Labels(("O", *(f"{prefix}-{kind}" for kind in sorted(types_of(tags)) for prefix in "BI")))

    def references(self, rows: Dataset) -> list[list[str]]:
        return rows["tags"][:]

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, words, tags and repeats, and all changes to them."""
        seen_in_train = set(map(tuple, splits["train"]["tokens"])) if "train" in splits else None
        count = entity_facts if self.entities else tag_facts
        of_splits = {split: count(rows) for split, rows in splits.items()}
        for split, rows in splits.items():
            if split != "train" and seen_in_train is not None:
                shared = sum(tuple(words) in seen_in_train for words in rows["tokens"][:])
                of_splits[split]["rows_shared_with_train"] = shared
            of_splits[split]["skipped"] = count_skipped(rows)
        scheme = next(iter(splits.values()))["scheme"][0] if self.entities else PLAIN
        return {"scheme": scheme, **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        return [" ".join(words) for words in rows["tokens"][:]]
