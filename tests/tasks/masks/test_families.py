"""Every family with a class for every pixel on the whole path: trained in stages, judged, saved, read by transformers
alone, and resumed with the same bits."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
import transformers as hf
from transformers import AutoImageProcessor, AutoModelForSemanticSegmentation, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.errors import UserError
from hfkit.inference.saved import load_saved
from hfkit.tasks import SemanticSegmentation
from tests.tiny import masks as tiny

SIDE = {"height": 32, "width": 32}
VIT = {
    "hidden_size": 16,
    "num_hidden_layers": 4,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 32,
    "patch_size": 8,
}


class Family(NamedTuple):
    """A tiny configuration, and the processor of its images."""

    config: Callable[[], hf.PreTrainedConfig]
    processor: Callable[[], object]
    model: str


FAMILIES = {
    "SegFormer": Family(
        lambda: hf.SegformerConfig(
            num_encoder_blocks=2,
            depths=[1, 1],
            sr_ratios=[2, 1],
            hidden_sizes=[8, 16],
            patch_sizes=[7, 3],
            strides=[4, 2],
            num_attention_heads=[1, 2],
            mlp_ratios=[2, 2],
            decoder_hidden_size=16,
        ),
        lambda: hf.SegformerImageProcessor(size=SIDE),
        "SegformerForSemanticSegmentation",
    ),
    "UPerNet": Family(
        lambda: hf.UperNetConfig(
            backbone_config=hf.ConvNextConfig(
                hidden_sizes=[8, 8, 16, 16], depths=[1, 1, 1, 1], out_features=["stage1", "stage2", "stage3", "stage4"]
            ),
            hidden_size=16,
            auxiliary_channels=8,
            auxiliary_in_channels=16,
            pool_scales=[1, 2],
        ),
        lambda: hf.SegformerImageProcessor(size=SIDE),
        "UperNetForSemanticSegmentation",
    ),
    "BEiT": Family(
        lambda: hf.BeitConfig(
            **VIT, out_indices=[1, 2, 3, 4], pool_scales=[1, 2], auxiliary_channels=8, use_relative_position_bias=True
        ),
        lambda: hf.BeitImageProcessor(size=SIDE, do_center_crop=True, crop_size=SIDE, do_reduce_labels=True),
        "BeitForSemanticSegmentation",
    ),
    "Data2Vec": Family(
        lambda: hf.Data2VecVisionConfig(
            **VIT, out_indices=[2, 3, 4, 5], pool_scales=[1, 2], auxiliary_channels=8, use_relative_position_bias=True
        ),
        lambda: hf.BeitImageProcessor(size=SIDE, do_center_crop=False),
        "Data2VecVisionForSemanticSegmentation",
    ),
    "DPT": Family(
        lambda: hf.DPTConfig(
            **VIT,
            backbone_out_indices=[0, 1, 2, 3],
            neck_hidden_sizes=[8, 8, 8, 8],
            fusion_hidden_size=8,
            readout_type="project",
            is_hybrid=False,
        ),
        lambda: hf.DPTImageProcessor(size=SIDE),
        "DPTForSemanticSegmentation",
    ),
    "MobileNetV2": Family(
        lambda: hf.MobileNetV2Config(depth_multiplier=0.25, image_size=32, output_stride=8),
        lambda: hf.MobileNetV2ImageProcessor(size=SIDE, do_center_crop=False),
        "MobileNetV2ForSemanticSegmentation",
    ),
    "MobileViT": Family(
        lambda: hf.MobileViTConfig(
            image_size=32, hidden_sizes=[8, 8, 16], neck_hidden_sizes=[8, 8, 8, 8, 8, 8, 16], num_attention_heads=2,
            mlp_ratio=1.0, aspp_out_channels=16, atrous_rates=[1, 2, 3], output_stride=16,
        ),
        lambda: hf.MobileViTImageProcessor(size=SIDE, do_center_crop=False),
        "MobileViTForSemanticSegmentation",
    ),
    "MobileViTv2": Family(
        lambda: hf.MobileViTV2Config(
            image_size=32, base_attn_unit_dims=[8, 8, 8], width_multiplier=0.125, n_attn_blocks=[1, 1, 1],
            aspp_out_channels=16, atrous_rates=[1, 2, 3], output_stride=16,
        ),
        lambda: hf.MobileViTImageProcessor(size=SIDE, do_center_crop=False),
        "MobileViTV2ForSemanticSegmentation",
    ),
}  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> str:
    return tiny.mask_folder(tmp_path_factory.mktemp("masks"), train=8, validation=3, test=3)


def make(name: str, folder: Path) -> str:
    family = FAMILIES[name]
    config = family.config()
    config.num_labels = 5
    torch.manual_seed(0)
    getattr(hf, family.model)(config).save_pretrained(folder)
    family.processor().save_pretrained(folder)
    return str(folder)


def train(checkpoint: str, data: str, folder: Path, resume: str | None = None, **flags) -> TransferTrainer:
    task = SemanticSegmentation(dataset=data)
    flags = {"strategy": "gradual", "head_only": 0.17, "unfreeze_stages": 2, "unfreeze_until": 0.67, **flags}
    args = TransferArguments(
        output_dir=str(folder), max_steps=6, per_device_train_batch_size=4, learning_rate=1e-3, report_to="none",
        disable_tqdm=True, use_cpu=True, save_strategy="steps", save_steps=3, logging_steps=1, **flags,
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
    checkpoint = make(name, tmp_path / "checkpoint")
    trainer = train(checkpoint, data, tmp_path / "run")
    assert len({row["stage"] for row in trainer.plan_rows()} - {0}) >= 2
    begun = AutoModelForSemanticSegmentation.from_pretrained(checkpoint).state_dict()
    ended = trainer.model.state_dict()
    still = [key for key, value in begun.items() if key in ended and ended[key].equal(value)]
    assert len(still) < len(begun) / 2, still
    answers = trainer.predictions("test")
    assert [answer.ids().shape for answer in answers] == [(28, 36)] * 3
    trainer.save_model()
    saved = load_saved(str(tmp_path / "run"), dataset=data)
    again = saved.predictions(saved.task.load()["test"])
    assert all((one.ids() == other.ids()).all() for one, other in zip(answers, again, strict=True))
    plain, info = AutoModelForSemanticSegmentation.from_pretrained(tmp_path / "run", output_loading_info=True)
    assert not info["missing_keys"] and plain.config.id2label == dict(enumerate(tiny.NAMES))
    own = AutoImageProcessor.from_pretrained(tmp_path / "run")
    batch = trainer.codec.collate([trainer.encoded["test"][row] for row in range(3)])
    with torch.no_grad():
        output = plain.eval()(pixel_values=batch["pixel_values"])
    stock = own.post_process_semantic_segmentation(output, target_sizes=[(28, 36)] * 3)
    assert all((one.ids() == other.numpy()).all() for one, other in zip(answers, stock, strict=True))
    resumed = train(checkpoint, data, tmp_path / "run", resume=str(tmp_path / "run" / "checkpoint-3"))
    ours, theirs = (one.model.state_dict() for one in (resumed, trainer))
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs)


def test_a_processor_that_cuts_edges_off_is_set_to_resize_alone(tmp_path):
    codec = SemanticSegmentation().codec(make("BEiT", tmp_path), SemanticSegmentation().guess_target(3))
    assert not codec.processor.do_center_crop and not codec.processor.do_reduce_labels
    assert codec.collate.scale.size == (32, 32)


@pytest.mark.parametrize("kind", ["maskformer", "mask2former", "oneformer", "eomt", "detr"])
def test_families_that_answer_with_queries_are_refused_by_name(kind, tmp_path):
    (tmp_path / "config.json").write_text(f'{{"model_type": "{kind}"}}')
    with pytest.raises(UserError, match=f"{kind} answers with masks of queries"):
        SemanticSegmentation().codec(str(tmp_path), SemanticSegmentation().guess_target(2))


def test_other_families_are_refused_by_name(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "resnet"}')
    with pytest.raises(UserError, match=r"resnet has none.*Take a checkpoint of beit, .*segformer"):
        SemanticSegmentation().codec(str(tmp_path), SemanticSegmentation().guess_target(2))
