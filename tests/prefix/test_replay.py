"""A model that starts at a cut gives the logits and gradients of one that runs as a whole: every architecture."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from hfkit.model.depth import Depths
from hfkit.model.unfreezing import Unfreezing
from hfkit.prefix.cuts import find_cuts
from hfkit.prefix.layout import pack, unpack
from hfkit.prefix.replay import CannotReplay, Cut, Size, flatten_answers, read_taps, replay
from tests.model.test_depth import CASES, CAUSAL, TOKEN, Case, build

NO_LAYER, NO_ROW = "no layer above the cut is a module of its own", "belongs to no row"
NOT_ALL = "not everything that is read above the cut could be found"
# What cannot be replayed, by case and depth.
REFUSED = {
    # The head is tied to the embeddings and has nothing of its own.
    "bart": {6: NO_LAYER},
    "marian": {6: NO_LAYER},
    # All hidden states are stacked, with the sum over them as the only layer above.
    "whisper audio": {1: NO_ROW, 2: NO_ROW},
    "yolos": {1: NO_ROW},
    "detr": dict.fromkeys(range(4, 9), NOT_ALL),
    "detr timm": dict.fromkeys(range(5, 10), NOT_ALL),
}

# Here a dropout behind the embeddings belongs to a module that spans all blocks of a tower. It draws in each real step
# until the whole tower is frozen, and in no replayed one: what is stored is what `eval()` makes of a row.
DRAWS_BELOW = {
    **dict.fromkeys(["t5", "t5 sequence", "mt5", "umt5"], (2, 4, 5)),
    "t5 tokens": (2,),
    **dict.fromkeys(["bart", "bart sequence", "mbart"], (2, 4, 5)),
    **dict.fromkeys(["pegasus", "m2m_100", "marian"], (1, 2, 3, 4, 5)),
    "xlnet": (1, 2),
}
LEARNT = ["bert tokens", "deberta-v2", "modernbert", "gpt2 sequence", "llama", "t5 sequence", "bart", "whisper audio"]
LEARNT += ["wav2vec2 stable", "vit", "swin", "convnext", "resnet", "clip", "yolos"]
# One of each kind of layer, of each way to share a module among blocks, and of the networks of timm; the rest is slow.
QUICK = {*LEARNT, "albert", "gpt_neo", "mobilenet_v2", "t5 tokens", "xlnet", "timm mobilenetv3", "timm vit"}
EVERY = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in CASES]
SMALL = [name for name in EVERY if not name.values[0].startswith("timm")]


def batch_of(case: Case, rows: int, *, side: str = "right", seed: int = 0, long: bool = True) -> dict[str, Tensor]:
    """Rows of other content than any before; texts of 7 and of 5 tokens in turn, or of 5 alone, and their mask."""
    draw = torch.Generator().manual_seed(seed)
    batch = {}
    for name, value in case.inputs.items():
        if value.is_floating_point():
            batch[name] = torch.randn(rows, *value.shape[1:], generator=draw)
            continue
        ids = torch.randint(5, 50, (rows, 7 if long else 5), generator=draw)
        ids[:, -1] = 2  # the end, which some heads read
        mask = torch.ones_like(ids)
        if long:
            short, away = slice(1, None, 2), slice(0, 2) if side == "left" else slice(5, 7)
            ids[short, 4 if side == "right" else 6] = 2
            ids[short, away] = mask[short, away] = 0
        if name == "input_ids":
            batch["attention_mask"] = mask
        batch[name] = torch.ones_like(ids) if name == "token_type_ids" else ids
    if batch.keys() >= {"input_ids", "decoder_input_ids"}:
        batch["decoder_input_ids"] = batch["input_ids"].clone()
    return batch


def padded_on(name: str) -> list[str]:
    """The sides that a tokenizer of this model may pad on: a head that reads the first token needs it there."""
    if name == "xlnet":
        return ["left"]
    return ["right", "left"] if CASES[name].auto in (TOKEN, CAUSAL) or name.startswith("gpt") else ["right"]


@cache
def model_of(name: str) -> nn.Module:
    config = CASES[name].config()
    # What draws in the middle of frozen layers is refused before (see `hfkit.prefix.callback`).
    config.layerdrop, config.apply_spec_augment = 0.0, False
    config.classifier_dropout_prob = 0.1  # of MobileNetV1 it is 0.999
    model = build(replace(CASES[name], config=lambda: config))
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)  # or what is drawn comes out of many convolutions as 0
        if keeps_statistics(module):
            module.momentum = 1.0
    with torch.no_grad():
        model.train()(**CASES[name].inputs)
    return model.eval()


def keeps_statistics(module: nn.Module) -> bool:
    return any(name == "running_mean" for name, _ in module.named_buffers(recurse=False))


def head_of(name: str) -> int:
    return Depths.of(model_of(name)).head


def search(name: str, depths: list[int], model: nn.Module | None = None) -> list[Cut]:
    model, case = model or model_of(name), CASES[name]
    batches = [batch_of(case, 3), batch_of(case, 2), batch_of(case, 3, long=False)]
    return find_cuts(model, Depths.of(model), depths, batches)


@cache
def cuts_of(name: str) -> list[Cut]:
    """Of the many blocks of timm's models, which are alike, every third."""
    head, step = head_of(name), 3 if name.startswith("timm") else 1
    return search(name, [d for d in {*range(1, head, step), head - 1, head} if d not in REFUSED.get(name, {})])


