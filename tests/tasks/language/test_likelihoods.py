"""Likelihoods that are computed a part at a time are those of the model's own logits, and so are the gradients."""

import pytest
import torch
from torch.nn import functional

from hfkit.contract.target import Nothing
from hfkit.tasks import LanguageModelling
from hfkit.tasks.language import likelihoods
from hfkit.tasks.losses import IGNORED
from tests.tiny.language import causal


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """A model whose logits leave its output layer as they are, and one that caps them."""
    folder = tmp_path_factory.mktemp("causal")
    return {
        "plain": causal("Llama", folder / "plain"),
        "tied": causal("GPT-2", folder / "tied"),
        "capped": causal("Gemma 3", folder / "capped", final_logit_softcapping=2.0),
    }


def batch_of(model) -> dict[str, torch.Tensor]:
    ids = torch.randint(model.config.vocab_size, (3, 9), generator=torch.Generator().manual_seed(1))
    labels = ids.roll(-1, 1)
    labels[0, :4] = labels[1, 5:] = labels[2, 2] = IGNORED
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def gradients(model, loss) -> list[torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return [parameter.grad.clone() for parameter in model.parameters()]


@pytest.mark.parametrize("most", [1, 200, 2**26], ids=["each place alone", "in parts", "at once"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("name", ["plain", "tied", "capped"])
def test_loss_and_gradients_are_those_of_the_models_logits(name, smoothing, most, checkpoints, monkeypatch):
    monkeypatch.setattr(likelihoods, "MOST_LOGITS", most)
    codec = LanguageModelling().codec(checkpoints[name], Nothing())
    model = codec.model().eval()
    codec.label_smoothing = smoothing
    batch = batch_of(model)
    loss, output = codec.loss(model, batch)
    ours = gradients(model, loss)

    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    theirs = functional.cross_entropy(
        logits.flatten(0, 1), batch["labels"].flatten(), ignore_index=IGNORED, label_smoothing=smoothing
    )
    torch.testing.assert_close(loss, theirs)
    for one, other in zip(ours, gradients(model, theirs), strict=True):
        torch.testing.assert_close(one, other)
    each = functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten(), reduction="none")
    torch.testing.assert_close(codec.outputs(model, batch, output)["nats"][:, 0], each.view(3, 9).sum(1).detach())
    assert codec.narrows == (name != "capped")


def test_the_output_layer_sees_what_is_predicted_and_never_more_than_fits(checkpoints, monkeypatch):
    codec = LanguageModelling().codec(checkpoints["plain"], Nothing())
    model = codec.model()
    monkeypatch.setattr(likelihoods, "MOST_LOGITS", 5 * model.config.vocab_size)
    head, seen = model.get_output_embeddings(), []
    compute = head.forward
    head.forward = lambda hidden: seen.append(hidden.shape[:-1].numel()) or compute(hidden)
    batch = batch_of(model)
    codec.outputs(model, batch)
    assert sum(seen) == int((batch["labels"] != IGNORED).sum()) and max(seen) <= 5
    # The layer is as before, also where a pass fails.
    with pytest.raises(IndexError):
        codec.outputs(model, batch | {"input_ids": batch["input_ids"] + model.config.vocab_size})
    assert model(input_ids=batch["input_ids"]).logits.shape[-1] == model.config.vocab_size


def test_a_batch_without_labels_has_a_loss_of_0_and_gradients(checkpoints):
    codec = LanguageModelling().codec(checkpoints["plain"], Nothing())
    model = codec.model()
    batch = batch_of(model)
    loss, _ = codec.loss(model, batch | {"labels": torch.full_like(batch["labels"], IGNORED)})
    assert loss == 0
    assert all(not gradient.any() for gradient in gradients(model, loss))
