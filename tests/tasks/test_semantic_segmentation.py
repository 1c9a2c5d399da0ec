"""Semantic segmentation: every pixel has one answer, at the size of the picture, and masks are never off by one."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image as Pillow
from transformers import AutoImageProcessor, pipeline, set_seed

from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse
from hfkit.contract.abilities import training_collator
from hfkit.data.digests import rows_digest
from hfkit.data.images.runs import decode_runs_of
from hfkit.errors import DataError, UserError
from hfkit.hub.lint import lint
from hfkit.inference.saved import load_saved
from hfkit.report.schema import validate
from hfkit.tasks import SemanticSegmentation
from hfkit.tasks.losses import IGNORED
from tests.fixtures.commands import hfkit as command
from tests.fixtures.encoding import prepare, run_model
from tests.tiny import masks as tiny


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> str:
    return tiny.segformer(tmp_path_factory.mktemp("segformer"))


@pytest.fixture(scope="module")
def masks(tmp_path_factory) -> str:
    """12 pictures to learn from, with a disc and a square each."""
    return tiny.mask_folder(tmp_path_factory.mktemp("masks"))


# What is read


def test_folders_become_rows_that_say_what_their_masks_hold(masks):
    rows = SemanticSegmentation(dataset=masks).load()
    assert {split: len(of) for split, of in rows.splits.items()} == {"train": 12, "validation": 4, "test": 4}
    assert rows.labels == list(tiny.NAMES) and rows.target.values == (0, 1, 2)
    assert "masks: 0 is 'ground', 1 is 'disc', 2 is 'square', 255 means no class" in rows.notes
    first, (_, mask) = rows["test"][0], tiny.pair(2000)
    counts = np.bincount(np.asarray(mask).ravel())
    assert (first["values"], first["pixels"]) == ([0, 1, 2], counts.tolist())
    gold = SemanticSegmentation(dataset=masks).rows.references(rows["test"])[0]
    assert gold.names == tiny.NAMES and (gold.ids() == np.asarray(mask)).all()


def test_columns_of_images_become_the_same_rows(masks, tmp_path):
    pairs = [tiny.pair(number) for number in range(3)]
    rows = [tiny.row(mask, picture) for picture, mask in pairs]
    dataset = tiny.mask_parquet(tmp_path / "data", dict.fromkeys(("train", "validation", "test"), rows))
    task = SemanticSegmentation(dataset=dataset, class_names=",".join(tiny.NAMES))
    loaded = task.load()
    for gold, (_, mask) in zip(task.rows.references(loaded["train"]), pairs, strict=True):
        assert (gold.ids() == np.asarray(mask)).all()
    facts = task.rows.facts(loaded.splits)["train"]
    assert facts["images_with"] == {"ground": 3, "disc": 3, "square": 3}
    assert sum(facts["share_of_pixels"].values()) == pytest.approx(1)


def fault(tmp_path: Path, bad: dict, split: str = "train", **flags) -> DataError:
    """The error that a row makes beside three good ones."""
    good = [tiny.row(mask, picture) for picture, mask in map(tiny.pair, range(3))]
    rows = {name: [*good, bad] if name == split else good for name in ("train", "validation", "test")}
    dataset = tiny.mask_parquet(tmp_path / "data", rows)
    with pytest.raises(DataError) as error:
        SemanticSegmentation(dataset=dataset, **flags).load()
    assert str(error.value).startswith(f"split '{split}', row 3, column 'mask'")
    return error.value


def grey(number: int, size: tuple[int, int] = (36, 28)) -> Pillow.Image:
    return Pillow.new("L", size, number)


def speckled(number: int) -> Pillow.Image:
    mask = grey(1)
    mask.putpixel((3, 3), number)
    return mask


@pytest.mark.parametrize(
    ("bad", "split", "words"),
    [
        (tiny.row(grey(1, (30, 20)), Pillow.new("RGB", (36, 28))), "train", "30 x 20 pixels, the picture has 36 x 28"),
        (tiny.row(Pillow.new("RGB", (36, 28), "red")), "train", "--palette"),
        (tiny.row(speckled(9)), "test", "the number 9 in 1 pixels"),
        (tiny.row(grey(255)), "train", "a mask of 255 alone"),
        (tiny.row(grey(1), kind="JPEG"), "train", "JPEG blurs"),
        ({**tiny.row(grey(1)), "mask": None}, "validation", "every picture has a mask"),
    ],
    ids=["size", "colours", "unknown", "no class", "lossy", "missing"],
)
def test_a_bad_mask_is_named(bad, split, words, tmp_path):
    assert words in str(fault(tmp_path, bad, split))


def test_bad_masks_can_be_skipped_and_are_counted(tmp_path):
    pairs = [tiny.pair(number) for number in range(3)]
    bad = [tiny.row(grey(1), kind="JPEG"), tiny.row(grey(255)), {**tiny.row(grey(1)), "mask": None}]
    rows = [*bad, *(tiny.row(mask, picture) for picture, mask in pairs)]
    dataset = tiny.mask_parquet(tmp_path / "data", dict.fromkeys(("train", "validation", "test"), rows))
    task = SemanticSegmentation(dataset=dataset, on_bad_row="skip")
    loaded = task.load()
    assert len(loaded["train"]) == 3 and list(task.rows.facts(loaded.splits)["train"]["skipped"].values()) == [1, 1, 1]


def test_a_number_beyond_the_names_is_a_fault_of_training_too(tmp_path):
    assert "--class_names" in str(fault(tmp_path, tiny.row(speckled(7)), class_names=",".join(tiny.NAMES)))


def test_masks_of_one_class_teach_nothing(tmp_path):
    dataset = tiny.mask_parquet(tmp_path / "data", {"train": [tiny.row(grey(1))] * 4})
    with pytest.raises(UserError, match="two classes or more"):
        SemanticSegmentation(dataset=dataset).load()


def test_colours_are_read_by_a_palette(tmp_path):
    mask = Pillow.new("RGB", (8, 8), (0, 0, 255))
    mask.paste((0, 128, 0), (0, 0, 4, 8))
    rows = [tiny.row(mask, Pillow.new("RGB", (8, 8), (number, 0, 0))) for number in range(10)]
    dataset = tiny.mask_parquet(tmp_path / "data", {"train": rows})
    task = SemanticSegmentation(dataset=dataset, palette="sky:0,0,255; tree:0,128,0")
    rows = task.load()
    assert rows.labels == ["sky", "tree"]
    assert task.rows.references(rows["train"])[0].ids().mean() == 0.5


def test_a_checkpoint_that_answers_with_queries_is_refused(tmp_path):
    from transformers import MaskFormerConfig

    MaskFormerConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match=r"maskformer answers with masks of queries"):
        SemanticSegmentation().codec(str(tmp_path), SemanticSegmentation().guess_target(2))


# What the model sees


def test_labels_are_those_of_the_stock_processor(masks, checkpoint):
    task = SemanticSegmentation(dataset=masks)
    loaded, codec, encoded = prepare(task, checkpoint)
    batch = codec.collate([encoded["test"][row] for row in range(4)])
    own = AutoImageProcessor.from_pretrained(checkpoint)
    pictures = [Pillow.open(row["image"]["path"]) for row in loaded["test"]]
    maps = [Pillow.open(row["mask"]["path"]) for row in loaded["test"]]
    stock = own(pictures, segmentation_maps=maps, return_tensors="pt")
    assert torch.equal(batch["pixel_values"], stock["pixel_values"])
    assert torch.equal(batch["labels"], stock["labels"])
    assert batch["sizes"].tolist() == [[28, 36]] * 4 and set(codec.inputs(batch)) == {"pixel_values"}


def test_reduced_labels_are_those_of_the_stock_processor(masks, checkpoint):
    task = SemanticSegmentation(dataset=masks, reduce_labels=True, class_names="disc,square")
    loaded, codec, encoded = prepare(task, checkpoint)
    assert loaded.labels == ["disc", "square"] and loaded.target.values == (1, 2)
    labels = codec.collate([encoded["test"][0]])["labels"]
    own = AutoImageProcessor.from_pretrained(checkpoint, do_reduce_labels=True)
    row = loaded["test"][0]
    stock = own(
        Pillow.open(row["image"]["path"]), segmentation_maps=Pillow.open(row["mask"]["path"]), return_tensors="pt"
    )["labels"]
    assert torch.equal(labels.masked_fill(labels == IGNORED, 255), stock)


def test_a_run_is_the_same_where_its_files_move_and_another_where_a_mask_changes(masks, checkpoint, tmp_path):
    moved = Path(shutil.copytree(masks, tmp_path / "moved"))

    def digest(place: str | Path) -> str:
        return rows_digest(prepare(SemanticSegmentation(dataset=str(place)), checkpoint)[2]["train"])

    before = digest(masks)
    assert digest(moved) == before
    place = moved / "train" / "masks" / "0.png"
    Pillow.open(place).transpose(Pillow.Transpose.FLIP_LEFT_RIGHT).save(place)  # as many pixels of each class
    assert digest(moved) != before


@pytest.mark.parametrize("augmentation", ["none", "light", "strong"])
@pytest.mark.parametrize("cached", [True, False])
def test_masks_vary_in_step_with_their_pictures(augmentation, cached, checkpoint, tmp_path):
    """Pictures that show their own masks, as grey: whatever is done to one must be done to the other."""
    rows = []
    for number in range(6):
        _, mask = tiny.pair(number, (64, 64))
        rows.append(tiny.row(mask, mask.point(lambda value: 120 * value).convert("RGB")))
    dataset = tiny.mask_parquet(tmp_path / "data", dict.fromkeys(("train", "validation", "test"), rows))
    task = SemanticSegmentation(dataset=dataset, augmentation=augmentation, flip="horizontal", image_cache=cached)
    _, codec, encoded = prepare(task, checkpoint)
    collator, scale = training_collator(codec, 5), codec.collate.scale
    if augmentation != "none":
        collator.augmentation.steps = []  # colours would move the numbers
    seen = []
    for collator.epoch in range(3):
        batch = collator([encoded["train"][row] for row in range(6)])
        shown = scale.pixels(batch["pixel_values"])[:, 0].float() / 120
        agree = (shown.round().long().clamp(max=2) == batch["labels"]).float().mean()
        assert agree > 0.93, (collator.epoch, agree)
        seen.append(batch["labels"])
    assert not torch.equal(seen[0], seen[1])
    collator.epoch = 0
    again = collator([encoded["train"][row] for row in (3, 1)])
    assert torch.equal(again["labels"], seen[0][[3, 1]])  # a function of seed, epoch and row alone


def test_classes_weigh_alike_where_they_are_to(masks, checkpoint):
    task = SemanticSegmentation(dataset=masks, class_weights="balanced")
    loaded, codec, encoded = prepare(task, checkpoint)
    codec.fit_loss(encoded["train"])
    gold = np.concatenate([one.ids().ravel() for one in task.rows.references(loaded["train"])])
    counts = np.bincount(gold, minlength=3)
    assert codec.weights.tolist() == pytest.approx((counts.sum() / (3 * counts)).tolist(), rel=1e-6)


@pytest.mark.parametrize("loss", ["cross-entropy", "both"])
def test_micro_batches_add_up_to_their_step(loss, masks, checkpoint):
    _, codec, encoded = prepare(SemanticSegmentation(dataset=masks, loss=loss), checkpoint)
    codec.fit_loss(encoded["train"])
    model = codec.model().eval()
    rows = [encoded["train"][row] for row in range(4)]
    parts = [codec.collate(rows[:1]), codec.collate(rows[1:])]
    items = sum((part["labels"] != IGNORED).sum() for part in parts)
    in_parts = sum(codec.loss(model, part, items)[0].item() for part in parts)
    if loss == "cross-entropy":
        assert in_parts == pytest.approx(codec.loss(model, codec.collate(rows))[0].item(), rel=1e-5)
    alone = [codec.loss(model, part)[0].item() * (part["labels"] != IGNORED).sum().item() for part in parts]
    assert in_parts == pytest.approx(sum(alone) / items.item(), rel=1e-5)


def test_losses_that_cannot_take_a_flag_refuse_it(masks, checkpoint):
    _, codec, encoded = prepare(SemanticSegmentation(dataset=masks, loss="dice"), checkpoint)
    with pytest.raises(UserError, match="smooths no labels"):
        codec.fit_loss(encoded["train"], label_smoothing=0.1)
    with pytest.raises(UserError, match="weighs no pixel"):
        codec.focus(2.0)


# What it answers


def test_answers_are_those_of_stock_post_processing_at_each_pictures_size(checkpoint, tmp_path):
    rows = [tiny.row(mask, picture) for picture, mask in (tiny.pair(n, (30 + 7 * n, 50 - 5 * n)) for n in range(4))]
    dataset = tiny.mask_parquet(tmp_path / "data", dict.fromkeys(("train", "validation", "test"), rows))
    _, codec, encoded = prepare(SemanticSegmentation(dataset=dataset), checkpoint)
    model = codec.model().eval()
    answers = codec.decode(run_model(codec, model, encoded["test"], batch_size=3), encoded["test"])
    batch = codec.collate([encoded["test"][row] for row in range(4)])
    with torch.no_grad():
        output = model(**codec.inputs(batch))
    stock = codec.processor.post_process_semantic_segmentation(output, target_sizes=batch["sizes"].tolist())
    for answer, wanted in zip(answers, stock, strict=True):
        assert (answer.ids() == wanted.numpy()).all() and answer.names == codec.target.names


def test_outputs_of_a_split_take_a_fraction_of_a_byte_a_pixel(masks, checkpoint):
    _, codec, encoded = prepare(SemanticSegmentation(dataset=masks), checkpoint)
    rows = [{**encoded["test"][0], "upright_width": 1000, "upright_height": 800, "row": row} for row in range(3)]
    outputs = codec.outputs(codec.model().eval(), codec.collate(rows))
    assert sum(value.numel() * value.element_size() for value in outputs.values()) < 0.1 * 3 * 800_000


# From the rows to a finished model


@pytest.fixture(scope="module")
def finished(checkpoint, masks, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("finished") / "run"
    argv = ["--checkpoint", checkpoint, "--dataset", masks, "--output_dir", str(folder), "--use_cpu"]
    recipe, task, args = parse(
        (RecipeArguments, SemanticSegmentation, TransferArguments),
        argv=argv,
        num_train_epochs=8,
        learning_rate=1e-2,
        per_device_train_batch_size=4,
        strategy="full",
        report_to="none",
        disable_tqdm=True,
        **KEEP_BEST,
    )
    set_seed(args.seed)
    rows = task.load()
    codec = task.codec(recipe.checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    trainer.save_model()
    trainer.publish(trainer.report(recipe))
    return folder


def test_it_learns_and_its_report_draws_both_sides(finished):
    report = json.loads((finished / "report.json").read_text())
    validate(report)
    scores = report["contenders"][0]["scores"]
    assert scores["mean_iou"] > 0.4 and scores["pixel_accuracy"] > 0.8
    assert set(scores) == {"mean_iou", "dice", "pixel_accuracy", "boundary_f1"}
    assert set(report["breakdown"]["per_class"]) == set(tiny.NAMES)
    error = report["errors"][0]
    assert error["gold"]["drawn"] != error["predicted"]["drawn"] and error["gold"]["areas"]
    assert 'class="sides three"' in (finished / "report.html").read_text()
    assert report["task"]["name"] == "image-segmentation" and lint(finished) == []


def test_a_saved_model_answers_as_in_its_report(finished, masks):
    saved = load_saved(str(finished), dataset=masks)
    assert saved.codec.target.names == tiny.NAMES
    loaded = saved.task.load()
    predictions, gold = saved.predictions(loaded["test"]), saved.task.rows.references(loaded["test"])
    report = json.loads((finished / "report.json").read_text())
    assert saved.task.judge.score(predictions, gold) == pytest.approx(report["contenders"][0]["scores"])


def test_predict_writes_run_lengths_that_the_stock_pipeline_agrees_with(finished, masks, tmp_path):
    place = Path(masks, "test", "images", "0.png")
    result = command("predict", str(finished), str(place))
    assert result.exit_code == 0, result.output
    record = json.loads(result.stdout.splitlines()[-1])["prediction"]
    assert record["size"] == [28, 36]
    areas = {
        area["label"]: decode_runs_of({"size": record["size"], "counts": area["counts"]}) for area in record["areas"]
    }
    assert sum(mask.astype(int) for mask in areas.values()).tolist() == np.ones((28, 36), int).tolist()
    for found in pipeline("image-segmentation", str(finished))(str(place), subtask="semantic"):
        assert ((np.asarray(found["mask"]) > 0) == areas[found["label"]]).all()


def test_it_is_evaluated_on_other_masks_with_the_same_numbers(finished, masks, tmp_path):
    out = tmp_path / "evaluation"
    result = command("evaluate", str(finished), "--dataset", masks, "--output_dir", str(out))
    assert result.exit_code == 0, result.output
    again, first = (json.loads((folder / "report.json").read_text()) for folder in (out, finished))
    assert again["contenders"][0]["scores"] == first["contenders"][0]["scores"]
