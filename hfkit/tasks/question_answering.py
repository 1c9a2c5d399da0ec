"""Question answering: the stretch of a passage that answers a question about it, or that there is none."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import AutoModelForQuestionAnswering

from hfkit.arguments.ranges import COUNT, POSITIVE_COUNT, Range
from hfkit.contract.abilities import Parsed, Prompt
from hfkit.contract.target import Nothing, Target
from hfkit.contract.task import Sample, Task
from hfkit.samples.questions import sample_questions
from hfkit.tasks.spans.codec import LONGEST_WINDOW, SpanFinder
from hfkit.tasks.spans.judge import AnswerJudge
from hfkit.tasks.spans.rows import ANSWERS, PASSAGES, QUESTIONS, Questions
from hfkit.tasks.spans.target import Stretches
from hfkit.tasks.spans.view import AnsweredQuestions

UNANSWERED = "no answer"  # in prompts


@dataclass(frozen=True)
class QuestionAnswering(Task):
    """Questions about passages, of any length; the answer is a stretch of the passage."""

    question_column: str | None = field(
        default=None,
        metadata={"help": f"column of questions; default: the one named {' or '.join(QUESTIONS[0])}"},
    )
    context_column: str | None = field(
        default=None,
        metadata={"help": f"column of passages; default: the one named {' or '.join(PASSAGES[0])} or the like"},
    )
    answers_column: str | None = field(
        default=None,
        metadata={"help": f"column of gold answers; default: the one named {' or '.join(ANSWERS[0])} or the like"},
    )
    answer_language: str = field(
        default="en",
        metadata={"help": "such as de: scores pass over articles of English, and over those of no other language"},
    )
    max_length: int | None = field(
        default=None,
        metadata={"help": f"tokens in a window; default: what the tokenizer allows, at most {LONGEST_WINDOW}"},
    )
    stride: int | None = field(
        default=None,
        metadata={"help": "tokens of the passage shared by two of its windows; default: a third of the window"},
    )
    max_answer_tokens: int = field(default=30, metadata={"help": "tokens of the longest answer that is given"})
    negative_windows: int | None = field(
        default=4,
        metadata={"help": "windows of a training row that do not hold its answer, at most, evenly spaced"},
    )

    key: ClassVar[str] = "question-answering"
    tag: ClassVar[str] = "question-answering"
    auto_model: ClassVar[type] = AutoModelForQuestionAnswering
    sample: ClassVar[Sample] = Sample("sample-text", sample_questions, license="apache-2.0", language="en")
    target_kind: ClassVar[type[Nothing]] = Stretches
    ranges: ClassVar[Mapping[str, Range]] = {
        "max_length": POSITIVE_COUNT,
        "stride": COUNT,
        "max_answer_tokens": POSITIVE_COUNT,
        "negative_windows": COUNT,
    }

    @property
    def rows(self) -> Questions:
        return Questions(
            self.question_column, self.context_column, self.answers_column, self.unit_column, self.sample.rows
        )

    @property
    def judge(self) -> AnswerJudge:
        return AnswerJudge(self.answer_language)

    @property
    def view(self) -> AnsweredQuestions:
        return AnsweredQuestions(self.judge, self.max_answer_tokens)

    # What a language model is asked

    def prompt_names(self, labels: list[str]) -> list[str]:
        return labels

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """The question for words of the passage."""
        return Prompt(
            f"Answer each question with the fewest words of its passage that do, or '{UNANSWERED}' if none do.",
            tuple((ask_for_words(shot), next(iter(shot["texts"]), UNANSWERED)) for shot in shots),
            ask_for_words(row),
        )

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """The first line, whether it stands in the passage or not; nothing where it says so."""
        text = completion.strip().partition("\n")[0].strip()
        unanswered = text.strip(" .'\"").casefold() == UNANSWERED
        return Parsed({"text": "" if unanswered else text, "start": None, "end": None}, bool(text))

    def codec(self, checkpoint: str, target: Target) -> SpanFinder:
        return SpanFinder(
            checkpoint,
            self.path(checkpoint),
            target,
            self.head_config(target),
            max_length=self.max_length,
            stride=self.stride,
            longest=self.max_answer_tokens,
            negatives=self.negative_windows,
        )

    def guess_target(self, labels: int) -> Any:
        return Stretches()


def ask_for_words(row: Mapping[str, Any]) -> str:
    """A row as it appears in a prompt, passage and question on a line each: prompts are read line by line."""
    return f"Passage: {' '.join(row['context'].split())}\nQuestion: {' '.join(row['question'].split())}"
