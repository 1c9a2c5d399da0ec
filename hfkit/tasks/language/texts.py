"""Documents of running text: their rows, and how they become tokens."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar, Literal

from datasets import Dataset, DatasetDict, Features, Value
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.contract.abilities import Stretch
from hfkit.contract.codec import Tokens
from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Nothing, Target
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import space_evenly
from hfkit.data.files import TEXT_TABLES, read_one_split, read_splits, take_split
from hfkit.data.labels import is_visible
from hfkit.data.notes import tell
from hfkit.data.text.texts import check_texts, text_columns, text_facts
from hfkit.data.text.tokenizers import find_readable_marks, spell_out
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.progress import track
from hfkit.runtime.files import expand_home
from hfkit.tasks.language.codec import CausalCodec, Document
from hfkit.tasks.language.judges import Likelihood

TOKENISED = 1000  # texts at once
Division = Literal["lines", "paragraphs"]


@dataclass(frozen=True)
class Texts:
    """Rows of `text`, each a document."""

    text_column: str | None
    unit_column: str | None
    sample: Callable[[], DatasetDict]
    division: Division | None = None  # of files of plain text; None: paragraphs where blank lines stand between them

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "text"

    @property
    def main_column(self) -> str:
        return self.text_column or "text"

    def read(self, source: Source, only_one: Only | None) -> Raw:
        raw = self._splits(source, only_one)
        columns = {"text": self.find_column(raw)}
        unit = find_unit_column(raw, self.unit_column)
        return Raw(raw, columns | ({"unit": unit} if unit else {}))

    def _splits(self, source: Source, only_one: Only | None) -> DatasetDict:
        if source.dataset == "sample":
            return self.sample() if only_one is None else take_split(self.sample(), only_one.name)
        if only_one is not None:
            raw = read_one_split(source, only_one.name, kinds=TEXT_TABLES)
        else:
            raw = read_splits(source, kinds=TEXT_TABLES)
        if not holds_plain_text(source.dataset):
            return raw
        return DatasetDict({split: divide(rows, split, self.division) for split, rows in raw.items()})

    def find_column(self, raw: DatasetDict) -> str:
        """The column of texts.

        Raises:
            UserError: there is none, or a pair.
        """
        found = text_columns(raw, self.text_column, None)
        if len(found) > 1:
            raise UserError(
                f"columns {', '.join(found)}", "a document is one text", "Name its column with --text_column"
            )
        return found[0]

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        texts, faults = check_texts(raw.splits[split], raw.columns["text"])
        return Dataset.from_dict({"text": texts}, features=Features({"text": Value("string")})), faults

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        """Any text can be learnt from."""

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def classes(self, rows: Dataset) -> None:
        return None

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        texts, faults = check_texts(raw, self.find_column(DatasetDict(input=raw)))
        return Dataset.from_dict({"text": texts}, features=Features({"text": Value("string")})), faults

    def target(self, splits: DatasetDict) -> Nothing:
        return Nothing()

    def references(self, rows: Dataset) -> list[str]:
        return rows["text"][:]

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, bytes, words, repeats and skipped rows."""
        seen = set(splits["train"]["text"][:]) if "train" in splits else None
        found = {}
        for split, rows in splits.items():
            texts = rows["text"][:]
            found[split] = text_facts(rows) | {
                "bytes": sum(len(text.encode("utf-8", "replace")) for text in texts),
                "words": sum(len(text.split()) for text in texts),
            }
            if split != "train" and seen is not None:
                found[split]["rows_shared_with_train"] = sum(text in seen for text in texts)
            found[split]["skipped"] = count_skipped(rows)
        return found

    def content(self, rows: Dataset) -> list[str]:
        return rows["text"][:]

    def stretches(self, rows: Dataset) -> list[list[Stretch]]:
        return [[Stretch("", text)] for text in rows["text"][:]]

    def to_answer(self, nats: float, symbols: int) -> Likelihood:
        return Likelihood(nats=nats, tokens=symbols, answer=None)


