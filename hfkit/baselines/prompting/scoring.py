"""Log-likelihoods of answers under a language model; the beginning that all prompts share is computed once."""

import inspect
import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from os.path import commonprefix
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from transformers import Cache, DynamicCache, DynamicLayer, PreTrainedModel

from hfkit.baselines.prompting.layout import Request
from hfkit.errors import first_line
from hfkit.progress import track

log = logging.getLogger(__name__)

TOKENS = 1024  # fed in a batch, about
LARGEST = 2**25  # numbers in the logits, the mask or a layer's keys of a batch, about: 128 MB
TOLERANCE = 1e-3  # nats a token; rounding makes 1e-5
# Errors of a model that keeps no keys and values, or takes no mask but its own.
REFUSALS = (AttributeError, TypeError, ValueError, RuntimeError, IndexError, KeyError, NotImplementedError)


@dataclass
class Scorer:
    """Mean log-probabilities of answers, from whole prompts where the model cannot share their beginning."""

    model: PreTrainedModel
    shares: bool = field(default=True, init=False)
    checked: int = field(default=0, init=False)  # tokens of the longest prompt that was scored both ways

    def score(self, requests: Sequence[Request], *, desc: str | None = None) -> list[np.ndarray]:
        """For every request, the mean log-probability of a token of each answer, (answers,) in nats.

        Whenever prompts are longer than before, some are scored in whole too: a model with a sliding window over
        tokens, or with a state that is not a cache, would give wrong scores without a warning.
        """
        longest = max((len(request.context) for request in requests), default=0)
        if self.shares and longest > self.checked:
            reason = compare_scores(self.model, requests)
            self.checked, self.shares = longest, not reason
            if reason:
                log.warning("Prompts are scored in whole: this model cannot share their beginning (%s).", reason)
        return (shared_scores if self.shares else whole_scores)(self.model, requests, desc=desc)


def compare_scores(model: PreTrainedModel, requests: Sequence[Request]) -> str:
    """The reason why this model cannot share a beginning, or an empty string; the longest and shortest are tried."""
    by_length = sorted(requests, key=lambda request: len(request.context))
    few = [
        Request(context, (min(answers, key=len), max(answers, key=len)))
        for context, answers in (by_length[0], by_length[-1])
    ]
    try:
        ours = shared_scores(model, few, start=shared_start(requests))
    except REFUSALS as error:
        return first_line(error)
    gap = np.abs(np.concatenate(ours) - np.concatenate(whole_scores(model, few))).max()
    return "" if gap < TOLERANCE else f"scores differ by {gap:.1e}"


def shared_start(requests: Sequence[Request]) -> int:
    """The number of tokens that all contexts begin with; at least one of each is left to predict the answer from."""
    first, last = (of([request.context for request in requests]) for of in (min, max))
    return min(len(commonprefix([first, last])), min(len(request.context) for request in requests) - 1)


# Shared


class Tree(NamedTuple):
    """Answers as a tree of their beginnings, so that tokens which several share are fed once.

    Node 0 is the last token of the context. The last token of an answer is predicted and never fed: it has no node.
    """

    tokens: Tensor  # (nodes - 1,)
    depths: Tensor  # (nodes - 1,): the number of tokens of the answer before it
    sees: Tensor  # (nodes - 1, nodes - 1), bool: itself and the tokens before it
    answer: Tensor  # (predicted,): the number of the answer that a predicted token belongs to
    parent: Tensor  # (predicted,): the node that predicts it
    target: Tensor  # (predicted,): the token


@lru_cache(maxsize=1024)  # most tasks have the same answers for every row
def tree_of(answers: tuple[tuple[int, ...], ...]) -> Tree:
    """The tree of answers that have at least one token each."""
    nodes: dict[tuple[int, ...], int] = {(): 0}
    predicted = []
    for number, ids in enumerate(answers):
        for end, token in enumerate(ids):
            predicted.append((number, nodes.setdefault(ids[:end], len(nodes)), token))
    begun = list(nodes)[1:]
    sees = torch.eye(len(begun), dtype=torch.bool)
    for row, ids in enumerate(begun):
        if len(ids) > 1:
            sees[row] |= sees[nodes[ids[:-1]] - 1]
    return Tree(
        torch.tensor([ids[-1] for ids in begun], dtype=torch.long),
        torch.tensor([len(ids) - 1 for ids in begun], dtype=torch.long),
        sees,
        *torch.tensor(predicted).T,
    )


