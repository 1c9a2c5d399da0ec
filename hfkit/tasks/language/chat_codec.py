"""The codec of an assistant: conversations to tokens of which only the assistant's are learnt, and answers written."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Thread
from typing import Any

import numpy as np
import torch
from accelerate.utils import extract_model_from_parallel
from datasets import Dataset, Features, List, Value
from torch import Tensor, nn
from transformers import GenerationConfig, TextIteratorStreamer

from hfkit.contract.codec import Batch, Output, Tokens
from hfkit.data.bad_rows import Fault
from hfkit.data.notes import tell
from hfkit.errors import UserError
from hfkit.model.writing import write
from hfkit.progress import track
from hfkit.tasks.language.codec import CausalCodec, Document, PackedRows, count_values, fill
from hfkit.tasks.language.conversations import ASSISTANT, SYSTEM, Message
from hfkit.tasks.language.judges import Likelihood
from hfkit.tasks.language.templates import Marked, Refused, SystemMessage, Template, settle_template

PROMPT, MASK = "prompt_ids", "prompt_mask"  # in a batch: what answers are written behind
ROOM_TO_ASK = 2  # parts of what the model reads, of which an answer takes at most one


class ChatCodec(CausalCodec):
    """A tokenizer with a chat template.

    Args:
        system: what becomes of messages of the system.
        most_tokens: of an answer that is written.
        exact_tokens: the last answers of so many tokens at most are written in every evaluation, for an exact match;
            0: none.

    Raises:
        UserError: see `CausalCodec`; also a checkpoint with neither template nor end token.
    """

    may_cut = False  # nobody learns to answer from the second half of an answer
    splits_marks = False  # the template writes them into the text

    def __init__(
        self,
        checkpoint: str,
        path: str,
        head_config: Mapping[str, Any],
        *,
        max_length: int | None = None,
        stride: int | None = None,
        system: SystemMessage = "keep",
        most_tokens: int = 128,
        exact_tokens: int = 0,
    ) -> None:
        super().__init__(checkpoint, path, head_config, max_length=max_length, stride=stride)
        self.most_tokens, self.exact_tokens = most_tokens, exact_tokens
        settle_template(self.processor, checkpoint)
        self.template = Template(self.processor, system)
        self.collate = ChatRows(self.processor)

    # Rows to batches

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        """Windows of tokens, labelled where the next token is the assistant's; or, for conversations that end with the
        user, the `prompt` of each.

        Raises:
            DataError: the template refuses a conversation, or nothing of it is left to learn.
        """
        conversations = rows["messages"][:]
        if conversations and conversations[0][-1]["role"] != ASSISTANT:
            return self.encode_prompts(conversations, split)
        documents = []
        for row, messages in enumerate(track(conversations, f"Tokenizing {split}")):
            with name_row(row, split, skippable=answers):
                documents += [Document(row, ids, counted) for ids, counted in self.mark(messages)]
        if split == "train":
            counted = sum(sum(document.counted) for document in documents)
            tokens = sum(len(document.ids) for document in documents)
            tell(f"{split}: {counted / tokens:.1%} of {tokens:,} tokens are the assistant's, and learnt")
        _, stride = self.window()
        encoded = self.lay_out(documents, split, together=split == "train" and answers, shared=stride)
        return self.add_prompts(encoded, conversations) if self.exact_tokens and split != "train" else encoded

    def find_unreadable(self, rows: Dataset) -> list[Fault]:
        faults = []
        for row, messages in enumerate(track(rows["messages"][:], "Checking turns")):
            try:
                if messages[-1]["role"] == ASSISTANT:
                    self.mark(messages)
                else:
                    self.ask(messages)
            except Unreadable as error:
                faults.append(error.to_fault(row))
        return faults

    def mark(self, messages: Sequence[Message]) -> list[Marked]:
        """The tokens of a conversation.

        Raises:
            Unreadable: the template refuses it, or nothing of it is left to learn.
        """
        with explain_refusal(messages):
            marked = self.template.mark(messages)
        if not any(any(one.counted[1:]) for one in marked):
            raise Unreadable(
                f"{sum(len(one.ids) for one in marked):,} tokens, none of them the assistant's",
                "every conversation has a token to learn, and the template writes none of its answers",
                "Mend the chat template of the checkpoint, or remove the row",
            )
        return marked

    def ask(self, messages: Sequence[Message]) -> list[int]:
        """The tokens of a conversation, after which an answer comes.

        Raises:
            Unreadable: the template refuses it.
        """
        with explain_refusal(messages):
            return self.template.ask(messages)

    def encode_prompts(self, conversations: Sequence[Sequence[Message]], split: str) -> Dataset:
        """A row for each conversation that is to be answered."""
        ids = []
        for row, messages in enumerate(conversations):
            with name_row(row, split):
                ids.append(self.ask(messages))
        limit = self.window()[0] - self.room_of_answer(self.most_tokens)
        features = Features({"row": Value("int32"), "input_ids": List(Value("int32")), "asked": Value("bool")})
        columns = {"row": range(len(ids)), "input_ids": [one[-limit:] for one in ids], "asked": [True] * len(ids)}
        return Dataset.from_dict(columns, features=features)

    def room_of_answer(self, wanted: int) -> int:
        """The tokens that an answer may have."""
        return min(wanted, self.window()[0] // ROOM_TO_ASK)

    def add_prompts(self, encoded: Dataset, conversations: Sequence[Sequence[Message]]) -> Dataset:
        """The rows with a `prompt` for the last answer, if it is a short one; [] elsewhere."""
        limit = self.window()[0] - self.room_of_answer(self.exact_tokens)
        prompts, seen = [], -1
        for row in encoded["row"][:]:
            short = row != seen and len(self.template.encode(conversations[row][-1]["content"])) <= self.exact_tokens
            prompts.append(self.template.ask(conversations[row][:-1])[-limit:] if short else [])
            seen = row
        features = Features({"prompt": List(Value("int32"))})
        added = Dataset.from_dict({"prompt": prompts}, features=features)
        return Dataset(encoded.data.table.append_column("prompt", added.data.table["prompt"]))

    def tokens(self, rows: Dataset) -> Tokens:
        ids = []
        for row, messages in enumerate(rows["messages"][:]):
            with name_row(row, "input"), explain_refusal(messages):
                ids.append(self.template.encode(self.template.render(self.template.prepare(messages))))
        return Tokens(ids, self.window()[0], windowed=True)

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        """Those of every causal codec, and the share of tokens that is the assistant's."""
        if "labels" not in encoded.column_names:
            return {"tokens": int(count_values(encoded, "input_ids").sum()), "encoded_rows": len(encoded)}
        found = super().facts(encoded)
        return {**found, "supervised_share": found["predicted_tokens"] / found["tokens"]}

    # Outputs

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        """`nats` of the answers, (batch, pieces), and where answers are written `written`, (batch, tokens), -100 behind
        their ends."""
        found = super().outputs(model, batch, known) if "labels" in batch else {}
        if PROMPT in batch:
            most = self.room_of_answer(self.exact_tokens if "labels" in batch else self.most_tokens)
            found["written"] = self.write(model, batch[PROMPT], batch[MASK], most)
        return found

    def write(self, model: nn.Module, prompts: Tensor, mask: Tensor, most: int) -> Tensor:
        """The likeliest token every time, until the answer ends, (batch, most); -100 behind it, and for empty prompts.

        Args:
            prompts: padded on the left, (batch, tokens).
        """
        written = prompts.new_full((len(prompts), most), -100)
        asked = mask.any(1)
        if asked.any():
            inputs = {"input_ids": prompts[asked], "attention_mask": mask[asked]}
            made = write(extract_model_from_parallel(model), inputs, self.settings(most))[:, prompts.shape[1] :]
            # Behind the token that ends an answer there is padding, which may be that token itself.
            ends = torch.isin(made, torch.tensor(sorted(self.template.stops), device=made.device)).cumsum(1) > 0
            written[asked, : made.shape[1]] = made.masked_fill(ends, -100)
        return written

    def settings(self, most: int, temperature: float = 0.0) -> GenerationConfig:
        drawn = {"do_sample": True, "temperature": temperature} if temperature else {"do_sample": False}
        return GenerationConfig(
            max_new_tokens=most,
            pad_token_id=self.processor.pad_token_id,
            bos_token_id=self.processor.bos_token_id,
            eos_token_id=sorted(self.template.stops),
            use_cache=True,
            **drawn,
        )

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[Likelihood]:
        """How likely the answers of every row are, and the answer that was written, if one was asked for."""
        if "labels" not in encoded.column_names:
            lengths = (outputs["written"] != -100).sum(1)
            texts = self.read(outputs["written"])
            return [
                Likelihood(nats=0.0, tokens=int(tokens), answer=text)
                for tokens, text in zip(lengths, texts, strict=True)
            ]
        found = super().decode(outputs, encoded)
        if "prompt" in encoded.column_names:
            texts = self.read(outputs["written"])
            asked = count_values(encoded, "prompt") > 0
            for row, text, was_asked in zip(encoded["row"][:], texts, asked, strict=True):
                if was_asked:
                    found[row]["answer"] = text
        return found

    def read(self, written: np.ndarray) -> list[str]:
        """The texts of written tokens, (rows, tokens)."""
        ids = [[int(token) for token in row if token != -100] for row in written]
        return [self.processor.decode(row, skip_special_tokens=True).strip() for row in ids]

    # Talk

    def reply(
        self,
        model: nn.Module,
        turns: Sequence[Mapping[str, str]],
        *,
        most_tokens: int | None = None,
        temperature: float = 0.0,
    ) -> Iterator[str]:
        most = self.room_of_answer(most_tokens or self.most_tokens)
        ids = self.fit([dict(turn) for turn in turns], self.window()[0] - most)
        streamer = TextIteratorStreamer(self.processor, skip_prompt=True, skip_special_tokens=True)
        inputs = torch.tensor([ids], device=next(model.parameters()).device)
        failed: list[BaseException] = []

        def generate() -> None:
            try:
                model.generate(
                    inputs,
                    attention_mask=torch.ones_like(inputs),
                    generation_config=self.settings(most, temperature),
                    streamer=streamer,
                )
            except BaseException as error:
                failed.append(error)
                streamer.end()

        writer = Thread(target=generate, daemon=True)  # a reader that has seen enough need not wait for it
        writer.start()
        begun = False
        for piece in streamer:
            piece = piece if begun else piece.lstrip()
            begun = begun or bool(piece)
            if piece:
                yield piece
        writer.join()
        if failed:
            raise failed[0]

    def fit(self, turns: list[Message], room: int) -> list[int]:
        """The tokens to answer behind; the first turns are left out if there are too many.

        Raises:
            UserError: the template refuses them.
        """
        opening = turns[:1] if turns[0]["role"] == SYSTEM else []
        rest = turns[len(opening) :]
        while True:
            try:
                ids = self.template.ask([*opening, *rest])
            except Refused as error:
                raise UserError("the conversation", f"the chat template refuses it ({error})", "Begin anew") from error
            if len(ids) <= room or len(rest) < 3:
                return ids[-room:]
            rest = rest[2:]  # a question with its answer


