"""The image cache: the same batches without decoding again, whatever lies in its folder or happens to it."""

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from PIL import Image as Pillow
from torch.utils.data import DataLoader
from transformers import BeitImageProcessor, MobileViTImageProcessor, ViTImageProcessor, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.abilities import training_collator
from hfkit.contract.target import Labels
from hfkit.data.images.augmentation import Preset
from hfkit.data.images.batches import JudgedImages, VariedImages, shrunk_size
from hfkit.data.images.cache import HEAD, SUFFIX, Picture, picture_file
from hfkit.errors import UserError
from hfkit.tasks import ImageClassification
from hfkit.tasks.classification.pictures import PictureClassifier
from tests.fixtures.encoding import prepare
from tests.tiny import images as tiny

SIDE, PLENTY = tiny.SIDE, 10**9
COLLATORS = {
    "judging": {"tta": "flip"},
    "nothing random": {"augmentation": "none"},
    "only the mirror": {"augmentation": "none", "flip": "horizontal"},
    "light": {"augmentation": "light", "flip": "horizontal"},
    "standard and mixed": {"augmentation": "standard", "mix": "mixup"},
    "strong": {"augmentation": "strong"},
}


def cropping(**settings) -> ViTImageProcessor:
    """To a shorter side and then its middle, as most checkpoints of photographs do."""
    size = {"size": {"shortest_edge": 40}, "crop_size": {"height": SIDE, "width": SIDE}}
    return BeitImageProcessor(do_center_crop=True, resample=Pillow.Resampling.BICUBIC, **size, **settings)


LABELS = Labels(("more", "some"))
PROCESSORS = {
    "a square": lambda folder: tiny.processor(),
    "grey": lambda folder: tiny.processor(1),
    "the middle": lambda folder: cropping(),
    "blue first": lambda folder: MobileViTImageProcessor(
        size={"shortest_edge": SIDE}, crop_size={"height": SIDE, "width": SIDE}
    ),
    "timm": lambda folder: ImageClassification().codec(tiny.timm_resnet(folder), LABELS).processor,
}


def kinds_of_pictures(place: Path) -> None:
    """Ten files that decode in ten ways."""
    place.mkdir(parents=True)
    turned = {}
    for turn in (3, 6):
        turned[turn] = Pillow.Exif()
        turned[turn][0x0112] = turn
    smooth = tiny.picture("red", 4, (24, 16)).resize((480, 320), Pillow.Resampling.BICUBIC)
    smooth.save(place / "photo.jpg", quality=95)
    smooth.save(place / "upside_down.jpg", exif=turned[3])
    smooth.resize((90, 61)).save(place / "on_its_side.jpg", exif=turned[6])
    smooth.convert("L").save(place / "grey.jpg")
    tiny.picture("green", 1).save(place / "small.png")
    Pillow.new("RGB", (1, 1), (9, 200, 30)).save(place / "dot.png")
    tiny.picture("blue", 2, (300, 20)).save(place / "strip.png")
    shape = tiny.picture("blue", 3, (50, 70)).convert("RGBA")
    shape.putalpha(Pillow.linear_gradient("L").resize(shape.size))
    shape.save(place / "see_through.png")
    Pillow.fromarray(np.arange(60 * 50, dtype=np.uint16).reshape(60, 50) * 20).save(place / "deep.png")
    shutil.copy(place / "small.png", place / "small_again.png")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("drawn")
    kinds_of_pictures(folder / "train" / "some")
    tiny.picture("red", 8).save(folder / "train" / "some" / "other.png")
    for split in ("train", "validation", "test"):
        (folder / split / "more").mkdir(parents=True)
        tiny.picture("red", 9).save(folder / split / "more" / "last.png")
    return folder


@pytest.fixture
def images(drawn, tmp_path) -> Path:
    """A copy, for a test to spoil."""
    return Path(shutil.copytree(drawn, tmp_path / "images"))


def ready(images: Path, kind: str, processor=None, **settings):
    """A codec, a collator without a cache, and twelve rows for it."""
    task = ImageClassification(dataset=str(images), **COLLATORS[kind], **settings)
    rows = task.load()
    codec = codec_of(task, images, rows.target, processor or tiny.processor())
    plain = codec.collate if kind == "judging" else training_collator(codec, 3)
    return codec, plain, codec.encode(rows["train"], split="train", answers=True)


