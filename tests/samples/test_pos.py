"""The sample corpus for part-of-speech tagging keeps its promises: words with several tags, and words never seen."""

import subprocess
import sys
from collections import Counter, defaultdict
from itertools import chain
from pathlib import Path

import pytest

from hfkit import samples
from hfkit.samples.pos import sample_pos
from samples_source import make_pos
from samples_source.pos_material import HELD_OUT, SHARED, TAGS, USUAL, WORDS

SPLITS = ("train", "validation", "test")
UNIVERSAL = set("ADJ ADP ADV AUX CCONJ DET INTJ NOUN NUM PART PRON PROPN PUNCT SCONJ SYM VERB".split())


@pytest.fixture(scope="module")
def corpus():
    """Every split as a list of (words, tags)."""
    return {split: list(zip(rows["tokens"], rows["upos"], strict=True)) for split, rows in sample_pos().items()}


def own_words(split):
    """What the word lists of one split hold, case-folded."""
    return {word.casefold() for words in WORDS[split].values() for word in words.split(";")}


def words_of(rows):
    return {word.casefold() for words, _ in rows for word in words}


def tags_of_words(rows):
    """How often each case-folded word has which tag."""
    found = defaultdict(Counter)
    for words, tags in rows:
        for word, tag in zip(words, tags, strict=True):
            found[word.casefold()][tag] += 1
    return found


def test_columns_and_sizes():
    dataset = sample_pos()
    assert {split: len(dataset[split]) for split in SPLITS} == {"train": 800, "validation": 160, "test": 160}
    assert dataset["train"].column_names == ["tokens", "upos"]
    assert {type(value) for column in ("tokens", "upos") for value in dataset["test"][0][column]} == {str}


def test_the_committed_script_writes_the_committed_files(tmp_path):
    make_pos.write(tmp_path)
    shipped = Path(samples.__file__).parent / "pos"
    assert sorted(path.name for path in shipped.iterdir()) == sorted(f"{split}.jsonl" for split in SPLITS)
    for path in shipped.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), f"{path.name}: run make_pos and commit"


def test_every_word_has_a_universal_tag_and_every_split_has_all_of_them(corpus):
    assert set(TAGS.values()) | set(USUAL) <= UNIVERSAL
    for rows in corpus.values():
        for words, tags in rows:
            assert len(words) == len(tags) and 5 <= len(words) <= 13
            assert all(word and not set(word) & set("{}/\t\n ") for word in words)
        assert set(chain.from_iterable(tags for _, tags in rows)) == UNIVERSAL


def test_no_split_has_a_word_that_another_holds_for_itself(corpus):
    for split in SPLITS:
        assert own_words(split) & words_of(corpus[split])
        for other in set(SPLITS) - {split}:
            assert not own_words(split) & words_of(corpus[other])


def test_no_sentence_occurs_twice(corpus):
    sentences = Counter(" ".join(words).casefold() for rows in corpus.values() for words, _ in rows)
    assert sentences.most_common(1)[0][1] == 1


def test_templates_that_are_held_out_are_used_by_one_split():
    pools = [set(make_pos.templates(registers)) for registers in (SHARED, *HELD_OUT.values())]
    assert sum(map(len, pools)) == len(set.union(*pools)) >= 130


def test_words_have_several_tags(corpus):
    seen = tags_of_words(corpus["train"])
    assert {"SCONJ", "PRON", "DET"} == set(seen["that"])
    assert {"PART", "ADP"} == set(seen["to"])
    assert {"NOUN", "VERB", "ADJ"} == set(seen["light"])
    assert {"NOUN", "VERB"} == set(seen["walk"])
    assert {"AUX", "NOUN", "PROPN"} == set(seen["will"])
    assert sum(len(tags) > 1 for tags in seen.values()) >= 70
    # Words that training never shows have several as well.
    held_out = tags_of_words(corpus["test"])
    assert {"NOUN", "VERB"} == set(held_out["climb"]) == set(held_out["report"])
    assert sum(len(tags) > 1 for word, tags in held_out.items() if word in own_words("test")) >= 8


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_list_of_words_does_not_solve_it(corpus, split):
    """Each word as train tags it most often; an unknown one by its last two letters, then as a noun."""
    seen, ends = tags_of_words(corpus["train"]), defaultdict(Counter)
    for word, tags in seen.items():
        ends[word[-2:]] += tags
    right = total = 0
    for words, tags in corpus[split]:
        for word, tag in zip(map(str.casefold, words), tags, strict=True):
            known = seen.get(word) or ends.get(word[-2:]) or Counter(["NOUN"])
            right, total = right + (known.most_common(1)[0][0] == tag), total + 1
    # Above 0.7, or the rival would be a straw man.
    assert 0.7 < right / total < 0.85


def test_whoever_names_the_sample_does_not_load_datasets():
    code = "import sys, hfkit.samples.pos; sys.exit('datasets' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
