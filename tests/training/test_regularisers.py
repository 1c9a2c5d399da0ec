"""What keeps a model from learning its few rows by heart: it does what its paper says, resumes, and is refused by name.

The formulas of the losses are in tests/tasks/test_losses.py, the order of rows in tests/data/test_batches.py.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import DatasetDict
from transformers import set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.task import Loaded, Task
from hfkit.errors import UserError
from hfkit.tasks import NER, ImageClassification, PartOfSpeech, TextClassification
from hfkit.training.invariants import digest
from tests.fixtures.runs import trainer
from tests.tiny import images
from tests.tiny import text as tiny


@pytest.fixture(scope="module")
def reviews(tmp_path_factory) -> tuple[TextClassification, Loaded]:
    """22 training texts, five of them negative."""
    splits, folder = tiny.review_splits(48, 8, 4), tmp_path_factory.mktemp("reviews")
    labels = splits["train"]["label"][:]
    few = [i for i, label in enumerate(labels) if label == "negative"][:5]
    many = [i for i, label in enumerate(labels) if label == "positive"][:17]
    splits = DatasetDict({**splits, "train": splits["train"].select(sorted(few + many))})
    task = TextClassification(dataset=tiny.folder_of(splits, folder / "data"))
    return task, task.load()


def make(task: Task, checkpoint: str, output: Path, rows: Loaded | None = None, **flags) -> TransferTrainer:
    """A trainer of any task, as the fixture `trainer` makes one of words."""
    defaults = dict(num_train_epochs=2, per_device_train_batch_size=4, report_to="none", disable_tqdm=True)
    defaults |= dict(use_cpu=True, save_strategy="no", logging_steps=1, strategy="full")
    args = TransferArguments(output_dir=str(output), **{**defaults, **flags})
    set_seed(args.seed)
    rows = rows or task.load()
    codec = task.codec(checkpoint, rows.target)
    return TransferTrainer(model=codec.model(pretrained=args.pretrained), args=args, task=task, codec=codec, rows=rows)


def classify(reviews, checkpoint, output, *, task: dict | None = None, **flags) -> TransferTrainer:
    plain, rows = reviews
    return make(TextClassification(dataset=plain.dataset, **task or {}), checkpoint, output, rows, **flags)


def weights(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def test_a_resumed_run_draws_the_same_and_ends_with_the_same_bits(reviews, checkpoint, tmp_path):
    flags = dict(
        r_drop=1.0,
        mixout=0.4,
        focal_loss=2.0,
        balanced_sampler=True,
        task=dict(word_dropout=0.2, span_masking=0.2),
    )
    whole = classify(reviews, checkpoint, tmp_path / "whole", save_strategy="steps", save_steps=4, **flags)
    whole.train()
    assert whole.total_steps == 12  # epochs are as long as without balance
    for cut in (4, 8):
        resumed = classify(reviews, checkpoint, tmp_path / f"resumed-{cut}", **flags)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert weights(resumed) == weights(whole)
    with pytest.raises(UserError, match="settings.balanced_sampler: True then, False now"):
        classify(reviews, checkpoint, tmp_path / "other", **{**flags, "balanced_sampler": False}).train(
            resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4")
        )


def test_rows_of_a_rare_class_come_as_often(reviews, checkpoint, tmp_path):
    run = classify(reviews, checkpoint, tmp_path, balanced_sampler=True)
    labels = [label for batch in run.get_train_dataloader() for label in batch["labels"].tolist()]
    assert sorted(labels) == [0] * 11 + [1] * 11
    evaluated = [label for batch in run.get_eval_dataloader() for label in batch["labels"].tolist()]
    assert sorted(evaluated) == sorted(run.eval_dataset["labels"])


def test_a_focus_is_of_the_task_and_not_of_a_head_that_is_fitted(reviews, checkpoint, tmp_path):
    run = classify(reviews, checkpoint, tmp_path, focal_loss=1.5)
    assert run.codec.gamma == 1.5
    run.codec.fit_loss(run.train_dataset)  # as for the head of `auto`
    assert run.codec.gamma == 0


def test_the_loss_of_a_step_is_the_mean_of_two_passes_and_how_far_they_are_apart(reviews, checkpoint, tmp_path):
    """Written out in numpy, over two micro-batches a step; the first pass is in the first half of each batch."""
    run = classify(reviews, checkpoint, tmp_path, r_drop=0.7, gradient_accumulation_steps=2, num_train_epochs=1)
    passes, labels_of = [], {}

    def record(model, inputs, output):
        if torch.is_grad_enabled():
            passes.append(output["logits"].detach().double().numpy())

    step = run.training_step

    def keep_labels(model, inputs, *args):
        labels_of[len(passes)] = inputs["labels"].numpy()
        return step(model, inputs, *args)

    run.training_step = keep_labels
    run.model.register_forward_hook(record)
    run.train()
    assert [len(both) for both in passes] == [8, 8, 8, 8, 8, 4]
    of_batch = []
    for number, both in enumerate(passes):
        p = np.exp(both) / np.exp(both).sum(1, keepdims=True)
        (one, other), labels = np.split(p, 2), labels_of[number]
        assert not np.array_equal(one, other)
        losses = [-np.log(half[np.arange(len(labels)), labels]).sum() for half in (one, other)]
        apart = (one * np.log(one / other)).sum() + (other * np.log(other / one)).sum()
        of_batch.append((sum(losses) / 2 + 0.7 * apart / 2, len(labels)))
    steps = [of_batch[start : start + 2] for start in (0, 2, 4)]
    expected = [sum(total for total, _ in step) / sum(rows for _, rows in step) for step in steps]
    logged = [entry["loss"] for entry in run.state.log_history if "loss" in entry]
    assert logged == pytest.approx(expected, abs=2e-4)


def test_both_passes_start_from_the_same_stored_prefix(checkpoint, corpus, tmp_path):
    runs = []
    for on in (True, False):
        run = trainer(
            checkpoint,
            corpus,
            tmp_path / f"{on}",
            r_drop=1.0,
            strategy="gradual",
            head_only=0.25,
            unfreeze_stages=2,
            unfreeze_until=0.8,
            prefix_cache=on,
            cache_dtype="float32",
            num_train_epochs=3,
        )
        run.train()
        runs.append(run)
    cached, plain = ([e["loss"] for e in run.state.log_history if "loss" in e] for run in runs)
    assert cached == pytest.approx(plain, rel=1e-3)
    assert "on" in [entry.get("prefix_cache") for entry in runs[0].state.log_history]


def test_weights_are_mixed_with_those_of_the_checkpoint_while_they_learn_and_at_no_other_time(
    reviews, checkpoint, tmp_path
):
    """In the first stage the lowest block is frozen; the top one and the head have no weights in the checkpoint."""
    plan = dict(strategy="gradual", head_only=0.0, unfreeze_stages=2, unfreeze_until=0.5)
    run = classify(reviews, checkpoint, tmp_path, mixout=0.4, reinit_blocks=1, num_train_epochs=1, **plan)
    names, mixed = list(run.model.state_dict()), {step: set() for step in range(6)}

    def watch(number, layer, inputs, output):
        plain = torch.nn.functional.linear(inputs[0], layer.weight, layer.bias)
        if not torch.equal(output, plain):
            mixed[run.state.global_step].add(number)

    layers = [block.output.dense for block in run.model.bert.encoder.layer] + [run.model.classifier]
    for number, layer in enumerate(layers):
        layer.register_forward_hook(partial(watch, number))
    run.train()
    assert [mixed[step] for step in (1, 2, 3, 4, 5)] == [{1, 2}, {1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 2}]
    assert list(run.model.state_dict()) == names
    mixed[6] = set()
    run.evaluate()
    run.model.train()(**run.codec.inputs(run.data_collator(run.train_dataset.to_list())))
    assert mixed[6] == set() and all("forward" not in vars(module) for module in run.model.modules())


def test_an_evaluation_has_the_plain_loss(reviews, checkpoint, tmp_path):
    losses = [classify(reviews, checkpoint, tmp_path, **flags).evaluate()["eval_loss"] for flags in ({}, {"r_drop": 5})]
    assert losses[0] == losses[1]


def test_two_passes_without_any_draw_are_refused_before_the_first_step(reviews, checkpoint, tmp_path):
    run = classify(reviews, checkpoint, tmp_path, r_drop=1.0)
    before = torch.get_rng_state()
    for module in run.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with pytest.raises(UserError, match="r_drop=1.0: nothing in what learns of BertForSequenceClassification draws"):
        run.train()
    assert torch.equal(torch.get_rng_state(), before) and not (tmp_path / "hfkit_run.json").exists()


@pytest.mark.parametrize(
    ("flags", "task", "message"),
    [
        (dict(focal_loss=2.0, label_smoothing_factor=0.1), {}, "focal_loss=2.0 with label_smoothing_factor=0.1: one"),
        (dict(focal_loss=-1.0), {}, "focal_loss=-1.0: it must be 0 or more"),
        (
            dict(balanced_sampler=True, train_sampling_strategy="group_by_length"),
            {},
            "balanced_sampler with train_sampling_strategy=group_by_length: each",
        ),
        (dict(mixout=1.0), {}, "mixout=1.0: it must be 0 or more and below 1"),
        (dict(mixout=0.5, strategy="feature-extraction"), {}, "mixout=0.5 with strategy=feature-extraction: it mixes"),
        (dict(mixout=0.5, strategy="lora"), {}, "mixout=0.5 with strategy=lora: it mixes"),
        (dict(mixout=0.5, strategy="scratch"), {}, "mixout=0.5 with random weights: it mixes"),
        (dict(mixout=0.5, torch_compile=True), {}, "mixout=0.5 with torch_compile: "),
        (dict(mixout=0.5, reinit_blocks=4), {}, "mixout=0.5: .* no pretrained block of BertForSequenceClassification"),
        (
            dict(balanced_sampler=True),
            dict(class_weights="balanced"),
            "balanced_sampler with weights of classes: rare classes would be made up for twice",
        ),
    ],
)
def test_what_contradicts_itself_is_refused(flags, task, message, reviews, checkpoint, tmp_path):
    with pytest.raises(UserError, match=message):
        classify(reviews, checkpoint, tmp_path, task=task, **flags)


def test_words_have_no_class_to_draw_them_by(checkpoint, corpus, tmp_path):
    with pytest.raises(UserError, match="balanced_sampler: rows are drawn by their class, and here a row has not"):
        trainer(checkpoint, corpus, tmp_path, balanced_sampler=True)


def change_answers(problem: str, answer: Callable, folder: Path) -> TextClassification:
    splits = tiny.review_splits(16, 4, 4).map(lambda row: {"answer": answer(row["label"])}, remove_columns=["label"])
    return TextClassification(dataset=tiny.folder_of(splits.rename_column("answer", "label"), folder), problem=problem)


MAKERS = {
    "words": lambda folder: NER(max_train_rows=16, word_dropout=0.1, span_masking=0.1),
    "parts of speech": lambda folder: PartOfSpeech(max_train_rows=16, word_dropout=0.1, span_masking=0.1),
    "one label": lambda folder: TextClassification(max_train_rows=16),
    "several labels": lambda folder: change_answers("multi-label", lambda label: [label, "any"], folder),
    "numbers": lambda folder: change_answers("regression", lambda label: label.count("e") / 2, folder),
    "grades": lambda folder: change_answers("ordinal", lambda label: label.count("e"), folder),
    "pictures": lambda folder: ImageClassification(dataset=images.image_folder(folder)),
    "mixed pictures": lambda folder: ImageClassification(dataset=images.image_folder(folder), mix="both"),
}


@pytest.mark.slow
@pytest.mark.parametrize("doubt", [dict(label_smoothing_factor=0.1), dict(focal_loss=1.0)])
@pytest.mark.parametrize("kind", MAKERS)
def test_every_task_trains_with_whatever_fits_its_answers(kind, doubt, checkpoint, tmp_path):
    task = MAKERS[kind](tmp_path / "data")
    if "pictures" in kind:
        checkpoint = images.vit(tmp_path / "vit")
    flags = dict(mixout=0.3, reinit_blocks=1, num_train_epochs=1, **doubt)
    if "pictures" not in kind:  # a ViT has no dropout
        flags |= dict(r_drop=1.0)
    if kind in ("one label", "pictures", "mixed pictures"):
        flags |= dict(balanced_sampler=True)
    if kind in ("numbers", "grades"):
        with pytest.raises(UserError, match="numbers have no classes"):
            make(task, checkpoint, tmp_path / "run", **flags)
        del flags[next(iter(doubt))]
    run = make(task, checkpoint, tmp_path / "run", **flags)
    run.train()
    assert run.state.global_step == run.total_steps > 0 and len(run.predictions("validation"))
