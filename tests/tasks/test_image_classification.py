"""Image classification: pixels reach the model as its own processor makes them, and answers come back one per image."""

import base64
import json
import runpy
import shutil
import struct
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, List, Value, concatenate_datasets
from PIL import Image as Pillow
from PIL import ImageOps
from transformers import AutoImageProcessor, pipeline, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.abilities import Explained, training_collator
from hfkit.contract.target import Labels
from hfkit.contract.view import Picture
from hfkit.data.digests import rows_digest
from hfkit.errors import UserError
from hfkit.report.schema import validate
from hfkit.tasks import ImageClassification
from hfkit.tasks.classification.kinds import KINDS
from tests.fixtures.encoding import facts_of, prepare, run_model
from tests.tiny import images as tiny

MAKERS = {"resnet": tiny.resnet, "vit": tiny.vit, "timm": tiny.timm_resnet}


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    return {name: make(tmp_path_factory.mktemp(name)) for name, make in MAKERS.items()}


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> str:
    """24 images to learn from, in three classes."""
    return tiny.image_folder(tmp_path_factory.mktemp("images"))


def trainer(checkpoint: str, task: ImageClassification, output: Path, **flags) -> TransferTrainer:
    defaults = dict(num_train_epochs=2, per_device_train_batch_size=5, report_to="none", disable_tqdm=True)
    defaults |= dict(use_cpu=True, save_strategy="no", logging_steps=1)
    args = TransferArguments(output_dir=str(output), **{**defaults, **flags})
    set_seed(args.seed)
    rows, codec, encoded = prepare(task, checkpoint)
    return TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows, encoded=encoded)


# What is read


def test_columns_of_labels_beside_embedded_images(tmp_path):
    """Joined into one column and left out again, they left a block of no rows, to which no column could be added."""
    pictures = [{"bytes": tiny.encoded(tiny.picture("red", number)), "path": None} for number in range(12)]
    rows = {"image": pictures, "round": [0, 1] * 6, "large": [0, 0, 1, 1] * 3}
    Dataset.from_dict(rows).to_parquet(str(tmp_path / "train.parquet"))
    loaded = ImageClassification(dataset=str(tmp_path), problem="multi-label").load()
    assert loaded.labels == ["large", "round"] and sum(map(len, loaded.splits.values())) == 12


def test_class_folders_become_rows(images):
    rows = ImageClassification(dataset=images).load()
    assert {split: len(of) for split, of in rows.splits.items()} == {"train": 24, "validation": 9, "test": 9}
    first = rows["test"][0]
    assert first["label"] == "blue"
    assert first["image"] == {"bytes": None, "path": f"{images}/test/blue/0.png"}
    assert (first["format"], first["mode"], first["width"], first["height"]) == ("PNG", "RGB", 40, 36)
    assert len(set(rows["train"]["fingerprint"])) == 24


@pytest.mark.parametrize("label", [Value("string"), ClassLabel(names=["red", "green"])])
@pytest.mark.parametrize("kept_as", ["bytes", "path"])
def test_a_column_of_images_becomes_the_same_rows(label, kept_as, tmp_path):
    files = {}
    for number, name in enumerate(("red", "green")):
        tiny.picture(name, number).save(tmp_path / f"{name}.png")
        files[name] = f"{name}.png" if kept_as == "path" else {"bytes": None, "path": str(tmp_path / f"{name}.png")}
    rows = [{"image": image, "label": name} for name, image in files.items()]
    dataset = tiny.image_parquet(tmp_path, dict.fromkeys(("train", "validation", "test"), rows), label)
    task = ImageClassification(dataset=dataset)
    loaded = task.load()
    assert list(loaded["train"]["label"]) == ["red", "green"]
    assert loaded.labels == ["green", "red"]
    assert [task.view.row(row) for row in loaded["train"]] == [
        Picture(tiny_uri(tmp_path / f"{name}.png")) for name in files
    ]


def tiny_uri(path: Path) -> str:
    from hfkit.data.images.batches import data_uri

    return data_uri(Pillow.open(path), 128)


def test_several_image_columns_need_a_name(tmp_path):
    features = {"left": [tiny.picture("red", 0)], "right": [tiny.picture("green", 0)], "label": ["a"]}
    rows = Dataset.from_dict(features)
    both = Dataset.from_dict({**features, "label": ["b"]})
    for split in ("train", "validation", "test"):
        concatenate_datasets([rows, both]).to_parquet(str(tmp_path / f"{split}.parquet"))
    with pytest.raises(UserError, match="--image_column"):
        ImageClassification(dataset=str(tmp_path)).load()
    assert len(ImageClassification(dataset=str(tmp_path), image_column="right").load()["test"]) == 2