class SharedLayer(DynamicLayer):
    """Keys and values of one beginning for a batch of any size; tokens fed after it are seen and not kept."""

    def __init__(self, keys: Tensor, values: Tensor) -> None:
        super().__init__()
        self.lazy_initialization(keys, values)
        self.keys, self.values = keys, values  # (1, heads, tokens, features)

    def update(self, key_states: Tensor, value_states: Tensor, *args, **kwargs) -> tuple[Tensor, Tensor]:
        rows = len(key_states)
        return (
            torch.cat([self.keys.expand(rows, -1, -1, -1), key_states], dim=-2),
            torch.cat([self.values.expand(rows, -1, -1, -1), value_states], dim=-2),
        )


def read_beginning(model: PreTrainedModel, tokens: Sequence[int]) -> Cache | None:
    """The keys and values of every layer for `tokens`, in a batch of one; None for no tokens."""
    if not tokens:
        return None
    # Without the configuration, which may ask for layers that forget whatever leaves their window.
    cache = DynamicCache()
    model(
        input_ids=torch.tensor([tokens], device=model.device),
        past_key_values=cache,
        use_cache=True,
        **limit_logits(model, 1),
    )
    return cache


@torch.inference_mode()
def shared_scores(
    model: PreTrainedModel, requests: Sequence[Request], *, start: int | None = None, desc: str | None = None
) -> list[np.ndarray]:
    """Mean log-probabilities, with the `start` tokens that all contexts share read once.

    Answers stand side by side after their context, and a mask lets each see nothing but itself and the context.
    """
    if not requests:
        return []
    start = shared_start(requests) if start is None else start
    cache = read_beginning(model, requests[0].context[:start])
    if cache is not None:
        cache = Cache(layers=[SharedLayer(layer.keys, layer.values) for layer in cache.layers])
    most = best_nodes(model, [len(request.context) for request in requests], start)
    places, pieces = [], []
    for i, request in enumerate(requests):
        for numbers in group_answers(request.answers, most):
            places.append((i, list(numbers)))
            pieces.append(request._replace(answers=tuple(request.answers[number] for number in numbers)))
    means = [np.zeros(len(request.answers)) for request in requests]
    for fed in track(list(batch_requests(model, pieces, start)), desc):
        trees = [tree_of(pieces[place].answers) for place in fed]
        ids, positions, mask = lay_out_batch([pieces[place].context[start:] for place in fed], trees, start)
        logits = model(
            input_ids=ids.to(model.device),
            position_ids=positions.to(model.device),
            attention_mask=mask.to(model.device),
            past_key_values=cache,
            use_cache=cache is not None,
            **limit_logits(model, count := max(len(tree.tokens) for tree in trees) + 1),
        ).logits[:, -count:]
        totals = logits.float().logsumexp(-1)  # (rows, nodes)
        for row, (place, tree) in enumerate(zip(fed, trees, strict=True)):
            parent, target = tree.parent.to(model.device), tree.target.to(model.device)
            each = (logits[row, parent, target].float() - totals[row, parent]).double().cpu().numpy()
            i, numbers = places[place]
            means[i][numbers] = np.bincount(tree.answer, each) / np.bincount(tree.answer)
    return means


def best_nodes(model: PreTrainedModel, lengths: list[int], start: int) -> int:
    """The number of nodes of answers to feed with one context at the least cost.

    With fewer, the context is fed more often; with more, the mask grows, and most of it hides. With c nodes beside Q
    tokens after a beginning of P, a node costs (1 + Q/c) (12 h² + 4 h (P + Q + c)), h the hidden size: least at this c.
    """
    rest = float(np.median(lengths)) - start
    return round((rest * (3 * model.config.get_text_config().hidden_size + start + rest)) ** 0.5)


@lru_cache(maxsize=1024)
def group_answers(answers: tuple[tuple[int, ...], ...], most: int) -> tuple[tuple[int, ...], ...]:
    """Groups of answers to feed together, by their numbers: neighbours by their tokens, about `most` nodes a group."""
    groups: list[list[int]] = []
    nodes: set[tuple[int, ...]] = set()
    for number in sorted(range(len(answers)), key=answers.__getitem__):
        begun = {answers[number][:end] for end in range(1, len(answers[number]))}
        if not groups or len(nodes | begun) > most:
            groups.append([])
            nodes = set()
        groups[-1].append(number)
        nodes |= begun
    return tuple(map(tuple, groups))


