"""The code on a card runs, and prints what the model answers."""

import ast
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

from hfkit.arguments.recipe import RecipeArguments
from hfkit.contract.target import Labels
from hfkit.contract.view import Example, Text
from hfkit.hub.card import render_card
from hfkit.hub.lint import lint, lint_card
from hfkit.report.report import Report
from hfkit.report.snippets import MODEL, add_imports, insert_model
from hfkit.tasks import PartOfSpeech
from hfkit.tasks.classification.kinds import KINDS
from hfkit.tasks.classification.pictures import ClassifiedPicture
from hfkit.tasks.classification.texts import PAIR, TEXT, ClassifiedText
from tests.fixtures import runs
from tests.fixtures.reports import COST, PictureRows, Pictures, TextRows, Texts, TextView, classified


def snippet(card: str) -> str:
    return re.search(r"```python\n(.*?)```", card, flags=re.DOTALL)[1]


def run_snippet(card: str) -> dict:
    names = {}
    exec(compile(snippet(card), "card", "exec"), names)  # noqa: S102
    return names


@pytest.mark.parametrize("name", ["bert-ner", "bert-sentiment", "vit-images"])
def test_the_snippet_of_a_finished_run_runs(name, finished_once, monkeypatch, capsys, tmp_path):
    place = shutil.copytree(finished_once / "runs" / name, tmp_path / name)
    shutil.copy(finished_once / "picture.png", tmp_path)
    monkeypatch.chdir(tmp_path)
    run_snippet((place / "README.md").read_text())
    labels = re.findall(r"'(?:label|entity_group)': '(.*?)'", capsys.readouterr().out)
    assert labels and set(labels) <= set(json.loads((place / "report.json").read_text())["examples"])


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


class Silent:
    """A view with nothing to show but its snippet."""

    def examples(self, rows, limit):
        return {}

    def mistakes(self, predictions, references, rows, limit):
        return []


class SilentText(Silent, ClassifiedText):
    pass


class SilentPicture(Silent, ClassifiedPicture):
    pass


def card_of(kind: str, labels: list[str], *, of: type = Texts, max_length: int | None = None, **facts) -> str:
    """The card of a model whose rows have answers of that kind, and whose data have these facts."""

    class Rows(TextRows if of is Texts else PictureRows):
        def target(self, splits):
            return Labels(tuple(labels))

        def facts(self, splits):
            return facts

    view = SilentText(KINDS[kind], max_length) if of is Texts else SilentPicture(KINDS[kind], Path())
    task = type("Other", (of,), {"rows": Rows(4), "view": view})()
    report = Report(task, task.load(), settings={"checkpoint": "sample", "output_dir": "runs/classifier"})
    report.add("fine-tuned", report.references, cost=COST)
    return render_card(report.facts())


