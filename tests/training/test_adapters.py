"""Every kind of adapter from its first step to the saved model: frozen weights, resuming, merging and loading."""

from pathlib import Path

import pytest
import torch
from huggingface_hub import ModelCard
from peft import PeftModel
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
    set_seed,
)

from hfkit import RecipeArguments, TransferArguments, TransferTrainer
from hfkit.arguments.adapters import KINDS, describe_parts
from hfkit.errors import UserError
from hfkit.hub.card import render_card
from hfkit.hub.lint import lint_card
from hfkit.inference.saved import load_saved
from hfkit.model.adapters import Adapter
from hfkit.model.digests import digest
from hfkit.model.virtual_tokens import add_virtual_tokens
from hfkit.report.snippets import insert_model
from hfkit.tasks import TextClassification
from tests.fixtures import runs
from tests.tiny import text


@pytest.fixture(scope="module")
def places(tmp_path_factory) -> dict[str, str]:
    """An encoder, a decoder and a folder of reviews."""
    place = tmp_path_factory.mktemp("places")
    (place / "bert").mkdir()
    (place / "gpt2").mkdir()
    return {
        "bert": text.bert(place / "bert", layers=2),
        "gpt2": text.gpt2(place / "gpt2", layers=2),
        "data": text.folder_of(text.review_splits(12, 4, 6), place / "data"),
    }


def trainer(places: dict[str, str], output: Path, *, model: str = "bert", rows=None, **flags) -> TransferTrainer:
    defaults = dict(per_device_train_batch_size=4, report_to="none", disable_tqdm=True, use_cpu=True, max_steps=3)
    args = TransferArguments(output_dir=str(output), strategy="lora", **defaults | dict(save_strategy="no") | flags)
    task = TextClassification(dataset=places["data"])
    set_seed(args.seed)
    rows = rows or task.load()
    codec = task.codec(places[model], rows.target)
    return TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)


def report_text(folder: Path) -> str:
    return (folder / "run" / "report.md").read_text(encoding="utf-8")


def frozen(run: TransferTrainer) -> bytes:
    return digest(run.model.get_parameter(name) for name in sorted(run.unfreezing.always_frozen))


SMALL = {"dora": {"lora_rank": 2}, "vera": {"lora_rank": 8}, "oft": {"oft_block_size": 8}}
OF_KIND = {kind: SMALL.get(kind, {"virtual_tokens": 3} if not KINDS[kind].merges else {}) for kind in KINDS}


