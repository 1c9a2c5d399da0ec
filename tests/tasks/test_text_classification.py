"""Texts from every kind of file, read as their writers meant them, and models that others can use."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value, concatenate_datasets
from tokenizers import normalizers
from transformers import (
    AutoConfig,
    AutoTokenizer,
    BertConfig,
    BertweetTokenizer,
    EsmConfig,
    LukeConfig,
    RobertaConfig,
    T5Config,
    pipeline,
    set_seed,
)

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.abilities import Tuned
from hfkit.contract.target import Labels
from hfkit.contract.view import Text
from hfkit.data.text.tokenizers import positions_of
from hfkit.errors import UserError
from hfkit.tasks import NER, TextClassification
from tests.fixtures.encoding import facts_of, make_loaded, prepare, run_model
from tests.tiny import text as tiny

ODD = [  # what readers of files like to change
    {"text": 'NA, "quoted",\nand a second line', "label": "null"},
    {"text": "null", "label": "None"},
    {"text": " 1e3 ", "label": "007"},
    {"text": "café ⟂ 東京", "label": "null"},
]


def quoted(value: str) -> str:
    return '"' + value.replace('"', '""') + '"'


def write(kind: str, splits: DatasetDict, folder: Path) -> None:
    for split, rows in splits.items():
        names = sorted(set(rows["label"]))
        if kind == "class labels":
            features = Features({"text": Value("string"), "label": ClassLabel(names=names)})
            rows.cast(features).to_parquet(str(folder / f"{split}.parquet"))
        elif kind == "json lines":
            rows.to_json(str(folder / f"{split}.jsonl"))
        elif kind == "arrow in subfolders":
            rows.save_to_disk(str(folder / split))
        else:
            suffix, separator = (".tsv", "\t") if kind.startswith("tabs") else (".csv", ",")
            lines = [f"label{separator}text"]
            lines += [f"{row['label']}{separator}{quoted(row['text'])}" for row in rows]
            encoding = "utf-8-sig" if "mark" in kind else "utf-8"
            (folder / f"{split}{suffix}").write_text("\n".join(lines), encoding=encoding, newline="\r\n")


@pytest.mark.parametrize(
    "kind", ["class labels", "json lines", "arrow in subfolders", "commas and a byte-order mark", "tabs"]
)
def test_every_kind_of_file_gives_the_texts_and_labels_as_they_were_written(kind, tmp_path):
    splits = DatasetDict({split: Dataset.from_list(ODD) for split in ("train", "validation", "test")})
    write(kind, splits, tmp_path)
    loaded = TextClassification(dataset=str(tmp_path)).load()
    for rows in loaded.splits.values():
        assert rows["label"][:] == [row["label"] for row in ODD]
        assert [text.replace("\r\n", "\n") for text in rows["text"]] == [row["text"] for row in ODD]
    assert loaded.labels == ["007", "None", "null"]


def test_tabs_may_stand_between_texts_with_quotes_that_quote_nothing(tmp_path):
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.tsv").write_text('text\tlabel\n"Great" they said\tgood\nan 8" disc\tbad\n"\tbad\n')
    rows = TextClassification(dataset=str(tmp_path)).load()["train"]
    assert rows["text"][:] == ['"Great" they said', 'an 8" disc', '"']


@pytest.mark.parametrize(("suffix", "separator"), [(".csv", ","), (".tsv", "\t")])
def test_a_text_may_be_as_long_as_a_book(suffix, separator, tmp_path):
    book = "word " * 50_000
    for split in ("train", "validation", "test"):
        lines = ["text" + separator + "label", book + separator + "long", "so so" + separator + "short"]
        (tmp_path / f"{split}{suffix}").write_text("\n".join(lines))
    assert TextClassification(dataset=str(tmp_path)).load()["test"]["text"] == [book, "so so"]


def test_another_encoding_is_found_and_another_one_read_when_it_is_named(tmp_path):
    for split in ("train", "validation", "test"):
        (tmp_path / f"{split}.csv").write_bytes("text;label\nCafé – crème;süß\nThé;herb\n".encode("cp1252"))
    rows = TextClassification(dataset=str(tmp_path)).load()["train"]
    assert rows[0] == {"text": "Café – crème", "label": "süß"}
    rows = TextClassification(dataset=str(tmp_path), encoding="cp1250").load()["train"]
    assert rows[0] == {"text": "Café – crčme", "label": "süß"}


def test_validation_rows_are_set_aside_once_and_for_all_and_keep_their_order(tmp_path):
    rows = Dataset.from_list([{"text": f"text {n:03d}", "label": "ab"[n % 2]} for n in range(100)])
    rows.to_parquet(str(tmp_path / "train.parquet"))
    rows.to_parquet(str(tmp_path / "test.parquet"))
    first, second = (TextClassification(dataset=str(tmp_path), validation_share=0.2).load() for _ in range(2))
    train, validation = first["train"]["text"][:], first["validation"]["text"][:]
    assert [len(train), len(validation), len(first["test"])] == [80, 20, 100]
    assert sorted(train + validation) == rows["text"][:]
    assert (train, validation) == (sorted(train), sorted(validation)) != (rows["text"][:80], rows["text"][80:])
    assert second["validation"]["text"][:] == validation


@pytest.mark.parametrize("names", [("premise", "hypothesis"), ("sentence1", "sentence2"), ("text", "text_pair")])
def test_pairs_are_known_by_their_columns(names, tmp_path, checkpoint):
    rows = Dataset.from_list([{names[0]: "anna", names[1]: "boris", "label": n} for n in (3, 11)])
    task = TextClassification(
        dataset=tiny.folder_of(DatasetDict(train=rows, validation=rows, test=rows), tmp_path / "pairs")
    )
    loaded, codec, encoded = prepare(task, checkpoint)
    assert loaded["train"][0] == {"text": "anna", "text_pair": "boris", "label": "3"}
    assert loaded.labels == ["3", "11"]
    assert task.view.row(loaded["train"][0]) == Text("anna ⟂ boris")
    assert task.rows.content(loaded["test"]) == ["anna ⟂ boris"] * 2
    row = encoded["train"][1]
    assert codec.processor.decode(row["input_ids"]) == "[CLS] anna [SEP] boris [SEP]"
    assert (row["labels"], row["row"], row["truncated"]) == (1, 1, False)


def test_named_columns_win(tmp_path):
    rows = Dataset.from_list([{"text": "a", "body": f"b{n}", "title": "c", "label": "x", "kind": n} for n in (0, 1)])
    folder = tiny.folder_of(DatasetDict(train=rows, validation=rows, test=rows), tmp_path / "named")
    task = TextClassification(dataset=folder, text_column="body", text_pair_column="title", label_column="kind")
    assert task.load()["test"][1] == {"text": "b1", "text_pair": "c", "label": "1"}


def test_fewer_rows_keep_every_label_their_order_and_their_shares(tmp_path):
    rare = [{"text": "rare", "label": "z"}]
    rows = Dataset.from_list([{"text": f"{n}", "label": "aab"[n % 3]} for n in range(300)] + rare)
    task = TextClassification(
        dataset=tiny.folder_of(DatasetDict(train=rows, validation=rows, test=rows), tmp_path / "many"),
        max_train_rows=31,
    )
    loaded = task.load()
    labels = loaded["train"]["label"][:]
    assert [labels.count(name) for name in "abz"] == [20, 10, 1]
    assert [len(loaded[split]) for split in ("validation", "test")] == [301, 301]
    numbers = [int(text) for text in loaded["train"]["text"][:-1]]
    assert numbers == sorted(numbers) and numbers[0] < 30 and numbers[-1] > 270
    assert task.load()["train"]["text"][:] == loaded["train"]["text"][:]


@pytest.mark.parametrize(
    "problem, column, labels",
    [
        ("single-label", ["b", "a", "c"], ["a", "b", "c"]),
        ("multi-label", [["b", "a"], [], ["c"]], ["a", "b", "c"]),
        ("regression", [0.5, -99.5, 2.0], ["score"]),
        ("ordinal", [3, 1, 5], ["1 to 5"]),
    ],
)
def test_decode_gives_one_prediction_for_every_row(problem, column, labels, tmp_path, checkpoint):
    rows = Dataset.from_dict({"text": ["anna", "boris left", "carla"], "label": column})
    folder = tiny.folder_of(DatasetDict(train=rows, validation=rows, test=rows), tmp_path / "three")
    task = TextClassification(dataset=folder, problem=problem)
    loaded, codec, encoded = prepare(task, checkpoint)
    assert loaded.labels == labels
    model = codec.model().eval()
    batch = codec.collate(list(encoded["test"]))
    assert batch["labels"].dtype == (torch.int64 if problem == "single-label" else torch.float32)
    loss, output = codec.loss(model, batch)
    assert loss > 0 and output["logits"].shape[0] == 3
    predictions = codec.decode(run_model(codec, model, encoded["test"]), encoded["test"])
    references = task.rows.references(loaded["test"])
    assert len(predictions) == 3 and references == ([["a", "b"], [], ["c"]] if problem == "multi-label" else column)
    assert task.judge.score(predictions, references)[task.judge.headline.key] <= 1
    # Rows to predict have no labels, and get the same answers.
    asked, faults = task.rows.to_predict(rows.remove_columns("label"))
    assert not faults and asked.column_names == ["text"]
    asked = codec.encode(asked, split="input", answers=False)
    assert "labels" not in asked.column_names
    assert codec.decode(run_model(codec, model, asked), asked) == predictions
    records = [task.view.record(answer, row) for answer, row in zip(predictions, loaded["test"], strict=True)]
    assert json.loads(json.dumps(records)) == records


def test_long_texts_are_cut_and_counted_and_the_saved_tokenizer_cuts_nothing(checkpoint, tmp_path):
    rows = Dataset.from_list([{"text": "anna " * n, "label": "ab"[n % 2]} for n in (3, 8, 9)])
    splits = DatasetDict(train=rows, validation=rows, test=rows)
    task = TextClassification(max_length=10)
    loaded, codec, prepared = prepare(task, checkpoint, make_loaded(splits, ["a", "b"]))
    processor = codec.processor
    assert prepared["train"]["truncated"][:] == [False, False, True]
    assert [len(ids) for ids in prepared["train"]["input_ids"]] == [5, 10, 10]
    assert processor.decode(prepared["train"][2]["input_ids"]).endswith("anna [SEP]")
    facts = facts_of(task, loaded, codec, prepared)["train"]
    assert (facts["truncated"], facts["most_tokens"], facts["median_tokens"]) == (1, 10, 10.0)
    processor.save_pretrained(tmp_path)
    assert len(AutoTokenizer.from_pretrained(tmp_path)("anna " * 30)["input_ids"]) == 32


@pytest.mark.parametrize("kind", ["wordpiece", "byte_bpe", "unigram"])
def test_special_tokens_that_somebody_wrote_are_text(kind, checkpoint, tmp_path):
    tokenizer = getattr(tiny, kind)()
    tiny.bert(tmp_path)
    AutoConfig.from_pretrained(tmp_path, vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    codec = TextClassification().codec(str(tmp_path), Labels(("a",)))
    processor = codec.processor
    marks = set(processor.all_special_tokens) - {processor.unk_token}
    rows = Dataset.from_list([{"text": f"anna {mark} met{mark}boris", "label": "a"} for mark in marks])
    plain = processor("anna")["input_ids"]
    prepared = codec.encode(rows, split="train", answers=True)
    ids = {processor.convert_tokens_to_ids(mark) for mark in marks}
    for tokens in prepared["input_ids"]:
        assert [token for token in tokens if token in ids] == [token for token in plain if token in ids]
    if kind != "unigram":  # whose model has them as pieces
        processor.save_pretrained(tmp_path / "saved")
        served = AutoTokenizer.from_pretrained(tmp_path / "saved")
        assert served(rows["text"][:])["input_ids"] == prepared["input_ids"][:]


def test_a_decoder_without_a_padding_token_answers_in_batches_as_one_by_one(tmp_path):
    checkpoint = tiny.gpt2(tmp_path / "gpt2")
    loaded = make_loaded(tiny.review_splits(6, 2, 2), ["negative", "positive"])
    _, codec, encoded = prepare(TextClassification(), checkpoint, loaded)
    processor, prepared, model = codec.processor, encoded["train"], codec.model().eval()
    assert len(set(map(len, prepared["input_ids"]))) > 1
    with torch.no_grad():
        together = model(**codec.inputs(codec.collate(list(prepared)))).logits
        alone = torch.cat([model(**codec.inputs(codec.collate([row]))).logits for row in prepared])
    torch.testing.assert_close(together, alone)
    assert processor.model_max_length == 48  # of the positions, not the 64 that the tokenizer claims
    # A pair is not glued together, here and in what others load.
    processor.save_pretrained(tmp_path / "saved")
    for tokenizer in (processor, AutoTokenizer.from_pretrained(tmp_path / "saved")):
        assert tokenizer.decode(tokenizer("anna", "boris")["input_ids"]) == "anna<end>boris"
        assert tokenizer.decode(tokenizer("anna")["input_ids"]) == "anna"


def test_a_text_of_no_token_is_refused_by_row(tmp_path):
    checkpoint = tiny.gpt2(tmp_path)
    codec = TextClassification().codec(checkpoint, Labels(("a", "b")))
    codec.processor.backend_tokenizer.normalizer = normalizers.Replace("\u200b", "")
    rows = Dataset.from_list([{"text": "anna", "label": "a"}, {"text": "\u200b", "label": "b"}])
    with pytest.raises(ValueError, match="split 'train', row 1, column 'text': .*no token"):
        codec.encode(rows, split="train", answers=True)


def test_a_tokenizer_in_python_only_reads_texts_and_is_refused_for_words(tmp_path, capsys):
    letters = "abcdefghijklmnopqrstuvwxyz"
    (tmp_path / "vocab.txt").write_text("".join(f"{letter} 9\n{letter}@@ 9\n" for letter in letters))
    (tmp_path / "bpe.codes").write_text("t h 5\n")
    BertweetTokenizer(str(tmp_path / "vocab.txt"), str(tmp_path / "bpe.codes")).save_pretrained(tmp_path)
    RobertaConfig(vocab_size=60, max_position_embeddings=66, pad_token_id=1).save_pretrained(tmp_path)
    rows = Dataset.from_list([{"text": "this and that", "label": "a"}, {"text": "x", "label": "b"}])
    loaded = make_loaded({"train": rows}, ["a", "b"])
    _, codec, encoded = prepare(TextClassification(), str(tmp_path), loaded)
    assert encoded["train"]["input_ids"][0] == codec.processor("this and that").input_ids
    assert codec.processor.model_max_length == 64
    assert "tokenizer (BertweetTokenizer) exists in Python only, and reads slowly" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"\(BertweetTokenizer\) exists in Python only, .*Use a checkpoint with a fast"):
        NER().codec(str(tmp_path), loaded.target)


POOLINGS = {
    "mean": (None, lambda alone: alone.mean(0)),
    "cls": ({"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}, lambda alone: alone[0]),
    "max": ({"pooling_mode": "max"}, lambda alone: alone.amax(0)),
    "lasttoken": ({"pooling_mode": ["lasttoken"]}, lambda alone: alone[-1]),
    "not known": ({"pooling_mode": ["mean", "cls"]}, lambda alone: alone.mean(0)),
}


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_features_are_pooled_as_the_checkpoint_asks_over_what_is_no_padding(pooling, side, checkpoint, tmp_path):
    settings, expected = POOLINGS[pooling]
    place = shutil.copytree(checkpoint, tmp_path / "base")
    if settings is not None:
        (place / "1_Pooling").mkdir()
        (place / "1_Pooling" / "config.json").write_text(json.dumps(settings))
    rows = Dataset.from_list([{"text": "anna", "label": "a"}, {"text": "anna saw the sea in oslo.", "label": "b"}])
    _, codec, encoded = prepare(TextClassification(), str(place), make_loaded({"train": rows}, ["a", "b"]))
    codec.processor.padding_side = side
    backbone = codec.model().base_model.eval()
    batch, short = (codec.inputs(codec.collate(list(encoded["train"])[:rows])) for rows in (2, 1))
    with torch.no_grad():
        outputs = backbone(**batch)
        together, alone = codec.features(outputs, batch), outputs.last_hidden_state[0][batch["attention_mask"][0] == 1]
        if side == "right":  # positions are counted from the left
            torch.testing.assert_close(alone, backbone(**short).last_hidden_state[0])
    torch.testing.assert_close(together[0], expected(alone))
    assert together.shape == (2, 32)


def test_the_facts_count_what_repeats_and_what_test_shares_with_train(tmp_path):
    train = Dataset.from_list([{"text": text, "label": label} for text, label in ["ax", "bx", "ay", "cy"]])
    test = Dataset.from_list([{"text": text, "label": label} for text, label in ["ax", "dy", "dy"]])
    folder = tiny.folder_of(DatasetDict(train=train, validation=test, test=test), tmp_path / "repeats")
    task = TextClassification(dataset=folder)
    loaded = task.load()
    facts = task.rows.facts(loaded.splits)
    assert facts["train"] == {"rows": 4, "repeated_rows": 1, "classes": {"x": 2, "y": 2}, "skipped": {}}
    assert (facts["test"]["repeated_rows"], facts["test"]["rows_shared_with_train"]) == (1, 1)
    assert (facts["problem"], facts["pairs"], loaded.labels) == ("single-label", False, ["x", "y"])
    json.dumps(facts)


def test_the_sample_is_one_of_two_classes_and_said_to_be_synthetic():
    task = TextClassification(max_train_rows=20)
    loaded = task.load()
    assert len(loaded["train"]) == 20
    assert loaded.labels == ["negative", "positive"]
    assert task.sample.synthetic and task.sample.origin() == {"license": "apache-2.0", "language": "en"}


ANSWERS = {
    "single-label": (lambda label: label, {}),
    "multi-label": (lambda label: [label, "review"] if label == "positive" else ["review"], {}),
    "regression": (lambda label: 4.5 if label == "positive" else 1.0, {}),
}


@pytest.mark.parametrize("problem", ANSWERS)
def test_a_trained_model_answers_alike_in_a_pipeline_that_knows_nothing_of_hfkit(problem, checkpoint, tmp_path):
    answer, flags = ANSWERS[problem]
    kind = {"multi-label": List(Value("string")), "regression": Value("float64")}.get(problem, Value("string"))
    features = Features({"text": Value("string"), "label": kind})
    splits = tiny.review_splits(192, 48, 24).map(lambda row: {"label": answer(row["label"])}, features=features)
    task = TextClassification(dataset=tiny.folder_of(splits, tmp_path / "data"), problem=problem, **flags)
    args = TransferArguments(
        output_dir=str(tmp_path / "run"),
        strategy="full",
        learning_rate=2e-3,
        num_train_epochs=8,
        per_device_train_batch_size=16,
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        save_strategy="no",
    )
    set_seed(0)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    model = codec.model()
    trainer = TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows)
    trainer.train()
    assert isinstance(codec, Tuned)
    if problem == "multi-label":
        with torch.no_grad():  # as after a head that says yes to nothing
            model.classifier.bias.sub_(20)
        tuned = trainer.tune_decision()
        assert tuned["before"] == 0 and tuned["after"] > 0.9
    trainer.save_model()
    predictions = trainer.predictions("test")
    judge = task.judge
    assert judge.score(predictions, task.rows.references(rows["test"]))[judge.headline.key] > 0.7

    served = pipeline("text-classification", model=str(tmp_path / "run"), device="cpu")
    texts = rows["test"]["text"][:]
    if problem == "single-label":
        assert [found["label"] for found in served(texts)] == [ranked[0] for ranked in predictions]
    elif problem == "multi-label":
        found = served(texts, top_k=None)
        assert [sorted(one["label"] for one in row if one["score"] > 0.5) for row in found] == predictions
    else:
        assert [found["score"] for found in served(texts)] == pytest.approx(predictions, abs=1e-4)
        assert {found["label"] for found in served(texts)} == {"score"}


@pytest.mark.filterwarnings("error:Label smoothing")
@pytest.mark.parametrize("problem", ["multi-label", "regression"])
def test_labels_are_smoothed_or_the_flag_is_refused(problem, checkpoint, tmp_path):
    splits = tiny.review_splits(8, 4, 4).map(lambda row: {"label": ANSWERS[problem][0](row["label"])})
    task = TextClassification(dataset=tiny.folder_of(splits, tmp_path / "data"), problem=problem)
    args = TransferArguments(output_dir=str(tmp_path), label_smoothing_factor=0.1, report_to="none", use_cpu=True)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)
    given = dict(model=codec.model(), args=args, task=task, codec=codec, rows=rows)
    if problem == "regression":
        with pytest.raises(UserError, match="label_smoothing_factor=0.1: numbers have no classes"):
            TransferTrainer(**given)
    else:
        sure = torch.tensor([[20.0, -20.0]])  # costs nothing, unless labels are smoothed
        assert codec.loss_of_logits(sure, torch.tensor([[1.0, 0.0]])) < 1e-6
        TransferTrainer(**given)
        assert codec.loss_of_logits(sure, torch.tensor([[1.0, 0.0]])) > 0.5


def test_shards_of_one_split_become_one_table(tmp_path):
    splits = tiny.review_splits(8, 4, 4)
    for split, rows in splits.items():
        for shard in range(2):
            header = "text,label\n"
            lines = [f"{row['text']},{row['label']}\n" for row in rows]
            (tmp_path / f"{split}-0000{shard}-of-00002.csv").write_text(header + "".join(lines))
    loaded = TextClassification(dataset=str(tmp_path)).load()
    assert loaded["train"]["text"][:] == concatenate_datasets([splits["train"]] * 2)["text"][:]


@pytest.mark.parametrize(
    ("config", "positions"),
    [
        (BertConfig(max_position_embeddings=64), 64),
        (RobertaConfig(max_position_embeddings=66, pad_token_id=1), 64),
        (LukeConfig(max_position_embeddings=66, pad_token_id=1), 64),
        (EsmConfig(max_position_embeddings=66, pad_token_id=1), 64),
        (EsmConfig(max_position_embeddings=66, pad_token_id=1, position_embedding_type="rotary"), 66),
        (T5Config(), -1),
    ],
)
def test_positions_are_those_that_a_text_can_have(config, positions):
    assert positions_of(config) == positions
