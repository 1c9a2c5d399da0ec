"""Pairs of texts: one that is read, and what is to be written for it."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from datasets import Dataset, DatasetDict, Features, List, Translation, Value

from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Nothing, Target
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import (
    MEND,
    find_column,
    find_usual_column,
    fold,
    guess_texts,
    match_usual,
    space_evenly,
    tell_column,
    to_words,
)
from hfkit.data.files import TEXT_TABLES, read_one_split, read_splits, take_split
from hfkit.data.notes import tell
from hfkit.data.text.texts import text_fault
from hfkit.data.units import find_unit_column
from hfkit.data.unlabelled import leave_unlabelled_test
from hfkit.errors import UserError
from hfkit.tasks.generation.words import count_words

TRANSLATION = "translation"  # a column with a text in each of two languages, by their codes
FEATURES = Features({"source": Value("string"), "target": List(Value("string"))})
Tiers = tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class TextPairs:
    """Rows of a `source` and one or several equally good `target`s, of which the first is learnt.

    Args:
        usual_sources, usual_targets: usual names of the columns, by tiers.
        languages: of source and target, where columns may be called by them.
        judged_by: facts about the judge that belong beside every score, such as the signature of a library.
    """

    source_column: str | None
    target_column: str | None
    unit_column: str | None
    usual_sources: Tiers
    usual_targets: Tiers
    sample: Callable[[], DatasetDict]
    languages: tuple[str, str] | None = None
    judged_by: Callable[[list[list[str]]], dict[str, Any]] = field(default=lambda targets: {})

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "text"

    @property
    def main_column(self) -> str:
        return self.source_column or "text"

    # Columns

    def read(self, source: Source, only_one: Only | None) -> Raw:
        if source.dataset == "sample":
            raw = self.sample() if only_one is None else take_split(self.sample(), only_one.name)
        elif only_one is not None:
            raw = spread_languages(read_one_split(source, only_one.name, kinds=TEXT_TABLES))
        else:
            raw = spread_languages(read_splits(source, kinds=TEXT_TABLES))
            raw = leave_unlabelled_test(raw, self.target_column, self.usual_targets)
        columns = self.find_columns(raw)
        unit = find_unit_column(raw, self.unit_column)
        return Raw(raw, columns | ({"unit": unit} if unit else {}))

    def find_columns(self, raw: DatasetDict) -> dict[str, str]:
        """The columns of sources and targets: those named by flags, by languages, with usual names, or the only two.

        Raises:
            UserError: no column or several fit, or both flags name one.
        """
        given = self.source_column, self.target_column
        if given == (None, None) and (found := find_languages(raw, self.languages)):
            return dict(zip(("source", "target"), found, strict=True))
        target = self._find_target(raw)
        source = self._find_source(raw, target)
        if source == target:
            raise UserError(
                f"column '{source}'",
                "it is read and written at once",
                "Name the two columns with --source_column and --target_column",
            )
        return {"source": source, "target": target}

    def _find_source(self, raw: DatasetDict, target: str | None) -> str:
        first = next(iter(raw.values())).column_names
        usual = any(name != target for tier in self.usual_sources for name in match_usual(first, tier))
        if self.source_column is None and not usual:
            guessed = guess_texts(raw, [name for name in (target,) if name])
            if guessed is not None:
                tell_column("--source_column", guessed, ", the only other one that holds texts")
                return find_column(raw, guessed, (), "--source_column")
        tiers = [tuple(name for name in tier if target is None or fold(name) != fold(target))
                 for tier in self.usual_sources]  # fmt: skip
        return find_usual_column(raw, self.source_column, tiers, "--source_column")

    def _find_target(self, raw: DatasetDict) -> str:
        return find_usual_column(raw, self.target_column, self.usual_targets, "--target_column")

    # Rows

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        rows, columns = raw.splits[split], raw.columns
        sources, faults = check_sources(rows, columns["source"])
        targets, wrong = check_targets(rows, columns["target"])
        return Dataset.from_dict({"source": sources, "target": targets}, features=FEATURES), faults + wrong

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        targets = {targets[0] for targets in train["target"][:]}
        if len(train) > 1 and len(targets) < 2:
            raise UserError(
                f"column '{raw.columns['target']}'",
                f"every row of train has the same target {to_words(targets.pop())}, so there is nothing to learn",
                "Check that this is the column of targets",
            )

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        for split, rows in splits.items():
            if same := count_copies(rows):
                tell(f"{split}: the target of {same:,} of {len(rows):,} rows is its source, word for word")
        return splits

    def classes(self, rows: Dataset) -> None:
        return None

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        splits = spread_languages(DatasetDict(input=raw))
        # Beside the sources there may be other columns, and a target that is of no use here.
        found = find_languages(splits, self.languages) if self.source_column is None else None
        column = found[0] if found else self._find_source(splits, None)
        sources, faults = check_sources(splits["input"], column)
        return Dataset.from_dict({"source": sources}, features=Features({"source": Value("string")})), faults

    def target(self, splits: DatasetDict) -> Nothing:
        return Nothing()

    def references(self, rows: Dataset) -> list[list[str]]:
        """The gold texts of every row."""
        return rows["target"][:]

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, repeats, lengths in words, rows to copy and skipped rows; and `judged_by`."""
        learnt = set(splits["train"]["source"]) if "train" in splits else None
        of_splits = {}
        for split, rows in splits.items():
            sources, targets = rows["source"][:], rows["target"][:]
            of_splits[split] = {
                "rows": len(rows),
                "repeated_rows": len(rows) - len(set(sources)),
                "source_words": sum(map(count_words, sources)),
                "target_words": sum(count_words(texts[0]) for texts in targets),
                "targets_equal_to_source": count_copies(rows),
            }
            if any(len(texts) > 1 for texts in targets):
                of_splits[split]["rows_with_several_targets"] = sum(len(texts) > 1 for texts in targets)
            if split != "train" and learnt is not None:
                of_splits[split]["rows_shared_with_train"] = sum(source in learnt for source in sources)
            of_splits[split]["skipped"] = count_skipped(rows)
        return {**self.judged_by(splits["test"]["target"][:]), **of_splits}

    def content(self, rows: Dataset) -> list[str]:
        return rows["source"][:]