def store_and_read(model: nn.Module, cut: Cut, batch: Mapping[str, Tensor]) -> list[Tensor]:
    """The taps as they come back from the disk: what is padding or not read is 0."""
    with torch.no_grad():
        values = read_taps(model, cut.taps, batch)
    return [
        unpack(tap, pack(tap, value, batch)[0], batch, Size.of(batch))
        for tap, value in zip(cut.taps, values, strict=True)
    ]


def logits_of(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """The logits that anything reads: padding has none."""
    mask, output = batch.get("attention_mask"), model(**batch)
    if mask is None:
        return flatten_answers(output)
    return flatten_answers(
        {k: v[mask.bool()] if v.shape[:2] == mask.shape else v for k, v in output.items() if "logits" in k}
    )


def require_close(real: Tensor, replayed: Tensor, case: str) -> None:
    """Within 1e-5 of the largest."""
    assert real.shape == replayed.shape
    apart = ((real - replayed).abs().max() / real.abs().max()).item()
    assert apart <= 1e-5, f"{case}: {apart:.1g} of the largest"


@contextmanager
def stage(model: nn.Module, lowest: int) -> Iterator[None]:
    """As in a stage of training that freezes everything below `lowest`, but for statistics, which would move on."""
    unfreezing = Unfreezing(model)
    unfreezing.apply(model.train(), lowest)
    unfreezing.hold_frozen_in_eval()
    for module in model.modules():
        if keeps_statistics(module):
            module.eval()
    try:
        yield
    finally:
        model.eval().requires_grad_(True)


@pytest.mark.parametrize("name", EVERY)
def test_logits_are_the_models_own_at_every_cut(name):
    model = model_of(name)
    for cut in cuts_of(name):
        for side in padded_on(name):
            batch = batch_of(CASES[name], 4, side=side, seed=1)
            values = store_and_read(model, cut, batch)
            with torch.no_grad():
                real = logits_of(model, batch)
                with replay(model, cut, values, Size.of(batch)):
                    replayed = logits_of(model, batch)
            require_close(real, replayed, f"cut {cut.depth}, padded on the {side}")


@pytest.mark.parametrize("name", SMALL)
def test_layers_above_draw_their_dropout_as_usual(name):
    """With the same seed a replayed step is the step that runs all of the model."""
    model = model_of(name)
    for cut in cuts_of(name):
        batch = batch_of(CASES[name], 4, side=padded_on(name)[0], seed=2)
        values = store_and_read(model, cut, batch)
        with stage(model, cut.depth), torch.no_grad():
            torch.manual_seed(0)
            real = logits_of(model, batch)
            torch.manual_seed(0)
            with replay(model, cut, values, Size.of(batch)):
                replayed = logits_of(model, batch)
        if cut.depth not in DRAWS_BELOW.get(name, ()):
            require_close(real, replayed, f"cut {cut.depth}")


@pytest.mark.parametrize("name", LEARNT)
def test_gradients_above_a_cut_are_the_models_own(name):
    model = model_of(name)
    for cut in cuts_of(name):
        batch = batch_of(CASES[name], 4, side=padded_on(name)[0], seed=3)
        values, size = store_and_read(model, cut, batch), Size.of(batch)
        with stage(model, cut.depth):
            model.eval()  # without dropout
            real, replayed = gradients(model, batch), {}
            with replay(model, cut, values, size):
                replayed = gradients(model, batch)
        assert real.keys() == replayed.keys() != set(), f"cut {cut.depth}"
        assert all(torch.allclose(real[n], replayed[n], rtol=1e-3, atol=1e-5 * largest(real)) for n in real), cut.depth


def gradients(model: nn.Module, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    logits = logits_of(model, batch)
    (logits * torch.linspace(1, 2, logits.numel())).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def largest(tensors: Mapping[str, Tensor]) -> float:
    return max(tensor.abs().max().item() for tensor in tensors.values())


def test_a_model_that_makes_inputs_of_its_answers_is_refused_with_the_reason():
    model, batches = model_of("t5"), [{"input_ids": batch_of(CASES["t5"], rows)["input_ids"]} for rows in (3, 2, 3)]
    with pytest.raises(CannotReplay, match="does not run on inputs without answers .You must specify"):
        find_cuts(model, Depths.of(model), [5], batches)


@pytest.mark.parametrize(("name", "depth"), [(name, depth) for name, depths in REFUSED.items() for depth in depths])
def test_what_cannot_be_replayed_is_refused_with_the_reason(name, depth):
    with pytest.raises(CannotReplay, match=REFUSED[name][depth]):
        search(name, [depth])
