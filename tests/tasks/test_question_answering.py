"""Question answering: rows as SQuAD and others write them, a run from them to a report, and what is saved of it."""

import contextlib
import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from datasets import Dataset, DatasetDict

from hfkit.contract.abilities import Compared, Counted, Likely, Probed, Tuned
from hfkit.contract.view import Spans, Text, to_text
from hfkit.errors import DataError, UserError
from hfkit.hub.lint import lint
from hfkit.inference.saved import load_saved
from hfkit.tasks import QuestionAnswering
from hfkit.tasks.spans.target import Stretches
from tests.fixtures.commands import hfkit as command
from tests.fixtures.finished import run_recipe
from tests.tiny import text as tiny


@pytest.fixture(scope="module")
def place(checkpoint, tmp_path_factory) -> Path:
    """A folder with the tiny questions in `data`, and a finished run on them in `run`."""
    folder = tmp_path_factory.mktemp("questions")
    data = tiny.folder_of(tiny.question_splits(96, 40, 40, unanswerable=1.0, sentences=1), folder / "data")
    flags = ("--checkpoint", checkpoint, "--dataset", data, "--output_dir", str(folder / "run"), "--max_length", "32")
    run_recipe("bert_qa", *flags, "--num_train_epochs", "6", "--learning_rate", "3e-3", "--head_learning_rate", "3e-3")
    return folder


# Rows


def squad(version: str = "v2.0") -> dict:
    """A file as SQuAD has it."""
    asked = {"question": "Who wrote?", "id": "1", "answers": [{"text": "Ada", "answer_start": 0}] * 2}
    nobody = {"question": "Who sang?", "id": "2", "answers": [], "is_impossible": True}
    nobody["plausible_answers"] = [{"text": "Ada", "answer_start": 0}]
    asked["is_impossible"] = False
    paragraph = {"context": "Ada wrote to Charles.", "qas": [asked, nobody] if version == "v2.0" else [asked]}
    return {"version": version, "data": [{"title": "Ada", "paragraphs": [paragraph, paragraph]}]}


@pytest.mark.parametrize("version", ["1.1", "v2.0"])
def test_files_of_squad_become_a_row_for_each_question(tmp_path, version):
    for name in ("train-v2.0.json", "dev-v2.0.json", "test-v2.0.json"):
        (tmp_path / name).write_text(json.dumps(squad(version)))
    loaded = QuestionAnswering(dataset=str(tmp_path)).load()
    rows = loaded["train"]
    assert set(loaded.splits) == {"train", "validation", "test"}
    assert rows["question"][:] == ["Who wrote?", "Who sang?"] * 2 if version == "v2.0" else ["Who wrote?"] * 2
    assert (
        rows[0]["texts"] == ["Ada"] and rows[0]["starts"] == [0] and set(rows["context"]) == {"Ada wrote to Charles."}
    )
    assert loaded.target == Stretches(0.0 if version == "v2.0" else None)
    facts = QuestionAnswering().rows.facts(loaded.splits)["train"]
    expected = (4, 1, 2) if version == "v2.0" else (2, 1, 0)
    assert (facts["rows"], facts["passages"], facts["unanswerable"]) == expected


def test_one_file_is_split_by_passages(tmp_path):
    rows = []
    for number in range(30):
        passage = f"In year {number} Ada wrote to Charles."
        rows += [
            {"query": q, "passage": passage, "answer": "Ada", "answer_start": passage.index("Ada")}
            for q in ("a?", "b?")
        ]
    Dataset.from_list(rows).to_csv(str(tmp_path / "asked.csv"))
    with contextlib.redirect_stdout(io.StringIO()):
        loaded = QuestionAnswering(dataset=str(tmp_path / "asked.csv")).load()
    passages = [set(loaded[split]["context"]) for split in ("train", "validation", "test")]
    assert all(passages) and not (passages[0] & passages[2]) and not (passages[0] & passages[1])
    assert loaded["test"].column_names == ["question", "context", "texts", "starts", "mended"]
    assert QuestionAnswering().units(loaded["test"]) is None


def test_starts_beside_blanks_are_mended_and_counted(tmp_path, capsys):
    rows = tiny.questions(8, 0)
    rows[1]["answers"] = {
        "text": [rows[1]["answers"]["text"][0] + " "],
        "answer_start": rows[1]["answers"]["answer_start"],
    }
    rows[2]["context"] = " " + rows[2]["context"]
    data = tiny.folder_of(
        DatasetDict(dict.fromkeys(("train", "validation", "test"), Dataset.from_list(rows))), tmp_path
    )
    loaded = QuestionAnswering(dataset=data).load()
    assert any("train: 2 answers begin beside the place" in note for note in loaded.notes)
    assert QuestionAnswering().rows.facts(loaded.splits)["train"]["starts_mended"] == 2
    for row in loaded["train"]:
        assert row["context"][row["starts"][0] :].startswith(row["texts"][0])