def spread_languages(splits: DatasetDict) -> DatasetDict:
    """The splits with a column for each language in place of a column `translation` that holds them all."""
    spread = DatasetDict()
    for split, rows in splits.items():
        feature = rows.features.get(TRANSLATION)
        names = feature.languages if isinstance(feature, Translation) else feature if isinstance(feature, dict) else ()
        taken = set(rows.column_names) & set(names)
        if len(names) < 2 or taken:
            spread[split] = rows
            continue
        pairs = rows[TRANSLATION][:]
        for name in names:
            texts = [None if pair is None else pair[name] for pair in pairs]
            rows = rows.add_column(name, texts, feature=Value("string"))
        spread[split] = rows.remove_columns(TRANSLATION)
    return spread


def find_languages(splits: DatasetDict, languages: tuple[str, str] | None) -> tuple[str, str] | None:
    """The columns called by the languages of source and target: 'de' is that of de, de_DE or deu_Latn; None if there
    are none, or no languages."""
    columns = next(iter(splits.values())).column_names
    if languages is None:
        return None
    found = [find_language(columns, language) for language in languages]
    return (found[0], found[1]) if all(found) and found[0] != found[1] else None


def find_language(columns: list[str], language: str) -> str | None:
    """The column called by a language: by its whole code, otherwise by the first two letters of it."""
    for code in (language, language[:2]):
        if fitting := [name for name in columns if fold(name) == fold(code)]:
            return fitting[0]
    return None


def check_sources(rows: Dataset, column: str) -> tuple[list[str], list[Fault]]:
    """The texts of a column, and a fault for each row without one; a list of sentences is one text."""
    texts, faults = [], []
    for row, value in enumerate(rows[column][:]):
        if isinstance(value, list) and value and all(isinstance(part, str) for part in value):
            value = " ".join(value)
        fault = text_fault(row, column, value)
        texts.append("" if fault else value)
        if fault:
            faults.append(fault)
    return texts, faults


def check_targets(rows: Dataset, column: str) -> tuple[list[list[str]], list[Fault]]:
    """The texts of every row, one or several, and a fault for each row without any."""
    targets, faults = [], []
    for row, value in enumerate(rows[column][:]):
        texts = value if isinstance(value, list) else [value]
        fault = Fault(row, column, "[]", "every row has a text", MEND) if not texts else None
        for text in texts:
            fault = fault or text_fault(row, column, text)
        targets.append([] if fault else texts)
        if fault:
            faults.append(fault)
    return targets, faults


def count_copies(rows: Dataset) -> int:
    """The number of rows whose target is their source."""
    pairs = zip(rows["source"][:], rows["target"][:], strict=True)
    return sum(source.split() == targets[0].split() for source, targets in pairs if targets)
