"""Questions about passages: the columns that hold them, SQuAD's nested files, and the faults of single rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar

import numpy as np
from datasets import Dataset, DatasetDict, Features, List, Value

from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Target
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import MEND, find_column, find_usual_column, match_usual, space_evenly
from hfkit.data.files import TEXT_TABLES, read_one_split, read_splits, take_split
from hfkit.data.notes import tell
from hfkit.data.records import make_table
from hfkit.data.text.texts import JOINT, check_texts
from hfkit.data.units import find_unit_column
from hfkit.data.unlabelled import leave_unlabelled_test
from hfkit.errors import UserError
from hfkit.tasks.spans.cells import NoAnswer, find_place, read_marked
from hfkit.tasks.spans.target import Stretches

# Usual names of the columns, by tiers.
QUESTIONS = (("question", "query"), ("question_text", "questions"))
PASSAGES = (("context", "passage"), ("paragraph", "document", "article", "text", "content", "context_text"))
ANSWERS = (("answers", "answer"), ("answer_text", "answers_text", "spans", "label", "labels"))
STARTS = ("answer_start", "answer_starts", "start", "start_position")
IMPOSSIBLE = ("is_impossible", "unanswerable")
NESTED = ("paragraphs", "data")  # of SQuAD's files: articles with their paragraphs, and these with their questions
NAMES = ("question", "context")
TRUE = (True, "True", "true", "TRUE", "1", "yes")


@dataclass(frozen=True)
class Questions:
    """Rows of `question` and `context`, with the gold answers' `texts` and `starts` (characters of the context).

    A row without a gold answer is one whose passage does not hold it. `mended` is the number of answers that stood
    beside the place that was named for them.
    """

    question_column: str | None
    context_column: str | None
    answers_column: str | None
    unit_column: str | None
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "question"

    @property
    def main_column(self) -> str:
        return self.question_column or "question"

    # Reading

    def read(self, source: Source, only: Only | None) -> Raw:
        if source.dataset == "sample":
            raw = self.sample() if only is None else take_split(self.sample(), only.name)
        else:
            raw = self.read_table(source, only)
        raw = DatasetDict({split: unfold(rows) for split, rows in raw.items()})
        raw = leave_unlabelled_test(raw, self.answers_column, ANSWERS)
        columns = self.find_columns(raw)
        unit = find_unit_column(raw, self.unit_column)
        if unit is None and only is None and len(raw) < 3:
            unit = columns["context"]  # splits will be drawn: the questions about one passage stay together
        return Raw(raw, columns | ({"unit": unit} if unit else {}))

    def read_table(self, source: Source, only: Only | None) -> DatasetDict:
        if only is None:
            return read_splits(source, kinds=TEXT_TABLES)
        return read_one_split(source, only.name, kinds=TEXT_TABLES)

    def find_columns(self, raw: DatasetDict) -> dict[str, str]:
        columns = {
            "question": find_usual_column(raw, self.question_column, QUESTIONS, "--question_column"),
            "context": find_usual_column(raw, self.context_column, PASSAGES, "--context_column"),
        }
        first = next(iter(raw.values())).column_names
        impossible = match_usual(first, IMPOSSIBLE)
        columns["answers"] = find_usual_column(raw, self.answers_column, ANSWERS, "--answers_column")
        if len(set(columns.values())) < len(columns):
            raise UserError(
                f"columns {', '.join(columns.values())}",
                "questions, passages and answers are three columns",
                "Name them with --question_column, --context_column and --answers_column",
            )
        for name, found in (("starts", match_usual(first, STARTS)), ("impossible", impossible)):
            if found:
                columns[name] = find_column(raw, found[0], (), "")
        return columns

    # Checking

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        rows, columns = raw.splits[split], raw.columns
        values, faults = check_both(rows, columns)
        bad = {fault.row for fault in faults}
        cells = rows[columns["answers"]][:]
        starts, impossible = (
            rows[columns[name]][:] if name in columns else [None] * len(rows) for name in ("starts", "impossible")
        )
        texts, places, mended = [], [], []
        for row, cell in enumerate(cells):
            found = []
            if row not in bad:
                try:
                    marked = [] if impossible[row] in TRUE else read_marked(cell, starts[row])
                    found = [find_place(one, values["context"][row]) for one in dict.fromkeys(marked)]
                except NoAnswer as error:
                    faults.append(Fault(row, columns["answers"], error.value, error.rule, MEND))
            distinct = dict.fromkeys((place.text, place.start) for place in found)
            texts.append([text for text, _ in distinct])
            places.append([start for _, start in distinct])
            mended.append(sum(place.mended for place in found))
        if count := sum(mended):
            tell(f"{split}: {count:,} answers begin beside the place that is named for them, at blanks; it was mended")
        strings, numbers = List(Value("string")), List(Value("int32"))
        kinds = {**dict.fromkeys(NAMES, Value("string")), "texts": strings, "starts": numbers, "mended": Value("int32")}
        checked = {**values, "texts": texts, "starts": places, "mended": mended}
        return Dataset.from_dict(checked, features=Features(kinds)), faults

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        if not any(train["texts"][:]):
            raise UserError(
                f"column '{raw.columns['answers']}'",
                "no question of train has an answer, so there is nothing to find",
                "Check that this is the column of answers",
            )

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        if raw.columns.get("unit") == raw.columns["context"] and self.unit_column is None:
            return DatasetDict({split: drop_unit(rows) for split, rows in splits.items()})
        return splits

    def classes(self, rows: Dataset) -> list[tuple[str, ...]] | None:
        """Whether the passage holds the answer; None if all of them do."""
        answered = [bool(texts) for texts in rows["texts"][:]]
        return None if all(answered) else [("answerable" if found else "unanswerable",) for found in answered]

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        if nested := match_usual(raw.column_names, NESTED):
            raise UserError(
                f"column '{nested[0]}'",
                "a row to predict is one question with its passage, and gets one answer",
                "Write one object a line, with a question and a context",
            )
        splits = DatasetDict(input=raw)
        columns = {
            "question": find_usual_column(splits, self.question_column, QUESTIONS, "--question_column"),
            "context": find_usual_column(splits, self.context_column, PASSAGES, "--context_column"),
        }
        values, faults = check_both(raw, columns)
        rows = Dataset.from_dict(values, features=Features(dict.fromkeys(NAMES, Value("string"))))
        return rows, sorted(faults, key=lambda fault: fault.row)

    def input_columns(self, facts: Mapping[str, Any]) -> tuple[str, ...]:
        return (self.main_column, self.context_column or "context")

    def target(self, splits: DatasetDict) -> Stretches:
        """Whether there may be no answer, as the training rows show."""
        rows = splits["train"] if "train" in splits else next(iter(splits.values()))
        return Stretches(None if all(rows["texts"][:]) else 0.0)

    def references(self, rows: Dataset) -> list[list[str]]:
        return rows["texts"][:]

    # Facts

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, passages and answers, repeats, and what was mended or skipped."""
        learnt, read = set(), set()
        if "train" in splits:
            learnt, read = set(self.content(splits["train"])), set(splits["train"]["context"][:])
        of_splits = {}
        for split, rows in splits.items():
            contents, passages, texts = self.content(rows), rows["context"][:], rows["texts"][:]
            of_splits[split] = {
                "rows": len(rows),
                "repeated_rows": len(rows) - len(set(contents)),
                "passages": len(set(passages)),
                "unanswerable": sum(not found for found in texts),
                "several_answers": sum(len(found) > 1 for found in texts),
                "median_passage_characters": float(np.median([len(passage) for passage in passages])),
                "most_passage_characters": max(map(len, passages)),
                "starts_mended": sum(rows["mended"][:]),
            }
            if split != "train" and "train" in splits:
                of_splits[split]["rows_shared_with_train"] = sum(content in learnt for content in contents)
                of_splits[split]["passages_shared_with_train"] = len(read & set(passages))
            of_splits[split]["skipped"] = count_skipped(rows)
        return of_splits

    def content(self, rows: Dataset) -> list[str]:
        return [JOINT.join(pair) for pair in zip(*(rows[name][:] for name in NAMES), strict=True)]


