"""A saved model says what its own trainer said, whatever its task is, and tells why when it cannot be asked."""

import json
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForSpeechSeq2Seq,
    AutoModelForTokenClassification,
    AutoTokenizer,
    BartConfig,
    BertConfig,
    GPT2Config,
    T5Config,
    WhisperConfig,
    set_seed,
)

import hfkit.inference.saved
from hfkit import Report, TransferArguments, TransferTrainer
from hfkit.arguments.parse import parse
from hfkit.contract.task import Loaded, Task
from hfkit.data.bad_rows import count_skipped
from hfkit.data.text.words import split_words
from hfkit.errors import UserError
from hfkit.inference.saved import SavedModel, find_task, fits_head, load_saved
from hfkit.tasks import NER, ImageClassification, PartOfSpeech, TextClassification
from hfkit.tasks.classification.texts import TextClassifier
from hfkit.tasks.tagging.words import entity_records
from tests.fixtures import runs
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny

HEADS = ("classifier", "score")
COST = {"wall_seconds": 0.0, "cpu_seconds": 0.0, "peak_memory_mib": 0.0}


def finish(task: Task, checkpoint: str, output: Path, *, report: bool = True, **flags) -> tuple[Loaded, list]:
    """A run that ended without training: the loaded rows, and its trainer's predictions for test."""
    args = TransferArguments(output_dir=str(output), report_to="none", disable_tqdm=True, use_cpu=True, **flags)
    set_seed(0)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    model = codec.model()
    encoded = codec.encode(rows["test"], split="test", answers=False)
    spread(model, codec.inputs(codec.collate([encoded[row] for row in range(len(encoded))])))
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.save_model()
    predictions = trainer.predictions("test")
    if report:
        made = Report(task, rows, settings={**vars(task), **args.to_dict()})
        made.add("fine-tuned", predictions, cost=COST)
        made.save(output)
    return rows, predictions


def spread(model: torch.nn.Module, batch: dict) -> None:
    """Give the head weights that tell rows apart; a fresh one gives all of them the same answer."""
    weight, *bias = [parameter for name, parameter in model.named_parameters() if name.split(".")[0] in HEADS]
    with torch.no_grad():
        weight.normal_(std=1)
        logits = model.eval()(**batch).logits
        flat = logits.flatten(0, -2)
        weight /= flat.std(0).mean()
        if bias:
            bias[0].copy_(3 * (flat.shape[1] == 1) - flat.mean(0) / flat.std(0).mean())


def texts(problem: str, pairs: bool) -> DatasetDict:
    answers = {
        "single-label": lambda draw: draw.choice(["a", "b", "c"]),
        "multi-label": lambda draw: sorted(draw.sample(["a", "b", "c"], draw.randint(0, 2))),
        "regression": lambda draw: draw.random() * 5,
        "ordinal": lambda draw: draw.randint(1, 5),
    }[problem]
    draw, splits = random.Random(0), tiny.review_splits(train=24, validation=8, test=40)
    made = {}
    for name, rows in splits.items():
        columns = {"text": rows["text"], "label": [answers(draw) for _ in range(len(rows))]}
        if pairs:
            columns = {"premise": columns.pop("text"), "hypothesis": rows["text"][::-1], **columns}
        made[name] = Dataset.from_dict(columns)
    return DatasetDict(made)


