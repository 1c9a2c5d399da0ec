"""Contenders on frozen features: one pass for all of them, the same answers from memory and disk, no look at test."""

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
from torch import nn
from torch.nn.functional import normalize
from torch.nn.modules.module import register_module_forward_hook
from transformers import BertModel
from transformers.modeling_outputs import BaseModelOutput

from hfkit.baselines import KNN, LinearProbe, Majority, NearestMean, SimilarityZeroShot
from hfkit.baselines.frozen import knn
from hfkit.baselines.frozen.features import backbone_of, compute_features, frozen_features
from hfkit.baselines.frozen.linear import Features
from hfkit.baselines.frozen.nearest_mean import cosines_with_means
from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.errors import UserError
from hfkit.tasks import NER
from hfkit.tasks.classification.texts import TextClassifier
from hfkit.tasks.image_classification import ImageClassification
from hfkit.tasks.text_classification import TextClassification
from tests.baselines.rows import headline_of, with_target
from tests.baselines.test_class_baselines import COLOURS, permuted, plain, texts
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny

ROOT = Path(__file__).parents[2]
ALL = (LinearProbe, KNN, NearestMean)


@contextmanager
def passes():
    """Counts the batches that go through any BERT meanwhile."""
    counted = []
    hook = register_module_forward_hook(lambda module, *_: counted.append(1) if isinstance(module, BertModel) else None)
    try:
        yield counted
    finally:
        hook.remove()


def same(ours, theirs) -> bool:
    """Whether two answers are equal to the last bit."""
    return ours.predictions == theirs.predictions and np.array_equal(ours.probabilities, theirs.probabilities)


# One pass


def test_the_backbone_runs_for_the_first_contender_only(checkpoint):
    task, rows = TextClassification(), texts("single-label", train=60, validation=20, test=21)
    with passes() as counted:
        first = LinearProbe(checkpoint).answers(task, rows)
        assert len(counted) == 3  # a batch for each split
        others = [contender(checkpoint).answers(task, rows) for contender in (KNN, NearestMean)]
        assert len(counted) == 3
        other_test = rows.with_splits({**rows.splits, "test": rows["test"].select(range(7))})
        assert len(KNN(checkpoint).answers(task, other_test).predictions) == 7
        assert len(counted) == 6
    assert first.facts["features"] == "computed"
    assert {one.facts["features"] for one in others} == {"shared in memory"}


def test_kept_features_give_the_same_answers_without_a_pass(checkpoint, tmp_path):
    def rows() -> Loaded:
        return texts("single-label", train=60, validation=20, test=21)  # rows that nobody has seen before

    task = TextClassification()
    fresh = [contender(checkpoint).answers(task, rows()) for contender in ALL]
    LinearProbe(checkpoint, str(tmp_path)).answers(task, rows())
    with passes() as counted:
        kept = [contender(checkpoint, str(tmp_path)).answers(task, rows()) for contender in ALL]
    assert not counted
    assert all(map(same, kept, fresh))
    assert {one.facts["features"] for one in kept} == {"read from cache_dir"}
    assert [file.suffix for file in tmp_path.iterdir()] == [".safetensors"]


def test_features_of_tokens_are_kept_too(checkpoint, corpus, tmp_path):
    task = NER(dataset=corpus)
    fresh = NearestMean(checkpoint, str(tmp_path)).answers(task, task.load())
    with passes() as counted:
        kept = NearestMean(checkpoint, str(tmp_path)).answers(task, task.load())
    assert not counted and kept.predictions == fresh.predictions


