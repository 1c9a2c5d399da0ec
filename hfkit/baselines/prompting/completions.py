"""Answers that a language model writes freely, one line each; the beginning that prompts share is computed once."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import Cache, DynamicCache, GenerationConfig, PreTrainedModel
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.baselines.prompting.layout import Request
from hfkit.baselines.prompting.scoring import REFUSALS, TOLERANCE, read_beginning, shared_start
from hfkit.errors import first_line
from hfkit.model.writing import write
from hfkit.progress import track

log = logging.getLogger(__name__)

TOKENS = 4096  # in a batch, about, those to be written included


def find_line_ends(tokenizer: Tokenizer) -> list[int]:
    """The tokens with a line end in them: the last one of an answer, which is one line."""
    texts = tokenizer.batch_decode([[token] for token in range(len(tokenizer))])
    return [token for token, text in enumerate(texts) if "\n" in text]


@torch.inference_mode()
def complete(
    model: PreTrainedModel, tokenizer: Tokenizer, requests: Sequence[Request], most: int, *, desc: str | None = None
) -> list[str]:
    """The text that is likeliest to follow each request, at most `most` tokens, up to the end of the line."""
    if not requests:
        return []
    start = shared_start(requests)
    reason = compare_completions(model, tokenizer, [request.context for request in requests], start)
    if reason:
        log.warning("Prompts are read in whole: this model cannot share their beginning (%s).", reason)
        start = 0
    shared = read_beginning(model, requests[0].context[:start])
    settings = greedy_settings(model, tokenizer, most)
    settings.eos_token_id = [*ends_of(settings), *find_line_ends(tokenizer)] or None
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].context))
    size = max(1, TOKENS // (len(requests[order[-1]].context) + most))
    completions: dict[int, str] = {}
    for first in track(range(0, len(order), size), desc):
        numbers = order[first : first + size]
        inputs = lay_out_batch(model, tokenizer, [requests[i].context for i in numbers], start, shared)
        new = write(model, inputs, settings)[:, inputs["input_ids"].shape[1] :]
        texts = tokenizer.batch_decode(new, skip_special_tokens=True)
        completions |= {i: text.partition("\n")[0].strip() for i, text in zip(numbers, texts, strict=True)}
    return [completions[i] for i in range(len(requests))]


def compare_completions(
    model: PreTrainedModel, tokenizer: Tokenizer, contexts: Sequence[tuple[int, ...]], start: int
) -> str:
    """The reason why this model cannot share a beginning, or an empty string.

    The longest and the shortest context are tried. A model that keeps no keys and values, forgets some, or counts
    padding as distance would write something else.
    """
    few = [of(contexts, key=len) for of in (min, max)]
    settings = greedy_settings(model, tokenizer, 1, output_logits=True, return_dict_in_generate=True)

    def next_token(rows: list[tuple[int, ...]], start: int) -> Tensor:
        inputs = lay_out_batch(model, tokenizer, rows, start, read_beginning(model, rows[0][:start]))
        return model.generate(**inputs, generation_config=settings).logits[0].float().log_softmax(-1)

    try:
        gap = (next_token(few, start) - torch.cat([next_token([row], 0) for row in few])).abs().max().item()
    except REFUSALS as error:
        return first_line(error)
    return "" if gap < TOLERANCE else f"the next token's log-probabilities differ by {gap:.1e}"


def greedy_settings(model: PreTrainedModel, tokenizer: Tokenizer, most: int, **settings: bool) -> GenerationConfig:
    """Greedy decoding of at most `most` tokens, whatever the checkpoint's own settings are."""
    ends = model.generation_config.eos_token_id
    return GenerationConfig(
        max_new_tokens=most,
        do_sample=False,
        num_beams=1,
        repetition_penalty=1.0,  # a checkpoint's own penalty would fall on the words of the demonstrations
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id if ends is None else ends,
        **settings,
    )


def ends_of(settings: GenerationConfig) -> list[int]:
    """The tokens that end a text."""
    ends = settings.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)


def lay_out_batch(
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
