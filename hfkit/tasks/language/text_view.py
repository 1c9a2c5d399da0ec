"""The view of documents: their text, and how many bits a byte of it costs."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from datasets import Dataset

from hfkit.contract.snippets import literal, plain_text, write_program
from hfkit.contract.target import Target
from hfkit.contract.view import Example, Mistake, Number, Shown, Text
from hfkit.tasks.language.judges import Likelihood, count_bytes, perplexity, to_bits

LONGEST = 600  # characters of a document that are shown
TEXT = "The ferry left at nine, and nobody was late."


class DocumentView:
    """Documents, and bits per byte."""

    answers: ClassVar[type[Shown]] = Number
    auto_processor: ClassVar[str] = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(row["text"])

    def answer(self, answer: Likelihood | str, row: Mapping[str, Any]) -> Shown:
        if isinstance(answer, str):  # the gold answer is the text itself
            return Text(answer)
        return Number(round(float(to_bits(answer["nats"], count_bytes(row["text"]))), 4))

    def record(self, answer: Likelihood, row: Mapping[str, Any]) -> dict[str, float]:
        """The bits per byte of a text, its perplexity per token, and what they are made of."""
        size = count_bytes(row["text"])
        return {
            "bits_per_byte": float(to_bits(answer["nats"], size)),
            "token_perplexity": perplexity(answer["nats"], answer["tokens"]),
            "nats": answer["nats"],
            "tokens": answer["tokens"],
            "bytes": size,
        }

    def mistakes(
        self, predictions: list[Likelihood], references: list[str], rows: Dataset, limit: int
    ) -> list[Mistake]:
        """The documents that are the greatest surprise, byte for byte."""
        costs = [to_bits(ours["nats"], count_bytes(gold)) for ours, gold in zip(predictions, references, strict=True)]
        worst = sorted(range(len(costs)), key=lambda row: (-costs[row], row))[:limit]
        return [
            Mistake(
                row,
                "surprise",
                f"{costs[row]:.2f} bits a byte, over {count_bytes(references[row]):,} bytes",
                Text(references[row][:LONGEST]),
                Text("0 bits a byte"),
                Text(f"{costs[row]:.2f} bits a byte"),
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
        """The continuation of a text, and its bits per byte."""
        text = literal(plain_text(examples) or TEXT)
        return write_program(
            "AutoModelForCausalLM",
            model,
            loaded,
            f"text = {text}",
            "start = processor.bos_token_id",
            "start = processor.eos_token_id if start is None else start",
            f"ids = processor(text, add_special_tokens=False)[{literal('input_ids')}]",
            "inputs = torch.tensor([[start, *ids]])",
            "with torch.no_grad():",
            "    nats = model(input_ids=inputs, labels=inputs).loss * len(ids)",
            f"print(nats.item() / 0.693147 / len(text.encode()), {literal('bits per byte')})",
            "written = model.generate(inputs, attention_mask=torch.ones_like(inputs), max_new_tokens=20,"
            " do_sample=False)",
            "print(processor.decode(written[0], skip_special_tokens=True))",
            imports=["import torch"],
        )