@pytest.mark.parametrize("damage", ["cut short", "emptied", "one bit", "removed"])
def test_damaged_features_are_computed_again(damage, checkpoint, tmp_path):
    task = TextClassification()
    fresh = KNN(checkpoint, str(tmp_path)).answers(task, texts("single-label", train=30, validation=9, test=9))
    (file,) = tmp_path.iterdir()
    whole = file.read_bytes()
    if damage == "removed":
        file.unlink()
    else:
        flipped = whole[:-5] + bytes([whole[-5] ^ 1]) + whole[-4:]
        file.write_bytes({"cut short": whole[: len(whole) // 2], "emptied": b"", "one bit": flipped}[damage])
    again = KNN(checkpoint, str(tmp_path)).answers(task, texts("single-label", train=30, validation=9, test=9))
    assert same(again, fresh) and again.facts["features"] == "computed"
    last = KNN(checkpoint, str(tmp_path)).answers(task, texts("single-label", train=30, validation=9, test=9))
    assert same(last, fresh) and last.facts["features"] == "read from cache_dir"


def test_other_weights_and_other_rows_are_other_features(checkpoint, tmp_path):
    task, kept, changed = TextClassification(), tmp_path / "kept", tmp_path / "changed"
    rows = texts("single-label", train=30, validation=9, test=9)
    frozen_features(task, rows, checkpoint, str(kept))
    frozen_features(
        task, rows.with_splits({**rows.splits, "train": rows["train"].select(range(29))}), checkpoint, str(kept)
    )
    assert len(list(kept.iterdir())) == 2
    tiny.bert(changed)
    model = BertModel.from_pretrained(changed, add_pooling_layer=False)
    model.encoder.layer[1].output.dense.bias.data[0] += 1e-3
    model.save_pretrained(changed)
    frozen_features(task, rows, str(changed), str(kept))
    assert len(list(kept.iterdir())) == 3


def test_a_folder_that_cannot_be_written_costs_a_warning_only(checkpoint, tmp_path):
    (tmp_path / "file").write_text("in the way")
    rows = texts("single-label", train=30, validation=9, test=9)
    assert KNN(checkpoint, str(tmp_path / "file")).answers(TextClassification(), rows).facts["neighbours"]


PROCESS = """
import sys, torch
torch.set_num_threads(1)
from hfkit.baselines import KNN
from hfkit.tasks.text_classification import TextClassification
data, checkpoint, folder = sys.argv[1:]
task, baseline = TextClassification(dataset=data), KNN(checkpoint, folder)
print("ready", flush=True)
print(baseline.answers(task, task.load()).probabilities.tolist())
"""


@pytest.mark.slow
def test_two_processes_at_once_share_one_file_and_are_both_right(checkpoint, tmp_path):
    data, folder = tiny.folder_of(tiny.review_splits(), tmp_path / "data"), tmp_path / "kept"
    other = subprocess.Popen(
        [sys.executable, "-c", PROCESS, data, checkpoint, str(folder)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_DATASETS_CACHE": str(tmp_path / "cache")},
    )
    task = TextClassification(dataset=data)
    assert other.stdout.readline() == "ready\n"
    ours = KNN(checkpoint, str(folder)).answers(task, task.load()).probabilities
    assert json.loads(other.communicate()[0].splitlines()[-1]) == ours.tolist()
    # Both find one key, although the checkpoint lacks a pooler, which every process draws for itself.
    assert [file.suffix for file in folder.iterdir()] == [".safetensors"]


# Poolings


class Words(nn.Module):
    """A backbone whose hidden state is the word embedding."""

    def __init__(self, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, input_ids, **others) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.embeddings(input_ids))


@pytest.mark.parametrize("side", ["left", "right"])
def test_first_and_last_tokens_are_real_ones_on_either_side_of_padding(side, checkpoint):
    task, rows = TextClassification(), texts("single-label", train=30, validation=9, test=9)
    codec = task.codec(checkpoint, rows.target)
    encoded = codec.encode(rows["train"], split="train", answers=True)
    codec.processor.padding_side = side
    embeddings = codec.model().base_model.embeddings.word_embeddings
    found = compute_features(Words(embeddings), encoded, codec, desc="test")
    for place, name in ((0, "first token"), (-1, "last token")):
        ids = torch.tensor([row[place] for row in encoded["input_ids"]])
        assert torch.equal(found[name].inputs, embeddings(ids))


class BlindClassifier(TextClassifier):
    """Reads nothing of a row."""

    def features(self, outputs, batch):
        return super().features(outputs, batch) * 0


class Blind(TextClassification):
    def codec(self, checkpoint, target):
        return BlindClassifier(checkpoint, self.path(checkpoint), target, self.head_config(target), self.kind)


@pytest.mark.parametrize("contender", ALL)
def test_validation_chooses_the_pooling(contender, checkpoint):
    task, rows = Blind(), texts("single-label", train=120, validation=40, test=41)
    answers = contender(checkpoint).answers(task, rows)
    assert answers.facts["pooling"] in ("mean", "first token", "last token")
    chance = headline_of(task, Majority().predict(task, rows), rows)
    assert headline_of(task, answers.predictions, rows) > chance + 0.15


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (tiny_images.resnet, ["mean over space", "maximum over space"]),
        (tiny_images.timm_resnet, ["mean over space"]),  # its last map is a single pixel: the maximum is the same
        (tiny_images.vit, ["class token", "mean of patches"]),
    ],
)
def test_images_are_read_in_the_ways_of_their_architecture(make, expected, tmp_path):
    task = ImageClassification(dataset=tiny_images.image_folder(tmp_path / "pictures"))
    found = frozen_features(task, task.load(), make(tmp_path / "model"))
    assert list(found.poolings) == expected
    assert len({of["train"].inputs.shape for of in found.poolings.values()}) == 1


# What they answer


@pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression", "ordinal"])
def test_neighbours_learn_without_a_look_at_the_answers(problem, checkpoint):
    task, rows = TextClassification(problem=problem), texts(problem, train=160, validation=50, test=51)
    answers = KNN(checkpoint).answers(task, rows)
    assert all(plain(problem, prediction) for prediction in answers.predictions)
    assert KNN(checkpoint).predict(task, permuted(rows)) == answers.predictions
    chance = headline_of(task, Majority().predict(task, rows), rows)
    assert headline_of(task, answers.predictions, rows) > chance + 0.1
    assert (answers.probabilities is not None) == (problem == "single-label")


@pytest.mark.parametrize("contender", ALL)
def test_probabilities_are_those_of_the_predictions(contender, checkpoint):
    task, rows = TextClassification(), texts("single-label", train=60, validation=20, test=21)
    answers = contender(checkpoint).answers(task, rows)
    np.testing.assert_allclose(answers.probabilities.sum(1), 1)
    assert (answers.probabilities > 0).all()
    likeliest = [rows.labels[i] for i in answers.probabilities.argmax(1)]
    assert likeliest == [ranked[0] for ranked in answers.predictions]


@pytest.mark.parametrize(("contender", "least"), [(KNN, 0.8), (NearestMean, 0.4)])
def test_tokens_and_views_of_images_are_answered_too(contender, least, checkpoint, corpus, tmp_path):
    task = NER(dataset=corpus)
    rows = task.load()
    answers = contender(checkpoint).answers(task, rows)
    assert headline_of(task, answers.predictions, rows) > least
    assert answers.probabilities is None
    pictures = ImageClassification(dataset=tiny_images.image_folder(tmp_path / "pictures", train=12), tta="crops")
    seen = pictures.load()
    answers = contender(tiny_images.resnet(tmp_path / "model")).answers(pictures, seen)
    assert answers.probabilities.shape == (len(seen["test"]), 3)
    assert headline_of(pictures, answers.predictions, seen) > 0.7


def two_clouds(rows: int, seed: int, *, numbers: bool = False) -> Features:
    draw = torch.Generator().manual_seed(seed)
    inputs = torch.randn(rows, 6, generator=draw)
    targets = inputs[:, 0] + 100 if numbers else (inputs[:, 0] > 0).long()
    return Features(inputs, targets, np.ones(rows, dtype=bool))


@pytest.mark.parametrize("numbers", [False, True])
def test_votes_are_those_of_scikit_learn(numbers, monkeypatch):
    splits = {split: two_clouds(70, i, numbers=numbers) for i, split in enumerate(("train", "validation", "test"))}
    whole = knn.find_nearest(splits)
    monkeypatch.setattr(knn, "SIMILARITIES_AT_ONCE", 1000)
    for split, (cosines, places) in knn.find_nearest(splits).items():
        torch.testing.assert_close(cosines, whole[split][0])
        assert torch.equal(places, whole[split][1])
    monkeypatch.setattr(knn, "PRIOR", 0)
    said = knn.vote(splits["train"].targets, *whole["test"], 10, 2)
    spread, mean = torch.std_mean(splits["train"].inputs, dim=0, correction=0)
    scaled = {split: normalize((of.inputs - mean) / spread, dim=1).numpy() for split, of in splits.items()}

    def weights(distance: np.ndarray) -> np.ndarray:
        return np.exp((distance.min(1, keepdims=True) - distance) / knn.TEMPERATURE)

    kind = KNeighborsRegressor if numbers else KNeighborsClassifier
    known = kind(10, metric="cosine", weights=weights).fit(scaled["train"], splits["train"].targets)
    if numbers:
        np.testing.assert_allclose(said[:, 0], known.predict(scaled["test"]), rtol=1e-5)
    else:
        np.testing.assert_allclose(said.exp(), known.predict_proba(scaled["test"]), atol=1e-4)


def test_no_more_neighbours_than_training_rows(checkpoint):
    rows = texts("single-label", train=4, validation=10, test=5)
    train = Dataset.from_list([{"text": f"anna {label}", "label": label} for label in (*COLOURS, "red")])
    rows = rows.with_splits({**rows.splits, "train": train})
    assert KNN(checkpoint).answers(TextClassification(), rows).facts["neighbours"] <= 4


def test_a_class_without_training_rows_is_the_furthest():
    splits = {split: two_clouds(40, i) for i, split in enumerate(("train", "validation", "test"))}
    cosines = cosines_with_means(splits, 3)["test"]
    assert (cosines.argmin(1) == 2).all()
    assert (cosines.argmax(1) == splits["test"].targets).float().mean() > 0.8


@pytest.mark.parametrize(("problem", "reason"), [("multi-label", "several labels"), ("regression", "numbers")])
def test_a_mean_of_no_class_is_refused(problem, reason, checkpoint):
    task, rows = TextClassification(problem=problem), texts(problem, train=9, validation=5, test=5)
    with pytest.raises(UserError, match=f"nearest mean.*{reason}"):
        NearestMean(checkpoint).predict(task, rows)


def test_the_random_state_is_left_alone(checkpoint):
    rows = texts("single-label", train=9, validation=5, test=5)
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    KNN(checkpoint).answers(TextClassification(), rows)
    assert torch.equal(torch.rand(3), expected)


# Likeness to the names of labels


def named(rows: list[tuple[str, object]]) -> Loaded:
    split = Dataset.from_list([{"text": text, "label": label} for text, label in rows])
    return with_target(TextClassification(), DatasetDict(train=split, validation=split, test=split))


def test_a_text_that_is_the_name_of_a_label_is_that_label(checkpoint):
    rows = [("lost card", "lost_card"), ("met anna", "metAnna"), ("new music in oslo", "x")]
    contender = SimilarityZeroShot(checkpoint, label_texts={"x": "new music in oslo"})
    answers = contender.answers(TextClassification(), named(rows))
    assert [ranked[0] for ranked in answers.predictions] == ["lost_card", "metAnna", "x"]
    np.testing.assert_allclose(answers.probabilities.sum(1), 1)
    assert answers.facts["label_texts"] == {"lost_card": "lost card", "metAnna": "met anna", "x": "new music in oslo"}
    # No label decides, neither of training rows nor of the others.
    shuffled = named([(text, label) for (text, _), (_, label) in zip(rows, rows[::-1], strict=True)])
    assert same(contender.answers(TextClassification(), shuffled), answers)


def test_no_pass_over_training_rows_is_made_for_it_alone(checkpoint, tmp_path):
    task, rows = TextClassification(), texts("single-label", train=200, validation=20, test=21)
    with passes() as counted:
        alone = SimilarityZeroShot(checkpoint, str(tmp_path)).answers(task, rows)
        assert len(counted) == 3  # validation, test and the names
        assert not list(tmp_path.iterdir())
        KNN(checkpoint, str(tmp_path)).answers(task, rows)
        assert len(counted) == 3 + 4 + 2
        beside = SimilarityZeroShot(checkpoint).answers(task, rows)
        assert len(counted) == 3 + 4 + 2 + 1
    assert same(alone, beside)


def test_several_labels_are_decided_by_thresholds_from_validation(checkpoint):
    task, rows = TextClassification(problem="multi-label"), texts("multi-label", train=20, validation=40, test=30)
    answers = SimilarityZeroShot(checkpoint).answers(task, rows)
    assert answers.probabilities is None
    assert all(plain("multi-label", prediction) for prediction in answers.predictions)
    assert SimilarityZeroShot(checkpoint).predict(task, permuted(rows)) == answers.predictions


def test_what_has_no_names_to_compare_is_refused(checkpoint):
    contender = SimilarityZeroShot(checkpoint)
    with pytest.raises(UserError, match="names of labels"):
        contender.answers(TextClassification(problem="regression"), texts("regression", train=9, validation=5, test=5))
    with pytest.raises(UserError, match="both are called 'a b'"):
        contender.answers(TextClassification(), named([("anna", "a_b"), ("boris", "a b")]))
    rows = named([("anna", "a"), ("boris", "b")])
    pairs = rows.with_splits({split: of.add_column("text_pair", ["in", "and"]) for split, of in rows.splits.items()})
    with pytest.raises(UserError, match="one text"):
        contender.answers(TextClassification(), pairs)


def test_an_encoder_that_reads_by_the_last_token_still_has_a_mean(tmp_path):
    checkpoint = tiny.gpt2(tmp_path)
    task = TextClassification()
    found = frozen_features(task, texts("single-label", train=9, validation=5, test=5), checkpoint)
    assert {"mean", "last token"} <= set(found.poolings)
    assert backbone_of(task.codec(checkpoint, Labels(COLOURS)).model()).config.model_type == "gpt2"