@pytest.mark.parametrize("report", [True, False], ids=["report", "config alone"])
@pytest.mark.parametrize(
    ("problem", "pairs"),
    [("single-label", False), ("single-label", True), ("multi-label", False), ("regression", False), ("ordinal", True)],
)
def test_a_saved_model_answers_as_its_trainer_did(problem, pairs, report, checkpoint, tmp_path):
    folder = tiny.folder_of(texts(problem, pairs), tmp_path / "data")
    task = TextClassification(dataset=folder, problem=problem)
    rows, predictions = finish(task, checkpoint, tmp_path / "run", report=report, per_device_eval_batch_size=32)
    saved = load_saved(str(tmp_path / "run"))
    assert saved.task.problem == problem
    assert saved.labels == rows.labels
    assert saved.predictions(rows["test"]) == predictions
    assert len(set(map(str, predictions))) > 1
    # The same rows without their answers, as somebody brings them.
    found = saved.predict_table(
        Dataset.from_parquet(f"{folder}/test.parquet", cache_dir=str(tmp_path)).remove_columns("label")
    )
    assert [one.record for one in found] == [saved.task.view.record(one, {}) for one in predictions]
    if problem == "single-label":
        assert all(max(one.likelihoods, key=one.likelihoods.get) == one.record for one in found)
        assert all(sum(one.likelihoods.values()) == pytest.approx(1) for one in found)
    elif problem == "multi-label":
        assert all({k for k, v in one.likelihoods.items() if v > 0.5} == set(one.record) for one in found)
    else:
        assert all(one.likelihoods is None for one in found)


def long_documents(folder: Path) -> str:
    """Sentences strung together: far longer than a window."""
    splits = tiny.ner_splits(train=24, validation=8, test=24)
    for split, rows in splits.items():
        rows = list(rows)
        joined = [
            {key: [item for row in rows[start : start + 6] for item in row[key]] for key in ("tokens", "tags")}
            for start in range(0, len(rows), 6)
        ]
        Dataset.from_list(joined).to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)


