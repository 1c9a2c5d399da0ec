"""Greedy answers of a batch whose rows end at different steps: those that have ended take part in no further one.

`generate()` computes every row of a batch until the last one has ended. Here it is ended as soon as half of its rows
have, and called anew for the others, with their part of the keys and values; the tokens stay the same up to rounding.
"""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, EncoderDecoderCache, GenerationConfig, PreTrainedModel, StoppingCriteria
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from hfkit.model.parallel import is_sharded

# Settings that count from where a call of `generate()` begins, compute every step twice, or take no cache from outside.
IN_ONE_CALL = (
    *("begin_suppress_tokens", "min_new_tokens", "exponential_decay_length_penalty"),
    *("guidance_scale", "cache_implementation"),
)
DIVISIBLE = (DynamicLayer, DynamicSlidingWindowLayer)  # layers of a cache that keep nothing but a part for each row


class HalfEnded(StoppingCriteria):
    """Ends a call as soon as half of its rows have written a token of `stops`."""

    def __init__(self, stops: Tensor) -> None:
        self.stops = stops
        self.ended: Tensor | None = None  # (rows,)

    def __call__(self, input_ids: Tensor, scores: Any, **kwargs: Any) -> Tensor:
        ends = torch.isin(input_ids[:, -1], self.stops)
        self.ended = ends if self.ended is None else self.ended | ends
        return (2 * self.ended.sum() >= len(ends)).expand(len(ends))


def write(model: PreTrainedModel, inputs: Mapping[str, Any], config: GenerationConfig) -> Tensor:
    """The tokens of `model.generate(**inputs, generation_config=config)`, apart from what follows an end.

    Args:
        inputs: `attention_mask`, and `input_ids` of a decoder, or the `encoder_outputs` of a model with an encoder.
    """
    if not may_part(model, inputs, config):
        return model.generate(**inputs, generation_config=config)
    stops = torch.as_tensor(config.eos_token_id, device=inputs["attention_mask"].device).reshape(-1)
    begun = inputs["input_ids"].shape[1] if "input_ids" in inputs else 1  # the token that starts a decoder
    limit = begun + config.max_new_tokens
    rows, written = torch.arange(len(inputs["attention_mask"]), device=stops.device), []
    settings = deepcopy(config)
    settings.return_dict_in_generate = True
    while True:
        made = model.generate(**inputs, generation_config=settings, stopping_criteria=[HalfEnded(stops)])
        tokens = made.sequences
        ended = torch.isin(tokens[:, begun:], stops).any(1)
        # With fewer than half of them ended, it is something else that ends all of them.
        last = bool(ended.all()) or tokens.shape[1] >= limit or 2 * int(ended.sum()) < len(ended)
        written.append((rows, tokens) if last else (rows[ended], tokens[ended]))
        if last:
            return join_rows(written, int(stops[0]) if config.pad_token_id is None else config.pad_token_id)
        rows, inputs = rows[~ended], go_on(inputs, made, ~ended)
        settings.max_new_tokens = limit - tokens.shape[1]


def may_part(model: PreTrainedModel, inputs: Mapping[str, Any], config: GenerationConfig) -> bool:
    """Whether each row is written without a look at the others, and a call may begin where another one ended."""
    if len(inputs["attention_mask"]) == 1 or config.eos_token_id is None or config.max_new_tokens is None:
        return False
    # What a config leaves open, generate() takes from the model's own.
    asked = {**model.generation_config.to_diff_dict(), **config.to_diff_dict()}
    greedy = asked.get("num_beams", 1) == 1 and not asked.get("do_sample", False)
    whole = not any(map(is_sharded, model.parameters()))  # processes that share a model take every step together
    return greedy and whole and not any(asked.get(name) is not None for name in IN_ONE_CALL)


def go_on(inputs: Mapping[str, Any], made: Any, rows: Tensor) -> dict[str, Any]:
    """The inputs of a call that goes on with some of the rows, (rows,), where another one ended.

    Without a cache that can be divided, what these rows have written is read anew.
    """
    mask, tokens = inputs["attention_mask"][rows], made.sequences[rows]
    # By the name that generate() has for it: releases differ. A model that keeps nothing hands an empty one back.
    full = tokens.shape[1] - 1
    caches = {
        name: value
        for name, value in made.items()
        if isinstance(value, Cache) and is_divisible(value) and value.get_seq_length() == full
    }
    for cache in caches.values():
        cache.batch_select_indices(rows.nonzero().squeeze(1))
    if "input_ids" in inputs:
        new = mask.new_ones(len(mask), tokens.shape[1] - mask.shape[1])
        return {"input_ids": tokens, "attention_mask": torch.cat([mask, new], 1), **caches}
    read = inputs["encoder_outputs"]
    read = type(read)(last_hidden_state=read.last_hidden_state[rows])
    # Without its mask, generate() would take all tokens of the decoder for new ones, though the cache has them.
    decoder = {"decoder_input_ids": tokens, "decoder_attention_mask": torch.ones_like(tokens)}
    return {"encoder_outputs": read, "attention_mask": mask, **decoder, **caches}


def is_divisible(cache: Cache) -> bool:
    if isinstance(cache, EncoderDecoderCache):
        return is_divisible(cache.self_attention_cache) and is_divisible(cache.cross_attention_cache)
    return all(type(layer) in DIVISIBLE for layer in cache.layers)


def join_rows(written: list[tuple[Tensor, Tensor]], filling: int) -> Tensor:
    """Rows with their numbers as one tensor in order, (rows, tokens); the shorter ones are filled up."""
    count, width = sum(len(rows) for rows, _ in written), max(tokens.shape[1] for _, tokens in written)
    joined = written[0][1].new_full((count, width), filling)
    for rows, tokens in written:
        joined[rows, : tokens.shape[1]] = tokens
    return joined
