"""Conversations: turns of a user and an assistant, from the layouts in which people keep them."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

from datasets import Dataset, DatasetDict, Features, List, Value

from hfkit.contract.abilities import Stretch
from hfkit.contract.rows import Media, Only, Raw, Source
from hfkit.contract.target import Nothing, Target
from hfkit.data.bad_rows import Fault, count_skipped
from hfkit.data.columns import MEND, find_column, match_usual, space_evenly, to_words
from hfkit.data.files import TEXT_TABLES, read_one_split, read_splits, take_split
from hfkit.data.labels import is_visible
from hfkit.data.notes import tell
from hfkit.data.units import find_unit_column
from hfkit.errors import UserError
from hfkit.tasks.language.judges import Likelihood

SYSTEM, USER, ASSISTANT = "system", "user", "assistant"
# As ShareGPT and others call them.
ROLES = {
    "system": SYSTEM,
    **dict.fromkeys(("user", "human", "prompter"), USER),
    **dict.fromkeys(("assistant", "gpt", "bot", "model", "chatgpt"), ASSISTANT),
}
MESSAGES = ("messages", "conversations", "conversation", "dialogue", "dialog", "turns", "chat")
PROMPTS = (("prompt", "instruction", "question"), ("query", "request", "user", "human", "input"))
RESPONSES = (("completion", "response", "output", "answer"), ("reply", "assistant", "target"))
CONTEXTS, SYSTEMS = ("input", "context"), ("system", "system_prompt")
FEATURES = Features({"messages": List({"role": Value("string"), "content": Value("string")})})
LABELS = {SYSTEM: "", USER: "User: ", ASSISTANT: "Assistant: "}  # in running text

Message = dict[str, str]  # role and content


@dataclass(frozen=True)
class Conversations:
    """Rows of `messages`, each with a `role` and a `content`; the last one is the assistant's.

    Lists of messages may be OpenAI's (role, content) or ShareGPT's (from, value). Tables have a prompt and a response,
    as Alpaca with an `input` that belongs to the prompt; either may be a list of messages itself.
    """

    messages_column: str | None
    prompt_column: str | None
    response_column: str | None
    unit_column: str | None
    sample: Callable[[], DatasetDict]

    media: ClassVar[Media] = Media.TEXT
    unit: ClassVar[str] = "conversation"

    @property
    def main_column(self) -> str:
        return self.prompt_column or "prompt"

    def read(self, source: Source, only_one: Only | None) -> Raw:
        if source.dataset == "sample":
            raw = self.sample() if only_one is None else take_split(self.sample(), only_one.name)
        elif only_one is not None:
            raw = read_one_split(source, only_one.name, kinds=TEXT_TABLES)
        else:
            raw = read_splits(source, kinds=TEXT_TABLES)
        columns = self.find_columns(raw)
        tell(f"conversations: {', '.join(columns.values())}")
        unit = find_unit_column(raw, self.unit_column)
        return Raw(raw, columns | ({"unit": unit} if unit else {}))

    def find_columns(self, raw: DatasetDict, *, answers: bool = True) -> dict[str, str]:
        """The columns of a conversation: `messages`, or `prompt` and `response`, and what belongs to the prompt.

        Args:
            answers: rows have a response; False: it is not looked for.

        Raises:
            UserError: none fits.
        """
        names = next(iter(raw.values())).column_names
        asked = (self.prompt_column, self.response_column)
        if self.messages_column or (not any(asked) and match_usual(names, MESSAGES)):
            return {"messages": find_column(raw, self.messages_column, MESSAGES, "--messages_column")}
        prompt = self._find(raw, self.prompt_column, PROMPTS, "--prompt_column")
        columns = {"prompt": prompt}
        if answers:
            columns["response"] = self._find(raw, self.response_column, RESPONSES, "--response_column")
        for name, usual in (("context", CONTEXTS), ("system", SYSTEMS)):
            if found := [one for one in match_usual(names, usual) if one not in columns.values()]:
                columns[name] = found[0]
        return columns

    def _find(self, raw: DatasetDict, given: str | None, tiers: Sequence[tuple[str, ...]], flag: str) -> str:
        names = next(iter(raw.values())).column_names
        usual = next((tier for tier in tiers if match_usual(names, tier)), None)
        if given is None and usual is None:
            raise UserError(
                f"columns {', '.join(names)}",
                "a conversation is a list of messages, or a prompt and a response",
                f"Name the column with {flag}, or rename it {tiers[0][0]}; for lists, messages",
            )
        return find_column(raw, given, usual or (), flag)

    def check(self, split: str, raw: Raw, target: Target | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        found, faults = self._conversations(raw.splits[split], raw.columns)
        for row, messages in enumerate(found):
            if messages is None:
                continue
            if fault := find_fault(row, next(iter(raw.columns.values())), messages, raw.columns):
                faults.append(fault)
        return to_rows([drop_questions(messages or []) for messages in found]), sorted_by_row(faults)

    def _conversations(
        self, rows: Dataset, columns: Mapping[str, str]
    ) -> tuple[list[list[Message] | None], list[Fault]]:
        """The messages of every row, and a fault for each row without any; its messages are None."""
        found, faults = [], []
        values = [rows[column][:] for name, column in columns.items() if name != "unit"]
        names = [name for name in columns if name != "unit"]
        for row, cells in enumerate(zip(*values, strict=True)):
            messages = join_cells(row, dict(zip(names, cells, strict=True)), columns)
            if isinstance(messages, Fault):
                faults.append(messages)
                messages = None
            found.append(messages)
        return found, faults

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        """Any conversation can be learnt from."""

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def classes(self, rows: Dataset) -> None:
        return None

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(space_evenly(len(train), most))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        """Conversations that end with the user; an answer at their end is left out."""
        columns = self.find_columns(DatasetDict(input=raw), answers=False)
        found, faults = self._conversations(raw, columns)
        asked = []
        for row, messages in enumerate(found):
            asked.append(drop_answer(messages or []))
            if messages is None:
                continue
            fault = find_fault(row, next(iter(columns.values())), asked[-1], columns, answered=False)
            faults += [fault] if fault else []
        return to_rows(asked), sorted_by_row(faults)

    def target(self, splits: DatasetDict) -> Nothing:
        return Nothing()

    def references(self, rows: Dataset) -> list[list[str]]:
        """The assistant's answers of every conversation."""
        return [answers_of(messages) for messages in rows["messages"][:]]

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        """For each split its rows, answers, bytes of answers, repeats and skipped rows."""
        seen = set(self.content(splits["train"])) if "train" in splits else None
        found = {}
        for split, rows in splits.items():
            inputs, answers = self.content(rows), self.references(rows)
            found[split] = {
                "rows": len(rows),
                "repeated_rows": len(rows) - len(set(inputs)),
                "answers": sum(map(len, answers)),
                "bytes": sum(len(answer.encode("utf-8", "replace")) for of_row in answers for answer in of_row),
            }
            if split != "train" and seen is not None:
                found[split]["rows_shared_with_train"] = sum(one in seen for one in inputs)
            found[split]["skipped"] = count_skipped(rows)
        return found

    def content(self, rows: Dataset) -> list[str]:
        """All turns before the last answer."""
        return [write(messages[:-1]) for messages in rows["messages"][:]]

    def stretches(self, rows: Dataset) -> list[list[Stretch]]:
        return [
            [
                Stretch(f"{write(messages[:place])}\n{LABELS[ASSISTANT]}", f"{message['content']}\n")
                for place, message in enumerate(messages)
                if message["role"] == ASSISTANT
            ]
            for messages in rows["messages"][:]
        ]

    def to_answer(self, nats: float, symbols: int) -> Likelihood:
        return Likelihood(nats=nats, tokens=symbols, answer=None)


