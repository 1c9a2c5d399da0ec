"""Summaries, from what is shown to the baselines and the sample."""

import contextlib
import io

import pytest
from datasets import Dataset, DatasetDict

from hfkit.baselines import Copy, Lead
from hfkit.contract.target import Nothing
from hfkit.contract.task import Loaded
from hfkit.contract.view import Text
from hfkit.errors import UserError
from hfkit.tasks import Summarization, Translation
from tests.tiny import writers


def test_answers_are_shown_as_text(tmp_path):
    view, row = Summarization().view, {"source": "Rain fell.", "target": ["Rain."]}
    assert view.row(row) == Text("Rain fell.") and view.answers is Text
    assert view.answer("Wet.", row) == Text("Wet.") and view.answer(["Rain.", "Wet."], row) == Text("Rain.")
    assert view.record("Wet.", row) == "Wet."
    assert list(view.examples(Dataset.from_list([row]), 5)) == ["source"]


def test_mistakes_are_the_answers_that_share_the_fewest_words():
    sources = ["one two three four", "the ship left", "it rained", "apples", "the end of all"]
    gold = [["one two"], ["left"], ["rain"], ["fruit"], ["end"]]
    ours = ["one two", "the ship left", "", "pears and plums and pears and plums and pears", "a thing"]
    rows = Dataset.from_dict({"source": sources, "target": gold})
    found = Summarization().view.mistakes(ours, gold, rows, 10)
    assert [(mistake.row, mistake.kind) for mistake in found] == [
        (2, "empty"),
        (3, "too long"),
        (4, "other words"),
        (1, "copied"),
    ]
    assert found == Summarization().view.mistakes(ours, gold, rows, 10) and found[0].to_json()["gold"] == "rain"
    assert Summarization().view.mistakes([text[0] for text in gold], gold, rows, 10) == []
    assert (
        len(Summarization().view.mistakes(["no"] * 20, [["yes"]] * 20, Dataset.from_dict({"source": ["x"] * 20}), 20))
        == 6
    )


def test_the_snippet_writes_without_hfkit(tmp_path):
    codec = Summarization(max_target_length=6).codec(writers.writer(tmp_path / "t5", layers=1), Nothing())
    codec.model().save_pretrained(tmp_path / "saved")
    codec.processor.save_pretrained(tmp_path / "saved")
    snippet = Summarization().view.snippet("@model@", Nothing(), [], {}).replace("@model@", str(tmp_path / "saved"))
    assert "import hfkit" not in snippet and "pipeline" not in snippet
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        exec(snippet, {})
    assert printed.getvalue().count("\n") == 1


def test_the_first_sentences_and_a_copy_are_contenders():
    sources = ["It rained. Anna left! Why? Nobody knows.", "„Nein.“ Er ging.", "雨。晴。雪。風。", "no end"]
    rows = Dataset.from_dict({"source": sources, "target": [["a"]] * 4})
    loaded = Loaded(DatasetDict(train=rows, test=rows), Nothing())
    task = Summarization()
    assert Copy().answers(task, loaded).predictions == sources
    assert Lead(1).answers(task, loaded).predictions == ["It rained.", "„Nein.“", "雨。", "no end"]
    assert Lead(3).answers(task, loaded).predictions[0] == "It rained. Anna left! Why?"
    assert (Lead(1).name, Lead(3).name) == ("lead-1", "lead-3")
    with pytest.raises(UserError, match="lead-3"):
        other = Dataset.from_dict({"text": ["a"]})
        Lead(3).answers(task, Loaded(DatasetDict(train=other, test=other), Nothing()))


def test_the_samples_are_synthetic_and_whole():
    for task, sizes in ((Summarization(), (480, 70, 110)), (Translation(), (1200, 100, 150))):
        loaded = task.load()
        assert tuple(len(loaded[split]) for split in ("train", "validation", "test")) == sizes
        facts = task.rows.facts(loaded.splits)
        assert task.sample.synthetic and facts["test"]["rows_shared_with_train"] == 0
        assert facts["train"]["targets_equal_to_source"] == 0