FAULTS = {
    "question": (lambda row: {**row, "question": " "}, "column 'question'"),
    "passage": (lambda row: {**row, "context": None}, "column 'context'"),
    "not in the passage": (lambda row: {**row, "answers": {"text": ["zebra"], "answer_start": [0]}}, "'zebra'"),
    "elsewhere": (
        lambda row: {**row, "answers": {**row["answers"], "answer_start": [row["answers"]["answer_start"][0] + 1]}},
        "it begins at",
    ),
    "no answers": (lambda row: {**row, "answers": None}, "is_impossible"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_row_is_named_or_left_out(name, tmp_path, capsys):
    change, named = FAULTS[name]
    rows = tiny.questions(6, 0)
    rows[4] = change(rows[4])
    good = Dataset.from_list(tiny.questions(6, 1))
    splits = DatasetDict(train=Dataset.from_list(rows), validation=good, test=good)
    data = tiny.folder_of(splits, tmp_path)
    with pytest.raises(DataError, match=named) as refused:
        QuestionAnswering(dataset=data).load()
    assert "split 'train', row 4" in str(refused.value)
    loaded = QuestionAnswering(dataset=data, on_bad_row="skip").load()
    facts = QuestionAnswering().rows.facts(loaded.splits)["train"]
    assert facts["rows"] == 5 and sum(facts["skipped"].values()) == 1


def test_rows_that_teach_or_mean_nothing_are_refused(tmp_path):
    def write(name: str, rows: list[dict]) -> str:
        (tmp_path / name).mkdir()
        return tiny.folder_of(DatasetDict(train=Dataset.from_list(rows), test=Dataset.from_list(rows)), tmp_path / name)

    nobody = [{"question": "who ?", "context": "anna left .", "answers": [], "is_impossible": True}] * 4
    with pytest.raises(UserError, match="nothing to find"):
        QuestionAnswering(dataset=write("nobody", nobody)).load()
    with pytest.raises(UserError, match="named answers, answer"):
        QuestionAnswering(dataset=write("texts", [{"question": "a", "context": "b"}] * 4)).load()
    with pytest.raises(UserError, match="one question with its passage"):
        QuestionAnswering().rows.to_predict(Dataset.from_list(squad()["data"]))


# A run


def test_a_run_ends_in_a_report_and_a_card(place):
    report = json.loads((place / "run" / "report.json").read_text())
    assert (report["task"]["key"], report["task"]["headline"]) == ("question-answering", "f1")
    names = [contender["name"] for contender in report["contenders"]]
    assert names[0].startswith("fine-tuned") and report["contenders"][0]["headline"] > 0.3
    assert report["data"]["train"]["windows"] >= report["data"]["train"]["rows"] == 96
    assert {"answerable", "unanswerable"} <= set(report["breakdown"]["per_class"])
    for error in report["errors"]:
        assert error["tokens"] and error["text"]
        for side in ("gold", "predicted"):
            assert all(0 <= span["start"] < span["end"] <= len(error["tokens"]) for span in error[side])
    assert lint(place / "run") == []


def test_the_margin_of_no_answer_is_tuned_and_saved(place):
    config = json.loads((place / "run" / "config.json").read_text())
    saved = load_saved(str(place / "run"))
    assert config["hfkit_task"] == "question-answering"
    assert saved.codec.margin == config["hfkit_no_answer_margin"] == saved.codec.target.margin
    report = json.loads((place / "run" / "report.json").read_text())
    rows = replace(saved.task, dataset=str(place / "data")).rows_to_evaluate(saved.codec.target)
    answers = saved.predictions(rows["test"])
    scores = saved.task.judge.score(answers, saved.task.rows.references(rows["test"]))
    assert scores == report["contenders"][0]["scores"]
    assert any(answer["text"] for answer in answers) and not all(answer["text"] for answer in answers)
    saved.codec.margin = 1e6  # with that one it would always answer
    assert all(answer["text"] for answer in saved.predictions(rows["test"]))


def test_predict_writes_the_answer_and_its_place(place):
    asked = [
        {"question": "in ?", "context": "anna saw rain in lima ."},
        {"question": "and ?", "context": "boris left ."},
    ]
    asked.append({"question": "in ?", "context": " ".join(["carla likes snow ."] * 40 + ["elena met music in oslo ."])})
    (place / "new.jsonl").write_text("\n".join(map(json.dumps, asked)))
    result = command("predict", str(place / "run"), str(place / "new.jsonl"))
    assert result.exit_code == 0, result.output
    for row, line in zip(asked, map(json.loads, result.stdout.splitlines()), strict=True):
        answer = line["prediction"]
        assert set(answer) == {"text", "start", "end", "probability"} and 0 <= answer["probability"] <= 1
        assert answer["start"] is None or row["context"][answer["start"] : answer["end"]] == answer["text"]


def test_the_snippet_answers_as_the_model_does(place, capsys):
    report = json.loads((place / "run" / "report.json").read_text())
    code = report["snippets"]["model"].replace("@model@", str(place / "run"))
    code = code.replace("Ada Lovelace wrote to Charles Babbage from London.", "anna saw rain in lima .")
    code = code.replace("Who wrote to Charles Babbage?", "in ?")
    exec(compile(code, "card", "exec"), {})
    saved = load_saved(str(place / "run"))
    asked, _ = saved.task.rows.to_predict(
        Dataset.from_list([{"question": "in ?", "context": "anna saw rain in lima ."}])
    )
    assert capsys.readouterr().out.rstrip("\n").splitlines()[-1] == saved.predictions(asked)[0]["text"]


def test_evaluate_plan_and_doctor_know_it(place, checkpoint):
    evaluated = command(
        "evaluate", str(place / "run"), "--dataset", str(place / "data"), "--output_dir", str(place / "e")
    )
    assert evaluated.exit_code == 0, evaluated.output
    again, first = (json.loads((place / name / "report.json").read_text()) for name in ("e", "run"))
    assert again["contenders"][0]["scores"] == first["contenders"][0]["scores"]
    flags = ("--task", "question-answering", "--checkpoint", checkpoint)
    planned = command("plan", *flags, "--rows", "64", "--json")
    assert planned.exit_code == 0 and json.loads(planned.stdout)["stages"]
    looked = command("doctor", *flags, "--dataset", str(place / "data"), "--json")
    assert looked.exit_code == 0 and json.loads(looked.stdout)["findings"]


@pytest.mark.slow
def test_the_graph_answers_as_the_model_does(place):
    pytest.importorskip("onnxruntime")
    result = command("export", str(place / "run"), "--output_dir", str(place / "onnx"))
    assert result.exit_code == 0, result.output
    record = json.loads((place / "onnx" / "export.json").read_text())["hfkit"]
    assert all(found["equal_predictions"] == 1 for found in record["parity"].values())


# Parts


def test_the_codec_has_the_abilities_of_its_kind(checkpoint):
    codec = QuestionAnswering().codec(checkpoint, Stretches())
    abilities = (Counted, Tuned, Compared, Probed, Likely)
    assert [isinstance(codec, ability) for ability in abilities] == [True, True, True, False, False]


def test_answers_are_shown_in_their_passage():
    view, row = QuestionAnswering().view, {"question": "who?", "context": "It was (Ada), then Charles."}
    shown = view.answer({"text": "Ada", "start": 8, "end": 11}, row)
    assert isinstance(shown, Spans) and to_text(shown) == "answer: Ada"
    assert shown.in_characters() == (row["context"], [(8, 11, "answer")])
    assert view.answer({"text": "", "start": None, "end": None}, row).spans == ()
    assert to_text(view.answer(["Charles"], row)) == "answer: Charles"
    assert view.row(row) == Text("who? ⟂ It was (Ada), then Charles.")


def test_mistakes_show_both_answers_however_far_apart():
    words = [f"w{number}" for number in range(400)]
    rows = Dataset.from_list(
        [
            {"question": "q", "context": " ".join(words), "texts": ["w10"], "starts": [" ".join(words).index("w10")]},
            {"question": "q", "context": "none here", "texts": [], "starts": []},
        ]
    )
    start = rows[0]["context"].index("w350")
    said = [{"text": "w350", "start": start, "end": start + 4}, {"text": "none", "start": 0, "end": 4}]
    far, invented = QuestionAnswering().view.mistakes(said, [["w10"], []], rows, 9)
    assert (far.kind, invented.kind) == ("found elsewhere", "answered where there is no answer")
    assert (to_text(far.gold), to_text(far.predicted)) == ("answer: w10", "answer: w350")
    assert far.gold.tokens == far.predicted.tokens and "…" in far.gold.tokens and len(far.gold.tokens) < 120
    assert to_text(invented.gold) == "none" and to_text(invented.predicted) == "answer: none"
    np.testing.assert_equal(far.to_json()["words"], 400)
