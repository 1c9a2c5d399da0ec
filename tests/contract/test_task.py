"""What every task gets from the contract: checked rows as one value, also those a finished model is evaluated on."""

import pytest
from datasets import Dataset, DatasetDict
from transformers import BertConfig

from hfkit.contract.rows import Only
from hfkit.contract.target import Labels, Nothing
from hfkit.contract.task import Loaded, Task
from hfkit.errors import DataError, UserError
from hfkit.tasks import NER, TASKS, PartOfSpeech, TextClassification
from tests.tiny import text as tiny


def test_loaded_rows_are_asked_by_split_and_know_their_labels():
    loaded = Loaded(tiny.review_splits(4, 2, 2), Labels(("negative", "positive")))
    assert len(loaded["train"]) == 4 and loaded["test"] is loaded.splits["test"]
    assert loaded.labels == ["negative", "positive"]
    fewer = loaded.with_splits({"test": loaded["test"]})
    assert (list(fewer.splits), fewer.target) == (["test"], loaded.target)


def test_every_task_has_a_key_of_its_own_and_is_a_value():
    assert len({task.key for task in TASKS}) == len(TASKS) >= 4
    assert {NER.tag, PartOfSpeech.tag} == {"token-classification"} and NER.key != PartOfSpeech.key
    for task in TASKS:
        assert task() == task() and hash(task()) == hash(task())


def test_a_finished_model_is_evaluated_on_answers_that_it_knows(tmp_path):
    splits = tiny.review_splits(8, 4, 4)
    task = TextClassification(dataset=tiny.folder_of(splits, tmp_path))
    loaded = task.rows_to_evaluate(Labels(("negative", "positive", "mixed")), Only("test"))
    assert list(loaded.splits) == ["test"] and loaded.labels == ["negative", "positive", "mixed"]
    assert loaded["test"]["text"][:] == splits["test"]["text"][:]
    assert list(task.rows_to_evaluate(loaded.target).splits) == ["train", "validation", "test"]
    with pytest.raises(DataError, match="none of the model's, which are good"):
        task.rows_to_evaluate(Labels(("good",)), Only("test"))
    with pytest.raises(UserError, match="split 'holdout'"):
        task.rows_to_evaluate(loaded.target, Only("holdout"))


def test_one_file_is_enough_to_evaluate_on(tmp_path):
    path = tmp_path / "reviews.parquet"
    tiny.review_splits(8, 4, 4)["test"].to_parquet(str(path))
    loaded = TextClassification(dataset=str(path)).rows_to_evaluate(Labels(("negative", "positive")), Only())
    assert len(loaded["test"]) == 4


def test_all_splits_count_for_the_labels_and_fewer_training_rows_take_none_away(tmp_path):
    rows = {"text": ["one", "two", "three", "four"], "label": ["a", "b", "a", "b"]}
    splits = DatasetDict({split: Dataset.from_dict(rows) for split in ("train", "validation", "test")})
    task = TextClassification(dataset=tiny.folder_of(splits, tmp_path), max_train_rows=2)
    loaded = task.load()
    assert (len(loaded["train"]), len(loaded["test"]), loaded.labels) == (2, 4, ["a", "b"])
    assert task.check(task.read()).labels == loaded.labels


def test_a_head_says_by_which_task_it_was_made():
    config = PartOfSpeech().head_config(Labels(("NOUN", "VERB")))
    assert config["hfkit_task"] == "pos" and config["id2label"] == {0: "NOUN", 1: "VERB"}


def test_a_head_without_labels_is_guessed_and_read_back_without_them(tmp_path):
    class Writing(TextClassification):
        guess_target, target_kind = Task.guess_target, Nothing

    assert Writing().guess_target(9) == Writing.target_of(BertConfig(num_labels=9)) == Nothing()
    assert "num_labels" not in Writing().head_config(Writing().guess_target(9))
    # Rows that make another target tell who forgot to name its kind.
    with pytest.raises(TypeError, match="the rows of Writing make Labels: set its target_kind = Labels"):
        Writing(dataset=tiny.folder_of(tiny.review_splits(8, 4, 4), tmp_path)).load()
