"""Summarization: a text in, a shorter one out."""

from dataclasses import dataclass, field
from typing import ClassVar

from hfkit.contract.task import Sample
from hfkit.samples.reports import sample_reports
from hfkit.tasks.generation.flags import Generation
from hfkit.tasks.generation.judges import SummaryJudge, Words
from hfkit.tasks.generation.pairs import TextPairs

SOURCES = (
    ("document", "article", "dialogue", "source"),
    ("text", "maintext", "body", "content", "report", "story", "transcript", "conversation", "input"),
    ("abstract", "description", "review", "post", "passage"),
)
TARGETS = (
    ("summary", "highlights", "tldr"),
    ("target", "summary_text"),
    ("headline", "abstract"),
    ("title", "output", "label"),
)


@dataclass(frozen=True)
class Summarization(Generation):
    """Summaries of texts."""

    rouge_stemmer: bool = field(
        default=False, metadata={"help": "ROUGE counts English words without their endings (Porter's stemmer)"}
    )
    rouge_words: Words = field(
        default="english",
        metadata={"help": "'english': the words of rouge-score, of a to z and digits; 'any': those of every script"},
    )

    key: ClassVar[str] = "summarization"
    tag: ClassVar[str] = "summarization"
    sample: ClassVar[Sample] = Sample("sample-t5", sample_reports, license="apache-2.0", language="en")

    @property
    def instruction(self) -> tuple[str, str]:
        return "Summarize each text.", "Summary:"

    @property
    def rows(self) -> TextPairs:
        return TextPairs(
            self.source_column,
            self.target_column,
            self.unit_column,
            SOURCES,
            TARGETS,
            self.sample.rows,
            judged_by=self.judge.facts,
        )

    @property
    def judge(self) -> SummaryJudge:
        return SummaryJudge(stemmer=self.rouge_stemmer, words=self.rouge_words)