def test_copies_are_told_by_their_bytes(images, tmp_path):
    folder = Path(shutil.copytree(images, tmp_path / "copy"))
    for place in ("train/red/again.png", "test/blue/again.png"):
        shutil.copy(folder / "train" / "red" / "0.png", folder / place)
    task = ImageClassification(dataset=str(folder))
    facts = task.rows.facts(task.load().splits)
    assert facts["train"]["repeated_rows"] == 1
    assert facts["test"]["rows_shared_with_train"] == 1
    assert facts["train"]["classes"] == {"blue": 8, "green": 8, "red": 9}


def test_the_report_says_what_images_are(images, tmp_path):
    folder = Path(shutil.copytree(images, tmp_path / "copy"))
    picture = tiny.picture("red", 77)
    exif = Pillow.Exif()
    exif[0x0112] = 6
    picture.save(folder / "test" / "red" / "turned.jpg", exif=exif)
    picture.save(folder / "test" / "red" / "moving.gif", save_all=True, append_images=[tiny.picture("red", 78)])
    picture.convert("CMYK").save(folder / "test" / "red" / "print.jpg")
    task = ImageClassification(dataset=str(folder))
    facts = task.rows.facts(task.load().splits)["test"]
    assert facts["formats"] == {"PNG": 9, "JPEG": 2, "GIF": 1}
    assert facts["modes"] == {"RGB": 10, "P": 1, "CMYK": 1}
    assert (facts["animated"], facts["rotated"], facts["converted"]) == (1, 1, 2)
    assert (facts["median_width"], facts["median_height"]) == (40, 36)
    json.dumps(facts)


def test_fewer_rows_still_hold_every_class(images):
    rows = ImageClassification(dataset=images, max_train_rows=5).load()
    assert len(rows["train"]) == 5
    assert set(rows["train"]["label"]) == set(tiny.CLASSES)


# What a picture becomes


def grey(value: int, mode: str = "L") -> Pillow.Image:
    return Pillow.new(mode, (9, 9), value)


def half_transparent(mode: str) -> Pillow.Image:
    image = Pillow.new(mode, (9, 9))
    image.putdata([((100, 128) if mode == "LA" else (100, 40, 200, 128))] * 81)
    return image


def with_hole() -> tuple[Pillow.Image, dict]:
    image = Pillow.new("P", (9, 9), 1)
    image.putpalette([255, 0, 0, 10, 20, 30])
    return image, {"transparency": 1}


def turned() -> tuple[Pillow.Image, dict]:
    image = Pillow.new("RGB", (9, 5), "black")
    image.putpixel((0, 0), (255, 255, 255))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a quarter clockwise
    return image, {"exif": exif}


def moving(kind: str) -> tuple[Pillow.Image, dict]:
    return Pillow.new("RGB", (9, 9), (200, 0, 0)), {
        "save_all": True,
        "append_images": [Pillow.new("RGB", (9, 9), (0, 0, 200))],
        **({"lossless": True} if kind == "WEBP" else {}),
    }


def with_zero_as_white(image: Pillow.Image) -> bytes:
    """A TIFF whose tag of what is white says 0."""
    data = tiny.encoded(image, "TIFF")
    tag = struct.pack("<HHII", 262, 3, 1, 1)
    assert data.count(tag) == 1
    return data.replace(tag, struct.pack("<HHII", 262, 3, 1, 0))


def pages() -> tuple[Pillow.Image, dict]:
    return Pillow.new("RGB", (9, 9), (200, 0, 0)), {"save_all": True, "append_images": [Pillow.new("RGB", (9, 9))]}