@pytest.mark.parametrize("flags", [{}, {"bf16": True}], ids=["fp32", "bf16"])
def test_long_documents_are_tagged_in_windows_as_the_trainer_tagged_them(flags, checkpoint, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    task = NER(dataset=long_documents(data), max_length=16, stride=4)
    rows, predictions = finish(task, checkpoint, tmp_path / "run", per_device_eval_batch_size=8, **flags)
    saved = load_saved(str(tmp_path / "run"))
    assert (saved.task.max_length, saved.task.stride) == (16, 4)
    assert saved.precision == (torch.bfloat16 if flags else None)
    assert saved.predictions(rows["test"], batch_size=8) == predictions
    assert [len(tags) for tags in predictions] == [len(words) for words in rows["test"]["tokens"]]
    assert max(map(len, predictions)) > 16
    found = saved.predict_table(rows["test"].select_columns("tokens"), batch_size=8)
    assert [one.record for one in found] == [
        entity_records(tags, row) for tags, row in zip(predictions, rows["test"], strict=True)
    ]
    # A flag of somebody who asks wins over the run's.
    assert load_saved(str(tmp_path / "run"), max_length=32).task.max_length == 32


def test_entities_stand_where_they_are_said_to_stand(finished_once):
    saved = load_saved(str(finished_once / "runs" / "bert-ner"))
    text = "Élena,  anna saw\tparis (don't 3.5)…\nin Oslo."
    row = Dataset.from_dict({"text": [text]})
    (found,) = saved.predict_table(row)
    assert found.record
    for entity in found.record:
        assert text[entity["start"] : entity["end"]] == entity["text"]
        assert entity["text"].strip() == entity["text"] and entity["label"] in ("LOC", "PER")
    words, starts = split_words(text)
    assert words == [*("Élena", ",", "anna", "saw", "paris", "(", "don't", "3.5", ")", "…", "in", "Oslo", ".")]
    assert [text[start:].startswith(word) for word, start in zip(words, starts, strict=True)] == [True] * len(words)
    # Rows of words: the text is the words with a space between them.
    words = ["Élena", "saw", "New", "Delhi", "."]
    records = entity_records(["B-PER", "O", "B-LOC", "I-LOC", "O"], {"tokens": words})
    assert records == [
        {"label": "PER", "start": 0, "end": 5, "text": "Élena", "tokens": [0, 1]},
        {"label": "LOC", "start": 10, "end": 19, "text": "New Delhi", "tokens": [2, 4]},
    ]


@pytest.mark.parametrize("hint", ["config.json", "report.json", "--task"])
def test_two_tasks_of_one_architecture_are_told_apart(hint, checkpoint, tmp_path):
    splits = tiny.ner_splits(train=24, validation=8, test=24)
    for split, rows in splits.items():
        tags = [["NAME" if tag != "O" else "WORD" for tag in row] for row in rows["tags"]]
        rows.remove_columns("tags").add_column("upos", tags).to_parquet(str(tmp_path / f"{split}.parquet"))
    task = PartOfSpeech(dataset=str(tmp_path))
    rows, predictions = finish(task, checkpoint, tmp_path / "run", report=hint == "report.json")
    if hint != "config.json":
        change_value(tmp_path / "run" / "config.json", ["hfkit_task"], None)
    saved = load_saved(str(tmp_path / "run"), task="pos" if hint == "--task" else None)
    assert saved.task.key == "pos" and saved.labels == ["NAME", "WORD"]
    assert saved.predictions(rows["test"], batch_size=8) == predictions
    words = rows["test"].select_columns("tokens").select(range(2))
    for one, tags in zip(saved.predict_table(words), predictions[:2], strict=True):
        assert [word["tag"] for word in one.record] == tags
    with pytest.raises(UserError, match="was made for (ner or )?pos"):
        load_saved(str(tmp_path / "run"), task="text-classification" if hint == "--task" else "ner")


def test_a_task_goes_by_its_key_or_by_a_tag_of_its_own():
    assert find_task("pos") is PartOfSpeech and find_task("text-classification") is TextClassification
    with pytest.raises(UserError, match="the Hub's tag of ner and pos"):
        find_task("token-classification")
    with pytest.raises(UserError, match="Did you mean pos?"):
        find_task("po")


def test_flags_are_parsed_once(finished_once, monkeypatch):
    calls = []
    monkeypatch.setattr(
        hfkit.inference.saved, "parse", lambda *args, **kwargs: calls.append(1) or parse(*args, **kwargs)
    )
    load_saved(str(finished_once / "runs" / "bert-sentiment"), max_length=32)
    assert len(calls) == 1


@pytest.mark.parametrize("tta", ["none", "flip"])
def test_pictures_are_answered_as_the_trainer_did(tta, tmp_path):
    checkpoint = tiny_images.vit(tmp_path / "vit")
    data = Path(tmp_path / "data")
    for split, rows in {"train": 3, "validation": 2, "test": 5}.items():
        for kind, colour in tiny_images.CLASSES.items():
            (data / split / kind).mkdir(parents=True)
            for i in range(rows):
                shade = tuple(min(255, channel + 17 * i) for channel in colour)
                tiny_images.Pillow.new("RGB", (20 + i, 24), shade).save(data / split / kind / f"{i}.png")
    task = ImageClassification(dataset=str(data), tta=tta, augmentation="none")
    rows, predictions = finish(task, checkpoint, tmp_path / "run", per_device_eval_batch_size=4)
    saved = load_saved(str(tmp_path / "run"), dataset=str(data))
    assert saved.task.tta == tta
    assert saved.predictions(rows["test"], batch_size=4) == predictions
    files = sorted(str(path.relative_to(data)) for path in (data / "test").rglob("*.png"))
    found = saved.predict_table(
        Dataset.from_dict({"file_name": [*files, "nowhere.png", "../secret.png"]}), batch_size=4
    )
    assert [one.record for one in found[:-2]] == [ranked[0] for ranked in predictions]
    assert [one.fault.rule for one in found[-2:]] == [
        "there is no such file",
        "the images of a dataset lie in its own folder, links resolved",
    ]


def test_a_decoder_and_a_sampled_tokenizer_answer_as_they_did(tmp_path):
    checkpoint = tiny.gpt2(tmp_path / "gpt2")
    folder = tiny.folder_of(texts("single-label", False), tmp_path / "data")
    rows, predictions = finish(
        TextClassification(dataset=folder), checkpoint, tmp_path / "run", per_device_eval_batch_size=32
    )
    assert load_saved(str(tmp_path / "run")).predictions(rows["test"]) == predictions


def test_a_lora_run_is_asked_like_any_other(checkpoint, corpus, tmp_path):
    trainer = runs.trainer(checkpoint, corpus, tmp_path / "run", strategy="lora", num_train_epochs=1)
    trainer.train()
    trainer.save_model()
    saved = load_saved(str(tmp_path / "run"))
    assert saved.predictions(trainer.rows["test"], batch_size=8) == trainer.predictions("test")
    with pytest.raises(UserError, match="an adapter alone"):
        load_saved(str(tmp_path / "run" / "adapter"))


def test_weights_of_any_precision_are_computed_with_in_fp32(finished_once, tmp_path):
    place = finished_once / "runs" / "bert-sentiment"
    for file in place.glob("tokenizer*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    half = AutoModelForSequenceClassification.from_pretrained(place).to(torch.bfloat16)
    half.save_pretrained(tmp_path)
    saved = load_saved(str(tmp_path))
    assert {parameter.dtype for parameter in saved.model.parameters()} == {torch.float32}
    assert not saved.model.training
    rows = Dataset.from_dict({"text": ["anna likes rain.", "boris left."]})
    checked, _ = saved.task.rows.to_predict(rows)
    likelihoods = saved.predict(checked).likelihoods
    full = load_saved(str(place)).predict(checked).likelihoods
    assert np.abs(likelihoods - full).max() < 0.02


def test_the_answers_of_a_run_are_those_in_its_report(finished_once):
    for name, task in (("bert-ner", None), ("bert-sentiment", None), ("vit-images", ImageClassification())):
        place = finished_once / "runs" / name
        report = json.loads((place / "report.json").read_text())
        saved = load_saved(str(place), dataset=report["task"]["dataset"])
        test = (task or saved.task).load()["test"]
        scores = saved.task.judge.score(saved.predictions(test), saved.task.rows.references(test))
        assert scores == report["contenders"][0]["scores"]


def test_rows_at_fault_are_named_and_the_others_answered(finished_once):
    saved = load_saved(str(finished_once / "runs" / "bert-sentiment"))
    found = saved.predict_table(Dataset.from_dict({"id": [7, 8, 9], "text": ["anna likes rain.", "  ", None]}))
    assert [one.fault and (one.fault.row, one.fault.column, one.fault.value, one.fault.rule) for one in found] == [
        None,
        (1, "text", "'  '", "every row has a text"),
        (2, "text", "null", "every row has a text"),
    ]
    assert found[0].record in saved.labels and found[1].record is None
    words = load_saved(str(finished_once / "runs" / "bert-ner"))
    found = words.predict_table(Dataset.from_dict({"tokens": [["anna", None], [], None, ["oslo"]]}))
    assert [one.fault and one.fault.value for one in found] == ["null", None, "null", None]
    assert found[1].record == []
    assert saved.predict_table(Dataset.from_dict({"text": []})) == []


def test_a_text_of_no_token_is_a_row_at_fault(checkpoint, tmp_path):
    """Only the tokenizer sees it; the rows beside it are answered all the same."""
    folder = tiny.folder_of(texts("single-label", False), tmp_path / "data")
    finish(TextClassification(dataset=folder), tiny.gpt2(tmp_path / "gpt2"), tmp_path / "run")
    saved = load_saved(str(tmp_path / "run"))
    saved.codec.processor.backend_tokenizer.normalizer = drop_signs()
    found = saved.predict_table(Dataset.from_dict({"text": ["anna", "∅", "boris"]}))
    assert [one.fault and one.fault.rule for one in found] == [
        None,
        "the tokenizer makes no token of it, and no model reads an empty row",
        None,
    ]


def test_texts_of_no_token_are_left_out_on_demand(tmp_path):
    checkpoint = tiny.gpt2(tmp_path / "gpt2")
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.backend_tokenizer.normalizer = drop_signs()
    tokenizer.save_pretrained(checkpoint)
    place = tmp_path / "data"
    place.mkdir()
    for split in ("train", "validation", "test"):
        rows = {"text": ["anna", "∅", "boris", " ", "clara"], "label": ["a", "a", "b", "a", "b"]}
        Dataset.from_dict(rows).to_json(place / f"{split}.json")
    task = TextClassification(dataset=str(place), on_bad_row="skip")
    loaded = task.load(checkpoint)
    assert loaded["train"]["text"][:] == ["anna", "boris", "clara"]
    assert loaded.draw.origins["test"].rows.tolist() == [0, 2, 4]
    assert count_skipped(loaded["train"]) == {
        "every row has a text": 1,
        "the tokenizer makes no token of it, and no model reads an empty row": 1,
    }


def test_a_split_of_bad_rows_alone_is_an_error_whatever_the_checkpoint_reads(tmp_path):
    checkpoint, place = tiny.gpt2(tmp_path / "gpt2"), tmp_path / "data"
    place.mkdir()
    for split, text in (("train", "anna"), ("validation", "anna"), ("test", " ")):
        Dataset.from_dict({"text": [text] * 2, "label": ["a", "b"]}).to_json(place / f"{split}.json")
    with pytest.raises(UserError, match="every row has a text"):
        TextClassification(dataset=str(place), on_bad_row="skip").load(checkpoint)


def drop_signs():
    from tokenizers import normalizers

    return normalizers.Replace("∅", "")


def saved_copy(finished_once: Path, name: str, tmp_path: Path) -> Path:
    place = finished_once / "runs" / name
    for file in place.iterdir():
        if file.is_file():
            (tmp_path / file.name).write_bytes(file.read_bytes())
    return tmp_path


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda place: (place / "config.json").unlink(), "a saved model has a config.json"),
        (lambda place: (place / "model.safetensors").unlink(), "cannot load it"),
        (lambda place: (place / "model.safetensors").write_bytes(b"\0" * 100), "cannot load it"),
        (lambda place: (place / "report.json").write_text("[]"), "holds an object, and this is a list"),
        (lambda place: change_value(place / "config.json", ["hfkit_task"], "telepathy"), "here it is telepathy"),
        (lambda place: change_value(place / "report.json", ["settings", "problem"], "guess"), "problem='guess'"),
        (lambda place: change_value(place / "report.json", ["settings", "max_length"], "x"), "max_length='x'"),
    ],
)
def test_what_is_no_finished_model_is_refused(change, message, finished_once, tmp_path):
    place = saved_copy(finished_once, "bert-sentiment", tmp_path)
    change(place)
    with pytest.raises(UserError, match=message):
        load_saved(str(place))


