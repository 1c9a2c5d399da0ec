"""Causal models on the whole path: documents and conversations, thawed in stages, judged, saved, and read again."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, GPT2LMHeadModel, set_seed

from hfkit import TransferArguments, TransferTrainer
from hfkit.inference.saved import load_saved
from hfkit.tasks import Chat, LanguageModelling
from hfkit.tasks.language.isolation import isolates_documents
from tests.tiny.language import CAUSAL, causal, conversations, documents, write_rows

STAGES = {"strategy": "gradual", "layer_decay": 0.8, "head_only": 0.17, "unfreeze_stages": 2, "unfreeze_until": 0.67}
ALWAYS = ((LanguageModelling, "GPT-2"), (Chat, "Gemma 3"))  # in every run of the suite
PATHS = [
    pytest.param(kind, name, id=f"{kind.key}-{name}", marks=() if (kind, name) in ALWAYS else pytest.mark.slow)
    for kind in (LanguageModelling, Chat)
    for name in CAUSAL
]


@pytest.fixture(scope="module")
def rows(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    write_rows(folder / "texts", "text", documents)
    write_rows(folder / "turns", "messages", conversations)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    return {name: causal(name, tmp_path_factory.mktemp("causal")) for name in CAUSAL}


def trainer(task, checkpoint: str, output: Path, **flags) -> TransferTrainer:
    defaults = dict(
        num_train_epochs=2,
        per_device_train_batch_size=2,
        per_device_eval_batch_size=4,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
        logging_steps=1,
        learning_rate=3e-3,
        **STAGES,
    )
    args = TransferArguments(output_dir=str(output), **{**defaults, **flags})
    set_seed(args.seed)
    loaded = task.load()
    codec = task.codec(checkpoint, loaded.target)
    return TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=loaded)


@pytest.mark.parametrize("name", CAUSAL)
def test_positions_keep_documents_of_one_row_apart(name, checkpoints, rows):
    task = LanguageModelling(dataset=str(rows / "texts"))
    loaded = task.load()
    codec = task.codec(checkpoints[name], loaded.target)
    model = codec.model().eval()
    assert codec.packs
    packed = codec.encode(loaded["train"], split="train", answers=True)
    assert max(map(len, packed["pieces"])) > 1
    batch = codec.collate([packed[row] for row in range(2)])
    with torch.no_grad():
        together = model(**codec.inputs(batch), use_cache=False).logits
        for row in range(2):
            starts = [*np.flatnonzero(batch["position_ids"][row] == 0), batch["input_ids"].shape[1]]
            for start, end in zip(starts, starts[1:], strict=False):
                alone = model(input_ids=batch["input_ids"][row : row + 1, start:end]).logits[0]
                torch.testing.assert_close(together[row, start:end], alone, rtol=1e-4, atol=1e-4)


class Forgetful(GPT2LMHeadModel):
    """Attends to all that comes before, whatever the positions say, as models do that leave them out of their mask."""

    def forward(self, input_ids, position_ids=None, **kwargs):
        mask = torch.ones_like(input_ids)
        return super().forward(input_ids, position_ids=position_ids, attention_mask=mask, **kwargs)


def test_a_model_whose_positions_do_not_isolate_is_found_out(checkpoints):
    assert not isolates_documents(Forgetful.from_pretrained(checkpoints["GPT-2"]))
    assert isolates_documents(GPT2LMHeadModel.from_pretrained(checkpoints["GPT-2"]))


@pytest.mark.parametrize(("kind", "name"), PATHS)
def test_a_family_goes_the_whole_path(kind, name, checkpoints, rows, tmp_path, capsys):
    task = kind(dataset=str(rows / ("texts" if kind is LanguageModelling else "turns")))
    run = trainer(task, checkpoints[name], tmp_path / "run", cache_dir=str(tmp_path / "cache"))
    before = run.evaluate()["eval_bits_per_byte"]
    run.train()
    # The head is tied to the embeddings, or these stay as they are.
    assert run.unfreezing.plan.lowest in ((4, 2, 0), (4, 3, 1))
    assert "prefix cache off" not in capsys.readouterr().out.lower()
    assert run.evaluate()["eval_bits_per_byte"] < before
    own = run.predictions("test")
    run.save_model()
    saved = load_saved(str(tmp_path / "run"))
    assert type(saved.task) is kind
    again = saved.predictions(run.rows["test"], batch_size=4)
    assert [one["tokens"] for one in again] == [one["tokens"] for one in own]
    np.testing.assert_allclose([one["nats"] for one in again], [one["nats"] for one in own], rtol=1e-5)


@pytest.mark.parametrize(("kind", "name"), ALWAYS, ids=[kind.key for kind, _ in ALWAYS])
def test_a_resumed_run_ends_with_the_same_bits(kind, name, checkpoints, rows, tmp_path):
    task = kind(dataset=str(rows / ("texts" if kind is LanguageModelling else "turns")))
    often = {"save_strategy": "steps", "save_steps": 3, "max_steps": 7}
    whole = trainer(task, checkpoints[name], tmp_path / "run", **often)
    whole.train()
    resumed = trainer(task, checkpoints[name], tmp_path / "run", **often)
    resumed.train(resume_from_checkpoint=str(tmp_path / "run" / "checkpoint-3"))
    assert resumed.state.global_step == 7
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(weight, resumed.model.state_dict()[name]), name


@pytest.mark.parametrize("name", ["GPT-2", "Llama"])
def test_one_document_has_the_loss_of_the_stock_model(name, checkpoints, rows):
    task = LanguageModelling(dataset=str(rows / "texts"))
    loaded = task.load()
    codec = task.codec(checkpoints[name], loaded.target)
    model = codec.model().eval()
    encoded = codec.encode(loaded["test"].select([0]), split="test", answers=True)
    ids = torch.tensor([[*encoded[0]["input_ids"], encoded[0]["labels"][-1]]])
    with torch.no_grad():
        ours, _ = codec.loss(model, codec.collate([encoded[0]]))
        stock = AutoModelForCausalLM.from_pretrained(checkpoints[name]).eval()(input_ids=ids, labels=ids).loss
    torch.testing.assert_close(ours, stock, rtol=1e-6, atol=1e-6)
