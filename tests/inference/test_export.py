"""`hfkit export`: a graph that answers as the model does, runs without hfkit, and is never left behind half done."""

import ast
import json
import re
import shutil
from contextlib import redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from datasets import Dataset
from PIL import Image
from transformers import T5Config, T5ForConditionalGeneration
from transformers.exporters import ExportedModel
from typer.testing import CliRunner

from hfkit.cli import app
from hfkit.contract.target import Labels
from hfkit.errors import UserError
from hfkit.inference.export import export, parity
from hfkit.inference.export.graph import find_outputs, name_axes, open_graph, run_graph, trace
from hfkit.inference.export.parity import SENTENCE, encode_material, is_same, make_extremes
from hfkit.inference.saved import SavedModel, load_saved
from hfkit.tasks import NER, ImageClassification, TextClassification
from tests.fixtures.examples import examples_of
from tests.tasks.detection import test_families as detectors
from tests.tiny.families import FAMILIES

EXAMPLES = examples_of("export")
TEXT, PICTURES, WORDS = map(" ".join, EXAMPLES)
SHARED = Path(__file__).parents[3] / "shared" / "weights"


def hfkit(*argv: str):
    return CliRunner().invoke(app, [*argv])


def read_refusal(ended) -> str:
    """The one line on stderr."""
    assert ended.exit_code == 2, ended.output
    assert ended.stdout == ""
    return ended.stderr.splitlines()[-1]


@pytest.fixture(scope="module")
def work(finished_once, tmp_path_factory):
    """A working folder in which every example of the help was run, and what each one printed."""
    place = shutil.copytree(finished_once, tmp_path_factory.mktemp("export") / "work")
    printed = {}
    earlier = place / "runs" / "bert-sentiment" / "onnx"  # of an export before
    earlier.mkdir()
    (earlier / "export.json").write_text('{"hfkit": {}}')
    (earlier / "stale.onnx").touch()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for argv in EXAMPLES:
            ended = hfkit(*argv)
            assert ended.exit_code == 0, ended.output
            printed[" ".join(argv)] = ended.stdout
    return place, printed


def read_record(folder: Path) -> dict:
    return json.loads((folder / "export.json").read_text())["hfkit"]


def read_program(folder: Path) -> str:
    """The program that the README of an export shows."""
    (found,) = re.findall(r"```python\n(.*?)```", (folder / "README.md").read_text(), re.DOTALL)
    return found


def run_program(program: str) -> list:
    """What the last line prints, and that neither hfkit nor torch is asked for."""
    modules = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(program))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert modules <= {"numpy", "onnxruntime", "transformers", "PIL"}
    with redirect_stdout(StringIO()) as printed:
        exec(program, {})
    return ast.literal_eval(printed.getvalue())


@pytest.mark.slow
def test_an_export_is_whole_and_answers_as_the_model_on_every_row_it_was_asked(work):
    place, printed = work
    folder = place / "runs" / "bert-sentiment" / "onnx"
    names = {path.name for path in folder.iterdir()}
    assert {"model.onnx", "model.onnx.data", "config.json", "tokenizer.json", "export.json", "README.md"} <= names
    found = read_record(folder)
    assert found["labels"] == ["negative", "positive"]
    assert found["inputs"]["input_ids"] == ["batch", "sequence"]
    assert found["parity"]["test rows of reviews"]["rows"] == 24
    for one in found["parity"].values():
        assert one["equal_predictions"] == 1
        assert one["largest_difference"] <= 1e-5
    assert found["bytes"] == {name: (folder / name).stat().st_size for name in found["bytes"]}
    assert "24 rows" in printed[TEXT]


