"""What batches promise: like lengths together, in an order of seed and epoch, and tensors as stock collators make."""

import random

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from transformers import DataCollatorForTokenClassification, DataCollatorWithPadding

from hfkit import TransferArguments
from hfkit.data.batches import (
    EqualClasses,
    LengthBuckets,
    NumberRows,
    evaluation_order,
    restore_row_order,
    text_lengths,
    training_order,
)
from hfkit.data.text.padding import PaddedTexts
from hfkit.training.evaluating import keep_of_outputs
from tests.fixtures.runs import trainer
from tests.tiny.families import FAMILIES

TEXTS = [family for family in FAMILIES if family.modality == "text"]
LENGTHS = np.random.default_rng(0).integers(3, 60, 1003)


def order(seed: int, epoch: int) -> list[int]:
    buckets = LengthBuckets(LENGTHS, 8, seed)
    buckets.epoch = epoch
    return list(buckets)


def test_an_order_is_of_seed_and_epoch_and_holds_every_row_once():
    orders = [order(0, 0), order(0, 1), order(1, 0)]
    assert all(sorted(rows) == list(range(1003)) for rows in orders)
    assert order(0, 0) == orders[0] and len({tuple(rows) for rows in orders}) == 3


def test_a_batch_holds_texts_of_like_length():
    batches = [LENGTHS[order(0, 0)][start : start + 8] for start in range(0, 1000, 8)]
    padding = 1 - sum(b.sum() for b in batches) / sum(b.max() * len(b) for b in batches)
    at_random = [LENGTHS[start : start + 8] for start in range(0, 1000, 8)]
    assert padding < 0.04 < 0.3 < 1 - sum(b.sum() for b in at_random) / sum(b.max() * len(b) for b in at_random)


@pytest.mark.parametrize("rows", [1, 7, 8, 9])
def test_few_rows_are_all_there(rows):
    assert sorted(LengthBuckets(LENGTHS[:rows], 8, 0)) == list(range(rows))


def test_all_classes_are_equally_frequent_and_their_rows_too():
    classes = np.repeat([3, 7, 8], [61, 36, 6])
    sampler, seen = EqualClasses(classes, 5), []
    for epoch in range(4):
        sampler.epoch = epoch
        seen.append(list(sampler))
        assert len(seen[-1]) == len(sampler) == 103
        assert sorted(np.bincount(classes[seen[-1]])[[3, 7, 8]]) == [34, 34, 35]
        times = np.bincount(seen[-1], minlength=103)
        assert set(times[:61]) == {0, 1} and set(times[61:97]) <= {0, 1} and set(times[97:]) <= {5, 6}
    assert len({tuple(rows) for rows in seen}) == 4 and set(seen[0]) != set(seen[1])
    again = EqualClasses(classes, 5)
    again.epoch = 2
    assert list(again) == seen[2]
    assert sorted(np.bincount(EqualClasses(np.arange(3), 0).classes[list(EqualClasses(np.arange(3), 0))])) == [1, 1, 1]


def some_rows(count: int, processor, labels: str) -> Dataset:
    """Rows of random tokens with the columns that `processor` gives, other ones, and labels of a kind."""
    draw = random.Random(count)
    features = {name: List(Value("int32")) for name in processor.model_input_names}
    kinds = {
        "tokens": (List(Value("int32")), lambda length: [draw.choice([-100, 0, 1, 2]) for _ in range(length)]),
        "class": (Value("int64"), lambda _: draw.randrange(5)),
        "number": (Value("float32"), lambda _: draw.random()),
        "classes": (List(Value("float32")), lambda _: [float(draw.random() < 0.5) for _ in range(4)]),
    }
    features |= {"labels": kinds[labels][0], "row": Value("int32"), "gold": List(Value("string"))}
    rows = []
    for row in range(count):
        length = draw.randint(1, 40)
        inputs = {name: [draw.randint(0, 1) for _ in range(length)] for name in processor.model_input_names}
        rows.append({**inputs, "labels": kinds[labels][1](length), "row": row, "gold": ["x"] * draw.randint(0, 3)})
    return Dataset.from_list(rows, features=Features(features))


@pytest.mark.parametrize("labels", ["tokens", "class", "number", "classes"])
@pytest.mark.parametrize("family", TEXTS, ids=[family.name for family in TEXTS])
def test_padded_texts_are_what_the_stock_collators_make(family, labels):
    processor = family.processor()
    processor.pad_token = processor.pad_token or processor.eos_token
    processor._pad_token_type_id = 3  # as XLNet's
    rows = some_rows(30, processor, labels)
    stock = (DataCollatorForTokenClassification if labels == "tokens" else DataCollatorWithPadding)(processor)
    ours = PaddedTexts(processor, token_labels=labels == "tokens")
    draw = random.Random(0)
    for size in (1, 2, 8, 30):
        chosen = draw.sample(range(30), size)
        names = [*processor.model_input_names, "labels"]
        expected = stock([{name: rows[i][name] for name in names} for i in chosen])
        for batch in (ours([rows[i] for i in chosen]), ours(NumberRows(rows).__getitems__(chosen))):
            assert list(batch) == list(expected)
            for name, values in expected.items():
                assert batch[name].dtype == values.dtype and torch.equal(batch[name], values), name
        unlabelled = ours([{k: v for k, v in rows[i].items() if k != "labels"} for i in chosen])
        assert "labels" not in unlabelled


