"""Baselines answer every test row, learn from train and validation alone, and are as good as they should be."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from sklearn.linear_model import LogisticRegression
from torch import nn
from torch.nn.functional import cross_entropy
from transformers.modeling_outputs import BaseModelOutput

from hfkit.baselines import Lexicon, LinearProbe
from hfkit.baselines.frozen.features import OWN, compute_features, mark_labelled
from hfkit.baselines.frozen.linear import Features, decode_splits, fit, place_outputs, standardise
from hfkit.baselines.logits import encode_splits, headline_on
from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.tasks import NER
from tests.baselines.rows import with_target


def sentences(**rows: list[tuple[str, str]]) -> Loaded:
    """Splits of (words, tags), each given as one string."""
    splits = {
        split: Dataset.from_list([{"tokens": w.split(), "tags": t.split()} for w, t in of_split])
        for split, of_split in rows.items()
    }
    return with_target(NER(), DatasetDict(splits))


TRAIN = [
    ("New York is big", "B-LOC I-LOC O O"),
    ("New York Times said", "B-ORG I-ORG I-ORG O"),
    ("York won", "B-ORG O"),
    ("York lost", "B-ORG O"),
    ("in York", "O B-LOC"),
    ("apple fell on Apple", "B-PRODUCT O O B-ORG"),
    ("Apple sold", "B-ORG O"),
    ("Anna Boris", "B-PER B-PER"),
]


@pytest.mark.parametrize(
    ("words", "tags"),
    [
        ("the New York Times", "O B-ORG I-ORG I-ORG"),  # the longest string wins
        ("the New York Tribune", "O B-LOC I-LOC O"),
        ("York", "B-ORG"),  # the most frequent type wins
        ("NEW YORK", "B-LOC I-LOC"),  # without regard to case
        ("apple Apple APPLE", "B-PRODUCT B-ORG B-ORG"),  # as it is written first
        ("Boris Anna", "B-PER B-PER"),  # neighbours are two entities
        ("is big in", "O O O"),
        ("New", "O"),  # a part of a known string is not known
    ],
)
def test_the_lexicon_remembers_strings(words, tags):
    rows = sentences(train=TRAIN, test=[(words, "O " * len(words.split()))])
    assert Lexicon().predict(NER(), rows) == [tags.split()]


def test_a_lexicon_without_entities_finds_none():
    rows = sentences(train=[("it rains", "O O")], test=[("Anna sings", "B-PER O")])
    assert Lexicon().predict(NER(), rows) == [["O", "O"]]


@pytest.fixture(scope="module")
def rows(corpus) -> Loaded:
    return NER(dataset=corpus).load()


@pytest.mark.parametrize("baseline", [lambda checkpoint: Lexicon(), LinearProbe], ids=["lexicon", "linear probe"])
def test_the_corpus_is_learnt_without_a_look_at_the_answers(baseline, checkpoint, rows):
    task = NER()
    predictions = baseline(checkpoint).predict(task, rows)
    assert task.judge.score(predictions, task.rows.references(rows["test"]))["f1"] > 0.85
    blank = Dataset.from_list([{**row, "tags": ["O"] * len(row["tokens"])} for row in rows["test"]])
    assert baseline(checkpoint).predict(task, rows.with_splits({**rows.splits, "test": blank})) == predictions


def test_the_probe_gives_every_word_one_tag(checkpoint, rows):
    nothing = "\u200b"  # has no token at all
    words = [nothing, "anna", nothing, *(["met", "boris"] * 100), nothing]  # several windows
    row = {**rows["test"][0], "tokens": words, "tags": ["O"] * len(words)}
    test = Dataset.from_list([*rows["test"].select(range(2)), row, rows["test"][3]])
    predictions = LinearProbe(checkpoint).predict(NER(), rows.with_splits({**rows.splits, "test": test}))
    assert [len(tags) for tags in predictions] == [len(tokens) for tokens in test["tokens"]]
    assert predictions[2][0] == predictions[2][2] == predictions[2][-1] == "O"


def test_features_are_those_of_each_row_alone(checkpoint, rows):
    codec = NER().codec(checkpoint, rows.target)
    encoded = codec.encode(rows["validation"], split="validation", answers=True)
    backbone = codec.model().base_model.train()  # dropout must go off by itself
    found = compute_features(backbone, encoded, codec, desc="test")[OWN]
    expected, targets = [], []
    for row in encoded:
        ids = torch.tensor([row["input_ids"]])
        with torch.no_grad():
            hidden = backbone.eval()(input_ids=ids).last_hidden_state[0]
        expected += [state for state, label in zip(hidden, row["labels"], strict=True) if label != -100]
        targets += [label for label in row["labels"] if label != -100]
    torch.testing.assert_close(found.inputs, torch.stack(expected), rtol=1e-4, atol=1e-5)
    assert found.targets.tolist() == targets
    assert found.places.sum() == len(targets)


def test_features_follow_the_labels_when_padding_is_on_the_left(checkpoint, rows):
    codec = NER().codec(checkpoint, rows.target)
    encoded = codec.encode(rows["validation"], split="validation", answers=True)
    embeddings = codec.model().base_model.embeddings.word_embeddings
    found = {}
    for side in ("right", "left"):
        codec.processor.padding_side = side
        # Words alone, without positions, which padding on the left shifts.
        found[side] = compute_features(Words(embeddings), encoded, codec, desc="test")[OWN]
    assert torch.equal(found["left"].inputs, found["right"].inputs)
    assert found["left"].places.tolist() == found["right"].places.tolist()


class Words(nn.Module):
    """A backbone whose hidden state is the word embedding."""

    def __init__(self, embeddings: nn.Embedding) -> None:
        super().__init__()
        self.embeddings = embeddings

    def forward(self, input_ids, **others) -> BaseModelOutput:
        return BaseModelOutput(last_hidden_state=self.embeddings(input_ids))


def test_the_fit_is_that_of_logistic_regression():
    draw = np.random.default_rng(0)
    inputs = draw.normal(size=(300, 6)).astype(np.float32)
    targets = (inputs @ draw.normal(size=(6, 3)) + draw.normal(size=(300, 3))).argmax(-1)
    head = nn.Linear(6, 3)
    for penalty in (1e-1, 1e-2):
        fit(head, Features(torch.from_numpy(inputs), torch.from_numpy(targets), np.array([])), penalty, cross_entropy)
        # C weighs the summed loss against half the squared weights.
        known = LogisticRegression(C=1 / (penalty * 300), tol=1e-8, max_iter=1000).fit(inputs, targets)
        weight = head.weight.detach().numpy()
        np.testing.assert_allclose(weight - weight.mean(0), known.coef_ - known.coef_.mean(0), atol=5e-3)


def test_constant_features_stay_finite_and_train_decides_the_scale():
    train = Features(torch.tensor([[1.0, 5.0], [3.0, 5.0]]), torch.tensor([0, 1]), np.ones((2, 1), bool))
    test = train._replace(inputs=torch.tensor([[5.0, 6.0]]))
    scaled = standardise({"train": train, "test": test})
    assert scaled["train"].inputs.tolist() == [[-1, 0], [1, 0]]
    assert scaled["test"].inputs.tolist() == [[3, 1]]


def test_outputs_stand_where_the_labels_stood(checkpoint):
    codec = NER().codec(checkpoint, Labels(("O", "B-PER")))
    logits = torch.tensor([[-2.0, 2.0], [2.0, -2.0], [-3.0, 3.0]])
    places = np.array([[False, True, True], [False, True, False]])
    outputs = place_outputs(logits, Features(logits, torch.zeros(3), places), codec)
    assert outputs.tolist() == [[-100, 1, 0], [-100, 1, -100]]


def test_the_decision_of_tokens_is_tuned_on_validation_as_a_fine_tuned_model_s_is(checkpoint, rows):
    codec = NER().codec(checkpoint, rows.target)
    encoded = encode_splits(codec, rows)
    features, logits = {}, {}
    for split in ("validation", "test"):
        places = mark_labelled(encoded[split]["labels"])
        gold = torch.tensor([label for row in encoded[split]["labels"] for label in row if label != -100])
        features[split] = Features(torch.zeros(len(gold), 1), gold, places)
        # Every entity is seen, and O is likelier by 0.6 all the same.
        logits[split] = nn.functional.one_hot(gold, len(rows.labels)).float()
        logits[split][:, codec.labels.index("O")] = 1.6
    ours, predictions, reduced = decode_splits(codec, logits, features, encoded, headline_on(NER(), rows["validation"]))
    assert ours == rows["validation"]["tags"][:] and predictions == rows["test"]["tags"][:]
    assert predictions == codec.decode_reduced(reduced, encoded["test"])
