"""The sample of questions keeps its promises: answers where they are said to be, and words of one split in no other."""

from collections import Counter
from pathlib import Path

from hfkit import samples
from hfkit.samples.questions import sample_questions
from samples_source import make_questions
from samples_source.questions_material import WORDS
from tests.samples.splits import SPLITS, assert_committed


def test_the_committed_script_writes_the_committed_files(tmp_path):
    make_questions.write(tmp_path)
    assert_committed(tmp_path, Path(samples.__file__).parent / "questions")


def test_answers_are_whole_words_of_their_passages_and_some_questions_have_none():
    corpus = sample_questions()
    assert {split: len(corpus[split]) for split in SPLITS} == {"train": 240, "validation": 120, "test": 180}
    for split in SPLITS:
        for row in corpus[split]:
            for text, start in zip(row["answers"]["text"], row["answers"]["answer_start"], strict=True):
                around = row["context"][max(start - 1, 0) : start] + row["context"][start + len(text) :][:1]
                assert row["context"].startswith(text, start) and not any(letter.isalnum() for letter in around)
        without = sum(not row["answers"]["text"] for row in corpus[split]) / len(corpus[split])
        assert 0.15 < without < 0.35
        assert set(Counter(corpus[split]["context"]).values()) == {3}


def test_names_and_things_of_one_split_occur_in_no_other():
    pools = [{word for kind in WORDS[split] for word in WORDS[split][kind].split(";")} for split in SPLITS]
    assert not pools[0] & pools[1] and not pools[0] & pools[2] and not pools[1] & pools[2]
    texts = ["\n".join(sample_questions()[split]["context"]) for split in SPLITS]
    assert not [word for word in pools[2] if word in texts[0]]