@pytest.mark.slow
def test_the_graph_takes_any_number_of_rows_of_any_length(work):
    place, _ = work
    saved = load_saved(str(place / "runs" / "bert-sentiment"))
    session = onnxruntime.InferenceSession(place / "runs" / "bert-sentiment" / "onnx" / "model.onnx")
    for rows, tokens in ((1, 1), (1, 64), (5, 3), (3, 17)):
        batch = {
            one.name: torch.ones((rows, tokens), dtype=torch.int64)
            if one.name == "attention_mask"
            else torch.randint(0, 2 if one.name == "token_type_ids" else 20, (rows, tokens))
            for one in session.get_inputs()
        }
        with torch.inference_mode():
            expected = saved.model(**batch).logits.numpy()
        (logits,) = session.run(["logits"], {name: value.numpy() for name, value in batch.items()})
        np.testing.assert_allclose(logits, expected, atol=1e-5)


@pytest.mark.slow
def test_the_readme_runs_without_hfkit_and_says_what_the_model_says(work, monkeypatch):
    place, _ = work
    monkeypatch.chdir(place / "runs" / "bert-sentiment" / "onnx")
    program = read_program(Path())
    texts = ast.literal_eval(re.search(r"texts = (\[.*\])", program)[1])
    saved = load_saved(str(place / "runs" / "bert-sentiment"))
    assert run_program(program) == [one.record for one in saved.predict_table(Dataset.from_dict({"text": texts}))]


@pytest.mark.slow
def test_the_readme_of_a_tagger_and_of_pictures_too(work, monkeypatch):
    place, _ = work
    folder = place / "runs" / "bert-ner" / "onnx-int8"
    monkeypatch.chdir(folder)
    tagged = run_program(read_program(folder))
    assert [word for word, _ in tagged] == "Ada Lovelace wrote to Charles Babbage from London .".split()
    assert {tag for _, tag in tagged} <= {*read_record(folder)["labels"]}
    folder = place / "exported" / "digits"
    monkeypatch.chdir(folder)
    shutil.copy(place / "pictures" / "0.png", "picture.png")
    saved = load_saved(str(place / "runs" / "vit-images"))
    row = {"bytes": Path("picture.png").read_bytes(), "path": None}
    assert run_program(read_program(folder)) == [
        one.record for one in saved.predict_table(Dataset.from_list([{"image": row}]))
    ]


@pytest.mark.slow
def test_json_is_the_record_alone(work):
    place, printed = work
    found = json.loads(printed[PICTURES])
    assert found.pop("folder") == "exported/digits"
    assert found == read_record(place / "exported" / "digits")
    assert found["inputs"]["pixel_values"][0] == "batch"
    assert found["parity"]["test rows of hfkit sample data"]["equal_predictions"] == 1


@pytest.mark.slow
def test_eight_bits_are_judged_by_what_they_do_to_the_score(work):
    place, printed = work
    found = read_record(place / "runs" / "bert-ner" / "onnx-int8")
    eight, score = found["int8"], found["int8"]["score"]
    assert eight["weight_bytes"] < 0.5 * eight["weight_bytes_before"]
    assert eight["largest_difference"] > max(one["largest_difference"] for one in found["parity"].values())
    report = json.loads((place / "runs" / "bert-ner" / "report.json").read_text())
    assert score["metric"] == "f1"
    assert score["before"] == pytest.approx(report["contenders"][0]["headline"])  # the run's own test rows
    assert score["low"] <= score["difference"] <= score["high"]
    assert score["after"] - score["before"] == pytest.approx(score["difference"])
    assert "F1 goes from" in printed[WORDS]


@pytest.mark.slow
def test_transformers_loads_an_export_as_its_own(work):
    place, _ = work
    folder = place / "runs" / "bert-sentiment"
    saved = load_saved(str(folder))
    inputs = saved.codec.processor(["anna likes rain.", "no"], padding=True, return_tensors="pt")
    with torch.inference_mode():
        expected = saved.model(**inputs).logits
    torch.testing.assert_close(ExportedModel.from_pretrained(folder / "onnx")(**inputs).logits, expected)