sixteen = Pillow.fromarray(np.full((9, 9), 25_700, dtype=np.uint16))
PICTURES = {
    "L": ("PNG", (grey(100), {}), (100, 100, 100)),
    "1": ("PNG", (grey(1, "1"), {}), (255, 255, 255)),
    "P": ("PNG", (with_hole()[0], {}), (10, 20, 30)),
    "P with transparency": ("PNG", with_hole(), (255, 255, 255)),
    "GIF with transparency": ("GIF", with_hole(), (255, 255, 255)),
    "RGB with a transparent colour": (
        "PNG",
        (Pillow.new("RGB", (9, 9), "red"), {"transparency": (255, 0, 0)}),
        (255,) * 3,
    ),
    "LA": ("PNG", (half_transparent("LA"), {}), (177, 177, 177)),
    "RGBA": ("PNG", (half_transparent("RGBA"), {}), (177, 147, 227)),
    "CMYK": ("TIFF", (Pillow.new("CMYK", (9, 9), (0, 255, 255, 0)), {}), (255, 0, 0)),
    "16 bit": ("PNG", (sixteen, {}), (100, 100, 100)),
    "16 bit TIFF": ("TIFF", (sixteen, {}), (100, 100, 100)),
    "32 bit": ("TIFF", (Pillow.fromarray(np.full((9, 9), 25_700, dtype=np.int32)), {}), (100, 100, 100)),
    "16 bit PGM": ("PPM", (sixteen, {}), (100, 100, 100)),
    "floating point": ("TIFF", (Pillow.new("F", (9, 9), 0.4), {}), (102, 102, 102)),
    "CMYK JPEG": ("JPEG", (Pillow.new("CMYK", (9, 9), (0, 255, 255, 0)), {"quality": 100}), (255, 0, 0)),
    "HEIC": ("HEIF", (Pillow.new("RGB", (9, 9), (255, 255, 255)), {"quality": -1}), (255, 255, 255)),
    "AVIF": ("AVIF", (Pillow.new("RGB", (9, 9), (255, 255, 255)), {}), (255, 255, 255)),
    "animated TIFF of two pages": ("TIFF", pages(), (200, 0, 0)),
    "animated GIF": ("GIF", moving("GIF"), (200, 0, 0)),
    "animated PNG": ("PNG", moving("PNG"), (200, 0, 0)),
    "animated WebP": ("WEBP", moving("WEBP"), (200, 0, 0)),
}


@pytest.mark.parametrize("kind", PICTURES)
def test_every_mode_becomes_rgb_as_stated(kind):
    from hfkit.data.images.files import look
    from hfkit.data.images.pictures import decode_image

    format, (image, options), colour = PICTURES[kind]
    data = tiny.encoded(image, format, **options)
    seen = look(data, 50)
    assert seen.animated == kind.startswith("animated")
    picture = decode_image({"bytes": data, "path": None}, Path(), 3)
    assert (picture.mode, picture.size) == ("RGB", (9, 9))
    assert picture.getpixel((4, 4)) == colour
    assert decode_image({"bytes": data, "path": None}, Path(), 1).mode == "L"


def test_a_tiff_whose_zero_is_white_is_turned_round():
    from hfkit.data.images.pictures import decode_image

    for image, seen in ((sixteen, 155), (grey(155), 100)):
        data = with_zero_as_white(image)
        assert decode_image({"bytes": data, "path": None}, Path(), 1).getpixel((4, 4)) == seen


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_photo_is_turned_as_its_tag_says(turn):
    from hfkit.data.images.pictures import decode_image

    exif = Pillow.Exif()
    exif[0x0112] = turn
    data = tiny.encoded(tiny.picture("green", 3, (40, 24)), "PNG", exif=exif)
    with Pillow.open(tiny.BytesIO(data)) as image:
        meant = ImageOps.exif_transpose(image)
        assert np.array_equal(decode_image({"bytes": data, "path": None}, Path(), 3), meant)


@pytest.mark.parametrize("name", MAKERS)
def test_judging_sees_what_the_processor_makes_bit_for_bit(name, checkpoints, images):
    task = ImageClassification(dataset=images)
    loaded, codec, encoded = prepare(task, checkpoints[name])
    own = AutoImageProcessor.from_pretrained(checkpoints[name])
    batch = codec.collate([encoded["test"][i] for i in range(9)])
    alone = [own(Pillow.open(row["image"]["path"]), return_tensors="pt")["pixel_values"] for row in loaded["test"]]
    assert torch.equal(batch["pixel_values"], torch.cat(alone))
    assert batch["labels"].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]


def test_a_model_of_one_channel_gets_one(images, tmp_path):
    checkpoint = tiny.resnet(tmp_path, channels=1)
    task = ImageClassification(dataset=images, augmentation="strong")
    _, codec, encoded = prepare(task, checkpoint)
    rows = encoded["train"]
    for collator in (codec.collate, training_collator(codec, 0)):
        assert collator([rows[0], rows[9]])["pixel_values"].shape == (2, 1, tiny.SIDE, tiny.SIDE)
    assert codec.pictures(rows, training_collator(codec, 0), 2)[0]["label"] == "blue"


