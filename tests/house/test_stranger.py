"""A task that hfkit has never met, in this one file: everything takes it, and no other file knows of it.

Its rows have columns of their own, its codec hands the answers to the model, whose loss it takes, its judge counts
errors, of which fewer are better, and its Hub tag is that of another task.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Value, load_dataset
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedConfig, set_seed

import hfkit.tasks
from hfkit import KEEP_BEST, RecipeArguments, TransferArguments, TransferTrainer, parse
from hfkit.contract.codec import Tokens
from hfkit.contract.rows import Media, Only, Raw
from hfkit.contract.target import Labels
from hfkit.contract.task import Sample, Task
from hfkit.contract.view import Choice, Example, Mistake, Text
from hfkit.data.bad_rows import Fault
from hfkit.data.source import Source
from hfkit.errors import UserError
from hfkit.model.weights import load_model
from hfkit.scores.evidence import Sums
from hfkit.scores.score import Score
from tests.fixtures.commands import hfkit as command
from tests.tiny import text as tiny

ERROR_RATE = Score("error_rate", "error rate", better="lower")


class Messages:
    """Rows of a `message` and a `stance`."""

    media = Media.TEXT
    unit = "message"
    main_column = "message"

    def read(self, source: Source, only: Only | None) -> Raw:
        files = {path.stem: str(path) for path in sorted(Path(source.dataset).glob("*.jsonl"))}
        if only is not None:
            files = {"test": files[only.name or "test"]}
        splits = DatasetDict(
            {name: load_dataset("json", data_files=file, split="train") for name, file in files.items()}
        )
        wanted = [name for name in ("train", "validation", "test") if name in splits]
        return Raw(DatasetDict({name: splits[name] for name in wanted}), {"message": "message", "stance": "stance"})

    def check(self, split: str, raw: Raw, target: Labels | None, *, finished: bool) -> tuple[Dataset, list[Fault]]:
        rows = raw.splits[split].select_columns(["message", "stance"])
        known = set(target.names) if target is not None else set(rows["stance"])
        wrong = [row for row, stance in enumerate(rows["stance"]) if stance not in known]
        return rows, [Fault(row, "stance", rows["stance"][row], "a stance is known", "Remove it") for row in wrong]

    def refuse_unlearnable(self, train: Dataset, raw: Raw) -> None:
        if len(set(train["stance"])) < 2:
            raise UserError("stance", "there is only one", "Give rows with another one")

    def settle(self, splits: DatasetDict, raw: Raw, *, finished: bool) -> DatasetDict:
        return splits

    def classes(self, rows: Dataset) -> list[tuple[str, ...]]:
        return [(stance,) for stance in rows["stance"]]

    def thin(self, train: Dataset, most: int) -> Dataset:
        return train.select(range(min(most, len(train))))

    def to_predict(self, raw: Dataset) -> tuple[Dataset, list[Fault]]:
        if "message" not in raw.column_names:
            raise UserError(f"columns {', '.join(raw.column_names)}", "one is called message", "Rename it")
        return raw.select_columns(["message"]), []

    def target(self, splits: DatasetDict) -> Labels:
        return Labels(tuple(sorted({stance for rows in splits.values() for stance in rows["stance"]})))

    def references(self, rows: Dataset) -> list[str]:
        return list(rows["stance"])

    def facts(self, splits: DatasetDict) -> dict[str, Any]:
        return {split: {"rows": len(rows)} for split, rows in splits.items()}

    def content(self, rows: Dataset) -> list[str]:
        return list(rows["message"])


class MessageReader:
    """Tokens to one logit per stance; the model computes its own loss from the labels in the batch."""

    def __init__(self, checkpoint: str, target: Labels, head_config: Mapping[str, Any]) -> None:
        self.checkpoint, self.target, self.head_config = checkpoint, target, head_config
        self.processor = AutoTokenizer.from_pretrained(checkpoint)

    def model(self, *, pretrained: bool = True, finished: bool = False, blocks: Sequence[str] = ()) -> Any:
        named, kind = f"checkpoint '{self.checkpoint}'", AutoModelForSequenceClassification
        flags = {"pretrained": pretrained, "finished": finished, "blocks": blocks}
        return load_model(kind, self.checkpoint, named, self.head_config, **flags)

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        ids = self.processor(list(rows["message"]), truncation=True)["input_ids"]
        columns = {"input_ids": ids, "row": list(range(len(rows)))}
        if answers:
            columns["labels"] = [self.target.names.index(stance) for stance in rows["stance"]]
        return Dataset.from_dict(columns).cast_column("row", Value("int32"))

    def collate(self, examples: Sequence[Mapping[str, Any]]) -> dict[str, torch.Tensor]:
        texts = {"input_ids": [[int(token) for token in example["input_ids"]] for example in examples]}
        batch = dict(self.processor.pad(texts, return_tensors="pt", padding=True))
        if "labels" in examples[0]:
            batch["labels"] = torch.tensor([example["labels"] for example in examples])
        return batch

    def fit_loss(self, encoded: Dataset, *, label_smoothing: float = 0.0) -> None:
        pass

    def inputs(self, batch: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return dict(batch)  # with the labels: the model takes them

    def loss(self, model: Any, batch: Mapping[str, torch.Tensor], items: Any = None) -> tuple[torch.Tensor, Any]:
        output = model(**batch)
        rows = len(batch["labels"])
        return output.loss * rows / (rows if items is None else items), output

    def outputs(self, model: Any, batch: Mapping[str, torch.Tensor], known: Any = None) -> dict[str, torch.Tensor]:
        logits = (model(**batch) if known is None else known)["logits"]
        return {"best": logits.argmax(-1), "margin": logits.max(-1).values - logits.min(-1).values}

    def logits(self, output: Any, batch: Mapping[str, torch.Tensor]) -> torch.Tensor:
        return output["logits"]

    def decode(self, outputs: Mapping[str, np.ndarray], encoded: Dataset) -> list[str]:
        assert outputs["margin"].shape == (len(encoded),)  # more than one output arrives, by name
        return [self.target.names[best] for best in outputs["best"]]

    def facts(self, encoded: Dataset) -> dict[str, Any]:
        return {"most_tokens": max(map(len, encoded["input_ids"]))}

    def tokens(self, rows: Dataset) -> Tokens:
        ids = self.processor(list(rows["message"]))["input_ids"]
        return Tokens(ids, self.processor.model_max_length, windowed=False)


class ErrorRate:
    """The share of messages with the wrong stance."""

    headline: ClassVar[Score] = ERROR_RATE
    scores: ClassVar[tuple[Score, ...]] = (ERROR_RATE,)

    def score(self, predictions: list[str], references: list[str]) -> dict[str, float]:
        wrong = sum(ours != gold for ours, gold in zip(predictions, references, strict=True))
        return {"error_rate": wrong / len(references)}

    def evidence(self, predictions: list[str], references: list[str]) -> Sums:
        counts = [(ours != gold, 1) for ours, gold in zip(predictions, references, strict=True)]
        return Sums(np.array(counts), lambda sums: sums[..., 0] / np.maximum(sums[..., 1], 1))

    def breakdown(self, predictions: list[str], references: list[str]) -> dict[str, Any]:
        return {}

    def perfect_predictions(self, references: list[str]) -> list[str]:
        return references


class MessageView:
    """Messages and stances as text."""

    answers = Choice
    auto_processor = "AutoTokenizer"

    def row(self, row: Mapping[str, Any]) -> Text:
        return Text(row["message"])

    def answer(self, answer: str, row: Mapping[str, Any]) -> Choice:
        return Choice((answer,))

    def record(self, answer: str, row: Mapping[str, Any]) -> dict[str, str]:
        return {"stance": answer}

    def mistakes(self, predictions: list[str], references: list[str], rows: Dataset, limit: int) -> list[Mistake]:
        wrong = [row for row, pair in enumerate(zip(predictions, references, strict=True)) if pair[0] != pair[1]]
        return [
            Mistake(
                row,
                "stance",
                "taken for the other",
                self.row(rows[row]),
                Choice((references[row],)),
                Choice((predictions[row],)),
            )
            for row in wrong[:limit]
        ]

    def examples(self, rows: Dataset, limit: int) -> dict[str, Example]:
        return {row["stance"]: Example(self.row(row)) for row in rows.select(range(min(limit, len(rows))))}

    def snippet(
        self, model: str, target: Labels, examples: Sequence[Example], facts: Any, *, loaded: str | None = None
    ) -> str:
        made = loaded or f'model, processor = "{model}", "{model}"'
        lines = ["from transformers import pipeline", "", made]
        return "\n".join(
            [*lines, 'ask = pipeline("text-classification", model=model, tokenizer=processor)', 'print(ask("well"))']
        )


@dataclass(frozen=True)
class Stance(Task):
    """The stance of a message."""

    shout: bool = False  # a flag of its own

    key: ClassVar[str] = "stance"
    tag: ClassVar[str] = "text-classification"
    auto_model: ClassVar[type] = AutoModelForSequenceClassification
    sample: ClassVar[Sample] = Sample("sample-text", dict, license="apache-2.0")  # type: ignore[arg-type]

    rows: ClassVar[Messages] = Messages()
    judge: ClassVar[ErrorRate] = ErrorRate()
    view: ClassVar[MessageView] = MessageView()

    def codec(self, checkpoint: str, target: Labels) -> MessageReader:
        return MessageReader(self.path(checkpoint), target, self.head_config(target))

    @classmethod
    def target_of(cls, config: PreTrainedConfig) -> Labels:
        return Labels.from_config(config)


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """A finished run of the stranger, made as its recipe would."""
    folder = tmp_path_factory.mktemp("stranger")
    checkpoint, data = tiny.bert(folder / "bert"), folder / "messages"
    data.mkdir()
    for seed, (split, rows) in enumerate({"train": 48, "validation": 24, "test": 24}.items()):
        lines = [{"message": row["text"], "stance": row["label"]} for row in tiny.reviews(rows, seed)]
        (data / f"{split}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    recipe, task, args = parse(
        (RecipeArguments, Stance, TransferArguments),
        argv=["--checkpoint", checkpoint, "--dataset", str(data), "--output_dir", str(folder / "run"), "--use_cpu"],
        num_train_epochs=6,
        learning_rate=3e-3,
        per_device_train_batch_size=8,
        strategy="full",
        report_to="none",
        disable_tqdm=True,
        logging_steps=1,
        **KEEP_BEST,
    )
    set_seed(args.seed)
    rows = task.load()
    codec = task.codec(recipe.checkpoint, rows.target)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    trainer.tune_decision()
    trainer.save_model()
    trainer.publish(trainer.report(recipe))
    (folder / "state.json").write_text(
        json.dumps({"log": trainer.state.log_history, "best": trainer.state.best_metric})
    )
    return folder


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The one line that a task costs elsewhere."""
    monkeypatch.setattr(hfkit.tasks, "TASKS", (*hfkit.tasks.TASKS, Stance))


