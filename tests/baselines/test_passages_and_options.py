"""Classical answers from passages and among options: what a question's own words give away."""

import pytest
from datasets import Dataset, DatasetDict

from hfkit.baselines import LikestOption, LikestSentence, LongestOption, MajorityPlace, NearWords
from hfkit.contract.task import Loaded
from hfkit.errors import UserError
from hfkit.tasks import MultipleChoice, QuestionAnswering

TOLD = ("Anna wrote the opera Nero", "Boris painted the picture Dawn", "Carla built the tower Sirius")


def passages(*, unanswerable: bool) -> Loaded:
    """Passages of three sentences, with a question in the words of one of them."""
    rows = []
    for number in range(12):
        told = [f"{sentence}{number} in {1900 + 3 * number + place}." for place, sentence in enumerate(TOLD)]
        context, asked = " ".join(told), ("opera Nero", "picture Dawn", "tower Sirius")[number % 3]
        answer = str(1900 + 3 * number + number % 3)
        row = {"question": f"When was the {asked}{number} made?", "context": context, "mended": 0}
        rows.append({**row, "texts": [answer], "starts": [context.index(answer)]})
        if unanswerable:
            rows.append({**row, "question": "Who sang along loudly?", "texts": [], "starts": []})
    task = QuestionAnswering()
    splits = DatasetDict(dict.fromkeys(("train", "validation", "test"), Dataset.from_list(rows)))
    return Loaded(splits, task.rows.target(splits))


@pytest.mark.parametrize("unanswerable", [False, True])
def test_words_of_the_question_lead_to_the_sentence_and_to_words_beside_them(unanswerable):
    task, rows = QuestionAnswering(), passages(unanswerable=unanswerable)
    gold = task.rows.references(rows["test"])
    for baseline in (LikestSentence(), NearWords()):
        found = baseline.answers(task, rows)
        for answer, row in zip(found.predictions, rows["test"], strict=True):
            assert answer["start"] is None or row["context"][answer["start"] : answer["end"]] == answer["text"]
        answered = [answer for answer, texts in zip(found.predictions, gold, strict=True) if texts]
        right = [texts for texts in gold if texts]
        if isinstance(baseline, LikestSentence):
            assert all(texts[0] in answer["text"] for answer, texts in zip(answered, right, strict=True))
        if unanswerable:
            assert [answer["text"] == "" for answer in found.predictions] == [not texts for texts in gold]
            assert found.facts["threshold"] > 0
        else:
            assert "threshold" not in found.facts and all(answer["text"] for answer in found.predictions)
        assert task.judge.score(found.predictions, gold)["f1"] > 0.2


def test_an_option_is_chosen_by_place_by_length_or_by_words():
    rows = Dataset.from_list(
        [
            {"question": "Who wrote the opera?", "options": ["a cat", "the writer of the opera", "dog"], "label": 1},
            {"question": "Who sang?", "options": ["nobody at all here", "who sang"], "label": 1},
            {"question": "What is it?", "options": ["this", "that one"], "label": 0},
        ]
    )
    task, splits = MultipleChoice(), DatasetDict(dict.fromkeys(("train", "validation", "test"), rows))
    loaded = Loaded(splits, task.rows.target(splits))
    chosen = {
        type(one): [answer["choice"] for answer in one.predict(task, loaded)]
        for one in (MajorityPlace(), LongestOption(), LikestOption())
    }
    assert chosen == {MajorityPlace: [1, 1, 1], LongestOption: [1, 0, 1], LikestOption: [1, 1, 0]}
    with pytest.raises(UserError, match="reads the column 'context'"):
        NearWords().answers(task, loaded)