@pytest.mark.slow
def test_an_export_is_replaced_by_the_next_and_nothing_else_is(work, tmp_path):
    place, _ = work
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "thesis.tex").touch()
    said = read_refusal(hfkit("export", str(place / "runs" / "bert-sentiment"), "--output_dir", str(taken)))
    assert "holds something else" in said and "--output_dir" in said
    assert [path.name for path in taken.iterdir()] == ["thesis.tex"]
    assert not (place / "runs" / "bert-sentiment" / "onnx" / "stale.onnx").exists()


@pytest.mark.slow
@pytest.mark.parametrize("opset, fragment", [("99", "the newest"), ("17", "18")])
def test_an_opset_that_nobody_runs_is_refused_and_leaves_nothing(opset, fragment, work, tmp_path):
    model = str(work[0] / "runs" / "bert-sentiment")
    ended = hfkit("export", model, "--output_dir", str(tmp_path / "out"), "--opset", opset)
    assert ended.exit_code == 2, ended.output
    assert fragment in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_graph_that_answers_otherwise_is_a_failure_and_leaves_nothing(work, tmp_path, monkeypatch):
    monkeypatch.setattr(parity, "ABSOLUTE", 0.0)
    monkeypatch.setattr(parity, "RELATIVE", 0.0)
    ended = hfkit("export", str(work[0] / "runs" / "bert-sentiment"), "--output_dir", str(tmp_path / "out"))
    assert ended.exit_code == 1, ended.output
    assert "does not answer as the model does" in ended.stderr and "nothing was written" in ended.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_model_that_onnx_has_no_operators_for_is_refused_by_name(work):
    saved = load_saved(str(work[0] / "runs" / "bert-sentiment"))
    whole = saved.model.classifier.forward
    saved.model.classifier.forward = lambda x: whole(x) + torch.linalg.eigvals(x.T @ x).real.sum()
    batch = next(encode_material(saved, make_extremes(saved)).batches([2]))
    with pytest.raises(UserError, match="BertForSequenceClassification cannot be written as an ONNX graph"):
        trace(saved, inputs := saved.codec.inputs(batch), name_axes(inputs, inputs), ["logits"], None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["DETR", "YOLOS"])
def test_a_detector_is_written_for_pictures_of_any_size_and_any_number_of_them(name, tmp_path):
    model = detectors.save(name, tmp_path / "model")
    ended = hfkit("export", model)
    assert ended.exit_code == 0, ended.output
    found = read_record(tmp_path / "model" / "onnx")
    assert found["inputs"]["pixel_values"] == ["batch", "3", "height", "width"]
    assert found["inputs"].get("pixel_mask") == (["batch", "height", "width"] if name == "DETR" else None)
    assert sum(one["rows"] for one in found["parity"].values()) > 20
    assert all(one["largest_difference"] < 1e-5 for one in found["parity"].values())


@pytest.mark.slow
def test_a_detector_that_counts_its_pictures_outside_the_graph_is_refused(tmp_path):
    ended = hfkit("export", detectors.save("RT-DETRv2", tmp_path / "model"))
    assert "could only be written for pictures of one size, or for one number of rows" in read_refusal(ended)
    assert not (tmp_path / "model" / "onnx").exists()


def test_sides_are_named_by_what_changes_between_batches():
    texts = {"input_ids": torch.ones(2, 5, dtype=torch.long), "choices": torch.ones(2, 3, 5, dtype=torch.long)}
    assert name_axes(texts, texts) == {
        "input_ids": {0: "batch", 1: "sequence"},
        "choices": {0: "batch", 1: "texts", 2: "sequence"},
    }
    one, other = (
        {"pixel_values": torch.ones(2, 3, side, 48), "pixel_mask": torch.ones(2, side, 48, dtype=torch.long)}
        for side in (64, 32)
    )
    assert name_axes(one, one) == {"pixel_values": {0: "batch"}, "pixel_mask": {0: "batch"}}
    assert name_axes(one, other) == {
        "pixel_values": {0: "batch", 2: "height", 3: "width"},
        "pixel_mask": {0: "batch", 1: "height", 2: "width"},
    }


