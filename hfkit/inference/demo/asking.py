"""A saved model for the page: its description, rows to try, and its answer to one input."""

from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.contract.abilities import Explained
from hfkit.contract.rows import Media
from hfkit.contract.view import Picture, Shown
from hfkit.errors import UserError
from hfkit.inference.examples import report_rows
from hfkit.inference.saved import SavedModel
from hfkit.report.names import dataset_name
from hfkit.report.pages import cell_text, escape_markdown, interval_text, score_text
from hfkit.scores.score import headline_text

LONGEST_ANSWER = 60.0  # seconds
MOST_CHARACTERS = 20_000  # of a text: some ten pages
SENTENCES = ("Ada Lovelace wrote to Charles Babbage from London.", "The parcel came a day late, but all was there.")


class Unanswered(Exception):
    """An input gets no answer; the message tells the user why."""


@dataclass(frozen=True)
class Reply:
    """A model's answer to one input."""

    shown: Shown
    record: Any  # as JSON has it
    likelihoods: dict[str, float] | None = None  # of every label, if the model knows them
    note: str = ""  # what to know about it
    looked_at: Picture | None = None  # the input under a map of what the answer rests on

    def to_json(self) -> dict[str, Any]:
        return {"prediction": self.record, "likelihoods": self.likelihoods, "note": self.note}


@dataclass(frozen=True)
class DemoModel:
    """A saved model, and what its report says of it."""

    saved: SavedModel  # for columns of the usual names
    columns: tuple[str, ...]  # of an input
    report: dict[str, Any] = field(default_factory=dict)  # {} without one

    @property
    def name(self) -> str:
        place = Path(self.saved.place)
        return place.resolve().name if place.is_dir() else self.saved.place

    @property
    def media(self) -> Media:
        return self.saved.task.rows.media

    @cached_property
    def explains(self) -> bool:
        """Whether the model shows what its answers rest on."""
        if not isinstance(self.saved.codec, Explained):
            return False
        try:
            rows, _ = self.saved.task.rows.to_predict(Dataset.from_list(self.made_up_rows()[:1]))
            self.saved.explain(rows, self.saved.predictions(rows))
        except UserError as error:
            print(f"No maps of where the model looks: {error.rule}")
            return False
        return True

    def about(self) -> str:
        """The head of the page in Markdown: name, score, labels, and a warning if the data were made up."""
        lines = [f"# {escape_markdown(self.name)}", f"`{self.saved.task.key}`{self.score_line()}"]
        labels = list(self.saved.choices.labels)
        lines += [f"Labels: {escape_markdown(cell_text(labels))}"] if labels else []
        if self.report.get("data", {}).get("synthetic"):
            lines.append("**It was trained on synthetic data; its answers to real input mean nothing.**")
        return "\n\n".join(lines)

    def score_line(self) -> str:
        if not self.report.get("contenders"):
            return "; no report says how good it is"
        subject, task = self.report["contenders"][0], self.report["task"]
        interval = subject["interval"]
        return (
            f": {headline_text(task['headline'], task['scores'])} **{score_text(subject['headline'])}**"
            f" {interval_text(interval)} ({100 * interval['level']:g} %) on {self.report['rows']:,} test rows of"
            f" {escape_markdown(dataset_name(task['dataset']))}"
        )

    def examples(self) -> list[dict[str, Any]]:
        """Rows to try: those of the report, otherwise made up."""
        return report_rows(self.report, self.columns) or self.made_up_rows()

    def made_up_rows(self) -> list[dict[str, Any]]:
        """Two texts, a row of several, or a white picture."""
        if self.media is Media.IMAGE:
            return [{self.columns[0]: blank_picture()}]
        if len(self.columns) == 1:
            return [{self.columns[0]: sentence} for sentence in SENTENCES]
        return [dict(zip(self.columns, (SENTENCES * len(self.columns))[: len(self.columns)], strict=True))]

    def answer(self, row: dict[str, Any]) -> Reply:
        """The model's answer to a row of `columns`, or of `tokens`.

        Raises:
            Unanswered: there is nothing to ask about, it is too large, or the model cannot read it.
        """
        self.refuse_unusual(row)
        rows = Dataset.from_list([row])
        try:
            (predicted,) = self.saved.predict_table(rows, explained=int(self.explains))
        except UserError as error:
            raise Unanswered(str(error)) from error
        if predicted.fault:
            raise Unanswered(f"The model cannot be asked about this: {predicted.fault.rule}.")
        answer = self.saved.task.view.answer(predicted.answer, predicted.row)
        note = self.note_on_length(rows)
        return Reply(answer, predicted.record, predicted.likelihoods, note, predicted.looked_at)

    def note_on_length(self, rows: Dataset) -> str:
        """A note if the end of a text was not read."""
        checked, _ = self.saved.task.rows.to_predict(rows)
        facts = self.saved.codec.facts(self.saved.encode(checked))
        if not facts.get("truncated"):
            return ""
        return f"The text is long: only its first {facts['most_tokens']:,} tokens were read."

    def refuse_unusual(self, row: dict[str, Any]) -> None:
        """Refuse empty and oversized inputs.

        Raises:
            Unanswered: with what to do instead.
        """
        if self.media is Media.IMAGE:
            if row[self.columns[0]] is None:
                raise Unanswered("Choose a picture first.")
            return
        texts = [row[name] for name in self.columns if name in row]
        if any(not (text or "").strip() for text in texts):
            raise Unanswered("Write both texts first." if len(texts) > 1 else "Write a text first.")
        longest = max(map(len, texts), default=0)
        if longest > MOST_CHARACTERS:
            raise Unanswered(f"A text has at most {MOST_CHARACTERS:,} characters here, and this one has {longest:,}.")


class TimedModel:
    """A model whose answers are waited for no longer than `LONGEST_ANSWER`, one at a time.

    Work in a thread cannot be stopped. So what takes too long goes on, and nothing else is begun beside it: impatient
    visitors would otherwise fill all cores.
    """

    def __init__(self, model: DemoModel, seconds: float = LONGEST_ANSWER) -> None:
        self.model, self.seconds = model, seconds
        self.thread = ThreadPoolExecutor(max_workers=1)
        self.late: Future | None = None

    def answer(self, row: dict[str, Any]) -> Reply:
        """As `DemoModel.answer`.

        Raises:
            Unanswered: also if the answer, or the one before it, takes too long.
        """
        if self.late is not None and not self.late.done():
            raise Unanswered("An earlier question still keeps the model busy. Try again in a minute.")
        coming = self.thread.submit(self.model.answer, row)
        try:
            return coming.result(self.seconds)
        except TooLate as error:
            self.late = coming
            raise Unanswered(f"There was no answer within {self.seconds:g} seconds. Try a shorter one.") from error


def blank_picture() -> dict[str, Any]:
    """A white picture."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (64, 64), "white").save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}
