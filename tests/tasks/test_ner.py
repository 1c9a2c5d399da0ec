"""Named-entity recognition: words in == tags out, whatever the text, the tokenizer and the length."""

import random
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, Features, List, Value
from tokenizers import pre_tokenizers
from torch.utils.data import DataLoader
from transformers import (
    AutoModelForTokenClassification,
    BertConfig,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    pipeline,
)

from hfkit.contract.target import Labels
from hfkit.data.text.tags import entities
from hfkit.errors import UserError
from hfkit.tasks import NER
from hfkit.tasks.tagging.codec import WordTagger
from hfkit.tasks.tagging.windows import first_tokens
from tests.fixtures.encoding import encode, facts_of, make_loaded, prepare, run_model
from tests.tiny import text as tiny

NAMES = ["O", "B-LOC", "I-LOC", "B-PER", "I-PER"]
SIZES = {"train": 12, "validation": 4, "test": 4}
WNUT = Path(__file__).parents[3] / "shared" / "data" / "wnut17"

ODD = [
    "\u200b", "\u200d", "\ufe0f", "\ufeff", "\u00ad", "\u0301", "\u00a0", "", " ", "\t", "\u2028", "\x00", "\x07",
    "\ue000", "\U0001f600", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "\u2764\ufe0f", "e\u0301\u0302\u0303",
    "\u0645\u0631\u062d\u0628\u0627", "\u202eanna", "\u65e5\u672c\u8a9e", "\ud55c\uad6d\uc5b4", "\u0e20\u0e32\u0e29",
    "[SEP]", "</s>", "<end>", "##a", "\u2581", "x" * 150, "\u200banna", "a b", "\ufdfa", "\u00df\u0130", "'", "--",
]  # fmt: skip


def odd_word(draw: random.Random) -> str:
    kind = draw.random()
    if kind < 0.35:
        return draw.choice(tiny.PEOPLE + tiny.VERBS + tiny.PLACES)
    if kind < 0.75:
        return draw.choice(ODD)
    ends = draw.choice([0x7F, 0x250, 0x3000, 0x10FFFF])
    letters = (chr(draw.randrange(ends)) for _ in range(draw.randint(1, 6)))
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Cs")


def odd_rows(rows: int, longest: int, seed: int) -> Dataset:
    """Sentences of generated Unicode with random tags; now and then one without any word."""
    draw = random.Random(seed)
    tokens = [[odd_word(draw) for _ in range(draw.randint(0, longest))] for _ in range(rows)]
    tags = [[draw.choice(NAMES) for _ in words] for words in tokens]
    return Dataset.from_dict(
        {"tokens": tokens, "tags": tags},
        features=Features({"tokens": List(Value("string")), "tags": List(Value("string"))}),
    )


@cache
def save_tokenizer(build, folder: Path) -> str:
    """A checkpoint that has no more than a tokenizer."""
    build().save_pretrained(folder)
    BertConfig().save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module", params=[tiny.wordpiece, tiny.byte_bpe, tiny.unigram], ids=lambda build: build.__name__)
def tokenizer_only(request, tmp_path_factory) -> str:
    return save_tokenizer(request.param, tmp_path_factory.mktemp(request.param.__name__))


def answer_perfectly(codec: WordTagger, encoded: Dataset, gold: Dataset | None = None) -> dict[str, np.ndarray]:
    """The outputs that the trainer hands to `decode` when the model is always right: collated, reduced and padded.

    Args:
        gold: the same rows encoded with their answers, where `encoded` has none.
    """
    outputs = []
    batches = (DataLoader(rows, batch_size=64, collate_fn=codec.collate) for rows in (encoded, gold or encoded))
    for batch, answered in zip(*batches, strict=True):
        logits = torch.nn.functional.one_hot(answered["labels"].clamp(min=0), len(NAMES)).float()
        assert batch["input_ids"].shape == batch["attention_mask"].shape == answered["labels"].shape
        outputs += codec.reduce(logits, codec.positions(batch)).numpy().tolist()
    widest = max(map(len, outputs))
    return {"reduced": np.array([row + [-100] * (widest - len(row)) for row in outputs])}


