"""The bundled image backbones: plain checkpoints, small, whole, and made by the committed program from formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoImageProcessor, AutoModel, AutoModelForImageClassification

from hfkit import samples
from samples_source import make_backbones
from samples_source.formula_images import FORMULAS, SIZE, formula_images

FOLDERS = [Path(samples.__file__).parent / name for name in ("resnet", "vit")]
FILES = {"config.json", "model.safetensors", "preprocessor_config.json", "training.json", "README.md"}

each_backbone = pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)


@each_backbone
def test_it_loads_into_plain_transformers(folder):
    model, info = AutoModelForImageClassification.from_pretrained(folder, num_labels=7, output_loading_info=True)
    assert {name.split(".")[0] for name in info["missing_keys"]} == {"classifier"}
    assert not info["unexpected_keys"] and not info["mismatched_keys"]
    assert {value.dtype for value in model.state_dict().values()} <= {torch.float32, torch.int64}
    assert model(pixel_values=torch.zeros(2, 3, SIZE, SIZE)).logits.shape == (2, 7)

    backbone, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    # transformers adds an untrained pooler to every ViTModel; the classifier does not have one.
    assert {name.split(".")[0] for name in info["missing_keys"]} <= {"pooler"} and not info["unexpected_keys"]
    assert backbone(pixel_values=torch.zeros(2, 3, SIZE, SIZE)).last_hidden_state.isfinite().all()


@each_backbone
def test_half_precision_holds_every_weight(folder):
    weights = load_file(folder / "model.safetensors")
    for name, value in weights.items():
        assert value.dtype == (torch.int64 if name.endswith("num_batches_tracked") else torch.float16), name
        assert value.isfinite().all(), name
        assert not name.endswith("running_var") or value.min() >= torch.finfo(torch.float16).tiny, name


@each_backbone
def test_the_weights_fit_the_program_that_made_them(folder):
    fresh = make_backbones.new_model(folder.name, classes=3).state_dict()
    shapes = {name: value.shape for name, value in fresh.items() if not name.startswith("classifier")}
    assert {name: value.shape for name, value in load_file(folder / "model.safetensors").items()} == shapes


@each_backbone
def test_training_taught_it_something(folder):
    record = json.loads((folder / "training.json").read_text())
    assert record["accuracy"] > 0.5 and record["classes"] >= 200
    assert record["bytes"] == (folder / "model.safetensors").stat().st_size


@each_backbone
def test_the_card_is_rendered_from_the_record(folder):
    record = json.loads((folder / "training.json").read_text())
    assert make_backbones.card(record, f"hfkit/samples/{folder.name}") == (folder / "README.md").read_text()


def test_both_are_small():
    assert sum((folder / "model.safetensors").stat().st_size for folder in FOLDERS) <= 2_000_000


@each_backbone
@pytest.mark.parametrize("size", [(8, 8), (500, 375)])
def test_the_processor_takes_any_picture(folder, size):
    picture = Image.new("L", size, 200)
    values = AutoImageProcessor.from_pretrained(folder)(picture, return_tensors="pt")["pixel_values"]
    assert values.shape == (1, 3, SIZE, SIZE)


@each_backbone
def test_training_saw_what_the_processor_gives(folder):
    images = formula_images(2, 2, seed=1)
    values = AutoImageProcessor.from_pretrained(folder)(list(images), return_tensors="pt")["pixel_values"]
    assert torch.allclose(values, make_backbones.pixels(torch.from_numpy(images)), atol=1e-4)


@pytest.mark.parametrize("label", range(len(FORMULAS)))
def test_formula_images_are_the_same_on_every_call_and_not_blank(label):
    images = formula_images(label, 4, seed=5)
    assert images.shape == (4, SIZE, SIZE, 3) and images.dtype == np.uint8
    assert (images == formula_images(label, 4, seed=5)).all()
    assert (images.astype(float).std((1, 2)).max(-1) > 5).all()
    for other in (formula_images(label, 4, seed=6), formula_images(label, 4, seed=5, part=1), images[::-1]):
        assert (images != other).any((1, 2, 3)).all()


def test_images_of_a_class_are_told_from_those_of_other_classes():
    classes = range(2 * len(FORMULAS))

    def spectra(part):  # where a figure lies and how bright it is leaves the spectrum alone
        grey = np.stack([formula_images(label, 16, seed=0, part=part) for label in classes]).mean(-1)
        values = np.abs(np.fft.rfft2(grey - grey.mean((-1, -2), keepdims=True))).reshape(len(classes), 16, -1)
        return values / np.linalg.norm(values, axis=-1, keepdims=True)

    centres, unseen = spectra(0).mean(1), spectra(1)
    named = (unseen @ centres.T).argmax(-1)  # (class, image)
    assert (named == np.arange(len(classes))[:, None]).mean() > 0.35  # 0.06 by chance


@pytest.mark.parametrize("architecture", ["resnet", "vit"])
def test_the_program_runs_from_end_to_end(architecture, tmp_path, capsys):
    budget = ["--classes", "4", "--images", "8", "--epochs", "1", "--output", str(tmp_path)]
    make_backbones.main(["--architecture", architecture, *budget])
    assert "epoch 1/1" in capsys.readouterr().out
    assert {path.name for path in tmp_path.iterdir()} == FILES
    record = json.loads((tmp_path / "training.json").read_text())
    assert record["classes"] == 4 and "--images 8" in record["command"] and str(tmp_path) not in record["command"]
    AutoModelForImageClassification.from_pretrained(tmp_path)
