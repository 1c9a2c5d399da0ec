"""Training data of spaCy: pairs of a text and its annotations, the JSON of version 2, and DocBin files."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datasets import Dataset

from hfkit.data.exports.export import Glimpse
from hfkit.data.exports.records import dataset_of, is_pair, read_records
from hfkit.errors import DataError, UserError


class SpacyPairs:
    """JSON of `[text, {"entities": [[start, end, label]]}]` or `{"cats": {label: score}}`, as tutorials write it.

    Also such a list under `annotations` beside `classes`, as an annotator on the web exports it.
    """

    title = "spaCy training data (JSON)"
    tried = "its documentation alone"
    left_out = "Heads, dependencies and links: of the annotations, entities and cats are read"

    def fits(self, glimpse: Glimpse) -> bool:
        records = glimpse.records
        return bool(records) and (all(map(is_annotated_text, records)) or (len(records) == 1 and has_pairs(records[0])))

    def read(self, split: str, paths: list[Path]) -> Dataset:
        rows: list[dict[str, Any]] = []
        for record in read_records(split, paths):
            pairs = record["annotations"] if has_pairs(record) else [record]
            rows += [
                read_pair(split, len(rows) + number, pair) for number, pair in enumerate(pairs) if pair is not None
            ]
        return dataset_of(rows)


def is_annotated_text(value: Any) -> bool:
    return is_pair(value) and bool({"entities", "cats"} & set(value[1]))


def has_pairs(record: Any) -> bool:
    """Whether a record is the whole file of the web annotator."""
    pairs = record.get("annotations") if isinstance(record, dict) else None
    return "classes" in record and isinstance(pairs, list) and any(map(is_annotated_text, pairs)) if pairs else False


def read_pair(split: str, row: int, pair: Any) -> dict[str, Any]:
    if not is_pair(pair):
        raise DataError(
            f"{pair!r:.60}", "a row is a text and its annotations", "Mend or remove it", split=split, row=row
        )
    text, annotations = pair
    spans, cats = annotations.get("entities"), annotations.get("cats")
    found = {"text": text}
    if spans is not None:
        found["spans"] = [read_entity(item) for item in spans]
    return found | ({"label": cats} if cats else {})


def read_entity(item: Any) -> Any:
    if isinstance(item, list) and len(item) >= 3:  # a fourth value is the id in a knowledge base
        return dict(zip(("start", "end", "label"), item, strict=False))
    return item


class SpacyJson:
    """The JSON of version 2: documents of paragraphs of sentences of tokens, each with its `ner` and `tag`."""

    title = "spaCy JSON of version 2"
    tried = "its documentation alone"
    left_out = "Dependencies and lemmas: entities, tags and cats are read"

    def fits(self, glimpse: Glimpse) -> bool:
        records = glimpse.records
        return bool(records) and all(isinstance(one, dict) and "paragraphs" in one for one in records)

    def read(self, split: str, paths: list[Path]) -> Dataset:
        documents = (document for document in read_records(split, paths) if isinstance(document, dict))
        return dataset_of([row for document in documents for row in read_paragraphs(document)])


def read_paragraphs(document: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """A row of words and tags for every sentence; for a paragraph without sentences its text and labels."""
    for paragraph in document["paragraphs"]:
        cats = {one["label"]: one["value"] for one in paragraph.get("cats") or []}
        sentences = [sentence["tokens"] for sentence in paragraph.get("sentences") or []]
        if cats or not sentences:
            yield {"text": paragraph.get("raw"), "label": cats}
            continue
        for tokens in sentences:
            row = {"tokens": [token["orth"] for token in tokens]}
            for key in {key: None for token in tokens for key in token if key not in ("orth", "id", "head")}:
                values = [token.get(key) for token in tokens]
                # '-' says that nobody looked at the word.
                if all(isinstance(value, str) and value not in ("", "-") for value in values):
                    row["pos_tags" if key == "tag" else f"{key}_tags"] = values
            yield row


class SpacyDocBin:
    """DocBin, the binary training data of spaCy 3, which spaCy itself reads where it is installed."""

    title = "spaCy DocBin (.spacy)"
    tried = "spaCy 3.8, which writes the file and reads it in the tests"
    left_out = "Everything but text, entities and cats. Groups of spans may overlap: make them `doc.ents`"

    def fits(self, glimpse: Glimpse) -> bool:
        return glimpse.suffix == ".spacy"

    def read(self, split: str, paths: list[Path]) -> Dataset:
        """A row for each document, with its entities as spans, and its labels.

        Raises:
            UserError: spaCy is not installed.
            DataError: a file is broken.
        """
        try:
            import spacy
            from spacy.tokens import DocBin
        except ImportError as error:
            raise UserError(
                f"'{paths[0].name}'", "a DocBin is read by spaCy, which is not installed", "pip install spacy"
            ) from error
        rows, vocabulary = [], spacy.blank("xx").vocab
        for path in paths:
            try:
                documents = list(DocBin().from_disk(path).get_docs(vocabulary))
            except Exception as error:  # whatever the bytes make zlib, msgpack or spaCy raise
                raise DataError(
                    path.name, f"it is no DocBin ({error})", "Make it anew with spacy convert", split=split
                ) from error
            rows += [read_document(document) for document in documents]
        return dataset_of(rows)


def read_document(document: Any) -> dict[str, Any]:
    """A document of spaCy: entities, or if it has none, the only group of its spans; and its labels."""
    spans = document.ents
    if not spans and len(document.spans) == 1:
        spans = next(iter(document.spans.values()))
    found = [{"start": span.start_char, "end": span.end_char, "label": span.label_} for span in spans]
    cats = {"label": dict(document.cats)} if document.cats else {}
    return {"text": document.text, **({"spans": found} if found or not cats else {}), **cats}