def codec_of(task: ImageClassification, images: Path, target: Labels, processor) -> PictureClassifier:
    """A codec with another processor than its checkpoint's."""
    codec = task.codec(tiny.resnet(images.parent / "resnet"), target)
    codec.processor = processor
    return codec


def batches(collator, rows: Dataset, epoch: int = 0, workers: int = 0) -> torch.Tensor:
    collator.epoch = epoch
    loader = DataLoader(rows, 5, collate_fn=collator, num_workers=workers)
    return torch.cat([batch["pixel_values"] for batch in loader])


# The same, and decoded once


# Every kind of batch for one processor, and every processor for a kind that draws and one that does not.
PAIRED = [
    pytest.param(kind, name, marks=() if name == "a square" or kind in ("judging", "strong") else pytest.mark.slow)
    for name in PROCESSORS
    for kind in COLLATORS
]


@pytest.mark.parametrize(("kind", "processor"), PAIRED)
def test_batches_are_bit_by_bit_those_without_a_cache(kind, processor, images, tmp_path):
    codec, plain, rows = ready(images, kind, PROCESSORS[processor](tmp_path / "checkpoint"))
    cached = codec.store(plain, rows, tmp_path / "cache", PLENTY)
    for epoch in range(3):
        assert torch.equal(batches(cached, rows, epoch), batches(plain, rows, epoch))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", COLLATORS)
def test_an_image_is_decoded_once(kind, workers, images, tmp_path):
    """The files are gone after the epochs that show every row, mirrored or not, for the first time."""
    codec, plain, rows = ready(images, kind)
    cached = codec.store(plain, rows, tmp_path / "cache", PLENTY)
    first = 8 if kind == "only the mirror" else 1
    for epoch in range(first):
        batches(cached, rows, epoch, workers)
    later = [batches(plain, rows, epoch) for epoch in (first, first + 1)]
    shutil.rmtree(images)
    for epoch, expected in enumerate(later, first):
        assert torch.equal(batches(cached, rows, epoch, workers), expected)
    with pytest.raises(FileNotFoundError):
        batches(plain, rows, workers=0)


def test_all_views_of_judging_are_kept_apart(images, tmp_path):
    task = ImageClassification(dataset=str(images), tta="crops")
    loaded = task.load()
    codec = codec_of(task, images, loaded.target, tiny.processor())
    rows, plain = codec.encode(loaded["validation"], split="validation", answers=True), codec.collate
    cached = codec.store(plain, rows, tmp_path, PLENTY)
    expected = batches(plain, rows)
    batches(cached, rows)
    shutil.rmtree(images)
    assert torch.equal(batches(cached, rows), expected)
    assert len(expected.flatten(1).unique(dim=0)) == 5


def test_a_later_run_decodes_nothing(images, tmp_path):
    codec, plain, rows = ready(images, "strong")
    before = batches(codec.store(plain, rows, tmp_path / "cache", PLENTY), rows)
    shutil.rmtree(images)
    assert torch.equal(batches(codec.store(plain, rows, tmp_path / "cache", PLENTY), rows), before)


# What is kept is what the crops need


@pytest.mark.parametrize("scale", [(1.0, 1.0), (0.3, 0.6), (0.08, 1.0)])
def test_a_crop_of_a_kept_picture_is_that_of_the_file(scale, images):
    _, _, rows = ready(images, "light")
    photos = [row for row in rows if row["image"]["path"].endswith("jpg")]
    make = [VariedImages(tiny.processor(), images, preset=Preset(scale=scale), shrunk=shrunk) for shrunk in (0, 1)]
    assert make[1].side == math.ceil(SIDE * min(1.5, scale[0] ** -0.5))
    for epoch in range(4):
        make[0].epoch = make[1].epoch = epoch
        whole, shrunk = (each(photos)["pixel_values"] for each in make)
        assert (whole - shrunk).abs().mean() < 0.1  # of about -2 to 2
        assert (whole - shrunk.flip(-1)).abs().mean() > 0.2


