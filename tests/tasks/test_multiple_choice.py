"""Multiple choice: batches of unlike numbers of options, a run from rows to a report, and what is saved of it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForMultipleChoice, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.target import Nothing
from hfkit.contract.view import Text
from hfkit.hub.lint import lint
from hfkit.inference.saved import load_saved
from hfkit.tasks import MultipleChoice
from tests.fixtures.commands import hfkit as command
from tests.fixtures.finished import run_recipe
from tests.tiny import text as tiny
from tests.tiny.families import FAMILIES

NAMES = ("BERT", "RoBERTa", "DistilBERT", "DeBERTa-v2, -v3", "ELECTRA", "ModernBERT", "XLNet")
IN_EVERY_RUN = ("XLNet",)  # it pads on the left


@pytest.fixture(scope="module")
def place(checkpoint, tmp_path_factory) -> Path:
    """A folder with the tiny choices in `data`, and a finished run on them in `run`."""
    folder = tmp_path_factory.mktemp("choices")
    data = tiny.folder_of(tiny.choice_splits(96, 24, 24), folder / "data")
    flags = ("--checkpoint", checkpoint, "--dataset", data, "--output_dir", str(folder / "run"))
    run_recipe("bert_multiple_choice", *flags, "--num_train_epochs", "5", "--learning_rate", "3e-3")
    return folder


def test_a_run_ends_in_a_report_and_a_card(place):
    report = json.loads((place / "run" / "report.json").read_text())
    assert (report["task"]["key"], report["task"]["headline"]) == ("multiple-choice", "accuracy")
    scores = {contender["name"]: contender["headline"] for contender in report["contenders"]}
    assert list(scores) == ["fine-tuned (gradual)", "majority place", "longest option", "likest option"]
    assert scores["fine-tuned (gradual)"] > max(scores["majority place"], scores["likest option"])
    facts = report["data"]["train"]
    assert (facts["fewest_options"], facts["most_options"], facts["options_cut"]) == (2, 4, 0)
    assert lint(place / "run") == []
    assert json.loads((place / "run" / "config.json").read_text())["hfkit_task"] == "multiple-choice"


def test_predict_writes_the_choice_and_all_probabilities(place):
    rows = [
        {"question": "anna left in", "choices": ["rain", "oslo", "snow"]},
        {"question": "boris left in", "choices": ["lima", "music"]},
    ]
    (place / "new.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = command("predict", str(place / "run"), str(place / "new.jsonl"))
    assert result.exit_code == 0, result.output
    for row, line in zip(rows, map(json.loads, result.stdout.splitlines()), strict=True):
        answer = line["prediction"]
        assert len(answer["probabilities"]) == len(row["choices"]) and answer["text"] in row["choices"]
        assert sum(answer["probabilities"]) == pytest.approx(1) and answer["probability"] == max(
            answer["probabilities"]
        )


def test_the_snippet_and_the_saved_model_say_the_same(place, capsys):
    code = json.loads((place / "run" / "report.json").read_text())["snippets"]["model"]
    exec(compile(code.replace("@model@", str(place / "run")), "card", "exec"), {})
    text, probability = capsys.readouterr().out.strip().splitlines()[-1].rsplit(" ", 1)
    saved = load_saved(str(place / "run"))
    options = ["In London.", "On the moon.", "Under water."]
    asked, _ = saved.task.rows.to_predict(
        Dataset.from_list([{"question": "Where did Ada Lovelace live?", "choices": options}])
    )
    (answer,) = saved.predictions(asked)
    assert options[answer["choice"]] == text and max(answer["probabilities"]) == pytest.approx(
        float(probability), abs=1e-5
    )


def test_evaluate_plan_and_doctor_know_it(place, checkpoint):
    evaluated = command(
        "evaluate", str(place / "run"), "--dataset", str(place / "data"), "--output_dir", str(place / "e")
    )
    assert evaluated.exit_code == 0, evaluated.output
    again, first = (json.loads((place / name / "report.json").read_text()) for name in ("e", "run"))
    assert again["contenders"][0]["scores"] == first["contenders"][0]["scores"]
    flags = ("--task", "multiple-choice", "--checkpoint", checkpoint)
    planned = command("plan", *flags, "--rows", "64", "--json")
    assert planned.exit_code == 0 and json.loads(planned.stdout)["stages"]
    looked = command("doctor", *flags, "--dataset", str(place / "data"), "--json")
    assert looked.exit_code == 0 and json.loads(looked.stdout)["findings"]


@pytest.mark.slow
def test_the_graph_chooses_as_the_model_does(place):
    pytest.importorskip("onnxruntime")
    result = command("export", str(place / "run"), "--output_dir", str(place / "onnx"))
    assert result.exit_code == 0, result.output
    record = json.loads((place / "onnx" / "export.json").read_text())["hfkit"]
    assert all(found["equal_predictions"] == 1 for found in record["parity"].values())
    assert record["inputs"]["input_ids"] == ["batch", "texts", "sequence"]


def test_options_that_a_row_lacks_have_no_share_in_anything(checkpoint):
    codec = MultipleChoice().codec(checkpoint, Nothing())
    model = codec.model().eval()
    rows = Dataset.from_list(
        [{"question": r["question"], "options": r["choices"], "label": r["label"]} for r in tiny.choices(9, 0)]
    )
    encoded = codec.encode(rows, split="train", answers=True)
    whole = codec.collate([encoded[row] for row in range(9)])
    assert whole["input_ids"].shape[:2] == (9, 4) and set(whole["options"].tolist()) == {2, 3, 4}
    for smoothing in (0.0, 0.2):
        codec.fit_loss(encoded, label_smoothing=smoothing)
        with torch.no_grad():
            together, output = codec.loss(model, whole)
            alone = [codec.loss(model, codec.collate([encoded[row]]))[0] for row in range(9)]
        assert float(together) == pytest.approx(float(torch.stack(alone).mean()), abs=1e-5)
    outputs = {name: value.numpy() for name, value in codec.outputs(model, whole, output).items()}
    answers = codec.decode(outputs, encoded)
    assert [len(answer["probabilities"]) for answer in answers] == [len(options) for options in rows["options"]]
    assert all(sum(answer["probabilities"]) == pytest.approx(1) for answer in answers)
    with torch.no_grad():  # the stock loss of a row is the same
        codec.fit_loss(encoded)
        one = codec.collate([encoded[0]])
        stock = model(**codec.inputs(one), labels=one["labels"]).loss
        assert float(codec.loss(model, one)[0]) == pytest.approx(float(stock), abs=1e-6)


def test_what_is_too_long_loses_its_start(checkpoint):
    codec = MultipleChoice(max_length=12).codec(checkpoint, Nothing())
    rows = Dataset.from_list([{"question": "anna saw rain . " * 9 + "in", "options": ["lima", "the sea"]}])
    encoded = codec.encode(rows, split="test", answers=False)
    assert encoded["lengths"][0] == [12, 12] and codec.facts(encoded)["options_cut"] == 2
    texts = codec.processor.decode(encoded["input_ids"][0])
    assert "in [SEP] lima [SEP]" in texts and "in [SEP] the sea [SEP]" in texts


def test_mistakes_show_both_options():
    view = MultipleChoice().view
    rows = Dataset.from_list([{"question": "who?", "options": ["anna", "boris"]}] * 3)
    said = [{"choice": 0, "probabilities": [p, 1 - p]} for p in (0.6, 0.9)] + [{"choice": 1}]
    first, second = view.mistakes(said, [1, 1, 1], rows, 9)
    assert (first.row, second.row, first.gold, first.predicted) == (1, 0, Text("boris"), Text("anna"))
    assert "90%" in first.why


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in IN_EVERY_RUN else pytest.mark.slow) for name in NAMES]
)
def test_a_family_goes_the_whole_path(name, tmp_path, capsys):
    family = next(family for family in FAMILIES if family.name == name)
    checkpoint = family.save(family.pretrained(), tmp_path)
    data = tiny.folder_of(tiny.choice_splits(12, 6, 8), tmp_path / "data")
    stages = {
        "strategy": "gradual",
        "layer_decay": 0.8,
        "head_only": 0.17,
        "unfreeze_stages": 2,
        "unfreeze_until": 0.67,
    }
    args = TransferArguments(
        output_dir=str(tmp_path / "run"),
        num_train_epochs=6,
        per_device_train_batch_size=6,
        per_device_eval_batch_size=4,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        eval_strategy="epoch",
        cache_dir=str(tmp_path / "cache"),
        **stages,
    )
    task = MultipleChoice(dataset=data)
    set_seed(args.seed)
    rows = task.load(checkpoint)
    codec = task.codec(checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    before = {name: value.detach().clone() for name, value in trainer.model.named_parameters()}
    trainer.train()
    assert "Prefix cache off" in capsys.readouterr().out  # one line why
    depths = trainer.unfreezing.depths
    moved = {name for name, value in trainer.model.named_parameters() if not torch.equal(value, before[name])}
    assert {depths.parameters[name] for name in moved} == set(range(depths.head + 1))
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    trainer.save_model()
    answers = trainer.predictions("test")
    assert type(AutoModelForMultipleChoice.from_pretrained(tmp_path / "run")) is type(trainer.model)
    saved = load_saved(str(tmp_path / "run"))
    assert saved.predictions(rows["test"], batch_size=4) == answers
    for one, other in zip(answers, saved.predictions(rows["test"], batch_size=8), strict=True):
        np.testing.assert_allclose(one["probabilities"], other["probabilities"], atol=1e-5)
