"""Chat templates: how turns become text for a checkpoint, and which tokens of it are the assistant's."""

import re
from collections.abc import Sequence
from functools import cached_property
from typing import Literal, NamedTuple

from jinja2.exceptions import TemplateError
from transformers import PreTrainedTokenizerBase as Tokenizer

from hfkit.data.text.tokenizers import spell_out
from hfkit.errors import UserError, first_line
from hfkit.model.conversions import say_once
from hfkit.tasks.language.conversations import ASSISTANT, SYSTEM, USER, Message

# For a checkpoint without one: plain words, and the end token behind every answer.
PLAIN = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{{ message['content'] + '\\n\\n' }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n' }}"
    "{% else %}{{ 'Assistant: ' + message['content'] + eos_token + '\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
GENERATION = re.compile(r"\{%-?\s*generation\s*-?%\}")  # marks the assistant's part, in templates that have it
BLANKS = " \n\u2581"  # the last one is SentencePiece's
SystemMessage = Literal["keep", "merge", "drop"]


class Refused(Exception):
    """A template does not take a conversation; the message is its own."""


class Marked(NamedTuple):
    """A stretch of a conversation as tokens."""

    ids: list[int]
    counted: list[bool]  # whether a token is the assistant's


def settle_template(tokenizer: Tokenizer, checkpoint: str) -> None:
    """Give a tokenizer without a chat template a plain one, which is saved with it.

    Raises:
        UserError: it has no end token either, so that nothing would end an answer.
    """
    if isinstance(tokenizer.chat_template, str):
        return
    if isinstance(tokenizer.chat_template, dict):  # several by name
        tokenizer.chat_template = tokenizer.chat_template.get("default") or next(iter(tokenizer.chat_template.values()))
        return
    if tokenizer.eos_token is None:
        raise UserError(
            f"checkpoint '{checkpoint}'",
            "it has neither a chat template nor an end token, so nothing would end an answer",
            "Name an eos_token in its tokenizer_config.json, or add chat_template.jinja",
        )
    tokenizer.chat_template = PLAIN if tokenizer.bos_token else PLAIN.removeprefix("{{ bos_token }}")
    say_once(
        f"Checkpoint '{checkpoint}': it has no chat template. Turns are written as 'User: …' and 'Assistant: …', with"
        f" {tokenizer.eos_token} behind every answer, and this template is saved with the model."
    )


class Template:
    """A tokenizer's chat template.

    Args:
        system: a message of the system is kept, merged into the first turn of the user, or dropped.
    """

    def __init__(self, tokenizer: Tokenizer, system: SystemMessage = "keep") -> None:
        self.tokenizer, self.system = tokenizer, system
        # Of the user's texts: a "<|im_end|>" in one does not end a turn.
        self.marks = tuple(mark for mark in tokenizer.all_special_tokens if len(mark) > 1)

    def prepare(self, messages: Sequence[Message]) -> list[Message]:
        """The messages as the template gets them."""
        found = [{**message, "content": spell_out(message["content"], self.marks)} for message in messages]
        if self.system == "keep" or not found or found[0]["role"] != SYSTEM:
            return found
        first, *rest = found
        if self.system == "merge" and rest:
            rest[0] = {**rest[0], "content": f"{first['content']}\n\n{rest[0]['content']}"}
        return rest

    def render(self, messages: Sequence[Message], *, ask: bool = False) -> str:
        """The text of prepared messages; with `ask` up to where the assistant's answer begins.

        Raises:
            Refused: the template raises an error.
        """
        try:
            return self.tokenizer.apply_chat_template(list(messages), tokenize=False, add_generation_prompt=ask)
        except TemplateError as error:
            raise Refused(first_line(error)) from error

    def encode(self, text: str) -> list[int]:
        """The tokens of rendered text, whose special tokens are in it already."""
        return self.tokenizer(text, add_special_tokens=False, split_special_tokens=False, verbose=False)["input_ids"]

    def ask(self, messages: Sequence[Message]) -> list[int]:
        """The tokens after which the assistant's answer comes."""
        return self.encode(self.render(self.prepare(messages), ask=True))

    def mark(self, messages: Sequence[Message]) -> list[Marked]:
        """A conversation as tokens, with the assistant's marked; all of it at once, or every answer by itself.

        Stock templates have no mark for the assistant's part, so it is found by prefixes: an answer is what the text
        up to it and the text with it differ in. Where a later turn changes earlier ones (templates that drop thoughts),
        each answer is learnt behind the text that it will be asked with.

        Raises:
            Refused: the template raises an error.
        """
        messages = self.prepare(messages)
        if GENERATION.search(self.tokenizer.chat_template):
            marked = self.mark_by_template(messages)
            if any(marked.counted):
                return [marked]
        whole = self.render(messages)
        answers = [
            (self.render(messages[:place], ask=True), self.render(messages[: place + 1]))
            for place, message in enumerate(messages)
            if message["role"] == ASSISTANT
        ]
        if all(whole.startswith(full) for _, full in answers):
            return [self.mark_between(whole, answers)]
        return [self.mark_between(full, [(before, full)]) for before, full in answers]

    def mark_between(self, whole: str, answers: Sequence[tuple[str, str]]) -> Marked:
        """The tokens of a text, with those marked that lie between the ends of two beginnings of it."""
        ids = self.encode(whole)
        counted = [False] * len(ids)
        for before, full in answers:
            begin, end = (count_equal(self.encode(part), ids) for part in (before, full))
            end = begin + self.count_to_end(ids[begin:end])
            counted[begin:end] = [True] * (end - begin)
        return Marked(ids, counted)

    def count_to_end(self, ids: Sequence[int]) -> int:
        """The number of tokens of an answer up to its end token; a line break behind that is never asked for."""
        stops = self.stops
        last = max((place for place, token in enumerate(ids) if token in stops), default=len(ids) - 1)
        rest = self.tokenizer.decode(ids[last + 1 :], skip_special_tokens=True)
        return len(ids) if rest.strip(BLANKS) else last + 1

    def mark_by_template(self, messages: Sequence[Message]) -> Marked:
        """The same by the mark that the template has."""
        try:
            found = self.tokenizer.apply_chat_template(
                list(messages), tokenize=True, return_dict=True, return_assistant_tokens_mask=True
            )
        except TemplateError as error:
            raise Refused(first_line(error)) from error
        return Marked(list(found["input_ids"]), [bool(one) for one in found["assistant_masks"]])

    @cached_property
    def stops(self) -> set[int]:
        """The tokens that end an answer: the end token, and the special token that the template writes behind one."""
        turns = [{"role": USER, "content": "a"}, {"role": ASSISTANT, "content": "b"}]
        try:
            text = self.render(turns)
        except Refused:
            text = ""
        special = {*self.tokenizer.all_special_ids, *self.tokenizer.added_tokens_decoder}
        behind = [token for token in self.encode(text[text.rfind("b") + 1 :]) if token in special]
        return {token for token in (self.tokenizer.eos_token_id, *behind[:1]) if token is not None}


def count_equal(one: Sequence[int], other: Sequence[int]) -> int:
    """The number of tokens at their beginnings in which two lists are equal."""
    count = 0
    for mine, theirs in zip(one, other, strict=False):
        if mine != theirs:
            break
        count += 1
    return count