@pytest.mark.parametrize(
    ("rows", "longest", "task"),
    [
        pytest.param(2200, 12, NER(), id="whole", marks=pytest.mark.slow),
        pytest.param(900, 20, NER(max_length=16), id="windows"),
        pytest.param(200, 60, NER(max_length=12, stride=0), id="no overlap", marks=pytest.mark.slow),
        pytest.param(100, 60, NER(max_length=9, stride=6), id="much overlap"),
    ],
)
def test_words_in_equal_tags_out(tokenizer_only, rows, longest, task):
    """3,400 sentences of generated Unicode for each of three tokenizers."""
    data = odd_rows(rows, longest, seed=rows)
    _, codec, encoded = prepare(task, tokenizer_only, make_loaded({"test": data}, NAMES))
    prepared, processor = encoded["test"], codec.processor
    predictions, references = codec.decode(answer_perfectly(codec, prepared), prepared), task.rows.references(data)
    assert references == data["tags"][:]
    # Rows to predict have no tags, and get the same answers.
    asked = codec.encode(data.remove_columns("tags"), split="test", answers=False)
    assert codec.decode(answer_perfectly(codec, asked, prepared), asked) == predictions

    # The truth about each word comes from one call without windows: its first token, or none.
    whole = processor(data["tokens"][:], is_split_into_words=True)
    for row, (tags, ours) in enumerate(zip(references, predictions, strict=True)):
        tokenised = set(whole.word_ids(row)) - {None}
        assert ours == [tag if word in tokenised else "O" for word, tag in enumerate(tags)]

    seen = [dict() for _ in range(rows)]  # word -> token id at its label
    for window in prepared:
        labelled = [place for place, label in enumerate(window["labels"]) if label != -100]
        assert len(window["input_ids"]) <= codec.window()[0]
        assert window["words"] == sorted(window["words"]) and len(labelled) == len(window["words"])
        for word, place in zip(window["words"], labelled, strict=True):
            assert word not in seen[window["row"]], "a word is labelled in two windows"
            seen[window["row"]][word] = window["input_ids"][place]
    for row, found in enumerate(seen):
        firsts = {}
        for token, word in zip(whole["input_ids"][row], whole.word_ids(row), strict=True):
            if word is not None:
                firsts.setdefault(word, token)
        assert found == firsts


def test_words_without_tokens_are_counted(tokenizer_only):
    task = NER()
    words = ["anna", "", "saw", "\u200b"]
    tags = ["B-PER", "B-LOC", "O", "I-PER"]
    rows = {"tokens": [words], "tags": [tags], "scheme": ["IOB2"], "converted": [False], "invalid_transitions": [0]}
    data = {"train": Dataset.from_dict(rows), "test": Dataset.from_dict(rows)}
    loaded, codec, encoded = prepare(task, tokenizer_only, make_loaded(data, NAMES))
    options = {"is_split_into_words": True, "add_special_tokens": False}
    alone = [codec.processor([word], **options)["input_ids"] for word in words]
    facts = facts_of(task, loaded, codec, encoded)
    assert facts["test"]["words_without_tokens"] == sum(not tokens for tokens in alone) >= 1


def test_a_word_is_judged_where_it_shows_more_of_its_poorer_side():
    # Windows of six tokens, two of them shared, over twelve one-token words; the ends are special tokens.
    windows = [[None, 0, 1, 2, 3, 4, 5, None], [None, 4, 5, 6, 7, 8, 9, None], [None, 8, 9, 10, 11, None]]
    words = [[word for _, word in places] for places in first_tokens(windows, stride=2)]
    # 4 has one word to its right in the first window and none to its left in the second; 5 the other way round.
    assert words == [[0, 1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11]]
    assert first_tokens(windows, stride=2)[2] == [(2, 9), (3, 10), (4, 11)]


def test_a_word_that_goes_on_in_the_next_window_is_not_labelled_there():
    windows = [[None, 0, 1, 1, None], [None, 1, 1, 1, None], [None, 1, 2, None]]
    assert first_tokens(windows, stride=1) == [[(1, 0), (2, 1)], [], [(2, 2)]]


def test_long_documents_are_cut_and_reported(tmp_path):
    rows = tiny.ner_rows(60, seed=3)
    long = {
        "tokens": [word for row in rows for word in row["tokens"]],
        "tags": [t for row in rows for t in row["tags"]],
    }
    for split in SIZES:
        Dataset.from_list([long, rows[0]]).to_parquet(str(tmp_path / f"{split}.parquet"))
    task = NER(dataset=str(tmp_path))
    loaded, codec, encoded = prepare(task, save_tokenizer(tiny.wordpiece, tmp_path / "tokenizer"))
    assert loaded.labels == NAMES
    found = facts_of(task, loaded, codec, encoded)["test"]
    assert found["words"] == len(long["tokens"]) + len(rows[0]["tokens"])
    assert found["rows_in_several_windows"] == 1 and found["windows"] == len(encoded["test"]) > 5
    predictions = codec.decode(answer_perfectly(codec, encoded["test"]), encoded["test"])
    assert predictions == task.rows.references(loaded["test"]) == [long["tags"], rows[0]["tags"]]


