"""The view of conversations: their turns, and what the assistant says."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal, plain_text, write_program
from hfkit.contract.target import Target
from hfkit.contract.view import Example, Mistake, Shown, Text
from hfkit.tasks.language.conversations import write
from hfkit.tasks.language.judges import Likelihood, count_bytes, to_bits

LONGEST = 600  # characters that are shown
QUESTION = "Name three animals that can swim."


class ConversationView:
    """Turns as text, and answers."""

    answers: ClassVar[type[Shown]] = Text
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(write(row["messages"]))

    def answer(self, answer: Likelihood | list[str], row: Mapping[str, Any]) -> Text:
        if isinstance(answer, list):  # the gold ones
            return Text("\n".join(answer))
        if answer["answer"] is not None:
            return Text(answer["answer"])
        gold = [message["content"] for message in row["messages"] if message["role"] == "assistant"]
        return Text(f"{to_bits(answer['nats'], count_bytes(gold)):.2f} bits a byte")

    def record(self, answer: Likelihood, row: Mapping[str, Any]) -> str:
        return self.answer(answer, row).text

    def mistakes(
        self, predictions: list[Likelihood], references: list[list[str]], rows: Dataset, limit: int
    ) -> list[Mistake]:
        """Wrong short answers first, then the answers that are the greatest surprise, byte for byte."""
        costs = [to_bits(ours["nats"], count_bytes(gold)) for ours, gold in zip(predictions, references, strict=True)]
        wrong = [
            ours["answer"] is not None and ours["answer"].strip() != gold[-1].strip()
            for ours, gold in zip(predictions, references, strict=True)
        ]
        worst = sorted(range(len(costs)), key=lambda row: (not wrong[row], -costs[row], row))[:limit]
        return [
            Mistake(
                row,
                "wrong answer" if wrong[row] else "surprise",
                f"{costs[row]:.2f} bits a byte, over {count_bytes(references[row]):,} bytes",
                Text(write(rows[row]["messages"][:-1])[:LONGEST]),
                Text(references[row][-1][:LONGEST]),
                Text((predictions[row]["answer"] or f"{costs[row]:.2f} bits a byte")[:LONGEST]),
            )
            for row in worst
        ]

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        return {}

    def snippet(
        self,
        model: str,
        target: Target,
        examples: Sequence[Example],
        facts: Mapping[str, Any],
        *,
        loaded: str | None = None,
    ) -> str:
        """An answer to one question."""
        text = literal(plain_text(examples) or QUESTION)
        quoted = {name: literal(name) for name in ("role", "user", "content", "pt", "input_ids")}
        return write_program(
            "AutoModelForCausalLM",
            model,
            loaded,
            f"turns = [{{{quoted['role']}: {quoted['user']}, {quoted['content']}: {text}}}]",
            "inputs = processor.apply_chat_template(turns, add_generation_prompt=True, return_dict=True,"
            f" return_tensors={quoted['pt']})",
            "written = model.generate(**inputs, max_new_tokens=40, do_sample=False)",
            f"answer = written[0, inputs[{quoted['input_ids']}].shape[1] :]",
            "print(processor.decode(answer, skip_special_tokens=True))",
        )