def ask(*argv: str) -> str:
    result = command(*argv)
    assert result.exit_code == 0, (argv, result.output, result.exception)
    return result.stdout


def test_the_epoch_with_the_fewest_errors_is_kept(place):
    state = json.loads((place / "state.json").read_text())
    rates = [entry["eval_error_rate"] for entry in state["log"] if "eval_error_rate" in entry]
    assert len(rates) == 6 and state["best"] == min(rates) < max(rates)


def test_its_report_says_what_it_is_and_which_way_is_better(place):
    report = json.loads((place / "run" / "report.json").read_text())
    assert report["task"]["key"] == "stance" and report["task"]["name"] == "text-classification"
    assert report["task"]["headline"] == "error_rate"
    assert report["task"]["scores"] == [{"key": "error_rate", "title": "error rate", "better": "lower", "hub": None}]
    assert report["data"]["train"]["most_tokens"] > 3
    page = (place / "run" / "report.html").read_text()
    assert "error rate" in page


def test_its_card_lints(place):
    ask("card", "lint", str(place / "run"))
    assert "error rate" in (place / "run" / "README.md").read_text()


def test_it_is_known_by_its_key_although_another_task_has_its_tag(place):
    assert json.loads((place / "run" / "config.json").read_text())["hfkit_task"] == "stance"
    (place / "new.jsonl").write_text('{"message": "anna likes rain."}\n{"message": "boris left oslo."}\n')
    answers = [json.loads(line) for line in ask("predict", str(place / "run"), str(place / "new.jsonl")).splitlines()]
    assert [row["prediction"]["stance"] for row in answers] == ["positive", "negative"]