def test_padding_on_the_left_changes_nothing(checkpoint):
    data = tiny.ner_splits(**SIZES)
    codec = NER(max_length=10).codec(checkpoint, Labels(tuple(NAMES)))
    codec.processor.padding_side = "left"
    encoded = codec.encode(data["train"], split="train", answers=True)
    assert codec.decode(answer_perfectly(codec, encoded), encoded) == data["train"]["tags"][:]


@pytest.mark.parametrize("side", ["left", "right"])
def test_the_decision_is_read_where_words_start_on_whichever_side_the_padding_is(checkpoint, side):
    task, data = NER(), tiny.ner_splits(**SIZES)
    codec = task.codec(checkpoint, Labels(tuple(NAMES)))
    codec.processor.padding_side = side
    encoded = codec.encode(data["test"], split="test", answers=True)
    torch.manual_seed(0)
    model = codec.model().eval()
    batch = codec.collate([encoded[row] for row in range(len(encoded))])
    with torch.no_grad():
        outputs = {name: value.numpy() for name, value in codec.decision_outputs(model, batch).items()}
        answers = {name: value.numpy() for name, value in codec.outputs(model, batch).items()}
    assert outputs["logits"].shape == (*outputs["positions"].shape, len(NAMES))
    assert (outputs["positions"] != -100).sum() == sum(map(len, data["test"]["tokens"]))
    references = task.rows.references(data["test"])

    def headline(predictions: list) -> float:
        return task.judge.score(predictions, references)[task.judge.headline.key]

    decision = codec.decision(outputs, encoded, headline)
    assert decision.before == headline(codec.decode(answers, encoded))
    assert decision.after >= decision.before and decision.shift[1:].tolist() == [0.0] * 4


def test_a_moved_decision_is_that_of_the_moved_head(checkpoint):
    codec = NER().codec(checkpoint, Labels(tuple(NAMES)))
    encoded = codec.encode(tiny.ner_splits(**SIZES)["test"], split="test", answers=True)
    model = codec.model().eval()
    with torch.no_grad():
        model.classifier.weight.zero_()
        model.classifier.bias.copy_(torch.tensor([1.0, 0.0, 0.0, 0.5, 0.0]))  # O everywhere, and B-PER next
    batch = codec.collate([encoded[row] for row in range(len(encoded))])

    def headline(predictions: list) -> float:
        return sum(tags.count("B-PER") for tags in predictions)

    with torch.no_grad():
        known = model(**codec.inputs(batch))
        outputs = {name: value.numpy() for name, value in codec.decision_outputs(model, batch, known).items()}
        decision = codec.decision(outputs, encoded, headline)
        assert decision.before == 0 and decision.shift.tolist() == [-0.75, 0.0, 0.0, 0.0, 0.0]
        assert codec.apply(decision, list(model.classifier.parameters()), model.config)
        answers = {name: value.numpy() for name, value in codec.outputs(model, batch).items()}
    assert headline(codec.decode(answers, encoded)) == decision.after > 0


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (NER(max_length=65), "max_length 65: .*2 special tokens and at most the 64"),
        (NER(max_length=2), "max_length 2: "),
        (NER(max_length=10, stride=8), "stride 8: .*fewer tokens than the 8"),
        (NER(max_length=1), "max_length 1: "),
    ],
)
def test_windows_that_cannot_work_are_refused(task, message, checkpoint):
    with pytest.raises(UserError, match=message):
        prepare(task, checkpoint, make_loaded(tiny.ner_splits(**SIZES), NAMES))


def split_first() -> PreTrainedTokenizerFast:
    """Byte-level BPE behind a splitting rule, as recent models have it."""
    tokenizer = tiny.byte_bpe()
    parts = [pre_tokenizers.Digits(), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]
    tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    return tokenizer


def roberta() -> PreTrainedTokenizerFast:
    """A class that builds its tokenizer anew from vocabulary and merges, whatever tokenizer.json says."""
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    return RobertaTokenizer(vocab={piece: i for i, piece in enumerate([*special, *letters])}, merges=[])


@pytest.mark.parametrize("build", [tiny.wordpiece, tiny.unigram, tiny.byte_bpe, split_first, roberta])
def test_words_read_as_running_text_also_after_saving(build, tmp_path):
    (tmp_path / "a").mkdir()
    words = ["anna", "likes", "music"]
    target = Labels(tuple(NAMES))
    processor = NER().codec(save_tokenizer(build, tmp_path / "a"), target).processor
    processor.save_pretrained(tmp_path / "b")
    BertConfig().save_pretrained(tmp_path / "b")
    for ready in (processor, NER().codec(str(tmp_path / "b"), target).processor):
        assert ready(words, is_split_into_words=True)["input_ids"] == ready(" ".join(words))["input_ids"]
        assert ready.pad_token is not None


