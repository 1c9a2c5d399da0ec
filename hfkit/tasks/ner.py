"""Named-entity recognition in sentences that are split into words: exactly one tag per word."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from transformers import PreTrainedConfig

from hfkit.contract.abilities import Parsed, Prompt
from hfkit.contract.task import Sample
from hfkit.data.text.tags import split_tag
from hfkit.errors import UserError
from hfkit.samples.ner import sample_ner
from hfkit.tasks.tagging.flags import Tagging
from hfkit.tasks.tagging.judges import EntityJudge
from hfkit.tasks.tagging.prompts import NOTHING, OTHER, find_capitalised, read_entities, write_entities, write_tags
from hfkit.tasks.tagging.rows import TaggedWords
from hfkit.tasks.tagging.view import TaggedText

TAGS_COLUMNS = ("ner_tags", "tags", "labels", "ner_labels", "ner")


@dataclass(frozen=True)
class NER(Tagging):
    """Entities in sentences that are split into words."""

    tags_column: str | None = field(
        default=None,
        metadata={"help": f"column of entity tags; default: the one named {' or '.join(TAGS_COLUMNS)}"},
    )

    key: ClassVar[str] = "ner"
    sample: ClassVar[Sample] = Sample("sample-text", sample_ner, license="apache-2.0", language="en")

    @property
    def rows(self) -> TaggedWords:
        return TaggedWords(
            self.tokens_column,
            self.tags_column,
            self.unit_column,
            (TAGS_COLUMNS,),
            self.sample.rows,
            level=self.split_words,
        )

    @property
    def judge(self) -> EntityJudge:
        return EntityJudge()

    @property
    def view(self) -> TaggedText:
        return TaggedText()

    @classmethod
    def flags_of(cls, config: PreTrainedConfig) -> dict[str, Any]:
        """No flags; only the labels are checked.

        Raises:
            UserError: they are no IOB2 tags.
        """
        strange = [label for label in config.id2label.values() if label != "O" and not label.startswith(("B-", "I-"))]
        if strange:
            raise UserError(
                f"labels {', '.join(strange[:3])}",
                "the labels of a model for entities are O, and B-TYPE or I-TYPE for the words of each type",
                "Rename them in the id2label of its config.json, or use another model",
            )
        return {}

    # Prompts

    def prompt_names(self, labels: list[str]) -> list[str]:
        """The types of entities, in order."""
        return list(dict.fromkeys(kind for label in labels if (kind := split_tag(label)[1])))

    def prompt(self, row: Mapping[str, Any], names: Mapping[str, str], shots: Sequence[Mapping[str, Any]]) -> Prompt:
        """The question for a list of entities, in the form that `tagging.prompts` writes."""
        return Prompt(
            f"List the entities in the sentence as 'type: words', separated by '; ', or answer '{NOTHING}'. "
            f"The types are: {', '.join(names.values())}.",
            tuple(
                (f"Sentence: {' '.join(shot['tokens'])}", write_entities(shot["tokens"], shot["tags"], names))
                for shot in shots
            ),
            f"Sentence: {' '.join(row['tokens'])}",
            "Entities:",
        )

    def read_completion(self, completion: str, row: Mapping[str, Any], names: Mapping[str, str]) -> Parsed:
        """One tag per word; all O if the answer is no list of entities."""
        tags = read_entities(completion, row["tokens"], names)
        return Parsed(["O"] * len(row["tokens"]) if tags is None else tags, tags is not None)

    def ask_parts(self, row: Mapping[str, Any], names: Mapping[str, str]) -> list[Prompt]:
        """A question for each run of capitalised words: which type of entity it is, or none of them."""
        words = row["tokens"]
        return [
            Prompt(
                f"In the sentence, which of these is '{' '.join(words[start:end])}'?",
                (),
                f"Sentence: {' '.join(words)}",
                options=(*names.values(), OTHER),
            )
            for start, end in find_capitalised(words)
        ]

    def join_parts(self, row: Mapping[str, Any], names: Mapping[str, str], chosen: Sequence[str]) -> list[str]:
        """One tag per word."""
        kinds = {text: kind for kind, text in names.items()}
        return write_tags(row["tokens"], [kinds.get(option) for option in chosen])