def test_a_regressions_snippet_prints_a_number(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text_model(checkpoint, 1, "regression")
    for pairs, texts in ((False, [TEXT]), (True, PAIR)):
        run_snippet(card_of("regression", ["score"], pairs=pairs))
        assert float(capsys.readouterr().out) == pytest.approx(float(logits_of(*texts)), abs=1e-5)


@pytest.mark.parametrize(("scale", "printed"), [("-4 to 4", "0"), ("2 to 9", "2")])
def test_an_ordinals_snippet_prints_a_place_on_its_scale(scale, printed, checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text_model(checkpoint, 1, "regression")
    assert abs(float(logits_of(TEXT))) < 0.5
    run_snippet(card_of("ordinal", [scale]))
    assert capsys.readouterr().out.strip() == printed


def test_the_snippet_of_several_labels_prints_those_above_one_half(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    text_model(checkpoint, 3, "multi_label_classification")
    run_snippet(card_of("multi-label", ["a", "b", "c"]))
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
    run_snippet(card_of("multi-label", [f"LABEL_{i}" for i in range(12)], of=Pictures))
    assert len(ast.literal_eval(capsys.readouterr().out)) == 12


def test_a_long_text_is_cut_as_in_training():
    cut = {"test": {"truncated": 2, "most_tokens": 48}}
    card = card_of("single-label", ["a", "b"], **cut)
    assert f'"{TEXT}", truncation=True, max_length=48)' in card
    assert "read only the beginning of 2 test rows" in card
    assert "truncation=True, max_length=32)" in card_of("single-label", ["a", "b"], max_length=32, **cut)


def test_an_example_of_the_data_is_what_the_model_is_asked():
    assert '"text 0 of its class"' in snippet(render_card(classified(Texts()).facts()))


@pytest.mark.parametrize("unfit", ["x" * 101, "Grüße", "two\nlines", ""])
def test_an_example_that_is_long_or_not_plain_is_not_asked(unfit):
    class View(TextView):
        def examples(self, rows, limit):
            return {"a": Example(Text(unfit))}

    class Unfit(Texts):
        view = View(KINDS["single-label"], None)

    assert TEXT in snippet(render_card(classified(Unfit()).facts()))


def test_the_snippet_of_a_tagger_has_a_tag_for_every_word(checkpoint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    task, target = PartOfSpeech(), Labels(("NOUN", "VERB"))
    codec = task.codec(checkpoint, target)
    codec.model().save_pretrained("tagger")
    codec.processor.save_pretrained("tagger")
    example = Example(Text("likes"), before="anna", after="the sea .")
    code = insert_model(task.view.snippet(MODEL, target, [example], {}), "tagger")
    exec(compile(code, "card", "exec"), {})  # noqa: S102
    answers = ast.literal_eval(capsys.readouterr().out)
    assert [word for word, _ in answers] == ["anna", "likes", "the", "sea", "."]
    assert {tag for _, tag in answers} <= {*target.names}


@pytest.fixture(scope="module")
def adapted(checkpoint, corpus, tmp_path_factory) -> Path:
    """A folder with a finished run of adapters, `tagger`, and the checkpoint that it started from."""
    place = tmp_path_factory.mktemp("adapted")
    (place / Path(checkpoint).name).symlink_to(checkpoint)
    trainer = runs.trainer(checkpoint, corpus, place / "tagger", strategy="lora", lora_rank=4, max_steps=3)
    trainer.train()
    trainer.save_model()
    assert not (place / "tagger" / "adapter" / "README.md").exists()  # peft's own, which is a form to fill in
    trainer.report(RecipeArguments(checkpoint=checkpoint)).save(place / "tagger")
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
    names = run_snippet(Path("tagger/adapter/README.md").read_text())
    inputs = names["processor"]("anna met boris in paris .", return_tensors="pt")
    merged = AutoModelForTokenClassification.from_pretrained("tagger")
    with torch.no_grad():
        assert torch.allclose(names["model"](**inputs).logits, merged(**inputs).logits, atol=1e-6)
    assert capsys.readouterr().out


@pytest.mark.parametrize("settings", [{"reinit_blocks": 1}, {"pretrained": False}], ids=str)
def test_without_the_base_that_was_trained_on_no_code_is_promised(settings):
    settings = {"checkpoint": "sample", "output_dir": "runs/classifier", "lora_rank": 4} | settings
    task = Texts()
    report = Report(task, task.load(), settings=settings)
    report.add("fine-tuned", report.references, cost=COST)
    facts = report.facts()
    assert facts["snippets"]["adapter"] is None and facts["snippets"]["model"]
    card = render_card(facts, adapter=True)
    assert "```python" not in card and lint_card(card, facts, adapter=True) == []


def test_imports_for_adapters_join_those_of_the_snippet():
    whole = "from transformers import pipeline\n\nprint(pipeline)"
    assert add_imports(whole, {"AutoConfig"}).splitlines()[:2] == [
        "from peft import PeftModel",
        "from transformers import AutoConfig, pipeline",
    ]
    assert add_imports("import torch", {"AutoConfig"}).splitlines() == [
        "from peft import PeftModel",
        "from transformers import AutoConfig",
        "import torch",
    ]
