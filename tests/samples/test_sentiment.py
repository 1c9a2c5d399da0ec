"""The sample sentiment corpus keeps its promises: balanced, disjoint by split, full of traps, made by its script."""

import json
import re
from collections import Counter
from itertools import combinations

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from hfkit.samples.sentiment import sample_sentiment
from samples_source import make_sentiment
from samples_source.make_sentiment import LABELS, past_tense
from samples_source.sentiment_material import DOMAINS, FILLERS, HELD_OUT, OPINIONS, SHARED

SPLITS = ("train", "validation", "test")
# What two splits may have in common beside the words of the templates that all of them use.
FUNCTION_WORDS = set(
    "along an are around before behind came down eleven ever five gave go hours inside like night off open or "
    "over paid run second seven six ten them third three together too under until weeks were years".split()
)


@pytest.fixture(scope="module")
def made():
    """Every split as the script makes it, with the kind and the template of each row."""
    return make_sentiment.corpus()


def words(text):
    return re.findall(r"[\w']+", text.casefold())


def words_of_templates(texts):
    return {word for text in texts for word in words(re.sub(r"\{.*?\}", " ", text))}


def opinions(split, side):
    """Every opinion phrase of a split, positive (side 0) or negative (side 1), in the forms that occur."""
    phrases = {phrase for pair in OPINIONS[split].values() for phrase in pair[side].split(";")}
    phrases |= {past_tense(verb) for verb in OPINIONS[split]["love"][side].split(";")}
    phrases |= {f"{noun}s" for noun in OPINIONS[split]["point"][side].split(";")}
    aspects = [aspect for domain in DOMAINS[split].values() for aspect in domain["aspects"]]
    return phrases | {phrase for aspect in aspects for phrase in aspect[1 + side].split(";")}


def nouns(split):
    """The things, names and aspects that the sentences of a split are about."""
    domains = DOMAINS[split].values()
    lists = [domain[kind] for domain in domains for kind in ("thing", "name")]
    lists += [aspect[0] for domain in domains for aspect in domain["aspects"]]
    return {noun.removesuffix("+").casefold() for phrases in lists for noun in phrases.split(";")}


def count_of_good_and_bad(text, split):
    """Positive minus negative opinion phrases, longest phrase first, as a word list would count them."""
    score, text = 0, text.casefold()
    for phrase, side in sorted(((p, s) for s in (0, 1) for p in opinions(split, s)), key=lambda pair: -len(pair[0])):
        text, found = re.subn(rf"\b{re.escape(phrase)}\b", " ", text)
        score += found * (1 - 2 * side)
    return score


def test_columns_and_sizes(made):
    dataset = sample_sentiment()
    assert {split: len(dataset[split]) for split in SPLITS} == {"train": 1600, "validation": 320, "test": 320}
    for split in SPLITS:
        assert dataset[split].column_names == ["text", "label"]
        assert list(dataset[split]["text"]) == [row.text for row in made[split]]
        assert Counter(dataset[split]["label"]) == dict.fromkeys(LABELS, len(dataset[split]) // 2)


def test_the_committed_script_writes_the_committed_files(tmp_path):
    make_sentiment.write(tmp_path)
    shipped = make_sentiment.FOLDER
    assert sorted(path.name for path in shipped.iterdir()) == sorted(f"{split}.jsonl" for split in SPLITS)
    for path in shipped.iterdir():
        assert (tmp_path / path.name).read_bytes() == path.read_bytes(), f"{path.name}: run make_sentiment and commit"
        assert {tuple(json.loads(line)) for line in path.read_text("utf-8").splitlines()} == {("text", "label")}


def test_sentences_are_short_and_occur_once(made):
    texts = [row.text for rows in made.values() for row in rows]
    assert len({text.casefold() for text in texts}) == len(texts)
    assert {len(text.split()) for text in texts} <= set(range(5, 36))
    assert 9 <= sum(len(text.split()) for text in texts) / len(texts) <= 20


def test_spelling(made):
    for rows in made.values():
        for text, *_ in rows:
            assert not re.search(r"[{}+=\s]{2}|[{}+=]|\s[,.;:!?]", text), text
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]", text, re.IGNORECASE), text
            assert not re.search(r"\b(\w+) \1\b", text, re.IGNORECASE), text
            assert text[-1] in ".!?" and not re.search(r"(?:^|[.!?] )[a-z]", text), text


