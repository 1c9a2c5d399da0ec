"""SetFit: few rows of every class tune an encoder, the same by the same seed, and nothing else is touched."""

import sys

import numpy as np
import pytest
import torch
from datasets import DatasetDict

from hfkit.arguments.recipe import RecipeArguments
from hfkit.baselines import SetFit, choose_baselines
from hfkit.baselines.frozen import setfit
from hfkit.contract.task import Loaded
from hfkit.errors import UserError
from hfkit.tasks.image_classification import ImageClassification
from hfkit.tasks.text_classification import TextClassification
from tests.baselines.rows import headline_of, with_target
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny


@pytest.fixture(scope="module")
def reviews() -> Loaded:
    return with_target(TextClassification(), tiny.review_splits(train=60, validation=16, test=40))


def uneven(*counts: int) -> np.ndarray:
    return np.repeat(np.arange(len(counts)), counts)


# Rows and pairs


def test_shots_are_so_many_rows_of_each_class():
    targets, labels = uneven(20, 9, 30), ["a", "b", "c"]
    rows = setfit.draw_shots(targets, labels, 8, 0)
    assert np.bincount(targets[rows]).tolist() == [8, 8, 8] and len(set(rows)) == 24
    assert (
        setfit.draw_shots(targets, labels, 8, 0).tolist()
        == rows.tolist()
        != setfit.draw_shots(targets, labels, 8, 1).tolist()
    )
    assert setfit.draw_shots(targets, labels, None, 0).tolist() == list(range(59))
    # A label that only test has is no class of train.
    assert len(setfit.draw_shots(targets, [*labels, "d"], 9, 0)) == 27
    with pytest.raises(UserError, match="setfit_shots=10: .*'b' has 9 in train.*--setfit_shots 9"):
        setfit.draw_shots(targets, labels, 10, 0)
    with pytest.raises(UserError, match="setfit_shots=0: .*at least 1"):
        setfit.draw_shots(targets, labels, 0, 0)


@pytest.mark.parametrize("counts", [(8, 8), (30, 3, 7), (1, 5), (2000, 10), (9,) * 7])
def test_batches_hold_pairs_of_either_kind_and_classes_evenly(counts):
    targets = uneven(*counts)
    batches = setfit.draw_batches(targets, 0)
    texts = sum(len(batch.rows) for batch in batches)
    wanted = min(setfit.ROUNDS * len(targets), setfit.MOST_TEXTS)
    assert wanted <= texts < wanted + setfit.ROWS
    for rows, pairs in batches:
        first, second, same = pairs.T
        assert ((targets[rows[first]] == targets[rows[second]]) == same).all()
        assert same.mean() == pytest.approx(0.5)
        assert (first < second).all() and len(np.unique(pairs, axis=0)) == len(pairs)
        assert len(np.unique(targets[rows])) == min(setfit.CLASSES, len(counts))
    seen = np.concatenate([batch.rows for batch in batches])
    begun = np.bincount(targets[seen])
    assert begun.max() - begun.min() <= setfit.ROWS
    for place in range(len(counts)):
        every = np.bincount(seen, minlength=len(targets))[targets == place]
        assert every.max() - every.min() <= 1
    assert [batch.rows.tolist() for batch in setfit.draw_batches(targets, 0)] == [
        batch.rows.tolist() for batch in batches
    ]
    assert [batch.rows.tolist() for batch in setfit.draw_batches(targets, 1)] != [
        batch.rows.tolist() for batch in batches
    ]


# The baseline


def test_few_rows_are_enough_and_the_seed_decides(checkpoint, reviews, monkeypatch):
    monkeypatch.setattr(setfit, "RATE", 3e-3)  # the tiny encoder knows nothing yet
    task = TextClassification()
    answers = SetFit(checkpoint, 8, seed=1).answers(task, reviews)
    assert headline_of(task, answers.predictions, reviews) > 0.9
    assert answers.facts["rows"] == 16
    np.testing.assert_allclose(answers.probabilities.sum(-1), 1, rtol=1e-6)
    assert [reviews.labels[place] for place in answers.probabilities.argmax(-1)] == [
        ranked[0] for ranked in answers.predictions
    ]
    again = SetFit(checkpoint, 8, seed=1).answers(task, reviews)
    assert again.predictions == answers.predictions
    assert (again.probabilities == answers.probabilities).all()
    other = SetFit(checkpoint, 8, seed=2).answers(task, reviews)
    assert not np.allclose(other.probabilities, answers.probabilities)


def test_tuning_moves_the_encoder_and_leaves_folders_and_random_numbers_alone(
    checkpoint, reviews, monkeypatch, tmp_path
):
    codec = TextClassification().codec(checkpoint, reviews.target)
    few = codec.encode(reviews["train"], split="train", answers=True).select(range(8))
    backbone = codec.model().base_model
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    monkeypatch.chdir(tmp_path)
    drawn = torch.random.get_rng_state()
    batches = setfit.draw_batches(np.array(few["labels"]), 0)
    setfit.tune(setfit.Embedder(backbone, codec), few, codec.collate, batches, seed=0, desc="test")
    assert torch.equal(torch.random.get_rng_state(), drawn)
    assert not list(tmp_path.iterdir())
    assert not backbone.training
    moved = [name for name, value in backbone.state_dict().items() if not torch.equal(value, before[name])]
    assert any("layer.0" in name for name in moved) and any("embeddings" in name for name in moved)


def test_a_class_without_training_rows_is_never_said(checkpoint, reviews):
    task, test = TextClassification(), reviews["test"]
    strange = test.map(lambda row, place: {"label": "mixed" if place == 0 else row["label"]}, with_indices=True)
    splits = {**reviews.splits, "train": reviews["train"].select(range(6)), "test": strange}
    answers = SetFit(checkpoint, None).answers(task, with_target(task, DatasetDict(splits)))
    assert answers.facts["rows"] == 6
    assert answers.probabilities.shape == (40, 3)
    assert all(ranked[0] != "mixed" for ranked in answers.predictions)


def test_images_are_tuned_alike(tmp_path):
    task = ImageClassification(dataset=tiny_images.image_folder(tmp_path / "pictures", train=6))
    rows = task.load()
    answers = SetFit(tiny_images.resnet(tmp_path / "resnet"), 4).answers(task, rows)
    assert headline_of(task, answers.predictions, rows) > 0.5  # chance: 0.33
    assert answers.facts["rows"] == 12


def test_what_it_cannot_do_is_refused(checkpoint, reviews, monkeypatch):
    with pytest.raises(UserError, match="setfit_shots=500: .* in train"):
        SetFit(checkpoint, 500).predict(TextClassification(), reviews)
    for problem, several in (("multi-label", True), ("regression", False)):
        other = DatasetDict(
            {
                split: rows.remove_columns("label").add_column(
                    "label", [[label] if several else float(len(label)) for label in rows["label"]]
                )
                for split, rows in reviews.splits.items()
            }
        )
        task = TextClassification(problem=problem)
        with pytest.raises(UserError, match="baseline 'SetFit'"):
            SetFit(checkpoint).predict(task, with_target(task, other))
    (found,) = choose_baselines(RecipeArguments(checkpoint=checkpoint, baseline=["setfit"], setfit_shots=4))
    assert found == SetFit(checkpoint, 4)
    assert choose_baselines(RecipeArguments(checkpoint=checkpoint, baseline=["setfit"]), seed=5) == [
        SetFit(checkpoint, seed=5)
    ]
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    with pytest.raises(UserError, match=r'sentence-transformers.*pip install "hfkit\[few-shot\]"'):
        found.predict(TextClassification(), reviews)
