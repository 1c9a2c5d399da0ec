"""Language modelling: how likely documents are, token by token from left to right."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from hfkit.contract.target import Nothing
from hfkit.contract.task import Sample
from hfkit.samples.logbook import sample_logbook
from hfkit.tasks.language.flags import Language
from hfkit.tasks.language.judges import LikelihoodJudge
from hfkit.tasks.language.text_view import DocumentView
from hfkit.tasks.language.texts import TextCodec, Texts


@dataclass(frozen=True)
class LanguageModelling(Language):
    """Documents whose next token is predicted at every place."""

    text_column: str | None = field(
        default=None, metadata={"help": "column of documents; default: the one named text, content or the like"}
    )
    split_documents: Literal["lines", "paragraphs"] | None = field(
        default=None,
        metadata={
            "help": "what is a document in files of plain text: a line, or a paragraph between blank lines; default:"
            " paragraphs where there are blank lines"
        },
    )

    key: ClassVar[str] = "language-modelling"
    sample: ClassVar[Sample] = Sample("sample-gpt2", sample_logbook, license="apache-2.0", language="en")

    @property
    def rows(self) -> Texts:
        return Texts(self.text_column, self.unit_column, self.sample.rows, self.split_documents)

    @property
    def judge(self) -> LikelihoodJudge:
        return LikelihoodJudge()

    @property
    def view(self) -> DocumentView:
        return DocumentView()

    def codec(self, checkpoint: str, target: Nothing) -> TextCodec:
        return TextCodec(
            checkpoint,
            self.path(checkpoint),
            self.head_config(target),
            max_length=self.max_length,
            stride=self.stride,
        )