def test_pictures_are_shrunk_and_never_enlarged(images, tmp_path):
    codec, plain, rows = ready(images, "light")
    cached = codec.store(plain, rows, tmp_path / "cache", PLENTY)
    batches(cached, rows)
    sizes = {}
    for row in rows:
        found = cached.kept.read(f"{row['fingerprint']}0")
        sizes[Path(row["image"]["path"]).name] = (*found.size, found.pixels.shape[1], found.pixels.shape[0])
    side = cached.side
    assert sizes["dot.png"] == (1, 1, 1, 1)
    assert sizes["strip.png"] == (300, 20, 300, 20)
    assert sizes["upside_down.jpg"] == (480, 320, round(side * 1.5), side)
    assert sizes["on_its_side.jpg"] == (61, 90, side, round(side * 90 / 61))
    widths, heights = shrunk_size(np.array([480, 1, 61]), np.array([320, 1, 90]), side)
    assert list(widths) == [round(side * 1.5), 1, side] and list(heights) == [side, 1, round(side * 90 / 61)]


def test_without_the_flag_nothing_is_shrunk_or_kept(images, tmp_path):
    codec, plain, rows = ready(images, "standard and mixed", image_cache=False)
    assert codec.store(plain, rows, tmp_path / "cache", PLENTY) is plain
    assert not (tmp_path / "cache").exists() and not plain.shrunk


class Blurred(ViTImageProcessor):
    """Shifts every pixel by what the whole picture is: no table of bytes says what it makes of them."""

    def preprocess(self, images, **settings):
        made = super().preprocess(images, **settings)
        made["pixel_values"] = made["pixel_values"] + made["pixel_values"].mean((1, 2, 3), keepdim=True) * 1e-3
        return made


def test_what_bytes_cannot_hold_is_not_kept(images, tmp_path, capsys):
    codec, plain, rows = ready(images, "judging", Blurred(size={"height": SIDE, "width": SIDE}))
    cached = codec.store(plain, rows, tmp_path / "cache", PLENTY)
    expected = batches(plain, rows)
    assert "Blurred makes more of pictures than bytes can hold" in capsys.readouterr().out
    assert cached.kept is None and torch.equal(batches(cached, rows), expected)


# What can happen to a cache