class Unreadable(Exception):
    """The checkpoint cannot learn from a conversation: the value, the rule and the fix of its fault."""

    def to_fault(self, row: int) -> Fault:
        return Fault(row, "messages", *self.args)


@contextmanager
def name_row(row: int, split: str, *, skippable: bool = False) -> Iterator[None]:
    """Within it, what is unreadable becomes an error with its row.

    Raises:
        DataError: see `Unreadable`.
    """
    try:
        yield
    except Unreadable as error:
        raise error.to_fault(row).to_error(split, skippable=skippable) from error


@contextmanager
def explain_refusal(messages: Sequence[Message]) -> Iterator[None]:
    """Within it, a conversation that a template refuses is unreadable.

    Raises:
        Unreadable: quoting the template.
    """
    try:
        yield
    except Refused as error:
        fix = "Change the turns, or use a checkpoint with another template"
        if messages[0]["role"] == SYSTEM:
            fix = "Set --system_message merge to put it before the user's first turn, or drop to leave it out"
        shown = f"turns of {', '.join(message['role'] for message in messages)}"
        raise Unreadable(shown, f"the checkpoint's chat template takes them, and here it says: {error}", fix) from error


class ChatRows(PackedRows):
    """The same batches, with what answers are written behind, padded on the left."""

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        if "asked" in rows[0]:
            return self.prompts([row["input_ids"] for row in rows])
        batch = super().__call__(rows)
        return batch | self.prompts([row["prompt"] for row in rows]) if "prompt" in rows[0] else batch

    def prompts(self, prompts: Sequence[Sequence[int]]) -> dict[str, Tensor]:
        width = max(map(len, prompts))
        turned = [{"ids": list(prompt)[::-1], "mask": [1] * len(prompt)} for prompt in prompts]
        ids, mask = (
            fill(turned, name, width, filling).flip(1) for name, filling in (("ids", self.filling), ("mask", 0))
        )
        return {PROMPT: ids, MASK: mask}