def batch_requests(model: PreTrainedModel, requests: Sequence[Request], start: int) -> Iterator[list[int]]:
    """Batches of requests of like length, by their places."""
    config = model.config.get_text_config()
    batch: list[int] = []
    widest = 0
    for place in sorted(range(len(requests)), key=lambda place: len(requests[place].context)):
        nodes = len(tree_of(requests[place].answers).tokens) + 1
        widest = max(widest, nodes)
        fed, rows = len(requests[place].context) - start + widest, len(batch) + 1
        numbers = rows * max(widest * config.vocab_size, (fed + start) * fed, (fed + start) * config.hidden_size)
        if batch and (rows * fed > TOKENS or numbers > LARGEST):
            yield batch
            batch, widest = [], nodes
        batch.append(place)
    yield batch


def lay_out_batch(rows: list[tuple[int, ...]], trees: list[Tree], start: int) -> tuple[Tensor, Tensor, Tensor]:
    """Token ids and positions, (rows, tokens), and an additive mask, (rows, 1, tokens, start + tokens), 0 or lowest.

    Contexts are padded on the left, so that all end at one place. Answers follow, padded on the right.
    """
    width, nodes = max(map(len, rows)), max(len(tree.tokens) for tree in trees)
    ids = torch.zeros(len(rows), width + nodes, dtype=torch.long)
    positions = torch.zeros_like(ids)
    # Padding sees the beginning and itself: a row of the mask that hides everything would give nan.
    sees = torch.eye(width + nodes, dtype=torch.bool).repeat(len(rows), 1, 1)
    for row, (context, tree) in enumerate(zip(rows, trees, strict=True)):
        left, end = width - len(context), width + len(tree.tokens)
        ids[row, left:width] = torch.tensor(context)
        ids[row, width:end] = tree.tokens
        positions[row, left:width] = start + torch.arange(len(context))
        positions[row, width:end] = start + len(context) + tree.depths
        sees[row, left:width, left:width] = torch.ones(len(context), len(context), dtype=torch.bool).tril()
        sees[row, width:end, left:width] = True
        sees[row, width:end, width:end] = tree.sees
    mask = torch.zeros(len(rows), 1, width + nodes, start + width + nodes)
    # Numbers, not booleans, because eager attention adds them.
    mask[:, 0, :, start:].masked_fill_(~sees, torch.finfo(mask.dtype).min)
    return ids, positions, mask


# In whole


@torch.inference_mode()
def whole_scores(model: PreTrainedModel, requests: Sequence[Request], *, desc: str | None = None) -> list[np.ndarray]:
    """The same scores, with every answer after its context as a text of its own."""
    pairs = [(i, request.context, answer) for i, request in enumerate(requests) for answer in request.answers]
    order = sorted(range(len(pairs)), key=lambda n: len(pairs[n][1]) + len(pairs[n][2]))
    means = np.zeros(len(pairs))
    longest = max((len(context) + len(answer) for _, context, answer in pairs), default=1)
    size = max(1, TOKENS // longest)
    for first in track(range(0, len(order), size), desc):
        chosen = order[first : first + size]
        texts = [torch.tensor(pairs[n][1] + pairs[n][2]) for n in chosen]
        ids = torch.nn.utils.rnn.pad_sequence(texts, batch_first=True)
        lengths = torch.tensor([[len(text)] for text in texts])
        begin = min(len(pairs[n][1]) for n in chosen) - 1  # the first place that predicts a token of an answer
        logits = model(
            input_ids=ids.to(model.device),
            attention_mask=(torch.arange(ids.shape[1]) < lengths).long().to(model.device),
            use_cache=False,
            **limit_logits(model, ids.shape[1] - begin),
        ).logits[:, begin - ids.shape[1] :]
        for row, n in enumerate(chosen):
            _, context, answer = pairs[n]
            behind = logits[row, len(context) - 1 - begin :][: len(answer)].float().log_softmax(-1)
            means[n] = behind.gather(-1, torch.tensor(answer, device=model.device)[:, None]).double().mean().item()
    return np.split(means, np.cumsum([len(request.answers) for request in requests])[:-1])


def limit_logits(model: PreTrainedModel, count: int) -> dict[str, int]:
    """Arguments that ask for logits of the last `count` tokens alone, if the model can: a vocabulary is large."""
    return {"logits_to_keep": count} if "logits_to_keep" in inspect.signature(model.forward).parameters else {}