def test_a_processor_of_other_channels_than_its_model_is_refused(tmp_path):
    checkpoint = tiny.resnet(tmp_path, channels=1)
    tiny.processor(3).save_pretrained(tmp_path)
    with pytest.raises(UserError, match="reads 1 channels, and its processor normalises 3"):
        ImageClassification().codec(checkpoint, Labels(("a", "b")))


def test_a_processor_that_makes_no_batch_is_refused(tmp_path):
    checkpoint = tiny.resnet(tmp_path)
    settings = json.loads((tmp_path / "preprocessor_config.json").read_text())
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**settings, "size": {"shortest_edge": 32}}))
    with pytest.raises(UserError, match="pictures of any shape must come out alike"):
        ImageClassification().codec(checkpoint, Labels(("a", "b")))


def test_a_checkpoint_without_a_processor_is_refused(tmp_path):
    checkpoint = tiny.resnet(tmp_path)
    (tmp_path / "preprocessor_config.json").unlink()
    with pytest.raises(UserError, match="preprocessor_config.json"):
        ImageClassification().codec(checkpoint, Labels(("a", "b")))


# What is encoded


def test_encoded_rows_hold_no_pixel(images, checkpoints):
    task = ImageClassification(dataset=images)
    _, _, encoded = prepare(task, checkpoints["resnet"])
    assert encoded["train"][0]["image"] == {"bytes": None, "path": "train/blue/0.png"}
    assert encoded["train"].data.nbytes < 150 * 24


def test_a_run_stays_the_same_where_its_images_move(images, checkpoints, tmp_path):
    moved = shutil.copytree(images, tmp_path / "moved")
    tasks = [ImageClassification(dataset=str(place)) for place in (images, moved)]
    digests = [rows_digest(prepare(task, checkpoints["resnet"])[2]["train"]) for task in tasks]
    assert digests[0] == digests[1]
    tiny.picture("red", 999).save(moved / "train" / "red" / "0.png")
    assert digests[0] != rows_digest(prepare(tasks[1], checkpoints["resnet"])[2]["train"])


@pytest.mark.parametrize(("tta", "views"), [("none", 1), ("flip", 2), ("crops", 5)])
def test_answers_are_the_mean_over_views(tta, views, images, checkpoints):
    task = ImageClassification(dataset=images, tta=tta)
    loaded, codec, encoded = prepare(task, checkpoints["resnet"])
    assert {split: len(of) for split, of in encoded.items()} == {
        "train": 24,
        "validation": 9 * views,
        "test": 9 * views,
    }
    drawn = np.random.default_rng(0).normal(size=(9 * views, 3))
    predictions = codec.decode({"reduced": drawn}, encoded["test"])
    mean = drawn.reshape(views, 9, 3).mean(0)
    assert [ranked[0] for ranked in predictions] == [loaded.labels[i] for i in mean.argmax(-1)]
    assert facts_of(task, loaded, codec, encoded)["test"].get("views", 1) == views


def test_views_show_the_mirror_image_and_the_corners(images, checkpoints):
    from hfkit.data.images.batches import CORNERS, MIRRORED, WHOLE, take_view

    picture = tiny.picture("red", 5, (32, 16))
    pixels = np.asarray(picture)
    assert take_view(picture, WHOLE) is picture
    assert np.array_equal(take_view(picture, MIRRORED), pixels[:, ::-1])
    parts = [pixels[:14, :28], pixels[:14, 4:], pixels[2:, :28], pixels[2:, 4:]]
    assert all(np.array_equal(take_view(picture, view), part) for view, part in zip(CORNERS, parts, strict=True))
    _, codec, encoded = prepare(ImageClassification(dataset=images, tta="flip"), checkpoints["resnet"])
    batch = codec.collate([encoded["test"][0], encoded["test"][9]])["pixel_values"]
    torch.testing.assert_close(batch[1], batch[0].flip(-1), atol=0.02, rtol=0)  # a step of rounding


