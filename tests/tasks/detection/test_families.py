"""Families of detectors on the whole path: their own loss, a new head, boxes ranked as their image processors rank
them, and the same answers from what was saved."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers as hf
from datasets import Dataset, Image
from transformers import AutoModelForObjectDetection, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.inference.saved import load_saved
from hfkit.samples import objects
from hfkit.tasks import ObjectDetection
from hfkit.tasks.detection.codec import MOST_BOXES
from tests.fixtures.runs import at

RESNET = {"embedding_size": 8, "hidden_sizes": [8, 8, 16, 16], "depths": [1, 1, 1, 1], "layer_type": "basic"}
CLASSES = {"id2label": {0: "ring", 1: "gear", 2: "lens"}, "label2id": {"ring": 0, "gear": 1, "lens": 2}}
DETR = {
    "use_timm_backbone": False,
    "d_model": 16,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "num_queries": 12,
    **CLASSES,
}
LEVELS = {
    "encoder_in_channels": [8, 16, 16],
    "encoder_hidden_dim": 16,
    "encoder_ffn_dim": 32,
    "encoder_layers": 1,
    "encoder_attention_heads": 2,
    "d_model": 16,
    "decoder_in_channels": [16, 16, 16],
    "decoder_ffn_dim": 32,
    "decoder_layers": 2,
    "decoder_attention_heads": 2,
    "hidden_expansion": 0.5,
    "num_queries": 12,
    "num_denoising": 6,
    "freeze_backbone_batch_norms": False,
    **CLASSES,
}


def resnet(*stages: str) -> hf.ResNetConfig:
    return hf.ResNetConfig(**RESNET, out_features=list(stages))


def rt_resnet() -> hf.RTDetrResNetConfig:
    return hf.RTDetrResNetConfig(**RESNET, out_features=["stage2", "stage3", "stage4"])


def hgnet() -> hf.HGNetV2Config:
    return hf.HGNetV2Config(
        stem_channels=[3, 8, 8],
        stage_in_channels=[8, 8, 16, 16],
        stage_mid_channels=[8, 8, 8, 8],
        stage_out_channels=[8, 16, 16, 16],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        embedding_size=8,
        out_features=["stage2", "stage3", "stage4"],
    )


@dataclass(frozen=True)
class Family:
    """A detector with random weights, and the processor of its kind."""

    config: Callable[[], Any]
    processor: Callable[[], Any]


def stretched() -> hf.RTDetrImageProcessor:
    return hf.RTDetrImageProcessor(size={"height": 64, "width": 64})


def padded(kind: type) -> Callable[[], Any]:
    return lambda: kind(size={"shortest_edge": 48, "longest_edge": 64})


FAMILIES = {
    "DETR": Family(lambda: hf.DetrConfig(**DETR, backbone_config=resnet("stage4")), padded(hf.DetrImageProcessor)),
    "Conditional DETR": Family(
        lambda: hf.ConditionalDetrConfig(**DETR, backbone_config=resnet("stage4")),
        padded(hf.ConditionalDetrImageProcessor),
    ),
    "Deformable DETR": Family(
        lambda: hf.DeformableDetrConfig(
            **DETR | {"d_model": 32}, backbone_config=resnet("stage2", "stage3", "stage4"), num_feature_levels=3
        ),
        padded(hf.DeformableDetrImageProcessor),
    ),
    "RT-DETR": Family(lambda: hf.RTDetrConfig(**LEVELS, backbone_config=rt_resnet(), num_feature_levels=3), stretched),
    "RT-DETRv2": Family(
        lambda: hf.RTDetrV2Config(**LEVELS, backbone_config=rt_resnet(), num_feature_levels=3), stretched
    ),
    "D-FINE": Family(
        lambda: hf.DFineConfig(**LEVELS | {"encoder_in_channels": [16, 16, 16]}, backbone_config=hgnet()), stretched
    ),
    "YOLOS": Family(
        lambda: hf.YolosConfig(
            hidden_size=16,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=32,
            image_size=[64, 64],
            patch_size=8,
            num_detection_tokens=10,
            use_mid_position_embeddings=False,
            **CLASSES,
        ),
        padded(hf.YolosImageProcessor),
    ),
    "RF-DETR": Family(
        lambda: hf.RfDetrConfig(
            backbone_config={
                "model_type": "rf_detr_dinov2",
                "hidden_size": 24,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 48,
                "image_size": 64,
                "patch_size": 8,
                "num_windows": 1,
                "out_features": ["stage1", "stage2"],
            },
            d_model=16,
            num_queries=12,
            decoder_layers=2,
            decoder_self_attention_heads=2,
            decoder_cross_attention_heads=2,
            decoder_ffn_dim=32,
            group_detr=1,
            **CLASSES,
        ),
        stretched,
    ),
}
IN_EVERY_RUN = ("YOLOS",)


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    """Eight pictures a split, of unlike sizes."""
    return save_shapes(tmp_path_factory.mktemp("shapes"))


def save_shapes(folder: Path) -> str:
    """A folder of tables with eight pictures a split."""
    for place, split in enumerate(("train", "validation", "test")):
        rows = [objects.to_row(objects.draw_scene(np.random.RandomState(100 * place + row))) for row in range(8)]
        for row in rows:
            row["objects"]["box_format"] = "xywh"  # so few boxes leave a doubt
        Dataset.from_list(rows).cast_column("image", Image()).to_parquet(folder / f"{split}.parquet")
    return str(folder)


def save(name: str, folder: Path) -> str:
    """A checkpoint of a family for three other classes."""
    torch.manual_seed(0)
    AutoModelForObjectDetection.from_config(FAMILIES[name].config()).save_pretrained(folder)
    FAMILIES[name].processor().save_pretrained(folder)
    return str(folder)


def arguments(folder: Path, **changes: Any) -> TransferArguments:
    plain = {
        "output_dir": str(folder),
        "num_train_epochs": 1,
        "per_device_train_batch_size": 4,
        "per_device_eval_batch_size": 3,
        "strategy": "full",
        "report_to": "none",
        "disable_tqdm": True,
        "use_cpu": True,
        "save_strategy": "no",
        "eval_strategy": "epoch",
    }
    return TransferArguments(**plain | changes)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow) for name in FAMILIES]
)
def test_a_family_goes_the_whole_path(name, data, tmp_path):
    checkpoint = save(name, tmp_path / "checkpoint")
    task = ObjectDetection(dataset=data, augmentation="strong", flip="horizontal")
    args = arguments(tmp_path / "run")
    set_seed(args.seed)
    rows = task.load(checkpoint)
    codec = task.codec(checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    assert trainer.model.config.num_labels == 4
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert np.isfinite([*losses, trainer.evaluate()["eval_loss"]]).all()
    trainer.tune_decision()
    trainer.save_model()

    # What was saved answers alike, in batches of other sizes.
    answers = trainer.predictions("test")
    plain = AutoModelForObjectDetection.from_pretrained(tmp_path / "run")
    assert type(plain) is type(trainer.model)
    saved = load_saved(str(tmp_path / "run"))
    assert saved.codec.threshold == codec.threshold
    again = saved.predictions(rows["test"], batch_size=3)
    for one, other in zip(answers, again, strict=True):
        assert one["labels"] == other["labels"] and one["kept"] == other["kept"]
        assert np.allclose(one["boxes"], other["boxes"], atol=1e-3)

    # The ranked boxes are those of the processor, which may give fewer of them.
    model, row = trainer.model.eval(), trainer.encoded["test"].select([1])
    batch = codec.collate([row[0]])
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.2 * torch.randn_like(weight)  # of equal scores any order would do
        output = model(**codec.inputs(batch))
        outputs = {key: value.numpy() for key, value in codec.outputs(model, batch).items()}
    (answer,) = codec.decode(outputs, row)
    size = torch.tensor([[row[0]["height"], row[0]["width"]]])
    (stock,) = codec.processor.post_process_object_detection(output, threshold=0.0, target_sizes=size)
    order = stock["scores"].argsort(descending=True, stable=True)[:MOST_BOXES]
    assert len(answer["scores"]) >= len(order) > 5 and np.ptp(answer["scores"]) > 1e-3
    assert answer["scores"][: len(order)] == pytest.approx(stock["scores"][order].numpy(), abs=1e-6)
    assert np.allclose(answer["boxes"][: len(order)], stock["boxes"][order].numpy(), atol=1e-3)
    names = [model.config.id2label[number] for number in stock["labels"][order].tolist()]
    assert answer["labels"][: len(order)] == names


@pytest.mark.parametrize(
    "name", ["YOLOS", *(pytest.param(name, marks=pytest.mark.slow) for name in ("DETR", "RT-DETR"))]
)
def test_a_run_that_breaks_off_is_resumed_to_the_same_bits(name, data, tmp_path):
    """8 pictures, 3 a batch: 3 steps an epoch. It breaks off in the second one, one step behind its last checkpoint."""
    checkpoint = save(name, tmp_path / "checkpoint")
    task = ObjectDetection(dataset=data, augmentation="strong", flip="horizontal", mosaic=True)
    rows = task.load(checkpoint)

    def make(folder: str, *callbacks: hf.TrainerCallback) -> TransferTrainer:
        flags = {"strategy": "gradual", "head_only": 0.2, "unfreeze_stages": 2, "unfreeze_until": 0.5}
        args = arguments(
            tmp_path / folder,
            **flags,
            num_train_epochs=2,
            per_device_train_batch_size=3,
            learning_rate=1e-3,
            save_strategy="steps",
            save_steps=2,
            logging_steps=1,
            load_best_model_at_end=True,
            eval_strategy="steps",
            eval_steps=2,
            metric_for_best_model="map",
        )
        set_seed(args.seed)
        codec = task.codec(checkpoint, rows.target)
        trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
        for callback in callbacks:
            trainer.add_callback(callback)
        return trainer

    def break_off(args: Any, state: Any, control: Any, **rest: Any) -> None:
        if state.global_step == 5:
            raise BrokenPipeError

    whole = make("whole")
    whole.train()
    with pytest.raises(BrokenPipeError):
        make("broken", at("on_step_end", break_off)).train()
    resumed = make("broken")
    resumed.train(resume_from_checkpoint="auto")
    for trainer in (whole, resumed):
        trainer.tune_decision()
    ours, theirs = (trainer.model.state_dict() for trainer in (resumed, whole))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)
    losses = [[one["loss"] for one in trainer.state.log_history if "loss" in one] for trainer in (resumed, whole)]
    assert losses[0] == losses[1] and len(losses[0]) == 6
    assert resumed.codec.threshold == whole.codec.threshold