@pytest.mark.parametrize("limit", [int(1e30), 512])
def test_windows_fit_the_positions_of_the_model_whatever_its_tokenizer_says(limit, checkpoint, tmp_path):
    model = AutoModelForTokenClassification.from_pretrained(checkpoint)
    model.save_pretrained(tmp_path / "base")
    tokenizer = tiny.wordpiece()
    tokenizer.model_max_length = limit
    tokenizer.save_pretrained(tmp_path / "base")
    long = Dataset.from_dict({"tokens": [["anna", "saw", "paris"] * 40], "tags": [["B-PER", "O", "B-LOC"] * 40]})
    loaded = make_loaded({"train": long}, NAMES)
    _, codec, encoded = prepare(NER(), str(tmp_path / "base"), loaded)
    assert len(encoded["train"]) > 1 and max(map(len, encoded["train"]["input_ids"])) == 64
    ready = codec.model()
    assert len(codec.decode(run_model(codec, ready, encoded["train"]), encoded["train"])[0]) == 120
    with pytest.raises(UserError, match="max_length 65: .*at most the 64 that the model reads"):
        prepare(NER(max_length=65), str(tmp_path / "base"), loaded)
    ready.save_pretrained(tmp_path / "saved")
    codec.processor.save_pretrained(tmp_path / "saved")
    tagger = pipeline("token-classification", model=str(tmp_path / "saved"), device="cpu")
    assert tagger.tokenizer.model_max_length == 64
    tagger("anna saw paris " * 40)  # failed on an index beyond the table


def test_encoding_leaves_no_truncation_in_the_tokenizer(checkpoint):
    _, codec, _ = prepare(NER(max_length=8), checkpoint, make_loaded(tiny.ner_splits(**SIZES), NAMES))
    processor = codec.processor
    assert processor.backend_tokenizer.truncation is None
    assert len(processor("anna saw rain in paris and lima and oslo")["input_ids"]) == 11


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="its tokenizer knows no words"):
        NER().codec(str(tmp_path), Labels(tuple(NAMES)))


def test_the_collator_strips_what_the_model_does_not_read(checkpoint):
    _, codec, encoded = prepare(NER(), checkpoint, make_loaded(tiny.ner_splits(**SIZES), NAMES))
    names = {*codec.processor.model_input_names}
    batch = codec.collate([encoded["train"][i] for i in range(3)])
    assert set(batch) == {*names, "labels"} < set(encoded["train"].column_names)
    loss, output = codec.loss(codec.model(), batch)
    assert output["logits"].shape == (*batch["labels"].shape, len(NAMES)) and loss > 0
    asked = encode(codec, tiny.ner_splits(**SIZES), answers=False)["test"]
    batch = codec.collate([asked[i] for i in range(3)])
    assert set(batch) == {*names, "word_starts"} and set(codec.inputs(batch)) == names


def test_the_saved_model_works_in_a_pipeline_without_hfkit(checkpoint, tmp_path):
    _, codec, _ = prepare(NER(), checkpoint, make_loaded(tiny.ner_splits(**SIZES), NAMES))
    model, saved = codec.model(), str(tmp_path / "saved")
    with torch.no_grad():
        model.classifier.bias[NAMES.index("B-PER")] += 100  # every word a person of its own
    model.save_pretrained(saved)
    codec.processor.save_pretrained(saved)
    tagger = pipeline("token-classification", model=saved, aggregation_strategy="simple", device="cpu")
    found = tagger("anna saw paris")
    assert [(entity["entity_group"], entity["word"]) for entity in found] == [
        ("PER", "anna"),
        ("PER", "saw"),
        ("PER", "paris"),
    ]
    assert tagger.model.config.id2label == dict(enumerate(NAMES))


@pytest.mark.slow
@pytest.mark.skipif(not WNUT.is_dir(), reason="WNUT-17 is not beside this checkout")
def test_wnut17_keeps_every_word_and_entity(checkpoint):
    task = NER(dataset=str(WNUT))
    loaded, codec, encoded = prepare(task, checkpoint)
    found = facts_of(task, loaded, codec, encoded)
    assert [found[split]["rows"] for split in SIZES] == [3394, 1009, 1287]
    assert found["scheme"] == "IOB2" and found["test"]["converted_rows"] == 0
    gold = task.rows.references(loaded["test"])
    assert sum(len(entities(tags)) for tags in gold) == sum(found["test"]["entities"].values()) == 1079
    assert task.judge.score(gold, gold)["f1"] == 1.0