def test_plural_nouns_have_plural_verbs(made):
    for split, rows in made.items():
        aspects = {noun for domain in DOMAINS[split].values() for a in domain["aspects"] for noun in a[0].split(";")}
        plural = {noun.removesuffix("+") for noun in aspects if noun.endswith("+")}
        singular = aspects - {f"{noun}+" for noun in plural}
        for text, *_ in rows:
            for noun, verb in re.findall(r"\bthe (\w+(?: \w+)?) (was|were|is|are)\b", text, re.IGNORECASE):
                if noun in plural | singular:
                    assert (verb in ("were", "are")) == (noun in plural), text


def test_splits_share_nothing_but_function_words(made):
    found = {split: {word for row in rows for word in words(row.text)} for split, rows in made.items()}
    allowed = FUNCTION_WORDS | words_of_templates(SHARED.values())
    for one, other in combinations(SPLITS, 2):
        assert found[one] & found[other] <= allowed
    for split in SPLITS:
        fillers = {
            name for kind in ("who", "day", "month", "town") for name in FILLERS[split][kind].casefold().split(";")
        }
        assert not (opinions(split, 0) | opinions(split, 1) | nouns(split) | fillers) & allowed


def test_no_opinion_word_comes_back_in_another_form():
    def stems(split):
        found = {word for side in (0, 1) for phrase in opinions(split, side) for word in words(phrase)}
        return {re.sub(r"^(un|in|im|dis|ir|over|under)(?=\w{4})", "", word)[:6] for word in found} - {"a", "well"}

    for one, other in combinations(SPLITS, 2):
        assert not stems(one) & stems(other)


def test_there_is_variety():
    texts = [*SHARED.values(), *(text for split in HELD_OUT for text in HELD_OUT[split].values())]
    templates = [line for text in texts for line in text.strip().splitlines()]
    assert len(templates) == len(set(templates)) >= 120
    for side in (0, 1):
        assert len(opinions("train", side)) >= 80
        assert min(len(opinions(split, side)) for split in HELD_OUT) >= 40


@pytest.mark.parametrize("split", ["validation", "test"])
def test_two_fifths_of_the_sentences_come_from_templates_never_used_in_train(made, split):
    seen = {row.template for row in made["train"]}
    assert 0.35 <= sum(row.template not in seen for row in made[split]) / len(made[split]) <= 0.45


@pytest.mark.parametrize("split", SPLITS)
def test_every_kind_has_its_share_of_both_labels(made, split):
    counts = Counter((row.kind, row.label) for row in made[split])
    rows = len(made[split])
    least = {"plain": 0.3, "negation": 0.05, "contrast": 0.05, "comparison": 0.025, "irony": 0.025}
    for kind, share in least.items():
        assert counts[kind, "positive"] == counts[kind, "negative"] >= share * rows
    assert sum(counts["plain", label] for label in LABELS) <= 0.7 * rows


@pytest.mark.parametrize("split", SPLITS)
def test_whoever_counts_good_and_bad_words_is_misled(made, split):
    def right(rows):
        scores = [(count_of_good_and_bad(row.text, split), row.label == "positive") for row in rows]
        return sum(0.5 if score == 0 else (score > 0) == label for score, label in scores) / len(rows)

    rows = made[split][:320]
    traps = [row for row in rows if row.kind != "plain"]
    assert right([row for row in rows if row.kind == "plain"]) > 0.9
    assert right(traps) < 0.45
    assert right([row for row in traps if row.kind in ("negation", "comparison")]) < 0.4
    assert right(rows) < 0.82


def test_words_of_train_tell_nothing_about_the_other_splits(made):
    text = {split: [row.text for row in rows] for split, rows in made.items()}
    label = {split: [row.label for row in rows] for split, rows in made.items()}
    rival = make_pipeline(TfidfVectorizer(ngram_range=(1, 2)), LogisticRegression(C=10))
    rival.fit(text["train"], label["train"])
    # It does learn the words it saw, or it would be a straw man.
    assert rival.score(text["train"], label["train"]) > 0.9
    assert 0.35 < rival.score(text["validation"], label["validation"]) < 0.65
    assert 0.35 < rival.score(text["test"], label["test"]) < 0.65
