"""Answers that a language model writes freely, one line each, what all prompts begin with computed once."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, GenerationConfig, PreTrainedModel, StoppingCriteria
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.baselines.prompting.layout import Request
from hfkit.baselines.prompting.scoring import REFUSALS, TOLERANCE, beginning, shared_start
from hfkit.errors import first_line
from hfkit.progress import track

log = logging.getLogger(__name__)

TOKENS = 4096  # in a batch, with those to be written, about


class LineEnd(StoppingCriteria):
    """Stops a row at its first token with a line end: answers are one line."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
        self.ends = torch.tensor(["\n" in text for text in texts])

    def __call__(self, input_ids: Tensor, scores: Tensor, **kwargs) -> Tensor:
        self.ends = self.ends.to(input_ids.device)
        return self.ends[input_ids[:, -1].clamp(max=len(self.ends) - 1)]


@torch.inference_mode()
def completions(
    model: PreTrainedModel, tokenizer: Tokenizer, requests: Sequence[Request], most: int, *, desc: str | None = None
) -> list[str]:
    """The likeliest next tokens, at most `most`, up to the end of the line, of every request."""
    if not requests:
        return []
    start = shared_start(requests)
    reason = difference(model, tokenizer, [request.context for request in requests], start)
    if reason:
        log.warning("Prompts are read in whole: this model cannot share their beginning (%s).", reason)
        start = 0
    shared, line_end = beginning(model, requests[0].context[:start]), LineEnd(tokenizer)
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].context))
    size = max(1, TOKENS // (len(requests[order[-1]].context) + most))
    found: dict[int, str] = {}
    for first in track(range(0, len(order), size), desc):
        chosen = order[first : first + size]
        inputs = laid_out(model, tokenizer, [requests[i].context for i in chosen], start, shared)
        output = model.generate(
            **inputs, generation_config=greedy(model, tokenizer, most), stopping_criteria=[line_end]
        )
        new = output[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        found |= {i: text.partition("\n")[0].strip() for i, text in zip(chosen, texts, strict=True)}
    return [found[i] for i in range(len(requests))]


def difference(model: PreTrainedModel, tokenizer: Tokenizer, contexts: Sequence[tuple[int, ...]], start: int) -> str:
    """Why sharing is wrong with this model, judged by the longest and the shortest context; empty where it is right.

    A model that keeps no keys and values, forgets some, or counts padding as distance would write something else.
    """
    few = [of(contexts, key=len) for of in (min, max)]
    settings = greedy(model, tokenizer, 1, output_logits=True, return_dict_in_generate=True)

    def next_token(rows: list[tuple[int, ...]], start: int) -> Tensor:
        inputs = laid_out(model, tokenizer, rows, start, beginning(model, rows[0][:start]))
        return model.generate(**inputs, generation_config=settings).logits[0].float().log_softmax(-1)

    try:
        gap = (next_token(few, start) - torch.cat([next_token([row], 0) for row in few])).abs().max().item()
    except REFUSALS as error:
        return first_line(error)
    return "" if gap < TOLERANCE else f"the next token's log-probabilities differ by {gap:.1e}"


def greedy(model: PreTrainedModel, tokenizer: Tokenizer, most: int, **settings: bool) -> GenerationConfig:
    ends = model.generation_config.eos_token_id
    return GenerationConfig(
        max_new_tokens=most,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,  # else a checkpoint's own penalty falls on what the demonstrations say
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        **settings,
    )


def laid_out(
    model: PreTrainedModel, tokenizer: Tokenizer, rows: list[tuple[int, ...]], start: int, shared: Cache | None
) -> dict[str, Any]:
    """A batch for `generate`, padded between the `start` shared tokens and the rest, so that all end at one place."""
    width = max(map(len, rows))
    ids = [[*row[:start], *[tokenizer.pad_token_id] * (width - len(row)), *row[start:]] for row in rows]
    mask = [[1] * start + [0] * (width - len(row)) + [1] * (len(row) - start) for row in rows]
    inputs = {
        "input_ids": torch.tensor(ids, device=model.device),
        "attention_mask": torch.tensor(mask, device=model.device),
    }
    if shared is None:
        return inputs
    repeated = [tuple(part.expand(len(rows), -1, -1, -1) for part in (at.keys, at.values)) for at in shared.layers]
    return inputs | {"past_key_values": DynamicCache(repeated)}
