"""What the page says: of the model, from its report, and of one input."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datasets import Dataset, DatasetDict

from hfkit.errors import UserError
from hfkit.inference.saved import SavedModel
from hfkit.report.names import dataset_name
from hfkit.report.pages import bare, interval_text, score_text, shown
from hfkit.scores.score import headline_text

MOST_CHARACTERS = 20_000  # of a text: some ten pages
SENTENCES = ("Ada Lovelace wrote to Charles Babbage from London.", "The parcel came a day late, but all was there.")


class Unanswered(Exception):
    """Why an input gets no answer, for whoever gave it."""


@dataclass(frozen=True)
class Answer:
    """What a model says of one input."""

    prediction: Any  # as JSON has it
    likelihoods: dict[str, float] | None = None  # of every label, where the task has them
    note: str = ""  # what to know of it

    def told(self) -> dict[str, Any]:
        return {"prediction": self.prediction, "likelihoods": self.likelihoods, "note": self.note}


@dataclass(frozen=True)
class Asked:
    """A saved model, and what is known of it."""

    saved: SavedModel  # for columns of the usual names
    report: dict[str, Any] = field(default_factory=dict)  # {} where there is none
    pairs: bool = False  # its inputs are two texts

    @property
    def name(self) -> str:
        place = Path(self.saved.place)
        return place.resolve().name if place.is_dir() else self.saved.place

    @property
    def problem(self) -> str | None:
        """Of a classification."""
        return getattr(self.saved.task, "problem", None)

    def about(self) -> str:
        """The head of the page in Markdown: name, score, labels, and a warning where the data were made up."""
        lines = [f"# {bare(self.name)}", f"`{self.saved.task.name}`{self.scored()}"]
        labels = self.labels()
        lines += [f"Labels: {bare(shown(labels))}"] if labels else []
        if self.report.get("data", {}).get("synthetic"):
            lines.append("**It learnt from made-up data: what it says of real texts means nothing.**")
        return "\n\n".join(lines)

    def scored(self) -> str:
        if not self.report.get("contenders"):
            return "; no report says how good it is"
        subject, task = self.report["contenders"][0], self.report["task"]
        interval = subject["interval"]
        return (
            f": {headline_text(task['headline'])} **{score_text(subject['headline'])}** {interval_text(interval)}"
            f" ({100 * interval['level']:g} %) on {self.report['rows']:,} test rows of"
            f" {bare(dataset_name(task['dataset']))}"
        )

    def labels(self) -> list[str]:
        """What it may answer: types of entities, classes, or a scale; nothing for a number."""
        if self.problem is None:
            return list(dict.fromkeys(label[2:] for label in self.saved.labels if label != "O"))
        return [] if self.problem == "regression" else self.saved.labels

    def made_up(self) -> list[dict[str, Any]]:
        """Rows to try where no report has any; there are no pictures to make up."""
        if self.saved.task.reads != "text":
            return [{"image": blank()}]
        if self.pairs:
            return [{"text": SENTENCES[0], "text_pair": SENTENCES[1]}]
        return [{"text": sentence} for sentence in SENTENCES]

    def answer(self, row: dict[str, Any]) -> Answer:
        """What the model says of a row of `text` (of pairs also `text_pair`), `tokens` or `image`.

        Raises:
            Unanswered: there is nothing to ask about, it is too large, or the model cannot read it.
        """
        refuse_unusual(row)
        rows = Dataset.from_list([row])
        try:
            (told,) = self.saved.told(rows)
        except UserError as error:
            raise Unanswered(str(error)) from error
        if told.fault:
            raise Unanswered(f"The model cannot be asked about this: {told.fault.rule}.")
        return Answer(told.prediction, told.probabilities, self.cut(rows))

    def cut(self, rows: Dataset) -> str:
        """That the end of a text was not read."""
        asked, _ = self.saved.task.unanswered(rows, self.saved.labels)
        prepared = self.saved.task.prepare(DatasetDict(test=asked), self.saved.processor, self.saved.labels)["test"]
        if "truncated" not in prepared.column_names or not prepared["truncated"][0]:
            return ""
        return f"The text is long: only its first {len(prepared['input_ids'][0]):,} tokens were read."


def refuse_unusual(row: dict[str, Any]) -> None:
    """Refuse what nobody means to ask.

    Raises:
        Unanswered: with what to do instead.
    """
    if row.get("image", ...) is None:
        raise Unanswered("Choose a picture first.")
    texts = [row[name] for name in ("text", "text_pair") if name in row]
    if any(not (text or "").strip() for text in texts):
        raise Unanswered("Write both texts first." if len(texts) > 1 else "Write a text first.")
    longest = max(map(len, texts), default=0)
    if longest > MOST_CHARACTERS:
        raise Unanswered(f"A text has at most {MOST_CHARACTERS:,} characters here, and this one has {longest:,}.")


def blank() -> dict[str, Any]:
    """A white picture."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    Image.new("RGB", (64, 64), "white").save(buffer, "PNG")
    return {"bytes": buffer.getvalue(), "path": None}
