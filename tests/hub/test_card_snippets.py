"""What a card says to run, runs, and says what the model says."""

import ast
import copy
import json
import re
import shutil
from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from PIL import Image
from transformers import (
    AutoConfig,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

from hfkit.hub.card import render_card
from hfkit.hub.lint import lint, lint_card
from hfkit.hub.snippets import PAIR
from hfkit.report.report import Report
from tests.fixtures import runs
from tests.fixtures.reports import Pictures, Texts, classified


def snippet(card: str) -> str:
    return re.search(r"```python\n(.*?)```", card, flags=re.DOTALL)[1]


def run_snippet(card: str) -> dict:
    found = {}
    exec(compile(snippet(card), "card", "exec"), found)  # noqa: S102
    return found


@pytest.mark.parametrize("name", ["bert-ner", "bert-sentiment", "vit-images"])
def test_the_snippet_of_a_finished_run_runs(name, finished_once, monkeypatch, capsys, tmp_path):
    place = shutil.copytree(finished_once / "runs" / name, tmp_path / name)
    shutil.copy(finished_once / "picture.png", tmp_path)
    monkeypatch.chdir(tmp_path)
    run_snippet((place / "README.md").read_text())
    said = re.findall(r"'(?:label|entity_group)': '(.*?)'", capsys.readouterr().out)
    assert said and set(said) <= set(json.loads((place / "report.json").read_text())["examples"])


def text_model(checkpoint: str, labels: int, problem: str) -> None:
    """A model that reads texts, saved to the folder 'classifier'."""
    torch.manual_seed(1)
    config = AutoConfig.from_pretrained(checkpoint, num_labels=labels, problem_type=problem)
    AutoModelForSequenceClassification.from_config(config).save_pretrained("classifier")
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained("classifier")


def logits_of(*texts: str) -> torch.Tensor:
    inputs = AutoTokenizer.from_pretrained("classifier")(*texts, return_tensors="pt")
    with torch.no_grad():
        return AutoModelForSequenceClassification.from_pretrained("classifier")(**inputs).logits[0]


def facts_of(task: Texts, problem: str, labels: list[str], **data) -> dict:
    """A report of a model for another problem than that of `task`."""
    found = classified(task, problem=problem).facts()
    found["data"] |= {"labels": labels, **data}
    found["examples"] = {}
    return found


TEXT = "The parcel came a day late, but all of it was there."


def test_a_regressions_snippet_prints_a_number(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text_model(checkpoint, 1, "regression")
    for pairs, texts in ((False, [TEXT]), (True, PAIR)):
        run_snippet(render_card(facts_of(Texts(), "regression", ["score"], pairs=pairs)))
        assert float(capsys.readouterr().out) == pytest.approx(float(logits_of(*texts)), abs=1e-5)


@pytest.mark.parametrize(("scale", "printed"), [("-4 to 4", "0"), ("2 to 9", "2")])
def test_an_ordinals_snippet_prints_a_place_on_its_scale(scale, printed, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text_model(checkpoint, 1, "regression")
    assert abs(float(logits_of(TEXT))) < 0.5
    run_snippet(render_card(facts_of(Texts(), "ordinal", [scale])))
    assert capsys.readouterr().out.strip() == printed


def test_the_snippet_of_several_labels_prints_those_above_one_half(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text_model(checkpoint, 3, "multi_label_classification")
    run_snippet(render_card(facts_of(Texts(), "multi-label", ["a", "b", "c"])))
    expected = {f"LABEL_{i}" for i, logit in enumerate(logits_of(TEXT)) if logit > 0}
    assert expected and set(ast.literal_eval(capsys.readouterr().out)) == expected


def test_the_snippet_of_several_labels_of_pictures_asks_for_all_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    sizes = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "intermediate_size": 8}
    config = ViTConfig(**sizes, image_size=16, patch_size=8, num_labels=12, problem_type="multi_label_classification")
    torch.manual_seed(0)
    model = ViTForImageClassification(config)
    torch.nn.init.constant_(model.classifier.bias, 9.0)
    model.save_pretrained("classifier")
    ViTImageProcessor(size={"height": 16, "width": 16}).save_pretrained("classifier")
    Image.new("RGB", (20, 20)).save("picture.png")
    run_snippet(render_card(facts_of(Pictures(), "multi-label", [f"LABEL_{i}" for i in range(12)])))
    assert len(ast.literal_eval(capsys.readouterr().out)) == 12


def test_a_long_text_is_cut_as_in_training(checkpoint, tmp_path, monkeypatch):
    report = facts_of(Texts(), "single-label", ["a", "b"], test={"truncated": 2, "most_tokens": 48})
    assert f'"{TEXT}", truncation=True, max_length=48)' in render_card(report)
    report["settings"]["max_length"] = 32
    assert "truncation=True, max_length=32)" in render_card(report)
    assert "read only the beginning of 2 test rows" in render_card(report)


def test_an_example_of_the_data_is_what_the_model_is_asked():
    report = classified(Texts()).facts()
    assert '"text 0 of its class"' in snippet(render_card(report))
    for unfit in ("x" * 101, "Grüße", "two\nlines", ""):
        other = copy.deepcopy(report)
        other["examples"] = {"a": {"before": "", "text": unfit, "after": "", "picture": ""}}
        assert TEXT in snippet(render_card(other))


@pytest.fixture(scope="module")
def adapted(checkpoint, corpus, tmp_path_factory) -> Path:
    """A folder with a finished run of adapters, `tagger`, and the checkpoint that it started from."""
    place = tmp_path_factory.mktemp("adapted")
    (place / Path(checkpoint).name).symlink_to(checkpoint)
    trainer = runs.trainer(checkpoint, corpus, place / "tagger", strategy="lora", lora_rank=4, max_steps=3)
    trainer.train()
    trainer.save_model()
    assert not (place / "tagger" / "adapter" / "README.md").exists()  # peft's own, which is a form to fill in
    settings = {"checkpoint": checkpoint, **vars(trainer.task), **trainer.args.to_dict()}
    report = Report(trainer.task, trainer.task.load(), settings=settings)
    facts = trainer.facts()
    report.trained(**facts)
    rows = trainer.task.load()
    prepared = trainer.task.prepare(rows, trainer.processing_class, trainer.labels)
    report.add("fine-tuned (lora)", trainer.predictions(prepared["test"]), cost=facts["cost"])
    report.save(place / "tagger")
    trainer.create_model_card()
    return place


def test_adapters_have_a_card_of_their_own(adapted, checkpoint):
    whole, part = (ModelCard.load(adapted / "tagger" / name) for name in ("README.md", "adapter/README.md"))
    assert (whole.data.library_name, part.data.library_name) == ("transformers", "peft")
    assert whole.data.eval_results == part.data.eval_results
    assert "merged into these weights" in whole.text
    assert f"put the path of {Path(checkpoint).name} in its place" in part.text
    assert "More information" not in part.text and str(checkpoint) not in part.text
    assert lint(adapted / "tagger") == []
    report = json.loads((adapted / "tagger" / "report.json").read_text())
    assert report["origin"]["base"]["relation"] == "adapter"
    report["origin"]["base"]["id"] = "somebody/encoder"
    cards = [ModelCard(render_card(report, adapter=adapter)).data for adapter in (False, True)]
    assert [(card.base_model, card.base_model_relation) for card in cards] == [
        ("somebody/encoder", "finetune"),
        ("somebody/encoder", "adapter"),
    ]


def test_adapters_on_their_base_are_the_merged_model(adapted, monkeypatch, capsys):
    monkeypatch.chdir(adapted)
    found = run_snippet(Path("tagger/adapter/README.md").read_text())
    inputs = found["processor"]("anna met boris in paris .", return_tensors="pt")
    merged = AutoModelForTokenClassification.from_pretrained("tagger")
    with torch.no_grad():
        assert torch.allclose(found["model"](**inputs).logits, merged(**inputs).logits, atol=1e-6)
    assert capsys.readouterr().out


def test_without_the_base_that_was_trained_on_no_code_is_promised(adapted):
    report = json.loads((adapted / "tagger" / "report.json").read_text())
    report["settings"]["reinit_blocks"] = 1
    card = render_card(report, adapter=True)
    assert "```python" not in card and lint_card(card, report, adapter=True) == []
