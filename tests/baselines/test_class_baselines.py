"""Baselines for texts and images: plain answers of all four problems, learnt without a look at test."""

import random

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from PIL import Image as Pillow
from scipy.sparse import csr_matrix
from sklearn.linear_model import LogisticRegression
from torch.nn.functional import cross_entropy
from transformers import AutoModelForImageClassification, BartConfig, BartForSequenceClassification

from hfkit.baselines import Lexicon, LinearProbe, Majority, PixelProbe, TfIdf
from hfkit.baselines.frozen import linear as fitting
from hfkit.baselines.frozen.features import TimmBackbone, backbone_of, compute_features
from hfkit.baselines.majority import constant_logits
from hfkit.baselines.pixel_probe import SIDE, shrink
from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.errors import UserError
from hfkit.tasks import NER
from hfkit.tasks.image_classification import ImageClassification
from hfkit.tasks.text_classification import TextClassification
from tests.baselines.rows import headline_of, with_target
from tests.tiny import images as tiny_images

COLOURS = ("blue", "green", "red")
FILLERS = ("anna", "boris", "in", "and", "met")
ANSWERS = {
    "single-label": Value("string"),
    "multi-label": List(Value("string")),
    "regression": Value("float64"),
    "ordinal": Value("int64"),
}
PROBLEMS = tuple(ANSWERS)


def answered(problem: str, draw: random.Random) -> tuple[str, object]:
    """A text and its answer, which words in it give away."""
    words = draw.choices(FILLERS, k=draw.randrange(2, 6))
    if problem == "single-label":
        label = draw.choice(COLOURS)
        words.append(label)
    elif problem == "multi-label":
        label = [colour for colour in COLOURS if draw.random() < 0.4]
        words += label
    else:
        count = draw.randrange(4)
        words += ["very"] * count
        label = 5000.0 + 100 * count if problem == "regression" else count
    draw.shuffle(words)
    return " ".join(words), label


def texts(problem: str, **sizes: int) -> Loaded:
    """Rows as `TextClassification.load` returns them."""
    splits = {}
    for split, count in sizes.items():
        draw = random.Random(f"{problem} {split}")
        rows = [dict(zip(("text", "label"), answered(problem, draw), strict=True)) for _ in range(count)]
        splits[split] = Dataset.from_list(rows, Features({"text": Value("string"), "label": ANSWERS[problem]}))
    return with_target(TextClassification(problem=problem), DatasetDict(splits))


def labelled(answers: dict[str, list], problem: str = "single-label") -> Loaded:
    """Rows of which only the answers count."""
    features = Features({"text": Value("string"), "label": ANSWERS[problem]})
    splits = {
        split: Dataset.from_dict({"text": ["a"] * len(of_split), "label": of_split}, features)
        for split, of_split in answers.items()
    }
    return with_target(TextClassification(problem=problem), DatasetDict(splits))


def permuted(rows: Loaded) -> Loaded:
    """The same rows, with the answers of test in another order."""
    test = rows["test"]
    kind, answers = test.features["label"], list(test["label"])
    assert answers[::-1] != answers
    other = test.remove_columns("label").add_column("label", answers[::-1], feature=kind)
    return rows.with_splits({**rows.splits, "test": other})


def plain(problem: str, prediction: object) -> bool:
    """Whether a prediction has the form that the judge takes, in Python's own types."""
    if problem == "single-label":
        return sorted(prediction) == sorted(COLOURS)
    if problem == "multi-label":
        return type(prediction) is list and set(prediction) <= set(COLOURS)
    return type(prediction) is (float if problem == "regression" else int)


# All of them


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize(
    ("baseline", "lead"),
    [(lambda checkpoint: Majority(), None), (lambda checkpoint: TfIdf(), 0.25), (LinearProbe, 0.15)],
    ids=["majority", "tf-idf", "linear probe"],
)
def test_texts_are_learnt_without_a_look_at_the_answers(problem, baseline, lead, checkpoint):
    task = TextClassification(problem=problem)
    rows = texts(problem, train=120, validation=40, test=41)
    predictions = baseline(checkpoint).predict(task, rows)
    assert len(predictions) == 41
    assert all(plain(problem, prediction) for prediction in predictions)
    assert baseline(checkpoint).predict(task, permuted(rows)) == predictions
    chance = headline_of(task, Majority().predict(task, rows), rows)
    if lead is not None:
        assert headline_of(task, predictions, rows) > chance + lead


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> ImageClassification:
    return ImageClassification(dataset=tiny_images.image_folder(tmp_path_factory.mktemp("pictures"), train=12))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> str:
    return tiny_images.resnet(tmp_path_factory.mktemp("resnet"))


@pytest.mark.parametrize("baseline", [Majority, PixelProbe, LinearProbe])
def test_images_are_learnt_without_a_look_at_the_answers(baseline, pictures, resnet):
    rows = pictures.load()
    contender = LinearProbe(resnet) if baseline is LinearProbe else baseline()
    predictions = contender.predict(pictures, rows)
    accuracy = headline_of(pictures, predictions, rows)
    assert len(predictions) == 9
    assert accuracy == pytest.approx(1 / 3) if baseline is Majority else accuracy > 0.7
    assert contender.predict(pictures, permuted(rows)) == predictions