class Writer:
    """The two methods of a codec that a model which writes its answers is exported by."""

    def inputs(self, batch):
        return dict(batch)

    def outputs(self, model, batch, known=None):
        return {"written": model.generate(**batch, max_new_tokens=2)}


def test_a_model_that_writes_its_answers_is_refused():
    torch.manual_seed(0)
    config = T5Config(vocab_size=8, d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config).eval()
    saved = SavedModel(TextClassification(), model, Writer(), "t5", Path())  # type: ignore[arg-type]
    with pytest.raises(UserError, match="not read from one pass of the model"):
        find_outputs(saved, {"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]])})


def test_of_several_texts_the_last_is_the_long_one(checkpoint, tmp_path):
    saved = load_saved(finish(TextClassification(), checkpoint, ["no", "yes"], tmp_path / "run"))
    (tmp_path / "run" / "report.json").write_text('{"data": {"pairs": true}}')
    short, *_, longest = make_extremes(saved).rows
    assert (short["text"], short["text_pair"]) == ("a", "a")
    assert (longest["text"], longest["text_pair"]) == (SENTENCE, 200 * SENTENCE)


@pytest.mark.slow
def test_labels_that_the_model_does_not_know_are_refused(work, tmp_path):
    place, _ = work
    argv = ("--dataset", str(place / "entities"), "--output_dir", str(tmp_path / "out"))
    read_refusal(hfkit("export", str(place / "runs" / "bert-sentiment"), *argv))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("opset", [18, 21, 23])
def test_an_older_or_newer_opset_is_written_as_asked(opset, work, tmp_path):
    found = export(str(work[0] / "runs" / "bert-sentiment"), tmp_path / "out", opset=opset)
    assert found["opset"] == opset


# Every family, and every kind of answer


def finish(task, path: str, labels: list[str], folder: Path) -> str:
    """A model with an untrained head, as a run leaves it, without a report."""
    torch.manual_seed(0)
    problem_type = None if isinstance(task, NER) else task.kind.problem_type
    codec = task.codec(path, Labels(tuple(labels), problem_type))
    codec.model().save_pretrained(folder)
    codec.processor.save_pretrained(folder)
    return str(folder)


def family(name: str, folder: Path, task=None) -> str:
    (one,) = [one for one in FAMILIES if one.name == name]
    folder.mkdir(exist_ok=True)
    task = task or (TextClassification() if one.modality == "text" else ImageClassification())
    labels = ["O", "B-X", "I-X"] if isinstance(task, NER) else ["a", "b", "c"]
    return finish(task, one.save(one.pretrained(), folder), labels, folder / "run")


@pytest.mark.slow
def test_eight_bits_are_refused_where_convolutions_work_channel_by_channel(tmp_path):
    model = family("MobileNetV2", tmp_path / "model")
    said = read_refusal(hfkit("export", model, "--quantize", "int8", "--output_dir", str(tmp_path / "out")))
    assert "depthwise" in said and "Leave --quantize out" in said
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.slow
@pytest.mark.parametrize("name", [one.name for one in FAMILIES])
def test_every_family_can_be_exported(name, tmp_path):
    found = export(family(name, tmp_path / "model"), tmp_path / "out")
    assert [one["equal_predictions"] for one in found["parity"].values()] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BERT", "DistilBERT", "DeBERTa-v2, -v3", "XLNet", "GPT-2", "T5"])
def test_taggers_of_several_families_can_be_exported(name, tmp_path):
    found = export(family(name, tmp_path / "model", NER()), tmp_path / "out")
    assert [one["equal_predictions"] for one in found["parity"].values()] == [1, 1]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["BERT", "GPT-2", "T5", "DeBERTa-v2, -v3", "ViT", "ResNet", "ConvNeXt", "VGG16"])
def test_families_in_eight_bits(name, tmp_path):
    found = export(family(name, tmp_path / "model"), tmp_path / "out", quantize="int8")["int8"]
    assert found["score"] is None  # no row with an answer was at hand
    assert found["weight_bytes"] < 0.75 * found["weight_bytes_before"]


@pytest.mark.slow
@pytest.mark.parametrize(
    "problem, labels", [("regression", ["score"]), ("ordinal", ["1 to 5"]), ("multi-label", ["a", "b", "c"])]
)
def test_the_readme_knows_every_kind_of_answer(problem, labels, checkpoint, tmp_path, monkeypatch):
    task = TextClassification(problem=problem)
    model = finish(task, checkpoint, labels, tmp_path / "run")
    found = export(model, tmp_path / "out")
    assert {one["equal_predictions"] for one in found["parity"].values()} == {None if problem == "regression" else 1}
    monkeypatch.chdir(tmp_path / "out")
    program = read_program(Path())
    texts = ast.literal_eval(re.search(r"texts = (\[.*\])", program)[1])
    answers = [one.record for one in load_saved(model).predict_table(Dataset.from_dict({"text": texts}))]
    assert run_program(program) == (pytest.approx(answers, abs=1e-5) if problem == "regression" else answers)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED.is_dir(), reason="no ../shared/weights")
