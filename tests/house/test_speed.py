"""The speed benchmark says what its cells say: ratios of one round, scores by the one judge, tables from the file."""

import json

import pytest
import torch
from transformers import Trainer, TrainingArguments

from benchmarks.meter import Meter
from benchmarks.render import render
from benchmarks.speed import Corpus, Work, compared, run_cells
from hfkit.tasks import TextClassification

WORK = Work("made up", "stock-full", "full", "train", (None, 1.4, None))
MARKED = "<!-- results:{0}:begin -->\n<!-- results:{0}:end -->"


@pytest.fixture
def rounds(tmp_path):
    """Two rounds, in which the peer took 3 and 2 times as long, and one that is not finished."""
    for number, factor in enumerate((3.0, 2.0)):
        for name, times in (("stock-full", factor), ("full", 1.0)):
            cell(tmp_path / f"round-{number}" / f"{name}.json", name, cpu=10 * times, right=number)
    cell(tmp_path / "round-2" / "full.json", "full", cpu=1.0, right=0)
    return sorted(tmp_path.glob("round-*"))


def cell(path, contender, *, cpu, right):
    path.parent.mkdir(parents=True, exist_ok=True)
    train = {
        "cpu_seconds": cpu,
        "wall_seconds": 2 * cpu,
        "real_forward_flops": 1e12,
        "padded_forward_flops": 2e12,
        "steps": [{"learning_parameters": count, "cpu_seconds": 1.0 * count} for count in (5, 2)],
    }
    facts = {"contender": contender, "peak_memory_mib": cpu, "matmul_gflops": 100.0}
    path.write_text(json.dumps(facts | {"train": train, "evaluation": train}))
    answers = [["a"], ["a" if right else "b"], ["a"], ["a"]]
    path.with_suffix(".predictions.json").write_text(json.dumps({"test": answers}))


def corpus(tmp_path):
    return Corpus("words", "text", tmp_path, 8, 3, ("1e-4",))


def test_a_ratio_is_of_two_cells_of_one_round(rounds, tmp_path):
    row = compared(corpus(tmp_path), WORK, 1, rounds, (TextClassification().judge, ["a", "a", "a", "b"]))
    assert row["cpu_ratio"] == {"median": 2.5, "min": 2.0, "max": 3.0, "rounds": 2}
    assert row["memory_ratio"]["max"] == pytest.approx(1 / 2)
    assert row["own"]["useful_share"] == 0.5 and row["own"]["useful_gflops"] == pytest.approx(3e12 / 10 / 1e9)
    assert row["score"]["own"] == [0.5, 0.75] == row["score"]["peer"] and row["score"]["difference"] == 0
    assert compared(corpus(tmp_path), WORK, 1, rounds[2:], None) is None


def test_a_step_is_one_with_the_fewest_learning_parameters(rounds, tmp_path):
    for path in tmp_path.rglob("full.json"):
        found = json.loads(path.read_text())
        found["train"]["steps"] = [step | {"wall_seconds": 1.0} for step in found["train"]["steps"]]
        path.write_text(json.dumps(found))
        (path.parent / "other.json").write_text(json.dumps(found))
    row = compared(corpus(tmp_path), Work("a step", "other", "full", "step"), 1, rounds, None)
    assert row["cpu_seconds"]["own"]["median"] == 2.0 and "score" not in row


def test_tables_come_from_the_files(rounds, tmp_path):
    row = compared(corpus(tmp_path), WORK, 1, rounds, None)
    machine = {"cpu": "a machine", "cores": 4, "versions": {"torch": "9.9", "hfkit": "0"}}
    facts = {"command": "python -m benchmarks", "environment": machine}
    (tmp_path / "speed.json").write_text(json.dumps(facts | {"rows": [row], "grid": []}))
    text = render(MARKED.format("speed"), tmp_path)
    assert "| made up: full against stock-full | words | 1 | **2.50** [2.00, 3.00] of 2 | 1.4 | 0.42 | – |" in text
    assert "| 50%, 50% |" in text and "torch 9.9" in text and "†" not in text
    (tmp_path / "speed.json").write_text(json.dumps(facts | {"rows": [row | {"earlier": True}], "grid": []}))
    assert "stock-full † | words" in (older := render(MARKED.format("speed"), tmp_path)) and "Rows with †" in older
    size = {"rows": 1000, "cpu_seconds": {"reading": 0.5}, "memory_mib": {"peak": 900.0, "private": 500.0}}
    (tmp_path / "scaling.json").write_text(json.dumps(facts | {"sizes": [size | {"environment": machine}]}))
    assert "| 1,000 | 500 | 900 | 500 |" in render(MARKED.format("scaling"), tmp_path)


def test_a_cell_that_is_there_is_not_made_again_and_a_failed_one_is_told(tmp_path):
    there, missing = tmp_path / "there.json", tmp_path / "missing.json"
    there.write_text("{}")
    assert run_cells([(there, [["no_such_module"]]), (missing, [["no_such_module"]])]) == [missing]
    assert there.read_text() == "{}" and "no_such_module" in missing.with_suffix(".log").read_text()


def test_the_meter_counts_what_the_encoder_is_given(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    config = BertConfig(
        vocab_size=9, hidden_size=4, num_hidden_layers=3, num_attention_heads=1, intermediate_size=8, num_labels=2
    )
    rows = [{"input_ids": [1] * 5, "labels": 1}] * 8
    trainer = Trainer(
        BertForSequenceClassification(config),
        TrainingArguments(
            output_dir=str(tmp_path), per_device_train_batch_size=2, num_train_epochs=2, report_to="none", use_cpu=True
        ),
        train_dataset=rows,
        data_collator=lambda batch: {key: torch.tensor([row[key] for row in batch]) for key in batch[0]},
    )
    meter = Meter(trainer)
    cost = meter.train()
    # By hand: 3 layers x 5 tokens x (2 (4 x 4 x 4 + 2 x 4 x 8) + 4 x 4 x 5), for 8 rows and 2 epochs.
    assert cost["padded_forward_flops"] == 3 * 5 * (2 * 128 + 80) * 8 * 2
    (steps,) = cost["steps"]
    assert steps["steps"] == 6  # 4 an epoch, of which the first has no step before it
    assert steps["learning_parameters"] == sum(p.numel() for p in trainer.model.parameters())