DEFAULT = ("ia3", "prefix")  # LoRA is in tests of its own


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=() if kind in DEFAULT else pytest.mark.slow) for kind in KINDS if kind != "lora"]
)
def test_a_kind_from_its_first_step_to_the_saved_model(kind, places, tmp_path, capsys, monkeypatch):
    model, merges = "gpt2" if kind == "prefix" else "bert", KINDS[kind].merges
    # The head alone at first: frozen layers could be stored, if adapters did not thaw inside them.
    flags = dict(model=model, adapter=kind, learning_rate=0.1, head_only=0.3, **OF_KIND[kind])
    flags |= dict(save_strategy="steps", save_steps=1, cache_dir=str(tmp_path / "cache"))
    run = trainer(places, tmp_path / "run", **flags)
    before, learning = frozen(run), {name for name, one in run.model.named_parameters() if one.requires_grad}
    own = {name for name in learning if ".modules_to_save." not in name}
    begun = {name: run.model.get_parameter(name).clone() for name in own}
    run.train()
    # What was frozen has the same bits, and every adapter has moved.
    assert frozen(run) == before and run.invariants.checked["frozen_depths_unchanged"] == 4
    assert own and all(not torch.equal(run.model.get_parameter(name), begun[name]) for name in own)
    depths = {run.unfreezing.depths.parameters[name] for name in own}
    assert depths == ({1, 2} if merges else {0 if kind == "prompt" else 1})
    assert "Prefix cache off: adapters learn inside frozen layers" in capsys.readouterr().out
    # Resumed, it ends with the same bits.
    again = trainer(places, tmp_path / "again", rows=run.rows, **flags)
    again.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-1"))
    assert digest(again.model.state_dict().values()) == digest(run.model.state_dict().values())
    # Saved, it is loaded without hfkit, and computes the same.
    run.save_model()
    config, saved = AutoConfig.from_pretrained(tmp_path / "run"), str(tmp_path / "run")
    if merges:
        loaded = AutoModelForSequenceClassification.from_pretrained(saved)
    else:
        base = AutoModelForSequenceClassification.from_pretrained(places[model], config=config)
        loaded = PeftModel.from_pretrained(base, saved)
    batch = run.codec.inputs(run.data_collator([run.eval_dataset[i] for i in range(4)]))
    with torch.inference_mode():
        expected = run.model.eval()(**batch).logits
        assert torch.allclose(loaded.eval()(**batch).logits, expected, atol=1e-5)
    tokenizer = AutoTokenizer.from_pretrained(saved)
    if not merges:  # the longest row leaves the virtual tokens room
        longest = tokenizer(" ".join(list(run.rows["test"]["text"]) * 20), truncation=True, return_tensors="pt")
        assert longest["input_ids"].shape[1] == config.max_position_embeddings - 3
        assert loaded(**run.codec.inputs(longest)).logits.isfinite().all()
    answers = pipeline("text-classification", model=loaded, tokenizer=tokenizer)(list(run.rows["test"]["text"]))
    assert [[answer["label"]] for answer in answers] == [answer[:1] for answer in run.predictions("test")]
    assert load_saved(saved).predictions(run.rows["test"]) == run.predictions("test")
    # Told: what learnt, in how many parameters, and how it is loaded.
    report = run.report(RecipeArguments(checkpoint=places[model]))
    report.judge()
    report.save(tmp_path / "run")
    facts, parts = report.facts(), describe_parts(vars(run.args))
    trained = sum(run.model.get_parameter(name).numel() for name in learning)
    assert f"Beside the frozen weights learnt {parts}, and the head: {trained:,} parameters" in report_text(tmp_path)
    card = render_card(facts)
    assert parts in card and lint_card(card, facts) == []
    assert ModelCard(card).data.library_name == ("transformers" if merges else "peft")
    assert ("import PeftModel" in facts["snippets"]["model"]) == (not merges)
    if not merges:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "base").symlink_to(places[model])
        names: dict = {}
        exec(insert_model(facts["snippets"]["model"], "run").replace(Path(places[model]).name, "base"), names)  # noqa: S102
        with torch.inference_mode():
            assert torch.allclose(names["model"](**batch).logits, expected, atol=1e-5)


@pytest.mark.parametrize(
    ("model", "kind", "said"),
    [
        (AutoModelForTokenClassification, "prompt", r"its answers would be of the shape \(3, 11, 2\) instead of"),
        (AutoModelForSequenceClassification, "prompt", "its answer to a row would depend on the padding behind it"),
        (AutoModel, "prompt", "peft puts virtual tokens before the rows of language models alone"),
    ],
)
def test_virtual_tokens_that_a_model_makes_no_use_of_are_refused(model, kind, said, places):
    config = AutoConfig.from_pretrained(places["gpt2"], pad_token_id=0)
    with pytest.raises(UserError, match=f"adapter={kind} of size 3: it does not fit GPT2.*{said}.*such as lora"):
        add_virtual_tokens(model.from_config(config), Adapter(kind, 3))


@pytest.mark.slow
def test_a_prefix_before_words(checkpoint, corpus, tmp_path):
    """Each word has its own answer, of a saved model too."""
    run = runs.trainer(checkpoint, corpus, tmp_path, strategy="lora", adapter="prefix", virtual_tokens=4, max_steps=3)
    run.train()
    run.save_model()
    assert load_saved(str(tmp_path)).predictions(run.rows["test"]) == run.predictions("test")
    with pytest.raises(UserError, match="it is virtual tokens on a base, .* Start from its base"):
        runs.trainer(str(tmp_path), corpus, tmp_path / "next")