@pytest.mark.parametrize("name", ["mobilenet-v1-0.25-224", "mobilenet-v2-1.0-224"])
def test_pretrained_mobilenets_can_be_exported(name, tmp_path, monkeypatch):
    found = export(str(SHARED / name), tmp_path / "out")
    assert [one["equal_predictions"] for one in found["parity"].values()] == [1, 1]
    monkeypatch.chdir(tmp_path / "out")
    Image.new("RGB", (300, 200), "red").save("picture.png")
    assert run_program(read_program(Path())) == [
        found["labels"][int(np.argmax(logits_of(SHARED / name, Path("picture.png"))))]
    ]


def logits_of(model: Path, picture: Path) -> np.ndarray:
    saved = load_saved(str(model)).with_usual_columns()
    saved = replace(saved, task=replace(saved.task, dataset=str(picture.parent)))
    row = {"bytes": picture.read_bytes(), "path": None}
    (found,) = saved.predict_table(Dataset.from_list([{"image": row}]))
    return np.array([found.likelihoods[label] for label in saved.labels])


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({"text": "a", "probability": 0.5}, {"text": "a", "probability": 0.4}, True),
        ({"text": "a", "probability": 0.5}, {"text": "b", "probability": 0.5}, False),
        ({"choice": 1, "probabilities": [0.1, 0.9]}, {"choice": 1, "probabilities": [0.2, 0.8]}, True),
        ({"choice": 1, "probabilities": [0.1, 0.9]}, {"choice": 0, "probabilities": [0.1, 0.9]}, False),
        ([{"label": "PER", "start": 0}], [{"label": "PER", "start": 1}], False),
        ("a", "a", True),
        (["a"], ["a", "b"], False),
    ],
)
def test_how_sure_an_answer_is_does_not_make_it_another(one, other, same):
    assert is_same(one, other) is same


def test_a_graph_that_was_written_for_batches_of_one_size_is_refused_by_name(tmp_path):
    rows = onnx.helper.make_tensor_value_info("rows", onnx.TensorProto.FLOAT, ["batch", 3])
    flat = onnx.helper.make_tensor_value_info("flat", onnx.TensorProto.FLOAT, [2, 3])
    size = onnx.numpy_helper.from_array(np.array([2, 3]), "size")  # as some models trace the number of their rows
    node = onnx.helper.make_node("Reshape", ["rows", "size"], ["flat"])
    graph = onnx.helper.make_graph([node], "fixed", [rows], [flat], [size])
    opset = onnx.helper.make_opsetid("", 18)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=9), tmp_path / "model.onnx")
    session = open_graph(tmp_path, None)
    assert run_graph(session, {"rows": torch.ones(2, 3)})["flat"].shape == (2, 3)
    with pytest.raises(UserError, match="a batch of rows 1 x 3: .*one number of rows"):
        run_graph(session, {"rows": torch.ones(1, 3)})