def change_value(file: Path, keys: list[str], value) -> None:
    content = json.loads(file.read_text())
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    file.write_text(json.dumps(content))


def test_settings_of_a_stranger_grant_nothing(finished_once, tmp_path):
    place = saved_copy(finished_once, "vit-images", tmp_path)
    change_value(place / "report.json", ["settings", "allow_outside_images"], True)
    change_value(place / "report.json", ["settings", "max_megapixels"], 80)
    task = load_saved(str(place)).task
    assert (task.allow_outside_images, task.max_megapixels) == (False, 50)
    assert task.dataset == "sample"


def test_a_checkpoint_without_a_trained_head_is_refused(checkpoint, tmp_path):
    with pytest.raises(UserError, match="its task is one of .* here it is BertModel"):
        load_saved(checkpoint)
    with pytest.raises(UserError, match="its answers would be random"):
        load_saved(checkpoint, task="text-classification")


def test_tags_of_another_kind_are_refused(checkpoint, tmp_path):
    model = AutoModelForTokenClassification.from_pretrained(checkpoint, id2label={0: "O", 1: "S-PER"})
    model.save_pretrained(tmp_path)
    tiny.wordpiece().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="labels S-PER"):
        load_saved(str(tmp_path), task="ner")
    # They are tags all the same: of words, not of entities.
    assert load_saved(str(tmp_path)).task.key == "pos"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"place": "nowhere"}, "it is no folder, and a Hub id is written OWNER/NAME"),
        ({"place": "./nowhere/at/all"}, "it is no folder"),
        ({"place": "somebody/nothing-of-this-name"}, "the Hub did not give it"),
        ({"revision": "v2"}, "is a folder, which has none"),
        ({"task": "telepathy"}, "one of ner, pos, text-classification, question-answering"),
        ({"task": "token-classification"}, "it is the Hub's tag of ner and pos"),
        ({"task": "ner"}, "was made for text-classification"),
        ({"tokens_column": "words"}, "a model for text-classification has no such flag"),
        ({"max_length": 1000}, "max_length 1000"),
    ],
)
def test_what_is_asked_for_in_vain_is_refused(given, message, finished_once):
    given = {"place": str(finished_once / "runs" / "bert-sentiment"), **given}
    with pytest.raises(UserError, match=message):
        load_saved(given.pop("place"), **given).predict_table(Dataset.from_dict({"text": ["anna"]}))


