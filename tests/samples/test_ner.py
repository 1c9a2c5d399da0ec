"""The sample NER corpus keeps its promises: valid, disjoint by split, ambiguous, and made by the committed script."""

import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path

import pytest
from seqeval.metrics import f1_score
from seqeval.scheme import IOB2

from hfkit import samples
from hfkit.samples.ner import sample_ner
from samples_source import make_ner
from samples_source.ner_material import HELD_OUT, NAMES, SHARED

SPLITS = ("train", "validation", "test")
TYPES = {"PER", "LOC", "ORG", "MISC"}


@pytest.fixture(scope="module")
def corpus():
    """Every split as a list of (words, tags)."""
    return {split: list(zip(rows["tokens"], rows["tags"], strict=True)) for split, rows in sample_ner().items()}


def spans(tags):
    """(start, end, type) of every entity of valid IOB2 tags."""
    found = []
    for i, tag in enumerate(tags):
        if tag.startswith("B-"):
            found.append((i, i + 1, tag[2:]))
        elif tag.startswith("I-"):
            found[-1] = (found[-1][0], i + 1, tag[2:])
    return found


def entities(rows):
    """Every entity of a split as a tuple of case-folded words."""
    return {tuple(word.casefold() for word in words[i:j]) for words, tags in rows for i, j, _ in spans(tags)}


def test_columns_and_sizes():
    dataset = sample_ner()
    assert {split: len(dataset[split]) for split in SPLITS} == {"train": 480, "validation": 320, "test": 320}
    assert dataset["train"].column_names == ["tokens", "tags"]
    assert {type(value) for column in ("tokens", "tags") for value in dataset["test"][0][column]} == {str}


def test_the_committed_script_writes_the_committed_files(tmp_path):
    make_ner.write(tmp_path)
    shipped = Path(samples.__file__).parent / "ner"
    assert sorted(path.name for path in shipped.iterdir()) == sorted(f"{split}.jsonl" for split in SPLITS)
    for path in shipped.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), f"{path.name}: run make_ner and commit"


def test_tags_are_valid_iob2(corpus):
    for rows in corpus.values():
        for words, tags in rows:
            assert len(words) == len(tags)
            for before, tag in zip(["O", *tags], tags, strict=False):
                assert tag == "O" or tag[2:] in TYPES
                assert not tag.startswith("I-") or before[2:] == tag[2:], (words, tags)


def test_words_are_words(corpus):
    for rows in corpus.values():
        lengths = [len(words) for words, _ in rows]
        assert min(lengths) >= 4 and max(lengths) <= 35 and 11 <= sum(lengths) / len(lengths) <= 14
        for words, _ in rows:
            for word in words:
                assert word and not set(word) & set("{}\t\n ")
                assert word[-1] not in ",;?!" or len(word) == 1, f"punctuation is a word of its own: {word}"


def test_no_entity_of_one_split_is_part_of_an_entity_of_another(corpus):
    found = {split: entities(rows) for split, rows in corpus.items()}
    for split in SPLITS:
        spans_of = {entity[i:j] for entity in found[split] for j in range(len(entity) + 1) for i in range(j)}
        for other in set(SPLITS) - {split}:
            assert not spans_of & found[other]


def test_first_and_last_names_are_disjoint():
    for kind in ("first", "last"):
        names = [name for split in SPLITS for name in set(NAMES[split][kind].split(";"))]
        assert len(names) == len(set(names))


def test_no_sentence_occurs_twice(corpus):
    sentences = Counter(" ".join(words).casefold() for rows in corpus.values() for words, _ in rows)
    assert sentences.most_common(1)[0][1] == 1


def test_every_split_has_every_type_and_sentences_without_entities(corpus):
    for rows in corpus.values():
        counts = Counter(kind for _, tags in rows for _, _, kind in spans(tags))
        assert set(counts) == TYPES and min(counts.values()) > 0.15 * counts.total()
        assert 0.15 <= sum(set(tags) == {"O"} for _, tags in rows) / len(rows) <= 0.25


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_third_of_the_sentences_come_from_templates_never_used_in_train(corpus, split):
    def pattern(line):
        words = [".+" if "{" in word else "an?" if word.lower() == "a" else re.escape(word) for word in line.split()]
        return re.compile(" ".join(words), re.IGNORECASE)

    held_out = [pattern(line) for text in HELD_OUT[split].values() for line in text.strip().splitlines()]
    shared = sum(len(text.strip().splitlines()) for text in SHARED.values())
    assert shared + len(held_out) >= 150
    matched = {
        name: [any(template.fullmatch(" ".join(words)) for template in held_out) for words, _ in corpus[name]]
        for name in ("train", split)
    }
    assert not any(matched["train"])
    assert sum(matched[split]) / len(matched[split]) >= 1 / 3


def test_the_same_word_is_a_name_in_one_sentence_and_none_in_another(corpus):
    types = defaultdict(set)
    folded = defaultdict(set)
    for words, tags in corpus["test"]:
        for word, tag in zip(words, tags, strict=True):
            types[word].add(tag[2:] or "O")
            folded[word.casefold()].add(tag[2:] or "O")
    # In the same spelling, so that a capital letter does not tell.
    assert types["Will"] == types["May"] == {"O", "PER"}
    assert {"O", "LOC"} <= types["Reading"]
    assert {"O", "ORG"} <= folded["apple"] & folded["orange"]
    assert {"PER", "LOC", "ORG"} <= types["Washington"]
    assert sum("O" in kinds and len(kinds) > 1 for kinds in folded.values()) >= 30


def test_capital_letters_and_neighbours_do_not_solve_it(corpus):
    def runs(words):
        i = 0
        while i < len(words):
            j = i
            while j < len(words) and words[j][0].isupper():
                j += 1
            if j > i:
                yield i, j
            i = max(j, i + 1)

    def clues(words, i, j):
        return ("last", words[j - 1].lower()), ("before", words[i - 1].lower() if i else ""), "any"

    seen = defaultdict(Counter)
    for words, tags in corpus["train"]:
        gold = {(i, j): kind for i, j, kind in spans(tags)}
        for i, j in runs(words):
            for clue in clues(words, i, j):
                seen[clue][gold.get((i, j), "O")] += 1
    predicted = []
    for words, _ in corpus["test"]:
        tags = ["O"] * len(words)
        for i, j in runs(words):
            kind = next(seen[clue].most_common(1)[0][0] for clue in clues(words, i, j) if clue in seen)
            if kind != "O":
                tags[i:j] = [f"B-{kind}", *[f"I-{kind}"] * (j - i - 1)]
        predicted.append(tags)
    gold = [tags for _, tags in corpus["test"]]
    # Above 0.3, or the rival would be a straw man.
    assert 0.3 < f1_score(gold, predicted, mode="strict", scheme=IOB2) < 0.7


def test_whoever_resolves_a_checkpoint_does_not_load_datasets():
    code = "import sys, hfkit.samples; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
