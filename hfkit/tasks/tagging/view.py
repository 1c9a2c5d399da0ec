"""The views of tagged sentences: entities, or a tag for every word."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal, plain_text
from hfkit.contract.target import Target, names_of
from hfkit.contract.view import Choice, Example, Mistake, Shown, Span, Spans, Text
from hfkit.data.text.tags import entities, split_tag
from hfkit.tasks.tagging.errors import entity_mistakes, tag_mistakes
from hfkit.tasks.tagging.words import entity_records, tag_records, text_and_starts

MOST_WORDS = 20  # of an example sentence
SENTENCE = "Ada Lovelace wrote to Charles Babbage from London."

GRAPH = """\
import onnxruntime
from transformers import AutoConfig, AutoTokenizer

FOLDER = "."  # where this file lies
tokenizer = AutoTokenizer.from_pretrained(FOLDER)
labels = AutoConfig.from_pretrained(FOLDER).id2label
session = onnxruntime.InferenceSession(f"{FOLDER}/model.onnx")

words = ["Ada", "Lovelace", "wrote", "to", "Charles", "Babbage", "from", "London", "."]
inputs = tokenizer([words], is_split_into_words=True, truncation=True, max_length=@longest@, return_tensors="np")
(logits,) = session.run(["logits"], {one.name: inputs[one.name] for one in session.get_inputs()})

answers, before = [], None
for place, word in enumerate(inputs.word_ids(0)):
    if word is not None and word != before:  # the first token of a word says what the word is
        answers.append((words[word], labels[int(logits[0, place].argmax())]))
    before = word
print(answers)
"""


class TaggedText:
    """Sentences with entities."""

    answers: ClassVar[type[Shown]] = Spans
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(text_and_starts(row)[0])

    def answer(self, answer: list[str], row: Mapping[str, Any]) -> Spans:
        return spans_of(row, [Span(start, end, kind) for kind, start, end in entities(answer)])

    def record(self, answer: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
        return entity_records(answer, row)

    def mistakes(
        self, predictions: list[list[str]], references: list[list[str]], rows: Dataset, limit: int
    ) -> list[Mistake]:
        return quote_texts(entity_mistakes(predictions, references, rows["tokens"][:], limit), rows)

    def choices(self, target: Target) -> Choice:
        """The types of entities."""
        return Choice(
            tuple(dict.fromkeys(kind for label in names_of(target) if (kind := split_tag(label)[1]))), several=True
        )

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return GRAPH.replace("@longest@", str(longest))

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """An entity of each type with the words around it: the first in a sentence of suitable length."""
        found: dict[str, tuple[bool, int, int, int]] = {}
        for row, tags in enumerate(rows["tags"][:]):
            for kind, start, end in entities(tags):
                plain = end - start < len(tags) <= MOST_WORDS
                if kind not in found or (plain and not found[kind][0]):
                    found[kind] = plain, row, start, end
        examples = {}
        for kind, (_, row, start, end) in sorted(found.items())[:limit]:
            words = rows[row]["tokens"]
            before, text, after = (" ".join(part) for part in (words[:start], words[start:end], words[end:]))
            examples[kind] = Example(Text(text), before, after)
        return examples

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """With the stock pipeline; the first token of each word decides, as in training and in evaluation."""
        way = f"aggregation_strategy={literal('first')}"
        task = literal("token-classification")
        if loaded is None:
            made = f"tagger = pipeline({task}, model={literal(model)}, {way})"
        else:
            made = f"{loaded}\ntagger = pipeline({task}, model=model, tokenizer=processor, {way})"
        call = f"print(tagger({literal(plain_text(examples) or SENTENCE)}))"
        return "\n".join(["from transformers import pipeline", "", made, call])


class WordTags:
    """Sentences with a tag for every word."""

    answers: ClassVar[type[Shown]] = Spans
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(text_and_starts(row)[0])

    def answer(self, answer: list[str], row: Mapping[str, Any]) -> Spans:
        return spans_of(row, [Span(word, word + 1, tag) for word, tag in enumerate(answer)])

    def record(self, answer: list[str], row: Mapping[str, Any]) -> list[dict[str, Any]]:
        return tag_records(answer, row)

    def mistakes(
        self, predictions: list[list[str]], references: list[list[str]], rows: Dataset, limit: int
    ) -> list[Mistake]:
        return quote_texts(tag_mistakes(predictions, references, rows["tokens"][:], limit), rows)

    def choices(self, target: Target) -> Choice:
        return Choice(tuple(names_of(target)), several=True)

    def onnx_snippet(self, inputs: Mapping[str, Sequence[str]], longest: int | None) -> str:
        return GRAPH.replace("@longest@", str(longest))

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        """A word with each tag and the words around it: the first in a sentence of suitable length."""
        found: dict[str, tuple[bool, int, int]] = {}
        for row, tags in enumerate(rows["tags"][:]):
            plain = 1 < len(tags) <= MOST_WORDS
            for word, tag in enumerate(tags):
                if tag not in found or (plain and not found[tag][0]):
                    found[tag] = plain, row, word
        examples = {}
        for tag, (_, row, word) in sorted(found.items())[:limit]:
            words = rows[row]["tokens"]
            examples[tag] = Example(Text(words[word]), " ".join(words[:word]), " ".join(words[word + 1 :]))
        return examples

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """Word by word: the stock pipeline would join neighbours with the same tag, or answer for parts of words."""
        # As one text: a list of words has more than one way to be laid out, and a formatted card must stay the card.
        words = literal(plain_text(examples) or "Ada wrote to Charles from London .")
        ways = [
            f"processor = AutoTokenizer.from_pretrained({literal(model)})",
            f"model = AutoModelForTokenClassification.from_pretrained({literal(model)})",
        ]
        return "\n".join(
            [
                "from transformers import AutoModelForTokenClassification, AutoTokenizer",
                "",
                *(ways if loaded is None else [loaded]),
                f"words = {words}.split()",
                f"inputs = processor(words, is_split_into_words=True, return_tensors={literal('pt')})",
                "best = model(**inputs).logits[0].argmax(-1).tolist()",
                "tags = {}",
                "for place, word in enumerate(inputs.word_ids()):",
                "    if word is not None:",
                "        tags.setdefault(word, model.config.id2label[best[place]])  # its first token decides",
                "print([(words[word], tag) for word, tag in tags.items()])",
            ]
        )


def quote_texts(mistakes: list[Mistake], rows: Dataset) -> list[Mistake]:
    """The mistakes with the text around each as it was written, where rows were texts."""
    if "text" not in rows.column_names:
        return mistakes
    found = []
    for mistake in mistakes:
        row, words = rows[mistake.row], mistake.gold
        last = words.offset + len(words.tokens) - 1
        text = row["text"][row["starts"][words.offset] : row["starts"][last] + len(words.tokens[-1])]
        found.append(replace(mistake, given=Text(text)))
    return found


def spans_of(row: Mapping[str, Any], spans: list[Span]) -> Spans:
    """Labelled words of a loaded row, with its text if it was one."""
    words = tuple(row["tokens"])
    text, starts = row.get("text"), row.get("starts")
    return Spans(words, tuple(spans), total=len(words), text=text, starts=tuple(starts or ()))