def test_a_column_that_is_not_there_is_named():
    with pytest.raises(UserError, match=r"baseline 'pixels'.*'image'.*text"):
        PixelProbe().predict(TextClassification(), labelled({"train": ["a", "b"], "validation": ["a"], "test": ["b"]}))
    tags = Dataset.from_list([{"tokens": ["a"], "tags": ["O"]}])
    rows = with_target(NER(), DatasetDict(train=tags, validation=tags, test=tags))
    assert Lexicon().predict(NER(), rows) == [["O"]]
    for baseline in (Majority(), TfIdf()):
        with pytest.raises(UserError, match="more than one answer"):
            baseline.predict(NER(), rows)


def test_a_label_of_train_that_a_finished_model_lacks_is_learnt_all_the_same():
    rows = labelled({"train": ["a", "b", "c", "c"], "validation": ["a", "c"], "test": ["a", "b"]})
    known = Loaded(rows.splits, Labels(("a", "b"), "single_label_classification"))
    assert Majority().predict(TextClassification(), known) == Majority().predict(TextClassification(), rows)


# Majority


@pytest.mark.parametrize(
    ("problem", "train", "expected"),
    [
        ("single-label", ["c", "a", "c", "b", "c", "b"], ["c", "b", "a"]),
        ("single-label", ["b", "a", "c", "c"], ["c", "a", "b"]),  # a tie goes by the order of labels
        ("regression", [1.0, 2.0, 6.0], 3.0),
        ("ordinal", [1, 2, 2, 5, 5], 3),
    ],
)
def test_the_majority_says_what_is_most_frequent(problem, train, expected):
    rows = labelled({"train": train, "validation": train[:2], "test": train[:3]}, problem)
    assert Majority().predict(TextClassification(problem=problem), rows) == [expected] * 3


def test_the_majority_says_several_labels_where_that_is_better_than_none():
    train = [["a"], ["a"], ["b"], ["a", "b"], [], [], ["c"], [], [], []]  # none is in half of the rows
    rows = labelled({"train": train, "validation": train * 2, "test": [["c"], []]}, "multi-label")
    said = Majority().predict(TextClassification(problem="multi-label"), rows)
    assert said[0] == said[1] and "a" in said[0] and "c" not in said[0]


def test_a_label_that_training_lacks_comes_last():
    train = Dataset.from_dict({"labels": [0, 0, 2]})
    logits = constant_logits(train, 4)
    assert np.isfinite(logits).all()
    assert (-logits).argsort(kind="stable").tolist() == [0, 2, 1, 3]
    several = constant_logits(Dataset.from_dict({"labels": [[1.0, 0.0], [1.0, 0.0]]}), 2)
    assert np.isfinite(several).all() and several[0] > 0 > several[1]


# TF-IDF


def test_a_text_and_its_pair_are_told_apart():
    draw, sizes, splits = random.Random(0), {"train": 80, "validation": 30, "test": 30}, {}
    for split, count in sizes.items():
        rows = []
        for _ in range(count):
            first, second = draw.sample(COLOURS[:2], 2)
            rows.append({"text": f"anna met {first}", "text_pair": f"boris met {second}", "label": first})
        splits[split] = Dataset.from_list(rows)
    task = TextClassification()
    rows = with_target(task, DatasetDict(splits))
    assert headline_of(task, TfIdf().predict(task, rows), rows) == 1


def test_numbers_far_from_zero_are_learnt_alike():
    task, far = TextClassification(problem="regression"), texts("regression", train=200, validation=40, test=40)
    near = far.with_splits(far.splits.map(lambda row: {"label": row["label"] - 5000}, keep_in_memory=True))
    predictions = np.array(TfIdf().predict(task, far))
    np.testing.assert_allclose(predictions - 5000, TfIdf().predict(task, near), atol=2)
    assert np.abs(predictions - far["test"]["label"]).mean() < 40  # of 5000 to 5300


def test_words_outside_of_training_change_nothing():
    rows = texts("single-label", train=60, validation=20, test=3)
    strange = Dataset.from_dict({"text": ["zzz", "red zzz", "日本語"], "label": ["red"] * 3})
    predictions = TfIdf().predict(TextClassification(), rows.with_splits({**rows.splits, "test": strange}))
    assert predictions[1][0] == "red"
    assert predictions[0] == predictions[2]


def test_class_weights_count_in_a_baseline_too():
    # Of the rows that say "in" most are x; of all rows of y, most say "in".
    rows = [("in", "x")] * 6 + [("in", "y")] * 4 + [("met", "x")] * 20
    split = Dataset.from_list([{"text": text, "label": label} for text, label in rows])
    splits = DatasetDict(train=split, validation=split.select([0, 6, 10]), test=split.select([0, 29]))
    loaded = with_target(TextClassification(), splits)
    said = {
        weights: [ranked[0] for ranked in TfIdf().predict(TextClassification(class_weights=weights), loaded)]
        for weights in ("none", "balanced")
    }
    assert said == {"none": ["x", "x"], "balanced": ["y", "x"]}


