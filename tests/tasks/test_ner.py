"""Named-entity recognition: words in == tags out, whatever the text, the tokenizer and the length."""

import random
import unicodedata
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from tokenizers import pre_tokenizers
from torch.utils.data import DataLoader
from transformers import BertConfig, PreTrainedTokenizerFast, RobertaTokenizer, pipeline

from hfkit.data.text.tags import entities
from hfkit.errors import UserError
from hfkit.tasks import NER
from hfkit.tasks.tagging.windows import first_tokens
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
def processor_of(build, folder: Path) -> PreTrainedTokenizerFast:
    build().save_pretrained(folder)
    BertConfig().save_pretrained(folder)
    return NER().processor(str(folder))


@pytest.fixture(scope="module", params=[tiny.wordpiece, tiny.byte_bpe, tiny.unigram], ids=lambda build: build.__name__)
def processor(request, tmp_path_factory) -> PreTrainedTokenizerFast:
    return processor_of(request.param, tmp_path_factory.mktemp(request.param.__name__))


def perfect(task: NER, prepared: Dataset, processor: PreTrainedTokenizerFast) -> np.ndarray:
    """What the trainer hands to `decode` when the model is always right: collated, compacted, gathered, padded."""
    collator, outputs = task.collator(processor), []
    for batch in DataLoader(prepared, batch_size=64, collate_fn=collator):
        logits = torch.nn.functional.one_hot(batch["labels"].clamp(min=0), len(NAMES)).float()
        assert batch["input_ids"].shape == batch["attention_mask"].shape == batch["labels"].shape
        outputs += task.compact(logits, batch["labels"]).numpy().tolist()
    widest = max(map(len, outputs))
    return np.array([row + [-100] * (widest - len(row)) for row in outputs])


@pytest.mark.parametrize(
    ("rows", "longest", "task"),
    [
        (2200, 12, NER()),
        (900, 20, NER(max_length=16)),
        (200, 60, NER(max_length=12, stride=0)),
        (100, 60, NER(max_length=9, stride=6)),
    ],
    ids=["whole", "windows", "no overlap", "much overlap"],
)
def test_words_in_equal_tags_out(processor, rows, longest, task):
    """3,400 sentences of generated Unicode for each of three tokenizers."""
    data = odd_rows(rows, longest, seed=rows)
    prepared = task.prepare(DatasetDict({"test": data}), processor, NAMES)["test"]
    predictions, references = task.decode(perfect(task, prepared, processor), prepared, NAMES)
    assert references == data["tags"][:]

    # The truth about each word comes from one call without windows: its first token, or none.
    whole = processor(data["tokens"][:], is_split_into_words=True)
    for row, (tags, ours) in enumerate(zip(references, predictions, strict=True)):
        tokenised = set(whole.word_ids(row)) - {None}
        assert ours == [tag if word in tokenised else "O" for word, tag in enumerate(tags)]

    seen = [dict() for _ in range(rows)]  # word -> token id at its label
    for window in prepared:
        labelled = [place for place, label in enumerate(window["labels"]) if label != -100]
        assert len(window["input_ids"]) <= task.window(processor)[0]
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


def test_words_without_tokens_are_counted(processor):
    task = NER()
    words = ["anna", "", "saw", "\u200b"]
    tags = ["B-PER", "B-LOC", "O", "I-PER"]
    rows = {"tokens": [words], "tags": [tags], "scheme": ["IOB2"], "converted": [False], "invalid_transitions": [0]}
    data = DatasetDict({"train": Dataset.from_dict(rows), "test": Dataset.from_dict(rows)})
    prepared = task.prepare(data, processor, NAMES)
    alone = [processor([word], is_split_into_words=True, add_special_tokens=False)["input_ids"] for word in words]
    assert task.describe(data, prepared)["test"]["words_without_tokens"] == sum(not tokens for tokens in alone) >= 1


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
    task, processor = NER(dataset=str(tmp_path)), tiny.wordpiece()
    loaded = task.load()
    prepared = task.prepare(loaded, processor, NAMES)
    found = task.describe(loaded, prepared)["test"]
    assert found["words"] == len(long["tokens"]) + len(rows[0]["tokens"])
    assert found["rows_in_several_windows"] == 1 and found["windows"] == len(prepared["test"]) > 5
    predictions, references = task.decode(perfect(task, prepared["test"], processor), prepared["test"], NAMES)
    assert predictions == references == [long["tags"], rows[0]["tags"]]


