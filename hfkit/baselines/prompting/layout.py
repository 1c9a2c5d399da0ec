"""Prompts in the form that a language model reads: plain text or turns of a chat, in tokens, and short enough."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import NamedTuple

from jinja2 import TemplateError
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.contract.abilities import Prompt
from hfkit.errors import UserError, first_line


class Rendered(NamedTuple):
    """A prompt as text up to where its answer begins, and the answers to choose from as they follow it."""

    context: str
    answers: tuple[str, ...]


class Request(NamedTuple):
    """A prompt in tokens: those of its whole text with an answer, cut where the answer begins."""

    context: tuple[int, ...]
    answers: tuple[tuple[int, ...], ...]


class FittedRequest(NamedTuple):
    """A request that the model can read, and what was left out to make it fit."""

    request: Request
    dropped: int = 0  # demonstrations, from the front
    cut: bool = False  # without any demonstration it was still too long, and lost its beginning


MOST_ADDED = 100_000  # characters that a template may write around a turn: the longest have some thousands


def refuse_template(rule: str) -> UserError:
    """The error for a chat template that makes no prompts."""
    fix = "Use a checkpoint with another template, or with none"
    return UserError("chat template of the prompt_checkpoint", rule, fix)


@dataclass(frozen=True)
class Layout:
    """How prompts are written for one model: as a chat if its tokenizer has a template, otherwise as plain text."""

    tokenizer: Tokenizer

    @property
    def is_chat(self) -> bool:
        return self.tokenizer.chat_template is not None

    def render(self, prompt: Prompt) -> Rendered:
        """The text of a prompt. Special tokens that rows contain are spelt out, so that no row ends a turn.

        Raises:
            UserError: the chat template refuses turns of a user and an assistant.
        """
        query, *words = map(self.spell_out, (prompt.query, *(text for shot in prompt.shots for text in shot)))
        shots = list(zip(words[::2], words[1::2], strict=True))
        if not self.is_chat:
            answered = (f"{asked}\n{prompt.cue} {answer}" for asked, answer in shots)
            context = "\n\n".join((prompt.instruction, *answered, f"{query}\n{prompt.cue}"))
            # The blank before a word is part of its first token in most vocabularies.
            return Rendered(context, tuple(f" {option}" for option in prompt.options))
        turns: list[dict[str, str]] = []
        for asked, answer in (*shots, (query, "")):
            # Some templates refuse a system turn, so the instruction opens the first turn of the user.
            content = asked if turns else f"{prompt.instruction}\n\n{asked}"
            turns += [{"role": "user", "content": content}, {"role": "assistant", "content": answer}]
        try:
            context = self.tokenizer.apply_chat_template(turns[:-1], tokenize=False, add_generation_prompt=True)
        except (TemplateError, TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
            raise refuse_template(f"it refuses the turns of a user and an assistant ({first_line(error)})") from error
        if not context.strip():
            raise refuse_template("it makes no text of the turns of a user and an assistant")
        if len(context) > sum(len(turn["content"]) for turn in turns) + MOST_ADDED * len(turns):
            raise refuse_template(f"it adds more than {MOST_ADDED:,} characters to a turn")
        return Rendered(context, prompt.options)

    def spell_out(self, text: str) -> str:
        """The text with a blank inside everything that the tokenizer would read as a special token."""
        return self.marks.sub(lambda found: f"{found[0][0]} {found[0][1:]}", text)

    @cached_property
    def marks(self) -> re.Pattern:
        added = [token.content for token in self.tokenizer.added_tokens_decoder.values() if len(token.content) > 1]
        return re.compile("|".join(map(re.escape, sorted(added, key=len, reverse=True))) or r"(?!)")

    def tokenise(self, prompts: Sequence[Rendered]) -> list[Request]:
        """Prompts with the same answers to choose from, in tokens.

        Whole texts are tokenised, because a token need not end where the context does. Only the first and the last
        prompt are tokenised with every answer, the others with one: after the same last tokens of a context, an answer
        has the same tokens. Where that does not hold, every prompt is tokenised with every answer.
        """
        if not prompts or not prompts[0].answers:
            return [Request(context, ()) for context, _ in self.split([(prompt.context, "") for prompt in prompts])]
        first, last = (self.tokenise_fully(prompts[place]) for place in (0, -1))
        ours = self.split([(prompt.context, prompt.answers[0]) for prompt in prompts])
        ends = {(context[-1:], answer) for context, answer in ours}
        if len(ends) == 1 and (first.context, first.answers[0]) == ours[0] and first.answers == last.answers:
            return [Request(context, first.answers) for context, _ in ours]
        return [self.tokenise_fully(prompt) for prompt in prompts]

    def tokenise_fully(self, prompt: Rendered) -> Request:
        """One prompt in tokens, each answer tokenised in a text of its own."""
        parts = self.split([(prompt.context, answer) for answer in prompt.answers])
        # A token may lie across the seam with some answers: then all answers begin where the texts still agree.
        start = min(len(context) for context, _ in parts)
        whole = [context + answer for context, answer in parts]
        return Request(whole[0][:start], tuple(ids[start:] for ids in whole))

    def split(self, texts: list[tuple[str, str]]) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
        """Tokens of contexts and answers; a token across the seam belongs to the answer."""
        if not texts:
            return []
        found = self.tokenizer(
            [context + answer for context, answer in texts],
            add_special_tokens=False,
            return_offsets_mapping=True,
            verbose=False,  # texts that are too long are cut later, and counted
        )
        opening, parts = self.opening, []
        for (context, _), ids, offsets in zip(texts, found["input_ids"], found["offset_mapping"], strict=True):
            start = len(ids)
            while start and offsets[start - 1][1] > len(context):
                start -= 1
            parts.append(((*opening, *ids[:start]), tuple(ids[start:])))
        return parts

    @property
    def opening(self) -> tuple[int, ...]:
        """The special tokens that every text begins with; none where a chat template writes them itself."""
        if self.is_chat:
            return ()
        found = self.tokenizer("a", return_special_tokens_mask=True)
        marked = zip(found["input_ids"], found["special_tokens_mask"], strict=True)
        return tuple(token for token, _ in takewhile(lambda pair: pair[1], marked))

    def fit(self, prompts: Sequence[Prompt], longest: int, room: int = 0) -> list[FittedRequest]:
        """Prompts in tokens, each without its first demonstrations where it would be longer than the model reads.

        Args:
            longest: tokens that the model reads.
            room: tokens left free for an answer, where there are no answers to choose from.
        """
        sizes = self.sizes(prompts)
        fitted: dict[int, FittedRequest] = {}
        # First without those that cannot fit anyway, or hundreds of demonstrations would be tokenised with every query.
        dropped = {i: count_excess([sizes[shot] for shot in p.shots], longest) for i, p in enumerate(prompts)}
        while dropped:
            short = [prompts[i]._replace(shots=prompts[i].shots[count:]) for i, count in dropped.items()]
            requests = self.tokenise([self.render(prompt) for prompt in short])
            beyond: dict[int, int] = {}
            for (i, count), prompt, request in zip(dropped.items(), short, requests, strict=True):
                over = len(request.context) + max(map(len, request.answers), default=room) - longest
                if over <= 0:
                    fitted[i] = FittedRequest(request, count)
                elif prompt.shots:
                    beyond[i] = count + count_to_drop([sizes[shot] for shot in prompt.shots], over)
                else:
                    # The end is kept: it holds the query and its cue.
                    kept = request.context[: len(self.opening)] + request.context[over + len(self.opening) :]
                    fitted[i] = FittedRequest(request._replace(context=kept), count, True)
            dropped = beyond
        return [fitted[i] for i in range(len(prompts))]

    def sizes(self, prompts: Sequence[Prompt]) -> dict[tuple[str, str], int]:
        """About how many tokens each demonstration has, counting its two texts alone."""
        shots = list({shot for prompt in prompts for shot in prompt.shots})
        if not shots:
            return {}
        found = self.tokenizer([" ".join(shot) for shot in shots], add_special_tokens=False, verbose=False)
        return {shot: len(ids) for shot, ids in zip(shots, found["input_ids"], strict=True)}


def count_excess(sizes: list[int], longest: int) -> int:
    """The number of demonstrations to drop so that the others, by themselves, have at most `longest` tokens."""
    count, total = len(sizes), 0
    while count and total + sizes[count - 1] <= longest:
        count -= 1
        total += sizes[count]
    return count


def count_to_drop(sizes: list[int], over: int) -> int:
    """The number of demonstrations to drop, at least 1, so that about `over` tokens go, rather fewer than more."""
    count = 0
    while count < len(sizes) and (over > 0 or not count):
        # With each go its cue and line ends, or the marks of two turns.
        over -= sizes[count] + 8
        count += 1
    return count
