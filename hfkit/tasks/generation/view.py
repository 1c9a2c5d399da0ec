"""The view of written texts: a source, the gold text and the written one, side by side."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal, plain_text, write_program
from hfkit.contract.target import Target
from hfkit.contract.view import Example, Mistake, Shown, Text
from hfkit.tasks.generation.words import count_words, split_words

SENTENCE = "The ferry left the harbour on time and arrived an hour late, because of fog."
PER_KIND = 6  # mistakes of one kind
LONG = 2  # times as many words as the gold text


class WrittenText:
    """Texts and what is written for them."""

    answers: ClassVar[type[Shown]] = Text
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(row["source"])

    def answer(self, answer: str | list[str], row: Mapping[str, Any]) -> Text:
        """A written text, or the first of the gold ones."""
        return Text(answer if isinstance(answer, str) else answer[0])

    def record(self, answer: str, row: Mapping[str, Any]) -> str:
        return answer

    def mistakes(self, predictions: list[str], references: list[list[str]], rows: Dataset, limit: int) -> list[Mistake]:
        """The answers that share the fewest words with a gold one, at most `PER_KIND` of a kind."""
        sources, found, shown = rows["source"][:], [], dict.fromkeys(KINDS, 0)
        shares = [share_words(ours, gold) for ours, gold in zip(predictions, references, strict=True)]
        for row in sorted(range(len(shares)), key=lambda row: (shares[row], row)):
            if len(found) == limit or shares[row] == 1:
                break
            kind = kind_of(predictions[row], references[row], sources[row])
            if shown[kind] < PER_KIND:
                shown[kind] += 1
                given, gold = Text(sources[row]), Text(references[row][0])
                found.append(Mistake(row, kind, KINDS[kind], given, gold, Text(predictions[row])))
        return found

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """The shortest source: there are no labels to choose examples of."""
        sources = rows["source"][:]
        shortest = min(range(len(sources)), key=lambda row: len(sources[row]), default=None)
        return {} if shortest is None or not limit else {"source": Example(Text(sources[shortest]))}

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """With `generate()`: the pipelines for summaries and translations are gone since transformers 5."""
        return write_program(
            "AutoModelForSeq2SeqLM",
            model,
            loaded,
            f"text = {literal(plain_text(examples) or SENTENCE)}",
            "prefix = model.config.hfkit_source_prefix  # what it was trained to find before every text",
            f"inputs = processor(prefix + text, truncation=True, return_tensors={literal('pt')})",
            "written = model.generate(**inputs)",
            "print(processor.batch_decode(written, skip_special_tokens=True)[0])",
        )


KINDS = {
    "empty": "nothing was written",
    "copied": "the source was copied",
    "too long": f"more than {LONG} times as many words as the gold text",
    "repeated": "the same words again and again",
    "other words": "few words of the gold text",
}


def kind_of(written: str, gold: list[str], source: str) -> str:
    """The kind of a mistake, a key of `KINDS`."""
    words = split_words(written)
    if not words:
        return "empty"
    if words == split_words(source):
        return "copied"
    if len(words) > LONG * max(map(count_words, gold)):
        return "too long"
    return "repeated" if len(words) > 3 * len(set(words)) else "other words"


def share_words(written: str, gold: list[str]) -> float:
    """How many words a text has in common with the nearest of some others, as F1 of the sets, from 0 to 1."""
    ours = set(split_words(written))
    return max(2 * len(ours & set(theirs)) / max(1, len(ours) + len(set(theirs))) for theirs in map(split_words, gold))