def test_pictures_to_predict_get_the_answers_of_pictures_with_labels(images, checkpoints):
    task = ImageClassification(dataset=images, tta="flip")
    loaded, codec, encoded = prepare(task, checkpoints["resnet"])
    model = codec.model()
    paths = [row["image"]["path"] for row in loaded["test"]]
    asked, faults = task.rows.to_predict(Dataset.from_dict({"image": paths}))
    assert not faults and "label" not in asked.column_names
    asked = codec.encode(asked, split="input", answers=False)
    assert "labels" not in asked.column_names and len(asked) == 18
    answers = [codec.decode(run_model(codec, model, rows), rows) for rows in (asked, encoded["test"])]
    assert answers[0] == answers[1] and len(answers[0]) == 9


# What is learnt


@pytest.mark.parametrize("name", MAKERS)
def test_a_head_of_the_right_size_is_trained_and_saved_as_a_plain_model(name, checkpoints, images, tmp_path):
    task = ImageClassification(dataset=images, augmentation="strong", flip="horizontal", mix="both", tta="flip")
    run = trainer(checkpoints[name], task, tmp_path / "out", num_train_epochs=1, metric_for_best_model="headline")
    run.train()
    assert len(run.predictions("test")) == 9
    run.save_model()
    teller = pipeline("image-classification", model=str(tmp_path / "out"), device="cpu")
    said = teller(Pillow.open(run.rows["test"][4]["image"]["path"]), top_k=3)
    assert {answer["label"] for answer in said} == set(tiny.CLASSES)
    # The pipeline looks at one view.
    _, codec, encoded = prepare(ImageClassification(dataset=images), checkpoints[name], run.rows)
    predictions = codec.decode(run_model(codec, run.model, encoded["test"]), encoded["test"])
    assert [answer["label"] for answer in said] == predictions[4]


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_colours_are_learnt(name, checkpoints, images, tmp_path):
    task = ImageClassification(dataset=images, flip="horizontal")
    run = trainer(
        checkpoints[name], task, tmp_path, num_train_epochs=12, learning_rate=1e-2, strategy="full", warmup_steps=4
    )
    run.train()
    references = task.rows.references(run.rows["test"])
    assert task.judge.score(run.predictions("test"), references)["accuracy"] >= 7 / 9


@pytest.mark.parametrize("kind", ["multi-label", "regression", "ordinal"])
def test_other_problems_are_learnt_from_a_column(kind, checkpoints, tmp_path):
    gold = {"multi-label": [["red"], ["red", "round"], []], "regression": [0.5, 1.5, -2.0], "ordinal": [1, 2, 3]}[kind]
    feature = {"multi-label": List(Value("string")), "regression": Value("float64"), "ordinal": Value("int64")}[kind]
    rows = [
        {"image": {"bytes": tiny.encoded(tiny.picture("red", i)), "path": None}, "label": gold[i % 3]} for i in range(9)
    ]
    dataset = tiny.image_parquet(tmp_path / "d", dict.fromkeys(("train", "validation", "test"), rows), feature)
    mix = "cutmix" if kind == "multi-label" else "none"
    task = ImageClassification(dataset=dataset, problem=kind, mix=mix, augmentation="none", tta="flip")
    run = trainer(checkpoints["resnet"], task, tmp_path / "out", num_train_epochs=1)
    run.train()
    assert task.rows.references(run.rows["test"]) == [gold[i % 3] for i in range(9)]
    assert len(run.predictions("test")) == 9
    json.dumps(facts_of(task, run.rows, run.codec, run.encoded))
    shown = run.codec.pictures(run.encoded["train"], run.training_collator, 4)
    assert len(shown) == 4 and all(picture["label"] for picture in shown)


@pytest.mark.parametrize("flags", [{"strategy": "lora"}, {"activation_checkpointing": True}], ids=["lora", "recompute"])
def test_what_a_resnet_cannot_do_is_refused(flags, checkpoints, images, tmp_path):
    with pytest.raises(UserError, match="ResNetForImageClassification (have none|cannot recompute)"):
        trainer(checkpoints["resnet"], ImageClassification(dataset=images), tmp_path, **flags)


def test_mixing_is_for_classes_alone():
    with pytest.raises(UserError, match="it mixes classes"):
        ImageClassification(problem="regression", mix="mixup")
    with pytest.raises(UserError, match="above 0"):
        ImageClassification(mix="mixup", mix_alpha=0)