def test_predict_takes_its_own_flags_and_no_others(place):
    ask("predict", str(place / "run"), "--shout", "true", str(place / "new.jsonl"))
    refused = command("predict", str(place / "run"), str(place / "new.jsonl"), "--tokens_column", "words")
    assert refused.exit_code == 2 and "--tokens_column" in refused.output


def test_it_is_evaluated_as_in_its_own_report(place):
    out = place / "evaluation"
    ask("evaluate", str(place / "run"), "--dataset", str(place / "messages"), "--output_dir", str(out))
    again, first = (json.loads((folder / "report.json").read_text()) for folder in (out, place / "run"))
    assert again["contenders"][0]["scores"] == first["contenders"][0]["scores"]


def test_a_plan_can_be_made_for_it(place):
    planned = json.loads(ask("plan", "--task", "stance", "--checkpoint", str(place / "bert"), "--rows", "64", "--json"))
    assert planned["stages"]


def test_the_doctor_looks_at_it(place):
    flags = ["--dataset", str(place / "messages"), "--checkpoint", str(place / "bert"), "--json"]
    found = json.loads(ask("doctor", "--task", "stance", *flags))
    assert found["task"] and {finding["section"] for finding in found["findings"]} == {"environment", "data", "model"}


def test_the_demo_shows_it(place):
    pytest.importorskip("gradio")
    assert json.loads(ask("demo", str(place / "run"), "--check"))["prediction"]["stance"] in ("negative", "positive")


@pytest.mark.slow
def test_it_can_be_exported(place):
    pytest.importorskip("onnxruntime")
    ask("export", str(place / "run"), "--output_dir", str(place / "onnx"))
    record = json.loads((place / "onnx" / "export.json").read_text())["hfkit"]
    assert record["parity"] and all(found["equal_predictions"] == 1 for found in record["parity"].values())


def test_what_is_saved_needs_no_hfkit(place):
    plain = AutoModelForSequenceClassification.from_pretrained(place / "run")
    assert plain.config.id2label == {0: "negative", 1: "positive"}