def to_rows(conversations: list[list[Message]]) -> Dataset:
    return Dataset.from_dict({"messages": conversations}, features=FEATURES)


def sorted_by_row(faults: list[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: fault.row)


def answers_of(messages: Sequence[Message]) -> list[str]:
    return [message["content"] for message in messages if message["role"] == ASSISTANT]


def write(messages: Sequence[Message]) -> str:
    """Turns as running text, for readers and for contenders without a template."""
    return "\n".join(f"{LABELS[message['role']]}{message['content']}" for message in messages)


def drop_questions(messages: list[Message]) -> list[Message]:
    """The messages up to the last answer: nothing is learnt from a question that nobody answers."""
    last = max((place for place, message in enumerate(messages) if message["role"] == ASSISTANT), default=-1)
    return messages[: last + 1]


def drop_answer(messages: list[Message]) -> list[Message]:
    """The messages up to the last question, which is to be answered."""
    last = max((place for place, message in enumerate(messages) if message["role"] == USER), default=-1)
    return messages[: last + 1]


# Cells to messages


def join_cells(row: int, cells: Mapping[str, Any], columns: Mapping[str, str]) -> list[Message] | Fault:
    """The messages of a row, or its fault."""
    if "messages" in cells:
        return read_messages(row, columns["messages"], cells["messages"])
    messages: list[Message] = []
    if isinstance(cells.get("system"), str) and is_visible(cells["system"]):
        messages.append({"role": SYSTEM, "content": cells["system"]})
    for name, role in (("prompt", USER), ("response", ASSISTANT)):
        if name not in cells:
            continue
        value = cells[name]
        if isinstance(value, list):
            turns = read_messages(row, columns[name], value)
            if isinstance(turns, Fault):
                return turns
            messages += turns
            continue
        if not isinstance(value, str) or not is_visible(value):
            rule = "every row has a text" if value is None or isinstance(value, str) else "a turn is a text"
            return Fault(row, columns[name], to_words(value), rule, MEND)
        context = cells.get("context") if role == USER else None
        if isinstance(context, str) and is_visible(context):
            value = f"{value}\n\n{context}"
        messages.append({"role": role, "content": value})
    return messages


def read_messages(row: int, column: str, value: Any) -> list[Message] | Fault:
    """A list of messages in either of the two usual spellings, also as JSON."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            pass
    if not isinstance(value, list) or not value or not all(isinstance(message, Mapping) for message in value):
        return Fault(row, column, clip(value), "a conversation is a list of messages", MEND)
    messages = []
    for message in value:
        role = message.get("role") or message.get("from")
        content = message.get("content") if message.get("content") is not None else message.get("value")
        if str(role).lower() not in ROLES:
            fix = "Write system, user or assistant (or ShareGPT's human and gpt), and leave calls of tools out"
            return Fault(
                row, column, f"role {to_words(role)}", "a turn is the system's, the user's or the assistant's", fix
            )
        if isinstance(content, list):  # parts, as of models that also see pictures
            content = join_parts(content)
        if not isinstance(content, str):
            return Fault(row, column, f"content {clip(content)}", "a turn is a text", MEND)
        messages.append({"role": ROLES[str(role).lower()], "content": content})
    return messages


def join_parts(parts: Sequence[Any]) -> str | None:
    """The text of a message in parts; None if one of them is no text."""
    texts = [part.get("text") if isinstance(part, Mapping) else part for part in parts]
    return "".join(texts) if all(isinstance(text, str) for text in texts) else None


def clip(value: Any) -> str:
    words = to_words(value)
    return words if len(words) <= 60 else f"{words[:60]}…"


def find_fault(
    row: int, column: str, messages: Sequence[Message], columns: Mapping[str, str], *, answered: bool = True
) -> Fault | None:
    """The first rule that a conversation breaks; None if it breaks none.

    Args:
        answered: it has an answer of the assistant.
    """
    roles = [message["role"] for message in messages]
    turns = [role for role in roles if role != SYSTEM]
    empty = [place for place, message in enumerate(messages) if not is_visible(message["content"])]
    if empty:
        which = f"turn {empty[0]} ({roles[empty[0]]}) is empty"
        return Fault(row, column, which, "every turn has a text", MEND)
    if SYSTEM in roles[1:]:
        value = f"turn {roles.index(SYSTEM, 1)} is the system's"
        return Fault(row, column, value, "a message of the system comes first, and once", "Move it to the beginning")
    if turns and turns[0] == ASSISTANT:
        fix = "Add the question before it, or leave the first answer out"
        return Fault(row, column, "it begins with the assistant", "a conversation begins with the user", fix)
    for first, second in pairwise(turns):
        if first == second:
            fix = f"Join the two turns, or add the {'answer' if first == USER else 'question'} between them"
            value = f"two turns of the {first} in a row"
            return Fault(row, column, value, "user and assistant take turns", fix)
    missing = ASSISTANT if answered else USER
    if missing not in turns:
        rule = f"a conversation has a turn of the {missing}"
        return Fault(row, column, f"turns of {', '.join(roles) or 'nobody'}", rule, MEND)
    return None
