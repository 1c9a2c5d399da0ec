"""Classical baselines on what no word or colour gives away: runs of letters, directions of edges."""

import random

import numpy as np
import pytest
from datasets import Dataset, DatasetDict, Features, Image, Value
from PIL import Image as Pillow

from hfkit.arguments.recipe import RecipeArguments
from hfkit.baselines import BASELINES, Hog, NGrams, TfIdf, choose_baselines
from hfkit.baselines.choice import make_baseline
from hfkit.baselines.hog import read_histograms
from hfkit.contract.task import Loaded
from hfkit.errors import UserError
from hfkit.tasks.image_classification import ImageClassification
from hfkit.tasks.text_classification import TextClassification
from tests.baselines.rows import headline_of, with_target
from tests.tiny import images as tiny_images


def sequences(problem: str) -> Loaded:
    """Random letters of DNA, some with a motif in them; a number counts how often."""
    splits = {}
    for split, count in {"train": 200, "validation": 60, "test": 61}.items():
        draw, rows = random.Random(split), []
        for row in range(count):
            pieces = ["".join(draw.choices("ACGT", k=20)) for _ in range(3)]
            found = row % 2 if problem == "single-label" else row % 3
            text = "TATAAT".join(pieces[: found + 1]) + "".join(pieces[found + 1 :])
            label = ["none", "promoter"][found] if problem == "single-label" else float(found)
            rows.append({"text": text, "label": label})
        splits[split] = Dataset.from_list(rows)
    return with_target(TextClassification(problem=problem), DatasetDict(splits))


@pytest.mark.parametrize(("problem", "least"), [("single-label", 0.85), ("regression", 0.7)])
def test_runs_of_letters_are_found_in_sequences(problem, least):
    task, rows = TextClassification(problem=problem), sequences(problem)
    answers = NGrams().answers(task, rows)
    assert headline_of(task, answers.predictions, rows) > least
    assert answers.facts["penalty"] > 0
    if problem == "single-label":
        assert answers.probabilities.shape == (61, 2)


def test_a_small_letter_is_not_a_capital_one():
    rows = Dataset.from_list([{"text": text * 3, "label": text} for text in ("acg", "ACG")] * 10)
    task = TextClassification()
    loaded = with_target(task, DatasetDict(train=rows, validation=rows, test=rows))
    right = {type(one): headline_of(task, one.predict(task, loaded), loaded) for one in (NGrams(), TfIdf())}
    assert right == {NGrams: 1.0, TfIdf: 0.5}


def stripes(down: bool, seed: int) -> Pillow.Image:
    """Stripes down or across, of a random width, colour and place."""
    draw = np.random.default_rng([seed, down])
    wave = (np.arange(40) + draw.integers(8)) // draw.integers(3, 6) % 2
    picture = np.tile(wave, (40, 1))[..., None] * draw.integers(100, 255, 3)
    return Pillow.fromarray((picture if down else picture.swapaxes(0, 1)).astype(np.uint8))


def test_edges_tell_directions_apart(tmp_path):
    splits = {
        split: [
            {"image": {"bytes": tiny_images.encoded(stripes(bool(i % 2), 100 * part + i)), "path": None}, "label": name}
            for i in range(30)
            for name in [["across", "down"][i % 2]]
        ]
        for part, split in enumerate(("train", "validation", "test"))
    }
    for split, rows in splits.items():
        features = Features({"image": Image(), "label": Value("string")})
        Dataset.from_list(rows, features=features).to_parquet(str(tmp_path / f"{split}.parquet"))
    task = ImageClassification(dataset=str(tmp_path))
    rows = task.load()
    answers = Hog().answers(task, rows)
    assert headline_of(task, answers.predictions, rows) == 1
    np.testing.assert_allclose(answers.probabilities.sum(1), 1)


def test_an_image_of_one_colour_has_no_edges():
    image = {"bytes": tiny_images.encoded(Pillow.new("RGB", (31, 17), (9, 80, 200))), "path": None}
    assert not read_histograms(image).any()


def test_every_name_makes_its_baseline_from_the_flags_of_a_recipe():
    others = {f"{kind}_checkpoint": "y" for kind in ("nli", "clip", "prompt")}
    recipe = RecipeArguments(
        checkpoint="x", baseline=list(BASELINES), features_dir="kept", label_texts='{"a": "something"}', **others
    )
    made = {baseline.name: baseline for baseline in (make_baseline(name, recipe) for name in recipe.baseline)}
    assert len(made) == len(BASELINES)
    for name in ("linear probe", "kNN", "nearest mean", "zero-shot similarity"):
        assert (made[name].checkpoint, made[name].cache_dir) == ("x", "kept")
    assert made["zero-shot similarity"].label_texts == {"a": "something"}


def test_a_checkpoint_that_is_not_there_shows_before_training():
    for name, flag in (("zero-shot-nli", "nli_checkpoint"), ("few-shot-prompt", "prompt_checkpoint")):
        with pytest.raises(UserError, match="checkpoint 'nowhere'.*config.json could not be read"):
            choose_baselines(RecipeArguments(baseline=[name], **{flag: "nowhere"}))