def test_a_sparse_fit_is_that_of_logistic_regression():
    draw = np.random.default_rng(0)
    inputs = (draw.normal(size=(200, 12)) * (draw.random((200, 12)) < 0.3)).astype(np.float32)
    targets = (inputs @ draw.normal(size=(12, 3)) + 0.3 * draw.normal(size=(200, 3))).argmax(-1)
    rows = csr_matrix(inputs)
    head = fitting.SparseLinear(12, 3)
    train = fitting.Features(fitting.Sparse(rows, rows.T.tocsr()), torch.from_numpy(targets), np.ones(200, dtype=bool))
    fitting.fit(head, train, 1 / (3.0 * 200), cross_entropy, steps=300, memory=5)
    known = LogisticRegression(C=3.0, tol=1e-8, max_iter=1000).fit(inputs, targets)
    weight = head.weight.detach().numpy().T
    np.testing.assert_allclose(weight - weight.mean(0), known.coef_ - known.coef_.mean(0), atol=1e-2)


# Pixels


def test_pixels_are_what_a_person_sees(tmp_path):
    red, half = (210, 40, 30), SIDE // 2
    picture = Pillow.new("RGB", (64, 32), red)
    picture.paste((255, 255, 255), (32, 0, 64, 32))

    def seen(image: Pillow.Image, kind: str = "PNG", **options) -> np.ndarray:
        row = {"bytes": tiny_images.encoded(image, kind, **options), "path": None}
        return shrink(row, SIDE)

    expected = seen(picture)
    assert (expected[:, :half] == red).all() and (expected[:, half:] == 255).all()
    picture.save(tmp_path / "a.png")
    assert (shrink({"bytes": None, "path": str(tmp_path / "a.png")}, SIDE) == expected).all()
    # Transparent pixels of any colour show white.
    hidden = Pillow.new("RGBA", (64, 32), (0, 0, 0, 0))
    hidden.paste((*red, 255), (0, 0, 32, 32))
    assert (seen(hidden) == expected).all()
    # A camera held sideways.
    tag = Pillow.Exif()
    tag[0x0112] = 6
    turned = seen(picture.transpose(Pillow.Transpose.ROTATE_90), exif=tag)
    assert (turned == expected).all()
    deep = Pillow.fromarray(np.full((8, 8), 128 * 257, dtype=np.uint16))
    assert (seen(deep) == 128).all()


# The probe


def test_views_of_an_image_are_one_prediction(pictures, resnet):
    several = ImageClassification(dataset=pictures.dataset, tta="crops")
    rows = several.load()
    predictions = LinearProbe(resnet).predict(several, rows)
    assert headline_of(several, predictions, rows) > 0.7
    assert len(predictions) == len(rows["test"])


def test_features_of_texts_do_not_depend_on_their_batch(checkpoint):
    rows = texts("single-label", train=30, validation=9, test=9)
    codec = TextClassification().codec(checkpoint, rows.target)
    encoded = codec.encode(rows["train"], split="train", answers=True)
    backbone = backbone_of(codec.model()).train()  # dropout must go off by itself
    together = compute_features(backbone, encoded, codec, desc="test")
    alone = [compute_features(backbone, encoded.select([i]), codec, desc="test") for i in range(len(encoded))]
    assert len(together) == 4
    for name, found in together.items():
        parts = torch.cat([one[name].inputs for one in alone])
        torch.testing.assert_close(found.inputs, parts, rtol=1e-4, atol=1e-5)
        assert found.targets.tolist() == list(encoded["labels"])
        assert found.places.tolist() == [True] * 30


def test_the_probe_reads_what_a_head_of_timm_reads(tmp_path):
    checkpoint = tiny_images.timm_resnet(tmp_path)
    model = AutoModelForImageClassification.from_pretrained(checkpoint).eval()
    backbone = backbone_of(model)
    assert isinstance(backbone, TimmBackbone)
    pixel_values = torch.rand(2, 3, tiny_images.SIDE, tiny_images.SIDE)
    with torch.no_grad():
        outputs = backbone(pixel_values=pixel_values)
        codec = ImageClassification().codec(checkpoint, Labels.from_config(model.config))
        read = codec.features(outputs, {"pixel_values": pixel_values})
        logits = model.timm_model.get_classifier()(read)
        torch.testing.assert_close(logits, model(pixel_values).logits)


def test_the_probe_of_an_encoder_decoder_reads_its_encoder():
    sizes = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = BartConfig(vocab_size=40, d_model=8, encoder_ffn_dim=8, decoder_ffn_dim=8, **sizes)
    model = BartForSequenceClassification(config)
    assert backbone_of(model) is model.model.encoder