def holds_plain_text(dataset: str) -> bool:
    """Whether a dataset is a .txt, or a folder of nothing else."""
    place = expand_home(dataset)
    if place.is_dir():
        files = [path for path in Path(place).rglob("*") if path.is_file() and not path.name.startswith(".")]
        return bool(files) and all(path.suffix.lower() == ".txt" for path in files)
    return place.suffix.lower() == ".txt"


def divide(lines: Dataset, split: str, division: Division | None) -> Dataset:
    """The documents of lines: one each, or the paragraphs between blank lines."""
    if lines.column_names != ["text"]:
        return lines  # labels stand beside the texts, or each is a file of its own
    texts = lines["text"][:]
    blank = sum(not is_visible(text) for text in texts)
    if division == "paragraphs" or (division is None and blank):
        groups = groupby(texts, key=is_visible)
        texts = ["\n".join(group) for visible, group in groups if visible]
        tell(f"{split}: {len(texts):,} paragraphs between blank lines, each a document")
    elif blank:
        texts = [text for text in texts if is_visible(text)]
        tell(f"{split}: {blank:,} blank lines are left out")
    return Dataset.from_dict({"text": texts}, features=Features({"text": Value("string")}))


class TextCodec(CausalCodec):
    """Documents to tokens behind a start token; in training the end token follows, so that a model learns to stop."""

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Windows of tokens with the next token of each; rows of training may hold several documents."""
        training = split == "train" and answers
        end = self.processor.eos_token_id if training else None
        documents = []
        for row, ids in enumerate(self.tokenize(rows["text"][:], f"Tokenizing {split}")):
            ids = [self.start, *ids, *([] if end is None else [end])]
            documents.append(Document(row, ids, [True] * len(ids)))
        self.tell_losses(rows["text"][:], split)
        _, stride = self.window()
        return self.lay_out(documents, split, together=training, shared=0 if training else stride)

    def tokenize(self, texts: Sequence[str], title: str) -> list[list[int]]:
        """The tokens of texts, without special ones."""
        marks, found = find_readable_marks(self.processor), []
        for start in track(range(0, len(texts), TOKENISED), title):
            some = [spell_out(text, marks) for text in texts[start : start + TOKENISED]]
            found += self.processor(some, add_special_tokens=False, verbose=False)["input_ids"]
        return found

    def tell_losses(self, texts: Sequence[str], split: str) -> None:
        """Tell which characters the tokenizer loses: the bits of a byte are then too few."""
        lost = count_lost(texts, self.processor)
        if lost:
            shown = ", ".join(f"{character!r} {count:,}" for character, count in lost.most_common(5))
            tell(
                f"{split}: the tokenizer has no token for {lost.total():,} characters ({shown}), which are not"
                " predicted: bits per byte flatter this checkpoint"
            )

    def tokens(self, rows: Dataset) -> Tokens:
        room, _ = self.window()
        ids = self.tokenize(rows["text"][:], "Tokenizing")
        return Tokens([[self.start, *of_row] for of_row in ids], room, windowed=True)


def count_lost(texts: Sequence[str], tokenizer: Tokenizer) -> Counter[str]:
    """The characters of texts that cannot be read back from their tokens, with how often they occur.

    Each kind is tried once, by itself: unknown to the tokenizer, left out by it, or turned into another one.
    """
    counts: Counter[str] = Counter()
    for text in texts:
        counts.update(text)
    kinds = sorted(character for character in counts if not character.isspace())
    if not kinds:
        return Counter()
    tried = tokenizer(kinds, add_special_tokens=False, verbose=False)["input_ids"]
    lost = {
        kind: counts[kind]
        for kind, ids in zip(kinds, tried, strict=True)
        if tokenizer.unk_token_id in ids or kind not in tokenizer.decode(ids, clean_up_tokenization_spaces=False)
    }
    return Counter(lost)
