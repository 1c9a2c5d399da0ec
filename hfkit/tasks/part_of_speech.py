"""Part-of-speech tagging of sentences that are split into words: exactly one tag per word."""

from dataclasses import dataclass, field
from itertools import chain
from typing import ClassVar

from hfkit.contract.task import Sample
from hfkit.samples.pos import sample_pos
from hfkit.tasks.tagging.flags import Tagging
from hfkit.tasks.tagging.judges import TagJudge
from hfkit.tasks.tagging.rows import TaggedWords
from hfkit.tasks.tagging.view import WordTags

TAGS_COLUMNS = (("upos", "pos_tags", "pos", "tags"), ("xpos",))  # the universal tags of a treebank before its own


@dataclass(frozen=True)
class PartOfSpeech(Tagging):
    """A tag for every word of a sentence."""

    tags_column: str | None = field(
        default=None, metadata={"help": f"column of tags; default: the one named {' or '.join(chain(*TAGS_COLUMNS))}"}
    )

    key: ClassVar[str] = "pos"
    sample: ClassVar[Sample] = Sample("sample-text", sample_pos, license="apache-2.0", language="en")

    @property
    def rows(self) -> TaggedWords:
        return TaggedWords(
            self.tokens_column,
            self.tags_column,
            self.unit_column,
            TAGS_COLUMNS,
            self.sample.rows,
            entities=False,
            level=self.split_words,
        )

    @property
    def judge(self) -> TagJudge:
        return TagJudge()

    @property
    def view(self) -> WordTags:
        return WordTags()
