"""The mistakes that a report shows: the confusions that happen most, and numbers that are furthest off."""

from datasets import Dataset

from hfkit.contract.view import Choice, Text
from hfkit.tasks import TextClassification


def test_the_report_sees_mistakes_that_teach():
    rows = Dataset.from_dict({"text": [f"text {n}" for n in range(4)]})
    predictions, references = [["a"], ["b"], ["b"], ["b"]], ["a", "a", "a", "b"]
    mistakes = TextClassification().view.mistakes(predictions, references, rows, 5)
    assert [mistake.row for mistake in mistakes] == [1, 2]
    assert (mistakes[0].given, mistakes[0].gold, mistakes[0].predicted) == (
        Text("text 1"),
        Choice(("a",)),
        Choice(("b",)),
    )
    assert mistakes[0].to_json() == {
        **{"row": 1, "kind": "confusion", "why": "a taken for b, 2 times in test", "gold": "a", "predicted": "b"},
        **{"text": "text 1", "picture": ""},
    }
    number = TextClassification(problem="regression")
    furthest = number.view.mistakes([1.0, 2.0, 9.0, 3.0], [1.0, 3.0, 3.0, 3.5], rows, 2)
    assert [mistake.row for mistake in furthest] == [2, 1]
    several = TextClassification(problem="multi-label").view.mistakes([["a"], []], [["b"], []], rows, 5)
    assert [(mistake.row, mistake.why) for mistake in several] == [(0, "missed b, invented a, once in test")]