def test_batches_are_the_same_whatever_the_number_of_workers(checkpoints, images, tmp_path):
    task = ImageClassification(dataset=images, augmentation="strong", flip="horizontal", mix="both")
    losses, ends = [], []
    for workers in (0, 2):
        run = trainer(checkpoints["resnet"], task, tmp_path / str(workers), dataloader_num_workers=workers)
        run.train()
        losses.append([entry["loss"] for entry in run.state.log_history if "loss" in entry])
        ends.append([parameter.detach().clone() for parameter in run.model.parameters()])
    assert losses[0] == losses[1]
    assert all(map(torch.equal, *ends))


def test_a_resumed_run_ends_as_the_uninterrupted_one(checkpoints, images, tmp_path):
    """24 images, 5 a batch: 5 steps an epoch; one cut before the last thaw, one in the middle of the second epoch."""
    task = ImageClassification(dataset=images, augmentation="strong", flip="horizontal", mix="both")
    flags = dict(save_strategy="steps", save_steps=1, strategy="gradual", num_train_epochs=2)
    make = partial(trainer, checkpoints["resnet"], task, tmp_path, **flags)
    whole = make()
    whole.train()
    lowest = [entry["lowest_trainable_depth"] for entry in whole.state.log_history if "loss" in entry]
    assert lowest[0] > lowest[-1] == 0
    last_thaw = lowest.index(0)
    for cut in (last_thaw, 7):
        resumed = make()
        resumed.train(resume_from_checkpoint=str(tmp_path / f"checkpoint-{cut}"))
        assert all(map(torch.equal, whole.model.state_dict().values(), resumed.model.state_dict().values()))


# What is shown


@pytest.mark.parametrize("name", MAKERS)
def test_features_are_one_row_an_image(name, checkpoints, images):
    task = ImageClassification(dataset=images)
    _, codec, encoded = prepare(task, checkpoints[name])
    batch = codec.collate([encoded["test"][i] for i in range(4)])
    features = codec.features(codec.model().eval().base_model(batch["pixel_values"]), batch)
    assert features.ndim == 2 and len(features) == 4


def test_pictures_are_what_the_model_gets(checkpoints, images):
    task = ImageClassification(dataset=images, augmentation="none")
    loaded, codec, encoded = prepare(task, checkpoints["resnet"])
    shown = codec.pictures(encoded["train"], codec.collate, 24)
    assert [picture["label"] for picture in shown] == list(loaded["train"]["label"])
    picture = opened(shown[0]["picture"])
    assert picture.size == (96, 96)  # 32 enlarged threefold
    meant = Pillow.open(loaded["train"][0]["image"]["path"]).resize((32, 32), Pillow.Resampling.BILINEAR)
    assert np.abs(np.asarray(picture, dtype=int)[1::3, 1::3] - np.asarray(meant, dtype=int)).max() <= 1


def test_mixed_pictures_name_their_shares(checkpoints, images):
    task = ImageClassification(dataset=images, mix="cutmix", mix_alpha=1.0)
    _, codec, encoded = prepare(task, checkpoints["resnet"])
    labels = [p["label"] for p in codec.pictures(encoded["train"], training_collator(codec, 3), 12)]
    mixed = [label for label in labels if "+" in label]
    assert mixed
    for label in mixed:
        parts = dict(part.rsplit(" ", 1) for part in label.split(" + "))
        assert set(parts) <= set(tiny.CLASSES)
        assert sum(map(float, parts.values())) == pytest.approx(1, abs=0.02)


def test_an_error_is_shown_with_its_picture(images):
    task = ImageClassification(dataset=images)
    rows = task.load()["test"]
    gold = task.rows.references(rows)
    found = [mistake.to_json() for mistake in task.view.mistakes([["red"]] * 9, gold, rows, 3)]
    assert [error["row"] for error in found] == [0, 1, 3]
    assert all(error["text"] == "" and opened(error["picture"]).size == (120, 108) for error in found)


def opened(uri: str) -> Pillow.Image:
    kind, _, content = uri.partition(",")
    assert kind == "data:image/png;base64"
    return Pillow.open(tiny.BytesIO(base64.b64decode(content)))


# From end to end


