"""The view of classified rows: rows and answers for readers and for programs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal
from hfkit.contract.target import Target, names_of
from hfkit.contract.view import Choice, Example, Shown
from hfkit.tasks.classification.answers import label_sort_key
from hfkit.tasks.classification.kinds import Grade, Kind, OneNumber, SeveralLabels, ends_of


class ClassifiedView(ABC):
    """Rows of any medium with answers of one kind."""

    tag: ClassVar[str]  # of the pipeline
    role: ClassVar[str]  # the pipeline's name for the processor

    def __init__(self, kind: Kind) -> None:
        self.kind = kind

    @property
    def answers(self) -> type[Shown]:
        return self.kind.shown

    @abstractmethod
    def row(self, row: Mapping[str, Any]) -> Shown: ...

    def answer(self, answer: Any, row: Mapping[str, Any]) -> Shown:
        return self.kind.show(answer)

    def record(self, answer: Any, row: Mapping[str, Any]) -> Any:
        """The best label, a list of labels, or a number."""
        return self.kind.record(answer)

    def choices(self, target: Target) -> Choice:
        """The labels; of a scale its ends, of numbers nothing."""
        if isinstance(self.kind, OneNumber) and not isinstance(self.kind, Grade):
            return Choice(())
        return Choice(tuple(names_of(target)), several=isinstance(self.kind, SeveralLabels))

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """A row for each label: the first of those with the fewest labels."""
        if not self.kind.names_labels:
            return {}
        found: dict[str, int] = {}
        sets = [self.kind.labels_of(gold) for gold in rows["label"][:]]
        for row in sorted(range(len(sets)), key=lambda row: len(sets[row])):
            for label in sets[row]:
                found.setdefault(label, row)
        chosen = sorted(found, key=label_sort_key)[:limit]
        return {label: Example(self.row(rows[found[label]])) for label in chosen}

    # Python that asks the model

    @abstractmethod
    def call(self, examples: Sequence[Example], facts: Mapping[str, Any]) -> str:
        """The arguments of a call of the pipeline, as Python code."""

    @abstractmethod
    def first_answer(self, call: str) -> str:
        """Python code for the first answer of a call of the pipeline with one row."""

    @abstractmethod
    def top_k(self, target: Target) -> str:
        """The pipeline's argument `top_k` for answers about every label, as Python code."""

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        task = literal(self.tag)
        if loaded is None:
            made = f"classifier = pipeline({task}, model={literal(model)})"
        else:
            made = f"{loaded}\nclassifier = pipeline({task}, model=model, {self.role}=processor)"
        return "\n".join(
            ["from transformers import pipeline", "", made, *self.ask_lines(target, self.call(examples, facts))]
        )

    def ask_lines(self, target: Target, call: str) -> list[str]:
        """The lines that ask the pipeline and print its answer."""
        label, score = f"answer[{literal('label')}]", f"answer[{literal('score')}]"
        if isinstance(self.kind, SeveralLabels):
            return [
                f"answers = classifier({call}, top_k={self.top_k(target)})",
                f"print([{label} for answer in answers if {score} > 0.5])",
            ]
        if not isinstance(self.kind, OneNumber):
            return [f"print(classifier({call}))"]
        number = f"{self.first_answer(f'classifier({call})')}[{literal('score')}]"
        if not isinstance(self.kind, Grade):
            return [f"print({number})"]
        low, high = ends_of(names_of(target))
        return [f"score = {number}", f"print(min(max(round(score), {low}), {high}))"]

    # Python that asks an ONNX graph

    @abstractmethod
    def graph_call(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        """The lines that leave `labels`, and the `logits` of some rows."""

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return f"{self.graph_call(inputs, longest)}\n{self.graph_answers()}\nprint(answers)\n"

    def graph_answers(self) -> str:
        """The lines from `logits` to `answers`."""
        if isinstance(self.kind, SeveralLabels):
            chosen = "labels[int(i)] for i in np.flatnonzero(row > 0)"
            return f"answers = [[{chosen}] for row in logits]  # 0 is a probability of one half"
        if isinstance(self.kind, Grade):
            ends = 'low, high = map(int, labels[0].split(" to "))'
            return f"{ends}\nanswers = [int(np.clip(np.round(row[0]), low, high)) for row in logits]"
        if isinstance(self.kind, OneNumber):
            return "answers = [float(row[0]) for row in logits]"
        return "answers = [labels[int(row.argmax())] for row in logits]"
