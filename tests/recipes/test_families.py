"""Every backbone family on the whole path: loaded, thawed in stages, judged, saved, read without hfkit, and resumed."""

import copy
import random
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, Image, Value
from PIL import Image as Pillow
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from transformers import PreTrainedModel, pipeline, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.tasks import ImageClassification, TextClassification
from tests.fixtures.runs import at
from tests.tiny import text as tiny
from tests.tiny.families import FAMILIES, OTHERS, Family

TASKS = {"text": TextClassification, "image": ImageClassification}
ROWS = {"train": 12, "validation": 4, "test": 6}
# Of six steps the first trains the head alone; the upper half thaws after it, and the lower half in the second epoch.
STAGES = {"strategy": "gradual", "layer_decay": 0.8, "head_only": 0.17, "unfreeze_stages": 2, "unfreeze_until": 0.67}
STARTS, SAVED = (0, 1, 4), 2
COLOURS = {"blue": (20, 40, 220), "green": (30, 200, 40), "red": (220, 30, 20)}


def texts(rows: int, seed: int) -> Dataset:
    """Texts of one to three sentences; the label is the kind of the very first word."""
    draw, sentences = random.Random(seed), tiny.ner_rows(3 * rows, seed)
    kinds = {"person": tiny.PEOPLE, "place": tiny.PLACES, "thing": tiny.NOUNS}
    found = []
    for row in range(rows):
        label = list(kinds)[row % 3]
        words = [word for sentence in sentences[3 * row :][: draw.randint(1, 3)] for word in sentence["tokens"]]
        found.append({"text": " ".join([draw.choice(kinds[label]), *words]), "label": label})
    return Dataset.from_list(found)


def images(rows: int, seed: int) -> Dataset:
    """Noisy oblong pictures of one colour, which is the label."""
    draw, names = np.random.default_rng(seed), list(COLOURS)
    labels = [names[row % 3] for row in range(rows)]
    pixels = [np.clip(COLOURS[name] + draw.normal(0, 30, (36, 40, 3)), 0, 255).astype(np.uint8) for name in labels]
    features = Features({"image": Image(), "label": Value("string")})
    return Dataset.from_dict({"image": list(map(Pillow.fromarray, pixels)), "label": labels}, features=features)


def write_corpora(place: Path) -> dict[str, str]:
    """A folder of texts and one of images, three labels each."""
    for modality, rows_of in (("text", texts), ("image", images)):
        (place / modality).mkdir()
        for seed, (split, rows) in enumerate(ROWS.items()):
            rows_of(rows, seed).to_parquet(place / modality / f"{split}.parquet")
    return {modality: str(place / modality) for modality in TASKS}


@pytest.fixture(scope="module")
def corpora(tmp_path_factory) -> dict[str, str]:
    return write_corpora(tmp_path_factory.mktemp("corpora"))


def trainer(
    family: Family, checkpoint: str, data: str, output: Path, *, once_told: Callable | None = None, **flags
) -> tuple[TransferTrainer, Dataset, Dataset]:
    """(a trainer ready to run, the test rows as loaded, the test rows as prepared).

    `once_told` is called with the arguments before there is a trainer.
    """
    defaults = dict(
        num_train_epochs=2,
        per_device_train_batch_size=4,
        per_device_eval_batch_size=4,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        **STAGES,
    )
    args = TransferArguments(output_dir=str(output), **{**defaults, **flags})
    if once_told:
        once_told(args)
    task = TASKS[family.modality](dataset=data)
    set_seed(args.seed)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    run = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    return run, rows["test"], run.encoded["test"]


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    """Copies of all that is saved of a model, tied weights once."""
    saved = model.state_dict().keys()
    buffers = {name: buffer for name, buffer in model.named_buffers() if name in saved}
    return {name: value.detach().clone() for name, value in {**dict(model.named_parameters()), **buffers}.items()}


def depths_of(run: TransferTrainer) -> dict[str, int]:
    """The depth of every entry of `state`: of a buffer that of its module."""
    parameters, modules = run.unfreezing.depths.parameters, run.unfreezing.depths.modules
    return {name: parameters.get(name, modules.get(name.rpartition(".")[0])) for name in state(run.model)}


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def logits(model: PreTrainedModel, collator: Callable, rows: Dataset, batch: int) -> torch.Tensor:
    """What the model says of every row, in batches."""
    # The order in which a kernel sums depends on where its weights begin in memory, and those read from a file begin
    # anywhere: a copy begins at a multiple of 64 bytes.
    model = copy.deepcopy(model).eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(rows), batch):
            inputs = collator([rows[i] for i in range(start, min(start + batch, len(rows)))])
            found.append(model(**{name: value for name, value in inputs.items() if name != "labels"}).logits)
    return torch.cat(found)


def seen(row: dict) -> str | Pillow.Image:
    """The text or the picture of a row as it was loaded."""
    return row["text"] if "text" in row else Pillow.open(BytesIO(row["image"]["bytes"]))


