"""Whether a causal model keeps the documents of one row apart, and reads in one direction: tried, not looked up."""

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from accelerate.utils import extract_model_from_parallel
from torch import Tensor, nn
from transformers import PreTrainedModel

from hfkit.errors import UserError

TOKENS = 6  # of each document that is tried
CLOSE = 1e-4  # of the largest logit: the rounding of sums in another order


def cacheless(model: nn.Module) -> dict[str, Any]:
    """The arguments that keep a forward pass from caching keys and values: with a cache, positions isolate nothing."""
    return {"use_cache": False} if "use_cache" in inspect.signature(model.forward).parameters else {}


def count_positions(lengths: list[int]) -> Tensor:
    """The positions of documents in one row, each counted from 0, (tokens,)."""
    return torch.cat([torch.arange(length) for length in lengths])


def refuse_two_way(model: PreTrainedModel, named: str, first: int) -> None:
    """Refuse a model whose logits at a token change with the tokens behind it: it would be told what it is to predict.

    Args:
        first: the token that is tried first.

    Raises:
        UserError: naming its class.
    """
    ids = make_ids(model)[None]
    ids[0, 0] = first
    changed = ids.clone()
    changed[0, -1] = ids[0, 0]
    with trying(model):
        one, other = (run(model, input_ids=given) for given in (ids, changed))
    if not torch.equal(one[:, :-1], other[:, :-1]):
        raise UserError(
            named,
            f"a language model reads from left to right, and {type(model).__name__} sees the words that it is to"
            " predict",
            "Use a decoder, such as GPT-2 or Llama",
        )


def isolates_documents(model: PreTrainedModel) -> bool:
    """Whether positions that start again keep documents in one row apart.

    Two are put into a row. The logits of the second must be those of the document alone, and must not change by a bit
    with the tokens of the first: what attention masks out is multiplied by exactly zero.
    """
    if "position_ids" not in inspect.signature(model.forward).parameters:
        return False
    ids = make_ids(model)
    first, second = ids[:TOKENS], ids[TOKENS:]
    places = count_positions([TOKENS, TOKENS])[None]
    with trying(model):
        alone = run(model, input_ids=second[None])
        rows = [torch.cat([before, second])[None] for before in (first, first.flip(0))]
        one, other = (run(model, input_ids=row, position_ids=places)[:, TOKENS:] for row in rows)
    return torch.equal(one, other) and bool((one - alone).abs().max() <= CLOSE * alone.abs().max())


def refuse_virtual_tokens(model: nn.Module) -> None:
    """Refuse a model that peft puts virtual tokens before: it then ignores positions, and documents are not kept apart.

    Raises:
        UserError: naming the kind.
    """
    from peft import PeftModel  # in its function: whoever asks a saved model need not wait for it

    core = extract_model_from_parallel(model)
    if isinstance(core, PeftModel) and core.active_peft_config.is_prompt_learning:
        raise UserError(
            f"adapter {core.active_peft_config.peft_type.value.lower().replace('_', ' ')}",
            "virtual tokens stand once before a row, and here a row holds several documents",
            "Use --adapter lora",
        )


def make_ids(model: PreTrainedModel) -> Tensor:
    """Token ids for two documents, all of them different in a vocabulary of more than a handful, (2 * TOKENS,)."""
    size = model.config.get_text_config().vocab_size
    return (torch.arange(2 * TOKENS, device=model.device) * 7 + 5) % size


def run(model: PreTrainedModel, **inputs: Tensor) -> Tensor:
    return model(**inputs, **cacheless(model))["logits"]


@contextmanager
def trying(model: nn.Module) -> Iterator[None]:
    """Within it the model is in evaluation mode and makes no gradients."""
    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