def spoil_a_pixel(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    data[200] ^= 16
    file.write_bytes(data)


def exchange_two_records(file: Path) -> None:
    data = file.read_bytes()
    one = HEAD.size + 3 * SIDE * SIDE
    file.write_bytes(data[:48] + data[48 + one : 48 + 2 * one] + data[48 : 48 + one] + data[48 + 2 * one :])


DAMAGES = {
    "a pixel": spoil_a_pixel,
    "records exchanged": exchange_two_records,
    "cut off": lambda file: file.write_bytes(file.read_bytes()[:-2000]),
    "empty": lambda file: file.write_bytes(b""),
    "something else": lambda file: file.write_bytes(b"another program's" * 1000),
    "of another version": lambda file: file.write_bytes(b"hfkit pictures 0" + file.read_bytes()[16:]),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", ["judging", pytest.param("strong", marks=pytest.mark.slow)])
def test_a_damaged_cache_is_mended(damage, kind, images, tmp_path):
    codec, plain, rows = ready(images, kind)
    expected = batches(plain, rows)
    batches(codec.store(plain, rows, tmp_path / "cache", PLENTY), rows)
    [file] = (tmp_path / "cache").iterdir()
    whole = file.read_bytes()
    DAMAGES[damage](file)
    assert file.read_bytes() != whole
    assert torch.equal(batches(codec.store(plain, rows, tmp_path / "cache", PLENTY), rows), expected)
    assert file.read_bytes() == whole


def test_a_cache_that_is_damaged_or_deleted_while_it_is_used(images, tmp_path):
    codec, plain, rows = ready(images, "strong")
    cached, expected = codec.store(plain, rows, tmp_path / "cache", PLENTY), batches(plain, rows)
    batches(cached, rows)
    DAMAGES["something else"](cached.kept.path)
    assert torch.equal(batches(cached, rows), expected)
    shutil.rmtree(tmp_path / "cache")
    assert torch.equal(batches(cached, rows), expected)
    assert not (tmp_path / "cache").exists()


@pytest.mark.slow
def test_what_is_made_otherwise_lies_in_another_file(images, tmp_path):
    """Other pixels, presets, filters, channels or pictures: never the same file."""
    others = [tiny.processor(), tiny.processor(1), tiny.processor(side=SIDE + 1)]
    others += [ViTImageProcessor(size={"height": SIDE, "width": SIDE}, resample=Pillow.Resampling.BICUBIC)]
    made = 0
    for kind in ("judging", "light", "strong"):
        for processor in others:
            codec, plain, rows = ready(images, kind, processor)
            for some in (rows, rows.select(range(6))):
                batches(codec.store(plain, some, tmp_path / "cache", PLENTY), some)
                made += 1
    assert len(list((tmp_path / "cache").iterdir())) == made


def test_a_picture_of_another_size_than_it_was_is_not_kept(tmp_path):
    file = picture_file(tmp_path, ["a", "b"], np.array([12, 12]), PLENTY)
    for key, shape in (("a", (2, 2, 3)), ("b", (3, 3, 3)), ("c", (2, 2, 3))):
        file.write(key, Picture(np.full(shape, 7, np.uint8), shape[:2]))
    assert file.read("a").pixels.tolist() == np.full((2, 2, 3), 7).tolist()
    assert file.read("b") is None and file.read("c") is None


# What it may take


def test_what_does_not_fit_is_decoded_every_time(images, tmp_path, capsys):
    codec, plain, rows = ready(images, "strong")
    expected = batches(plain, rows)
    whole = codec.store(plain, rows, tmp_path / "whole", PLENTY).kept.path.stat().st_size
    assert "Image cache" not in capsys.readouterr().out
    for budget in (whole // 2, 100, 0):
        cached = codec.store(plain, rows, tmp_path / "cache", budget)
        for _ in range(2):
            assert torch.equal(batches(cached, rows), expected)
        told = capsys.readouterr().out
        assert told.count("\n") == 1 and f"of {len(set(rows['fingerprint']))} pictures" in told
        assert sum(file.stat().st_size for file in (tmp_path / "cache").iterdir()) <= whole // 2
        assert (cached.kept is None) == (budget < 200)


def test_files_of_a_folder_share_its_budget(images, tmp_path, capsys):
    codec, training, rows = ready(images, "light")
    first = codec.store(training, rows, tmp_path, PLENTY).kept.path.stat().st_size
    judging = codec.collate
    assert codec.store(judging, rows, tmp_path, first + 1000).kept is None
    assert "Image cache: 0 of" in capsys.readouterr().out
    assert codec.store(judging, rows, tmp_path, PLENTY).kept is not None
    assert len(list(tmp_path.glob(f"*{SUFFIX}"))) == 2


def test_images_that_come_twice_are_kept_once(images, tmp_path):
    codec, plain, rows = ready(images, "light")
    assert len(codec.store(plain, rows, tmp_path / "cache", PLENTY).kept.keys) == len(rows) - 1


# In training


def train(task: ImageClassification, checkpoint: str, output: Path, **flags) -> dict[str, torch.Tensor]:
    settings = dict(num_train_epochs=2, report_to="none", disable_tqdm=True, use_cpu=True, save_strategy="no")
    args = TransferArguments(output_dir=str(output), eval_strategy="epoch", **settings, **flags)
    set_seed(0)
    rows, codec, encoded = prepare(task, checkpoint)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows, encoded=encoded)
    trainer.train()
    assert isinstance(trainer.data_collator, JudgedImages) and len(trainer.predictions("test")) == 1
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def test_a_run_learns_the_same_and_leaves_no_cache_behind(images, tmp_path):
    checkpoint, task = tiny.resnet(tmp_path / "checkpoint"), ImageClassification(dataset=str(images), flip="horizontal")
    without = train(task, checkpoint, tmp_path / "without", cache_budget=0)
    ways = {"own": {}, "workers": {"dataloader_num_workers": 2}, "given": {"cache_dir": str(tmp_path / "kept")}}
    for name, flags in {**ways, "again": ways["given"]}.items():
        weights = train(task, checkpoint, tmp_path / name, **flags)
        assert all(torch.equal(weights[key], without[key]) for key in without), name
        assert not list((tmp_path / name).rglob(f"*{SUFFIX}"))
    assert len(list((tmp_path / "kept").iterdir())) == 2  # for training, and for validation


def test_a_budget_below_nothing_is_refused(tmp_path):
    with pytest.raises(UserError, match="cache_budget"):
        TransferArguments(output_dir=str(tmp_path), cache_budget=-1.0)