@pytest.mark.parametrize("name", ["resnet", "vit"])
def test_a_recipe_ends_in_a_report_with_pictures(name, checkpoints, images, tmp_path, monkeypatch, capsys):
    recipe = Path(__file__).parents[2] / "recipes" / f"{name}_images.py"
    data = shutil.copytree(images, tmp_path.with_name(f"{tmp_path.name}-data"))
    shutil.copy(next((data / "test" / "blue").iterdir()), data / "test" / "red" / "astray.png")
    argv = ["--checkpoint", checkpoints[name], "--dataset", str(data), "--output_dir", str(tmp_path)]
    monkeypatch.setattr(
        "sys.argv", [str(recipe), *argv, "--max_steps", "3", "--tta", "flip", "--mix", "cutmix", "--flip", "horizontal"]
    )
    runpy.run_path(str(recipe), run_name="__main__")
    assert capsys.readouterr().out.splitlines()[-1] == f"Report: {tmp_path / 'report.html'}"
    report = json.loads((tmp_path / "report.json").read_text())
    validate(report)
    names = ["fine-tuned (gradual)", "majority", "pixels", "linear probe"]
    assert [contender["name"] for contender in report["contenders"]] == names
    assert len(report["pictures"]) == 16
    wrong = round(report["rows"] * (1 - report["contenders"][0]["headline"]))
    explained = report["explained"]
    assert len(explained) == min(wrong, 12)
    sure = [one["confidence"] for one in explained]
    assert sure == sorted(sure, reverse=True) and all(0 < share <= 1 for share in sure)
    assert all(one["gold"] != one["predicted"] for one in explained)
    page = (tmp_path / "report.html").read_text()
    assert all(one["looked_at"] in page and one["picture"] in page for one in explained)
    assert report["task"]["headline"] == "accuracy"
    assert report["data"]["test"]["views"] == 2
    assert pipeline("image-classification", model=str(tmp_path), device="cpu").model.config.id2label[2] == "red"


def test_images_have_no_length_to_group_by(checkpoints, images, tmp_path):
    task = ImageClassification(dataset=images)
    run = trainer(checkpoints["resnet"], task, tmp_path, train_sampling_strategy="group_by_length")
    with pytest.raises(UserError, match="train_sampling_strategy=group_by_length"):
        run.train()


# Where the model looks


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("problem", ["single-label", "multi-label", "regression"])
def test_every_picture_gets_a_map_of_its_own_shape(name, problem, checkpoints, images):
    rows = ImageClassification(dataset=images).load()["test"].select(range(3))
    labels = {"single-label": ("blue", "green", "red"), "multi-label": ("blue", "red"), "regression": ("score",)}
    answers = {"single-label": [["red"], ["blue"], ["red"]], "multi-label": [["red"], [], ["blue", "red"]]}
    target = Labels(labels[problem], KINDS[problem].problem_type)
    task = ImageClassification(dataset=images, problem=problem)
    codec = task.codec(checkpoints[name], target)
    assert isinstance(codec, Explained)
    maps = codec.saliency(
        codec.model(), codec.encode(rows, split="test", answers=False), answers.get(problem, [0.0, 1.0, 2.0])
    )
    for row, found in zip(rows, maps, strict=True):
        assert found.shape == (row["height"], row["width"]) and 0 <= found.min() <= found.max() <= 1
        drawn = opened(codec.overlay(row, found, 320).uri)
        assert drawn.size[0] * row["height"] == drawn.size[1] * row["width"]


def test_a_turned_photo_and_another_view_have_the_map_of_the_upright_picture(checkpoints, tmp_path):
    upright = Pillow.effect_noise((48, 20), 90).convert("RGB")
    upright.paste((220, 40, 30), (30, 2, 44, 16))
    exif = Pillow.Exif()
    exif[0x0112] = 6  # a viewer turns it by 90 degrees to the right, so it is kept turned to the left
    upright.save(tmp_path / "upright.png")
    upright.transpose(Pillow.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=exif)
    paths = Dataset.from_dict({"image": ["upright.png", "turned.png"]})
    maps = {}
    for tta in ("none", "flip"):
        task = ImageClassification(dataset=str(tmp_path), tta=tta)
        rows, faults = task.rows.to_predict(paths)
        codec = task.codec(checkpoints["vit"], Labels(("blue", "green", "red")))
        torch.manual_seed(0)
        model, encoded = codec.model(), codec.encode(rows, split="test", answers=False)
        maps[tta] = codec.saliency(model, encoded, [["red"], ["red"]])
        assert not faults
    one, other = maps["none"]
    assert one.shape == (20, 48) and one.max() > 0 and np.array_equal(one, other)
    assert all(np.array_equal(*pair) for pair in zip(maps["none"], maps["flip"], strict=True))