# One of each kind of architecture in every run of the suite: encoder, shared layers, left padding, decoder,
# encoder-decoder, convolutions with running statistics, vision transformer, stages of windows, timm's own format.
ONE_OF_A_KIND = ("BERT", "ALBERT", "XLNet", "GPT-2", "T5", "ResNet", "ViT", "Swin", "MobileNetV3")
WHOLE_PATHS = [
    pytest.param(family, id=family.name, marks=() if family.name in ONE_OF_A_KIND else pytest.mark.slow)
    for family in (*FAMILIES, *OTHERS)
]


@pytest.mark.parametrize("family", WHOLE_PATHS)
def test_a_family_goes_the_whole_path(family, corpora, tmp_path):
    backbone, data = family.pretrained(), corpora[family.modality]
    checkpoint, pretrained = family.save(backbone, tmp_path), state(backbone)
    run, raw, test = trainer(family, checkpoint, data, tmp_path / "whole")
    head, depths, start = run.unfreezing.depths.head, depths_of(run), state(run.model)

    # It is loaded with the class, the depths and the notes of its row.
    assert (type(run.model).__name__, head - 1) == (family.model_class, family.blocks)
    assert ("BatchNorm" in family.note) == any(isinstance(module, _BatchNorm) for module in run.model.modules())
    if family.modality == "text":
        assert ("on the left" in family.note) == (run.processing_class.padding_side == "left")
        assert ("padded with its end token" in family.note) == (family.processor().pad_token is None)

    # Below a new head of the right size everything is the checkpoint's.
    prefix = f"{run.model.base_model_prefix}."
    pretrained = {name if name in start else prefix + name: value for name, value in pretrained.items()}
    below = {name for name in start if depths[name] < head}
    assert below <= pretrained.keys() and not changed({name: pretrained[name] for name in below}, start)
    assert run.model.config.id2label == dict(enumerate(run.rows.labels)) and len(run.rows.labels) == 3

    # What is frozen keeps every bit until its thaw, statistics of BatchNorm included; in the end everything learnt.
    unfaithful = {}

    def compare(args, step_state, control, **kwargs):
        step = step_state.global_step
        lowest = run.unfreezing.plan.lowest_trainable(step - 1)
        now = run.model.state_dict()
        unfaithful[step] = {name for name in start if depths[name] < lowest and not torch.equal(now[name], start[name])}
        control.should_save = step == SAVED

    run.add_callback(at("on_step_end", compare))
    run.train()
    assert run.unfreezing.plan.starts == STARTS and run.unfreezing.plan.lowest == (head, round(head / 2), 0)
    assert unfaithful == {step: set() for step in range(1, 7)}
    end = state(run.model)
    learnt = changed(start, end)
    assert {depths[name] for name in learnt} == set(range(head + 1))
    assert {name for name in start if name.endswith("running_mean")} <= learnt

    # A run that goes on from the middle of the first epoch, across a thaw, ends with the same bits.
    resumed, _, _ = trainer(family, checkpoint, data, tmp_path / "resumed")
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{SAVED}"))
    assert not changed(end, state(resumed.model))

    # What is saved needs no hfkit, and says the same.
    scores = run.evaluate()
    assert 0 <= scores["eval_accuracy"] <= 1 and np.isfinite(scores["eval_loss"])
    run.save_model()
    plain, answers = run.task.auto_model.from_pretrained(tmp_path / "whole"), run.predictions("test")
    assert type(plain) is type(run.model) and not changed(end, state(plain))
    ours = logits(run.model, run.data_collator, test, 4)
    # Laid out alike in memory: convolutions sum in another order otherwise.
    plain = plain.to(memory_format=torch.channels_last)
    assert ours.shape == (ROWS["test"], 3) and torch.equal(logits(plain, run.data_collator, test, 4), ours)
    assert [ranked[0] for ranked in answers] == [plain.config.id2label[int(i)] for i in ours.argmax(-1)]

    classify = pipeline(run.task.tag, str(tmp_path / "whole"))
    for row in range(3):
        found = classify(seen(raw[row]), top_k=1)[0]
        assert found["label"] == answers[row][0]
        assert found["score"] == pytest.approx(ours[row].softmax(-1).max().item(), abs=1e-4)

    # Padding changes nothing.
    if family.modality == "text":
        together = run.data_collator([test[i] for i in range(len(test))])
        assert (together["attention_mask"] == 0).any()
        alone = logits(plain, run.data_collator, test, 1)
        assert torch.allclose(logits(plain, run.data_collator, test, len(test)), alone, atol=1e-5)


@pytest.mark.parametrize("name", ["BERT", "ViT"])
def test_the_best_epoch_comes_back_under_whatever_names_it_was_saved(name, corpora, tmp_path):
    """transformers saves ViT under older names than it computes with."""
    family = next(family for family in FAMILIES if family.name == name)
    checkpoint = family.save(family.pretrained(), tmp_path)
    run, _, _ = trainer(
        family,
        checkpoint,
        corpora[family.modality],
        tmp_path / "run",
        save_strategy="epoch",
        eval_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=True,
        learning_rate=0.01,
    )
    after = {}
    run.add_callback(
        at("on_epoch_end", lambda args, at_step, *_, **__: after.update({at_step.epoch: state(run.model)}))
    )
    run.train()
    best, other = (1.0, 2.0) if run.state.best_global_step == 3 else (2.0, 1.0)
    assert not changed(after[best], state(run.model)) and changed(after[other], state(run.model))
