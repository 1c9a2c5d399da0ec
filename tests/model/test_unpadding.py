"""Blocks that compute real tokens alone give the logits and gradients of whole batches: every architecture of texts."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
import transformers as hf
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from hfkit.model.depth import Depths
from hfkit.model.unpadding import Places, Unpadding, is_same, split_rows
from hfkit.training.unpadding import find_blocks
from tests.model.test_depth import CASES, TEXT, build

LENGTHS, WIDTH = (7, 3, 5), 7
NOT_EXCHANGEABLE = "its attention is none of transformers' exchangeable ones"
OTHER_SHAPES = "its blocks do not run on the tokens of several rows (RuntimeError)"
# Attention with a mask or a bias that is made from the shape of what it is given.
REFUSED = {
    **dict.fromkeys(["mpnet", "deberta", "deberta-v2", "gpt_neo", "bloom", "gemma2", "xlnet"], NOT_EXCHANGEABLE),
    "t5 tokens": OTHER_SHAPES,
}
# Two heads read the end token of each row, and theirs is no model of one text.
TEXTS = [name for name, case in CASES.items() if case.inputs.keys() == {"input_ids"}]
TEXTS = [name for name in TEXTS if name not in ("t5 sequence", "bart sequence")]
# Their heads read the first place of a row, which is one of padding there.
FIRST = {"bert sequence", "camembert", "electra", "distilbert", "albert"}


def make_batch(pad: int, side: str) -> dict[str, Tensor]:
    """Rows of other lengths, padded on a side."""
    ids = torch.randint(5, 50, (len(LENGTHS), WIDTH), generator=torch.Generator().manual_seed(1))
    mask = torch.zeros_like(ids)
    for row, length in zip(mask, LENGTHS, strict=True):
        row[slice(length) if side == "right" else slice(WIDTH - length, None)] = 1
    return {"input_ids": torch.where(mask.bool(), ids, pad), "attention_mask": mask}


def answers(model: nn.Module, batch: dict[str, Tensor]) -> Tensor:
    """All logits of rows and real tokens, in one vector."""
    real, found = batch["attention_mask"].bool(), []
    for name, value in model(**batch).items():
        if "logits" in name:
            found.append(value[real] if value.shape[:2] == real.shape else value)
    return torch.cat([value.flatten() for value in found])


def gradients(model: nn.Module, run: Callable[[], Tensor]) -> dict[str, Tensor]:
    model.zero_grad()
    logits = run()
    (logits * torch.linspace(-1, 1, len(logits))).sum().backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def reason_against(model: nn.Module, run: Callable[[], Tensor], places: Places) -> str | None:
    try:
        unpadding = Unpadding(find_blocks(model, Depths.of(model)))
    except ValueError as error:
        return str(error)
    with torch.no_grad():
        return is_same(unpadding, places, run, 1e-4)


@pytest.mark.parametrize("part", [0, 30])  # each length by itself, or the shorter two together
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("name", TEXTS)
def test_a_model_without_padding_is_the_same_or_refused(name, side, part):
    model = build(CASES[name])
    batch = make_batch(model.config.pad_token_id or 0, side)
    places, run = Places(batch["attention_mask"], part), partial(answers, model, batch)
    reason = reason_against(model, run, places)
    if side == "left" and name in FIRST:
        assert "of the largest away" in reason
        return
    assert reason == REFUSED.get(name)
    if reason is None:
        whole = gradients(model, run)
        unpadding = Unpadding(find_blocks(model, Depths.of(model)))
        with unpadding.around_blocks(), unpadding.skip_padding(places):
            packed = gradients(model, run)
        assert whole.keys() == packed.keys() and any(value.any() for value in whole.values())
        largest = max(value.abs().max() for value in whole.values())
        for parameter, value in whole.items():
            torch.testing.assert_close(packed[parameter], value, rtol=1e-4, atol=1e-5 * largest.item())


@pytest.mark.parametrize(
    ("lengths", "part", "parts"),
    [
        ([5, 5, 5], 0, [(0, 3)]),
        ([9, 3, 3, 2], 0, [(0, 1), (1, 3), (3, 4)]),
        ([9, 3, 3, 2], 10, [(0, 1), (1, 4)]),  # 81 + 10 + 27 + 10, where one part costs 324 + 10
        ([9, 8, 8], 100, [(0, 3)]),
        ([4, 2, 0, 0], 0, [(0, 1), (1, 2)]),
        ([0, 0], 0, []),
    ],
)
def test_rows_attend_in_the_parts_that_cost_least(lengths, part, parts):
    assert split_rows(lengths, part) == parts


def test_real_tokens_come_back_to_their_places():
    mask = torch.tensor([[0, 0, 1, 1], [1, 1, 1, 1], [0, 0, 0, 0], [1, 0, 1, 0]])
    places, value = Places(mask, part=0), torch.arange(32.0).view(4, 4, 2)
    assert places.padding == 8 and places.pack(value).shape == (1, 8, 2)
    assert torch.equal(places.unpack(places.pack(value)), value * mask.unsqueeze(-1))
    # Rows without tokens are in no part, and gaps within a row are left where they are.
    assert [(part.rows.tolist(), part.window) for part in places.parts] == [
        ([1], slice(0, 4)),
        ([0, 3], slice(0, 4)),
    ]


def test_choices_of_a_row_are_rows_of_their_own():
    torch.manual_seed(0)
    model = hf.BertForMultipleChoice(hf.BertConfig(**TEXT)).eval()
    batch = {name: value.unsqueeze(0) for name, value in make_batch(0, "right").items()}
    places = Places(batch["attention_mask"], part=0)
    assert (places.rows, places.tokens, places.padding) == (3, 7, 6)
    assert reason_against(model, lambda: model(**batch)["logits"].flatten(), places) is None


def test_products_are_those_of_real_tokens():
    torch.manual_seed(0)
    model = hf.BertForSequenceClassification(hf.BertConfig(**TEXT | {"hidden_size": 64, "intermediate_size": 256}))
    batch = make_batch(0, "right")
    places, counted = Places(batch["attention_mask"], part=0), {}
    unpadding = Unpadding(model.bert.encoder.layer)
    with FlopCounterMode(display=False) as counter:
        model(**batch)
        counted["whole"] = counter.get_flop_counts()["Global"][torch.ops.aten.addmm]
    with FlopCounterMode(display=False) as counter, unpadding.around_blocks(), unpadding.skip_padding(places):
        model(**batch)
        counted["real"] = counter.get_flop_counts()["Global"][torch.ops.aten.addmm]
    head = 2 * 3 * (64 * 64 + 64 * 2)
    assert (counted["real"] - head) / (counted["whole"] - head) == sum(LENGTHS) / (len(LENGTHS) * WIDTH)


def test_a_model_is_as_before_also_after_an_error():
    model = hf.BertForSequenceClassification(hf.BertConfig(**TEXT))
    unpadding, batch = Unpadding(model.bert.encoder.layer), make_batch(0, "right")
    places = Places(batch["attention_mask"], part=0)
    with pytest.raises(RuntimeError), unpadding.around_blocks(), unpadding.skip_padding(places):
        model.bert.encoder.layer[1].output.dense.weight.data = torch.zeros(3, 3)
        model(**batch)
    assert model.config._attn_implementation == "sdpa"
    assert not any("forward" in vars(block) for block in model.bert.encoder.layer)


def test_rows_of_another_shape_are_computed_as_they_are():
    torch.manual_seed(0)
    model = hf.BertForSequenceClassification(hf.BertConfig(**TEXT)).eval()
    unpadding, batch = Unpadding(model.bert.encoder.layer), make_batch(0, "right")
    other = {name: value[:2] for name, value in batch.items()}
    with torch.no_grad():
        wanted = model(**other)["logits"]
        with unpadding.around_blocks(), unpadding.skip_padding(Places(batch["attention_mask"], part=0)):
            torch.testing.assert_close(model(**other)["logits"], wanted, rtol=0, atol=0)


def test_a_model_whose_rows_read_each_other_is_refused():
    class Mixing(nn.Module):
        """A block that adds to each token the one before it, as a convolution does."""

        def __init__(self, block: nn.Module) -> None:
            super().__init__()
            self.block = block

        def forward(self, hidden: Tensor, *args, **kwargs) -> Tensor:
            return self.block(hidden + hidden.roll(1, 1), *args, **kwargs)

    torch.manual_seed(0)
    model = hf.BertForTokenClassification(hf.BertConfig(**TEXT)).eval()
    model.bert.encoder.layer[0] = Mixing(model.bert.encoder.layer[0])
    batch = make_batch(0, "right")
    places = Places(batch["attention_mask"], part=0)
    with torch.no_grad():
        found = is_same(Unpadding(model.bert.encoder.layer), places, partial(answers, model, batch), 1e-4)
    assert "of the largest away" in found
