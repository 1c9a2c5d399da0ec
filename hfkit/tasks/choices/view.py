"""The view of rows with options: what stands before them, and the one that is chosen."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal, write_program
from hfkit.contract.target import Target
from hfkit.contract.view import Example, Mistake, Shown, Text
from hfkit.data.text.texts import JOINT

QUESTION, OPTIONS = "Where did Ada Lovelace live?", ("In London.", "On the moon.", "Under water.")


class ChosenOption:
    """Texts with options."""

    answers: ClassVar[type[Shown]] = Text
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(JOINT.join([*(row[name] for name in ("context", "question") if row.get(name)), *row["options"]]))

    def answer(self, answer: Mapping[str, Any] | int, row: Mapping[str, Any]) -> Text:
        return Text(row["options"][place_of(answer)])

    def record(self, answer: Mapping[str, Any], row: Mapping[str, Any]) -> dict[str, Any]:
        """The place and the text of the chosen option, its probability, and those of all options in their order."""
        place = answer["choice"]
        likely = answer.get("probabilities")
        found = {"choice": place, "text": row["options"][place]}
        return found if likely is None else {**found, "probability": likely[place], "probabilities": likely}

    def mistakes(
        self, predictions: list[Mapping[str, Any]], references: list[int], rows: Dataset, limit: int
    ) -> list[Mistake]:
        """Wrong choices, those that the model was most sure of first."""
        wrong = [row for row, gold in enumerate(references) if predictions[row]["choice"] != gold]
        wrong.sort(key=lambda row: -self.sureness(predictions[row]))
        return [
            Mistake(row, "wrong option", self.explain(predictions[row]), self.row(given), *sides)
            for row in wrong[:limit]
            for given in [rows[row]]
            for sides in [(self.answer(references[row], given), self.answer(predictions[row], given))]
        ]

    def sureness(self, answer: Mapping[str, Any]) -> float:
        likely = answer.get("probabilities")
        return 0.0 if likely is None else likely[answer["choice"]]

    def explain(self, answer: Mapping[str, Any]) -> str:
        sure = self.sureness(answer)
        return f"another option, with a probability of {sure:.0%}" if sure else "another option"

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        return {}

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """With the model class alone: transformers has no pipeline for it."""
        # As one text: a list has more than one way to be laid out, and a formatted card must stay the card.
        return write_program(
            "AutoModelForMultipleChoice",
            model,
            loaded,
            f"question = {literal(QUESTION)}",
            f"options = {literal('|'.join(OPTIONS))}.split({literal('|')})",
            "pairs = [[question] * len(options), options]",
            f"inputs = processor(*pairs, padding=True, truncation=True, return_tensors={literal('pt')})",
            "output = model(**{name: value[None] for name, value in inputs.items()})",
            "probabilities = output.logits[0].softmax(-1).tolist()",
            "best = probabilities.index(max(probabilities))",
            "print(options[best], probabilities[best])",
        )


def place_of(answer: Mapping[str, Any] | int) -> int:
    return answer["choice"] if isinstance(answer, Mapping) else answer
