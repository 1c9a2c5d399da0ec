"""Every family with a mask for each object on the whole path: trained in stages, judged, saved, read by transformers
alone, and resumed with the same bits."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
import transformers as hf
from datasets import Dataset, Image
from transformers import AutoImageProcessor, AutoModelForUniversalSegmentation, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.data.images.pictures import decode_image
from hfkit.data.images.runs import decode_runs_of, encode_runs
from hfkit.errors import UserError
from hfkit.inference.saved import load_saved
from hfkit.samples import objects
from hfkit.tasks import InstanceSegmentation
from hfkit.tasks.instances.reading import CLASSES, MASKS, read_instances

STAGES = ["stage1", "stage2", "stage3", "stage4"]
SIDE = {"height": 64, "width": 64}
LABELS = {"id2label": {0: "gear", 1: "lens"}, "label2id": {"gear": 0, "lens": 1}}


def swin() -> hf.SwinConfig:
    return hf.SwinConfig(
        image_size=64, embed_dim=8, depths=[1, 1, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, out_features=STAGES
    )


def resnet() -> hf.ResNetConfig:
    return hf.ResNetConfig(
        embedding_size=8, hidden_sizes=[8, 8, 16, 16], depths=[1] * 4, layer_type="basic", out_features=STAGES
    )


def mask2former(backbone: hf.PreTrainedConfig) -> hf.Mask2FormerConfig:
    return hf.Mask2FormerConfig(
        backbone_config=backbone, feature_size=32, mask_feature_size=32, hidden_dim=32, encoder_feedforward_dim=32,
        encoder_layers=1, decoder_layers=3, num_attention_heads=2, dim_feedforward=32, num_queries=8,
        train_num_points=64, **LABELS,
    )  # fmt: skip


def maskformer() -> hf.MaskFormerConfig:
    decoder = hf.DetrConfig(
        backbone_config=resnet(), d_model=32, encoder_layers=1, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_queries=8,
    )  # fmt: skip
    return hf.MaskFormerConfig(
        backbone_config=resnet(), decoder_config=decoder, fpn_feature_size=32, mask_feature_size=32, **LABELS
    )


class Family(NamedTuple):
    """A tiny configuration, and the processor of its images."""

    config: Callable[[], hf.PreTrainedConfig]
    processor: Callable[[], Any]


FAMILIES = {
    "Mask2Former": Family(lambda: mask2former(swin()), lambda: hf.Mask2FormerImageProcessor(size=SIDE)),
    "MaskFormer": Family(maskformer, lambda: hf.MaskFormerImageProcessor(size=SIDE)),
    # Pictures keep their shape, and small ones are filled up.
    "Mask2Former, padded": Family(
        lambda: mask2former(swin()),
        lambda: hf.Mask2FormerImageProcessor(size={"shortest_edge": 48, "longest_edge": 96}, ignore_index=255),
    ),
}


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return save_shapes(tmp_path_factory.mktemp("shapes"))


def save_shapes(folder: Path, pictures: int = 8) -> str:
    """A folder of tables with a few pictures a split, of unlike sizes, and the run lengths of the shapes in them."""
    for place, split in enumerate(("train", "validation", "test")):
        scenes = [objects.draw_scene(np.random.RandomState(100 * place + row)) for row in range(pictures)]
        rows = Dataset.from_list([objects.to_instances(scene) for scene in scenes])
        rows.cast_column("image", Image()).to_parquet(folder / f"{split}.parquet")
    return str(folder)


def save(name: str, folder: Path) -> str:
    """A checkpoint of a family for two other classes, whose answers are not all alike."""
    torch.manual_seed(0)
    model = AutoModelForUniversalSegmentation.from_config(FAMILIES[name].config())
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.1 * torch.randn_like(weight)
    model.save_pretrained(folder)
    FAMILIES[name].processor().save_pretrained(folder)
    return str(folder)


def train(checkpoint: str, data: str, folder: Path, resume: str | None = None, **flags: Any) -> TransferTrainer:
    task = InstanceSegmentation(dataset=data, augmentation="strong", flip="horizontal")
    plain = {"strategy": "gradual", "head_only": 0.17, "unfreeze_stages": 2, "unfreeze_until": 0.67, "max_steps": 6}
    args = TransferArguments(
        output_dir=str(folder), per_device_train_batch_size=4, per_device_eval_batch_size=3, learning_rate=1e-3,
        report_to="none", disable_tqdm=True, use_cpu=True, save_strategy="steps", save_steps=3, logging_steps=1,
        **plain | flags,
    )  # fmt: skip
    set_seed(args.seed)
    rows = task.load(checkpoint)
    codec = task.codec(checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_it_goes_the_whole_path(name, data, tmp_path):
    checkpoint = save(name, tmp_path / "checkpoint")
    trainer = train(checkpoint, data, tmp_path / "run")
    assert len({row["stage"] for row in trainer.plan_rows()} - {0}) >= 2
    assert trainer.model.config.id2label == dict(enumerate(sorted(objects.OUTLINES)))
    begun = AutoModelForUniversalSegmentation.from_pretrained(checkpoint).state_dict()
    ended = trainer.model.state_dict()
    still = [key for key, value in begun.items() if key in ended and ended[key].equal(value)]
    assert len(still) < len(begun) / 2, still
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    trainer.tune_decision()
    trainer.save_model()

    # What was saved answers alike, and loads into transformers as a whole.
    answers = trainer.predictions("test")
    assert len(answers) == 8 and sum(len(answer["runs"]) for answer in answers) > 0
    saved = load_saved(str(tmp_path / "run"), dataset=data)
    assert saved.task.key == "instance-segmentation" and saved.codec.threshold == trainer.codec.threshold
    assert saved.predictions(saved.task.load()["test"], batch_size=3) == answers
    plain, info = AutoModelForUniversalSegmentation.from_pretrained(tmp_path / "run", output_loading_info=True)
    assert not info["missing_keys"] and type(plain) is type(trainer.model)
    resumed = train(checkpoint, data, tmp_path / "run", resume=str(tmp_path / "run" / "checkpoint-3"))
    ours, theirs = (one.model.state_dict() for one in (resumed, trainer))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_batches_and_answers_are_those_of_the_image_processor(data, tmp_path):
    checkpoint = save("Mask2Former", tmp_path)
    task = InstanceSegmentation(dataset=data, augmentation="none")
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    encoded = codec.encode(rows["test"], split="test", answers=True)
    chosen = [encoded[row] for row in range(4)]
    batch = codec.collate(chosen)
    maps, classes = [], []
    for row in chosen:
        numbers, of_row = np.zeros((row["height"], row["width"]), np.int32), {}
        for place, (runs, label) in enumerate(zip(row["runs"], row["class_labels"], strict=True), 1):
            numbers[decode_runs_of({"size": numbers.shape, "counts": runs})] = place
            of_row[place] = label
        maps.append(numbers)
        classes.append(of_row)
    processor = AutoImageProcessor.from_pretrained(checkpoint)
    pictures = [decode_image(row["image"], Path(), 3) for row in chosen]
    stock = processor(pictures, maps, instance_id_to_semantic_id=classes, ignore_index=0, return_tensors="pt")
    assert torch.equal(batch["pixel_values"], stock["pixel_values"])
    for row in range(4):
        known = batch["class_labels"][row] >= 0
        assert torch.equal(batch["class_labels"][row][known], stock["class_labels"][row])
        assert torch.equal(batch["mask_labels"][row][known].float(), stock["mask_labels"][row])
    model = codec.model().eval()
    with torch.no_grad():
        torch.manual_seed(0)
        loss, output = codec.loss(model, batch)
        torch.manual_seed(0)
        assert torch.equal(loss, model(**stock).loss)
        outputs = {name: value.numpy() for name, value in codec.outputs(model, batch, output).items()}
    sizes = [(row["height"], row["width"]) for row in chosen]
    theirs = processor.post_process_instance_segmentation(
        output, threshold=0.0, target_sizes=sizes, return_binary_maps=True
    )
    for answer, found, size in zip(codec.decode(outputs, encoded.select(range(4))), theirs, sizes, strict=True):
        order = sorted(range(len(found["segments_info"])), key=lambda place: -found["segments_info"][place]["score"])
        segments = [found["segments_info"][place] for place in order]
        assert len(segments) > 3 and answer["scores"] == [one["score"] for one in segments]
        assert answer["labels"] == [rows.target.names[one["label_id"]] for one in segments]
        masks = [found["segmentation"][place].numpy() > 0 for place in order]
        assert answer["runs"] == [encode_runs(mask)["counts"] for mask in masks] and answer["size"] == size


def test_a_small_picture_beside_a_large_one_is_answered_as_alone():
    """What fills it up is no part of its masks."""
    torch.manual_seed(0)
    logits = {CLASSES: torch.randn(1, 5, 3), MASKS: torch.randn(1, 5, 16, 16).cumsum(-1)}
    padded = {CLASSES: logits[CLASSES], MASKS: torch.nn.functional.pad(logits[MASKS], (0, 8, 0, 0), value=9.0)}
    processor = hf.Mask2FormerImageProcessor()
    alone = read_instances(processor, logits, 0, (30, 40))
    assert len(alone.runs) > 2 and read_instances(processor, padded, 0, (30, 40), (1.0, 16 / 24)) == alone


def test_other_families_are_refused_by_name(tmp_path):
    for kind, why in (
        ("eomt", "a way of its own"),
        ("segformer", "no mask for each object"),
        ("rf_detr", "made by another class"),
    ):
        (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
        with pytest.raises(UserError, match=rf"{kind} .*{why}.*Take a checkpoint of mask2former or maskformer"):
            InstanceSegmentation().codec(str(tmp_path), InstanceSegmentation().guess_target(2))