def test_columns_of_another_name_are_asked_for(finished_once):
    saved = load_saved(str(finished_once / "runs" / "bert-sentiment"))
    with pytest.raises(UserError, match="columns id, words.*--text_column"):
        saved.predict_table(Dataset.from_dict({"id": [1], "words": ["anna"]}))
    renamed = replace(saved, task=replace(saved.task, text_column="words"))
    assert isinstance(renamed, SavedModel)
    assert renamed.predict_table(Dataset.from_dict({"id": [1], "words": ["anna"]}))[0].record in saved.labels


class HalfLogits(TextClassifier):
    """Its outputs are in bfloat16, as autocast leaves them."""

    def outputs(self, model, batch, known=None):
        return {name: values.bfloat16() for name, values in super().outputs(model, batch, known).items()}


def test_outputs_in_bfloat16_are_read(checkpoint):
    task = TextClassification()
    target = task.guess_target(2)
    codec = HalfLogits(checkpoint, checkpoint, target, task.head_config(target), task.kind)
    saved = SavedModel(task, codec.model().eval(), codec, checkpoint, Path(checkpoint))
    rows, _ = task.rows.to_predict(Dataset.from_dict({"text": ["anna likes rain.", "boris left."]}))
    outputs = saved.outputs(saved.encode(rows), batch_size=1)
    assert {values.dtype for values in outputs.values()} == {np.dtype("float32")}
    assert len(saved.predictions(rows)) == 2


@pytest.mark.parametrize(
    ("auto_model", "config"),
    [
        (AutoModelForSeq2SeqLM, T5Config(architectures=["T5ForConditionalGeneration"])),
        (AutoModelForSeq2SeqLM, BartConfig(architectures=["BartForConditionalGeneration"])),
        (AutoModelForSpeechSeq2Seq, WhisperConfig(architectures=["WhisperForConditionalGeneration"])),
        (AutoModelForCausalLM, GPT2Config(architectures=["GPT2LMHeadModel"])),
        (AutoModelForSequenceClassification, BertConfig(architectures=["BertForSequenceClassification"])),
    ],
)
def test_a_model_fits_the_task_that_trains_its_class(auto_model, config):
    class Task(TextClassification):
        pass

    Task.auto_model = auto_model
    assert fits_head(Task, config)
    assert not fits_head(Task, BertConfig(architectures=["BertForMaskedLM"]))
    assert not fits_head(NER, config) and not fits_head(ImageClassification, config)