def check_both(rows: Dataset, columns: Mapping[str, str]) -> tuple[dict[str, list[str]], list[Fault]]:
    """Questions and passages, and a fault for each row that lacks one."""
    found = {name: check_texts(rows, columns[name]) for name in NAMES}
    return {name: texts for name, (texts, _) in found.items()}, list(chain(*(faults for _, faults in found.values())))


def drop_unit(rows: Dataset) -> Dataset:
    """The rows without the passages that kept their questions together."""
    if "unit" not in rows.column_names:
        return rows
    kept = rows.remove_columns("unit")
    kept.info.description = rows.info.description  # the count of skipped rows
    return kept


def unfold(rows: Dataset) -> Dataset:
    """A row for each question of SQuAD's articles; other rows as they are."""
    column = next(iter(match_usual(rows.column_names, NESTED)), None)
    if column is None or match_usual(rows.column_names, QUESTIONS[0]):
        return rows
    articles = rows.to_list() if column == "paragraphs" else list(chain(*(row[column] for row in rows.to_list())))
    found = [question for article in articles for question in questions_of(article)]
    if not found:
        raise UserError(
            f"column '{column}'", "paragraphs hold a context and its questions (qas)", "Check that this is SQuAD's form"
        )
    return make_table(found, list(dict.fromkeys(name for row in found for name in row)))


def questions_of(article: Mapping[str, Any]) -> Sequence[dict[str, Any]]:
    """The questions of one article, each with its passage."""
    found = []
    for paragraph in article.get("paragraphs") or []:
        for question in paragraph.get("qas") or []:
            answers = question.get("answers") or []
            impossible = question.get("is_impossible")
            found.append(
                {
                    "id": str(question.get("id", "")),
                    "title": article.get("title"),
                    "question": question.get("question"),
                    "context": paragraph.get("context"),
                    "answers": {
                        "text": [answer.get("text") for answer in answers],
                        "answer_start": [answer.get("answer_start") for answer in answers],
                    },
                    "is_impossible": bool(impossible),
                }
            )
    return found