def test_padding_on_the_left_changes_nothing():
    task, processor = NER(max_length=10), tiny.wordpiece()
    processor.padding_side = "left"
    data = tiny.ner_splits(**SIZES)
    prepared = task.prepare(data, processor, NAMES)["train"]
    predictions, references = task.decode(perfect(task, prepared, processor), prepared, NAMES)
    assert predictions == references == data["train"]["tags"][:]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        (NER(max_length=65), "max_length 65: .*2 special tokens and at most the 64"),
        (NER(max_length=2), "max_length 2: "),
        (NER(max_length=0), "max_length 0: "),
        (NER(max_length=10, stride=8), "stride 8: .*fewer tokens than the 8"),
        (NER(stride=-1), "stride -1: "),
    ],
)
def test_windows_that_cannot_work_are_refused(task, message):
    with pytest.raises(UserError, match=message):
        task.prepare(tiny.ner_splits(**SIZES), tiny.wordpiece(), NAMES)


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
    processor = processor_of(build, tmp_path / "a")
    processor.save_pretrained(tmp_path / "b")
    BertConfig().save_pretrained(tmp_path / "b")
    for ready in (processor, NER().processor(str(tmp_path / "b"))):
        assert ready(words, is_split_into_words=True)["input_ids"] == ready(" ".join(words))["input_ids"]
        assert ready.pad_token is not None


def test_preparing_leaves_no_truncation_in_the_tokenizer():
    processor = tiny.wordpiece()
    NER(max_length=8).prepare(tiny.ner_splits(**SIZES), processor, NAMES)
    assert processor.backend_tokenizer.truncation is None
    assert len(processor("anna saw rain in paris and lima and oslo")["input_ids"]) == 11


def test_a_checkpoint_without_a_tokenizer_is_refused(tmp_path):
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(UserError, match="its tokenizer knows no words"):
        NER().processor(str(tmp_path))


def test_the_collator_strips_what_the_model_does_not_read(checkpoint):
    task = NER()
    processor, data = task.processor(checkpoint), tiny.ner_splits(**SIZES)
    prepared = task.prepare(data, processor, NAMES)["train"]
    batch = task.collator(processor)([prepared[i] for i in range(3)])
    assert set(batch) == {*processor.model_input_names, "labels"} < set(prepared.column_names)
    output = task.model(checkpoint, NAMES)(**batch)
    assert output.logits.shape == (*batch["labels"].shape, len(NAMES))


def test_the_saved_model_works_in_a_pipeline_without_hfkit(checkpoint, tmp_path):
    task = NER()
    model, processor = task.model(checkpoint, NAMES), task.processor(checkpoint)
    processor_dir = str(tmp_path / "saved")
    with torch.no_grad():
        model.classifier.bias[NAMES.index("B-PER")] += 100  # every word a person of its own
    task.prepare(tiny.ner_splits(**SIZES), processor, NAMES)
    model.save_pretrained(processor_dir)
    processor.save_pretrained(processor_dir)
    tagger = pipeline("token-classification", model=processor_dir, aggregation_strategy="simple", device="cpu")
    found = tagger("anna saw paris")
    assert [(entity["entity_group"], entity["word"]) for entity in found] == [
        ("PER", "anna"),
        ("PER", "saw"),
        ("PER", "paris"),
    ]
    assert tagger.model.config.id2label == dict(enumerate(NAMES))


@pytest.mark.skipif(not WNUT.is_dir(), reason="WNUT-17 is not beside this checkout")
def test_wnut17_keeps_every_word_and_entity():
    task = NER(dataset=str(WNUT))
    loaded, processor = task.load(), tiny.wordpiece()
    prepared = task.prepare(loaded, processor, task.labels(loaded))
    found = task.describe(loaded, prepared)
    assert [found[split]["rows"] for split in SIZES] == [3394, 1009, 1287]
    assert found["scheme"] == "IOB2" and found["test"]["converted_rows"] == 0
    gold = task.references(loaded["test"])
    assert sum(len(entities(tags)) for tags in gold) == sum(found["test"]["entities"].values()) == 1079
    assert task.score(gold, gold)["f1"] == 1.0