def test_padding_to_a_multiple_stays_within_what_the_model_reads():
    processor = TEXTS[0].processor()
    processor.model_max_length = 42
    rows = some_rows(30, processor, "class")
    padded = PaddedTexts(processor, multiple=8)
    for size, row in ((8, [0] * 3), (40, [0] * 33), (42, [0] * 41), (45, [0] * 45)):
        batch = padded([{**rows[0], **dict.fromkeys(processor.model_input_names, row)}])
        assert batch["input_ids"].shape == (1, size)


def test_rows_of_numbers_are_those_of_the_dataset():
    rows = some_rows(50, TEXTS[0].processor(), "tokens")
    shuffled = rows.shuffle(seed=1).select(range(5, 40))
    for dataset in (rows, shuffled, rows.select(range(20, 30)), rows.select([])):
        fetched = NumberRows(dataset)
        assert len(fetched) == len(dataset)
        assert text_lengths(dataset).tolist() == [len(row) for row in dataset["input_ids"]]
        for i, row in enumerate(dataset):
            found = {name: np.asarray(value).tolist() for name, value in fetched[i].items()}
            assert found == {name: value for name, value in row.items() if name != "gold"}


def test_what_is_judged_longest_first_comes_back_in_order():
    rows = some_rows(50, TEXTS[0].processor(), "class")
    taken = list(evaluation_order(rows))
    assert np.all(np.diff(text_lengths(rows)[taken]) <= 0) and sorted(taken) == list(range(50))
    assert restore_row_order(np.array(taken), rows).tolist() == list(range(50))


def test_answers_belong_to_their_rows_however_they_are_batched(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", per_device_eval_batch_size=3)
    rows = run.eval_dataset
    assert list(evaluation_order(rows)) != list(range(len(rows)))
    run.model.eval()
    with torch.no_grad():
        alone = [run.model(**run.codec.inputs(run.data_collator([row]))).logits[0] for row in rows]
    expected = [
        [
            run.rows.labels[i]
            for i, label in zip(logits.argmax(-1).tolist(), row["labels"], strict=True)
            if label != -100
        ]
        for logits, row in zip(alone, rows, strict=True)
    ]
    assert len(set(map(str, expected))) > 2
    assert run.predictions("validation") == expected
    assert run.evaluate()["eval_f1"] == run.task.judge.score(expected, run.references("validation"))["f1"]
    with keep_of_outputs(run, run.codec.decision_outputs):
        found = run.outputs("validation")
    for logits, places, row, of_row in zip(found["logits"], found["positions"], rows, alone, strict=True):
        assert np.allclose(logits[: len(of_row)], of_row, atol=1e-5) and (logits[len(of_row) :] == -100).all()
        assert places[: len(of_row)].tolist() == row["labels"]


def test_the_order_of_training_is_the_one_asked_for(checkpoint, corpus, tmp_path):
    orders = {"group_by_length": "LengthBuckets", "random": "RandomSampler", "sequential": "SequentialSampler"}
    for strategy, order in orders.items():
        run = trainer(checkpoint, corpus, tmp_path / strategy, train_sampling_strategy=strategy)
        assert type(run._get_train_sampler()).__name__ == order


def test_only_many_texts_are_grouped_by_length_unasked():
    rows = Dataset.from_dict({"input_ids": [[1] * length for length in LENGTHS]})
    args = TransferArguments(output_dir="unused", per_device_train_batch_size=5, use_cpu=True)
    assert type(training_order(rows, args)) is LengthBuckets  # 201 batches
    assert training_order(rows.select(range(999)), args) is None  # the stock, random order
    assert training_order(Dataset.from_dict({"pixels": [0] * 1003}), args) is None


def test_a_step_has_the_rows_of_the_stock_order_sorted_by_length(checkpoint, corpus, tmp_path):
    """The stock order is the one of a run that has a step's rows in one batch."""
    steps = {}
    for size, parts in ((8, 1), (4, 2), (2, 4)):
        flags = dict(per_device_train_batch_size=size, gradient_accumulation_steps=parts)
        flags |= dict(train_sampling_strategy="random")
        run = trainer(checkpoint, corpus, tmp_path / f"{size}", **flags)
        numbers = NumberRows(run.train_dataset)
        loader, taken = run.get_train_dataloader(), []
        for epoch in range(3):
            loader.set_epoch(epoch)
            run.train_sampler.epoch = epoch
            taken += [row for batch in loader.batch_sampler for row in batch]
        steps[size] = [taken[e * 22 + s : min(e * 22 + s + 8, e * 22 + 22)] for e in range(3) for s in (0, 8, 16)]
        lengths = [[len(numbers[row]["input_ids"]) for row in step] for step in steps[size]]
        assert size == 8 or all(step == sorted(step) for step in lengths)
    assert [set(step) for step in steps[4]] == [set(step) for step in steps[8]]
    assert steps[2] == steps[4] and len({tuple(step) for step in steps[2]}) == 9


def test_numbers_too_small_to_matter_are_zero_on_a_cpu(tmp_path):
    torch.set_flush_denormal(False)
    assert (torch.tensor([1e-20]) * 1e-19).item() > 0
    TransferArguments(output_dir=str(tmp_path), use_cpu=True)
    assert (torch.tensor([1e-20]) * 1e-19).item() == 0
