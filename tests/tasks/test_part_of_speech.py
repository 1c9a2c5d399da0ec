"""Part-of-speech tagging: one tag for every word, whatever the text, the tokenizer and the length."""

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import ClassLabel, Dataset, Features, List, Value
from torch.utils.data import DataLoader
from transformers import BertConfig

from hfkit.contract.target import Labels
from hfkit.contract.view import to_text
from hfkit.data.batches import rows_to_fetch
from hfkit.errors import DataError, UserError
from hfkit.inference.saved import load_saved
from hfkit.scores.evidence import total
from hfkit.tasks import NER, PartOfSpeech
from tests.fixtures.commands import hfkit
from tests.tiny import text as tiny

TAGS = ("ADP", "DET", "NOUN", "PROPN", "PUNCT", "VERB")
EWT = Path(__file__).parents[3] / "shared" / "data" / "ud_english_ewt_pos"
ODD = ["\u200b", "\ufe0f", "\u0301", "\u00a0", "", " ", "\x00", "\U0001f600", "\u65e5\u672c\u8a9e", "[SEP]", "x" * 150]


def tag_of(word: str) -> str:
    """The part of speech of a word of the tiny corpus."""
    if word in tiny.PEOPLE + tiny.PLACES:
        return "PROPN"
    return {"in": "ADP", "the": "DET", ".": "PUNCT"}.get(word, "VERB" if word in tiny.VERBS else "NOUN")


def pos_rows(rows: int, seed: int) -> Dataset:
    words = [row["tokens"] for row in tiny.ner_rows(rows, seed)]
    return Dataset.from_dict({"tokens": words, "upos": [[tag_of(word) for word in row] for row in words]})


def pos_folder(folder: Path, **splits: Dataset) -> str:
    """A dataset on disk; a split that is not given is a few rows of the tiny corpus."""
    for seed, split in enumerate(("train", "validation", "test")):
        splits.get(split, pos_rows(8, seed)).to_parquet(str(folder / f"{split}.parquet"))
    return str(folder)


def odd_rows(rows: int, longest: int, seed: int) -> Dataset:
    """Loaded rows of words that tokenizers drop, split or replace, with random tags; some have no word at all."""
    draw = random.Random(seed)
    pool = tiny.PEOPLE + tiny.VERBS + tiny.PLACES + ODD
    tokens = [[draw.choice(pool) for _ in range(draw.randint(0, longest))] for _ in range(rows)]
    tags = [[draw.choice(TAGS) for _ in words] for words in tokens]
    features = Features({"tokens": List(Value("string")), "tags": List(Value("string"))})
    return Dataset.from_dict({"tokens": tokens, "tags": tags}, features=features)


@pytest.fixture(scope="module", params=[tiny.wordpiece, tiny.byte_bpe, tiny.unigram], ids=lambda build: build.__name__)
def tokenizer(request, tmp_path_factory) -> str:
    """A folder with a tokenizer and a configuration, which is all that encoding reads."""
    folder = tmp_path_factory.mktemp(request.param.__name__)
    request.param().save_pretrained(folder)
    BertConfig().save_pretrained(folder)
    return str(folder)


def perfect_outputs(codec, encoded: Dataset, answers: Dataset) -> dict[str, np.ndarray]:
    """The codec's outputs for a model that is always right, gathered and padded as the trainer does.

    Args:
        encoded: the windows that are asked, with answers or without.
        answers: the same windows with answers.
    """
    outputs = []
    asked, known = (DataLoader(rows_to_fetch(one), 64, collate_fn=codec.collate) for one in (encoded, answers))
    for batch, gold in zip(asked, known, strict=True):
        logits = torch.nn.functional.one_hot(gold["labels"].clamp(min=0), len(TAGS)).float()
        outputs += codec.outputs(torch.nn.Identity(), batch, {"logits": logits})["reduced"].tolist()
    widest = max(map(len, outputs))
    return {"reduced": np.array([row + [-100] * (widest - len(row)) for row in outputs])}


@pytest.mark.parametrize(
    ("rows", "longest", "task"),
    [
        (300, 12, PartOfSpeech()),
        (150, 20, PartOfSpeech(max_length=16)),
        (60, 60, PartOfSpeech(max_length=12, stride=0)),
        (40, 60, PartOfSpeech(max_length=9, stride=6)),
    ],
    ids=["whole", "windows", "no overlap", "much overlap"],
)
def test_every_word_has_exactly_one_tag(tokenizer, rows, longest, task):
    data, codec = odd_rows(rows, longest, seed=rows), task.codec(tokenizer, Labels(TAGS))
    gold = task.rows.references(data)
    known = codec.encode(data, split="test", answers=True)
    whole = codec.processor(data["tokens"][:], is_split_into_words=True)
    for answers in (True, False):
        encoded = codec.encode(data, split="test", answers=answers)
        assert ("labels" in encoded.column_names) == answers
        assert max(map(len, encoded["input_ids"])) <= codec.window()[0]
        predictions = codec.decode(perfect_outputs(codec, encoded, known), encoded)
        assert [len(tags) for tags in predictions] == [len(words) for words in data["tokens"]]
        # The truth comes from one call without windows: a word without any token has the first tag of all.
        for row, (tags, right) in enumerate(zip(predictions, gold, strict=True)):
            tokenised = set(whole.word_ids(row)) - {None}
            assert tags == [tag if word in tokenised else TAGS[0] for word, tag in enumerate(right)]


def test_words_without_tokens_are_counted_and_tagged(tokenizer):
    rows = Dataset.from_dict({"tokens": [["anna", "", "saw", "\u200b"]], "tags": [["PROPN", "NOUN", "VERB", "NOUN"]]})
    codec = PartOfSpeech().codec(tokenizer, Labels(TAGS))
    encoded = codec.encode(rows, split="test", answers=True)
    (tags,) = codec.decode(perfect_outputs(codec, encoded, encoded), encoded)
    missing = codec.facts(encoded)["words_without_tokens"]
    assert missing >= 1 and len(tags) == 4 and tags.count(TAGS[0]) == missing


@pytest.mark.parametrize("column", ["pos_tags", "pos", "xpos"])
def test_columns_are_found_by_their_usual_names(column, tmp_path):
    rows = pos_rows(6, 0).rename_column("upos", column)
    loaded = PartOfSpeech(dataset=pos_folder(tmp_path, train=rows, validation=rows, test=rows)).load()
    assert loaded.target == Labels(TAGS) and loaded["test"].column_names == ["tokens", "tags"]
    assert loaded["train"][0]["tags"] == [tag_of(word) for word in loaded["train"][0]["tokens"]]


def test_numbers_are_named_by_the_features_of_their_column(tmp_path):
    named = Features({"tokens": List(Value("string")), "upos": List(ClassLabel(names=list(TAGS)))})
    rows = pos_rows(6, 0).cast(named)
    assert type(rows[0]["upos"][0]) is int
    loaded = PartOfSpeech(dataset=pos_folder(tmp_path, train=rows, validation=rows, test=rows)).load()
    assert loaded["train"]["tags"][:] == pos_rows(6, 0)["upos"][:]


def test_tags_that_look_like_entities_stay_as_they_are(tmp_path):
    rows = Dataset.from_dict({"tokens": [["anna", "saw", "rain"]] * 2, "upos": [["I-NP", "B-VP", "I-NP"]] * 2})
    loaded = PartOfSpeech(dataset=pos_folder(tmp_path, train=rows, validation=rows, test=rows)).load()
    assert loaded["train"]["tags"][0] == ["I-NP", "B-VP", "I-NP"] and loaded.labels == ["B-VP", "I-NP"]
    facts = PartOfSpeech().rows.facts(loaded.splits)
    assert facts["scheme"] == "plain" and facts["test"]["classes"] == {"B-VP": 2, "I-NP": 4}


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        (["PROPN", "VERB"], "row 1, column 'upos': 3 words and 2 tags: every word has one tag"),
        (["PROPN", "VERB", None], "row 1, column 'upos': tag null: a tag is a string"),
        (["PROPN", "VERB", " "], "row 1, column 'upos': tag ' ': every word has a tag"),
        (None, "row 1, column 'upos': null: tags are a list, one per word"),
    ],
)
def test_rows_without_a_tag_for_every_word_are_named(tags, message, tmp_path):
    wrong = Dataset.from_dict(
        {"tokens": [["anna", "saw", "rain"]] * 2, "upos": [["PROPN", "VERB", "NOUN"], tags]},
    )
    folder = pos_folder(tmp_path, test=wrong)
    with pytest.raises(DataError, match=f"^split 'test', {message}"):
        PartOfSpeech(dataset=folder).load()
    assert len(PartOfSpeech(dataset=folder, on_bad_row="skip").load()["test"]) == 1


def test_tags_that_train_or_the_model_does_not_know_are_named(tmp_path):
    strange = Dataset.from_dict({"tokens": [["anna", "ouch"]], "upos": [["PROPN", "INTJ"]]})
    task = PartOfSpeech(dataset=pos_folder(tmp_path, test=strange))
    place = "split 'test', row 0, column 'upos': tag 'INTJ': "
    with pytest.raises(DataError, match=place + "it does not occur in train, which knows ADP, DET, NOUN"):
        task.load()
    with pytest.raises(DataError, match=place + "the model does not know it, only ADP, DET, NOUN"):
        task.rows_to_evaluate(Labels(TAGS))
    assert len(task.rows_to_evaluate(Labels((*TAGS, "INTJ")))["test"]) == 1


def test_numbers_without_names_and_a_single_tag_are_refused(tmp_path):
    for name, tags, message in (("ids", [0, 1], "a number says nothing"), ("one", ["X", "X"], "nothing to learn")):
        (tmp_path / name).mkdir()
        rows = Dataset.from_dict({"tokens": [["anna", "saw"]], "upos": [tags]})
        with pytest.raises(UserError, match=message):
            PartOfSpeech(dataset=pos_folder(tmp_path / name, train=rows, validation=rows, test=rows)).load()


def test_the_judge_counts_words():
    judge, gold = PartOfSpeech().judge, [["NOUN", "VERB"], ["DET", "NOUN", "VERB", "NOUN"], []]
    predictions = [["NOUN", "NOUN"], ["DET", "NOUN", "VERB", "NOUN"], []]
    scores = judge.score(predictions, gold)
    assert next(iter(scores)) == judge.headline.key == "accuracy" and judge.headline.better == "higher"
    assert scores["accuracy"] == total(judge.evidence(predictions, gold)) == 5 / 6
    assert scores["whole_sentences"] == 2 / 3
    assert scores["macro_f1"] == pytest.approx((1 + 6 / 7 + 2 / 3) / 3)  # DET, NOUN, VERB
    perfect = judge.score(judge.perfect_predictions(gold), gold)
    assert perfect["accuracy"] == perfect["macro_f1"] == perfect["whole_sentences"] == 1
    assert judge.score([], [])["accuracy"] == 0


def test_mistakes_show_the_word_among_its_neighbours():
    view, words = PartOfSpeech().view, [f"w{i}" for i in range(40)]
    rows = Dataset.from_dict({"tokens": [words, ["anna", "saw"]], "tags": [["NOUN"] * 40, ["PROPN", "VERB"]]})
    predictions = [["NOUN"] * 30 + ["VERB"] + ["NOUN"] * 9, ["PROPN", "NOUN"]]
    first, second = (mistake.to_json() for mistake in view.mistakes(predictions, rows["tags"][:], rows, 20))
    assert (first["row"], first["why"]) == (0, "NOUN taken for VERB, once in test")
    assert first["tokens"] == words[15:40] and first["offset"] == 15 and first["words"] == 40
    assert first["gold"] == [{"start": 15, "end": 16, "label": "NOUN"}]
    assert (second["row"], second["predicted"]) == (1, [{"start": 1, "end": 2, "label": "NOUN"}])
    assert (
        view.mistakes(predictions, rows["tags"][:], rows, 1)
        == view.mistakes(predictions, rows["tags"][:], rows, 20)[:1]
    )


def test_every_tag_has_an_example():
    rows = PartOfSpeech().check(PartOfSpeech().read())["train"]
    examples = PartOfSpeech().view.examples(rows, 20)
    assert list(examples) == sorted({tag for tags in rows["tags"] for tag in tags})
    words = [(" ".join((one.before, to_text(one.shown), one.after))).split() for one in examples.values()]
    assert all(row in rows["tokens"][:] for row in words)


# A saved model


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    """A finished tagger of random weights, with no report beside it."""
    folder = tmp_path_factory.mktemp("saved")
    codec = PartOfSpeech().codec(tiny.bert(tmp_path_factory.mktemp("encoder")), Labels(TAGS))
    torch.manual_seed(0)
    codec.model().save_pretrained(folder)
    codec.processor.save_pretrained(folder)
    return folder


def without_key(folder: Path, place: Path) -> Path:
    """A copy of a model that does not say by which task it was made."""
    for file in folder.iterdir():
        (place / file.name).write_bytes(file.read_bytes())
    config = json.loads((place / "config.json").read_text())
    del config["hfkit_task"]
    (place / "config.json").write_text(json.dumps(config))
    return place


def test_a_saved_model_is_known_by_its_key_though_entities_share_its_tag(saved, checkpoint, tmp_path):
    assert PartOfSpeech.tag == NER.tag and PartOfSpeech.key != NER.key
    found = load_saved(str(saved))
    assert type(found.task) is PartOfSpeech and found.labels == list(TAGS)
    codec = NER().codec(checkpoint, Labels(("O", "B-PER", "I-PER")))
    codec.model().save_pretrained(tmp_path)
    codec.processor.save_pretrained(tmp_path)
    assert type(load_saved(str(tmp_path)).task) is NER
    with pytest.raises(UserError, match="was made for ner"):
        load_saved(str(tmp_path), task="pos")
    with pytest.raises(UserError, match="it is the Hub's tag of ner and pos"):
        load_saved(str(saved), task="token-classification")


def test_a_model_that_names_no_task_is_known_by_its_labels(saved, tmp_path):
    place = str(without_key(saved, tmp_path))
    assert type(load_saved(place).task) is PartOfSpeech
    assert type(load_saved(place, task="pos").task) is PartOfSpeech


def test_a_saved_model_answers_as_the_codec_that_made_it(saved):
    model, rows = load_saved(str(saved)), pos_rows(9, 3)
    answers = model.predictions(rows.rename_column("upos", "tags"))
    assert [len(tags) for tags in answers] == [len(words) for words in rows["tokens"]]
    for words, tags in zip(rows["tokens"], answers, strict=True):
        inputs = model.codec.processor(words, is_split_into_words=True, return_tensors="pt")
        best = model.model(**inputs).logits[0].argmax(-1).tolist()
        first = {word: place for place, word in reversed(list(enumerate(inputs.word_ids()))) if word is not None}
        assert tags == [TAGS[best[first[word]]] for word in range(len(words))]


def test_the_card_shows_code_that_runs(saved, capsys):
    model, view = load_saved(str(saved)), PartOfSpeech().view
    examples = list(view.examples(pos_rows(9, 3).rename_column("upos", "tags"), 3).values())
    code = view.snippet(str(saved), Labels(TAGS), examples, {})
    loaded = view.snippet(str(saved), Labels(TAGS), examples, {}, loaded="model, processor = given")
    words = f"{examples[0].before} {to_text(examples[0].shown)} {examples[0].after}".split()
    (tags,) = model.predictions(Dataset.from_dict({"tokens": [words]}))
    for snippet in (code, loaded):
        exec(compile(snippet, "card", "exec"), {"given": (model.model, model.codec.processor)})  # noqa: S102
        assert capsys.readouterr().out == f"{list(zip(words, tags, strict=True))}\n"


def test_predicted_words_say_where_they_stand(saved):
    model, text = load_saved(str(saved)), "anna  saw rain, in Oslo."
    (found,) = model.predict_table(Dataset.from_dict({"text": [text]}))
    assert [set(word) for word in found.record] == [{"word", "tag", "start", "end"}] * 7
    assert [text[word["start"] : word["end"]] for word in found.record] == [word["word"] for word in found.record]
    assert [word["word"] for word in found.record] == ["anna", "saw", "rain", ",", "in", "Oslo", "."]
    assert {word["tag"] for word in found.record} <= set(TAGS)
    (found,) = model.predict_table(Dataset.from_dict({"tokens": [["anna", "saw"]]}))
    assert [(word["word"], word["start"], word["end"]) for word in found.record] == [("anna", 0, 4), ("saw", 5, 8)]


def test_the_command_writes_a_tag_for_every_word(saved, tmp_path):
    result = hfkit("predict", str(saved), "--text", "anna saw rain", "--output", str(tmp_path / "out.jsonl"))
    assert result.exit_code == 0, result.output
    (line,) = (tmp_path / "out.jsonl").read_text().splitlines()
    assert [word["word"] for word in json.loads(line)["prediction"]] == ["anna", "saw", "rain"]


def test_tags_without_an_outside_have_no_decision_to_move(saved):
    codec = PartOfSpeech().codec(str(saved), Labels(TAGS))
    encoded = codec.encode(pos_rows(4, 0).rename_column("upos", "tags"), split="test", answers=True)
    positions = codec.collate(encoded.to_list())["labels"].numpy()
    outputs = {"logits": np.zeros((*positions.shape, len(TAGS)), np.float32), "positions": positions}
    decision = codec.decision(outputs, encoded, lambda predictions: 0.5)
    assert not decision.shift.any() and decision.before == decision.after == 0.5


@pytest.mark.skipif(not EWT.is_dir(), reason="the English Web Treebank is not beside this checkout")
def test_the_english_web_treebank_keeps_every_word():
    task = PartOfSpeech(dataset=str(EWT))
    loaded = task.load()
    facts = task.rows.facts(loaded.splits)
    assert [facts[split]["rows"] for split in ("train", "validation", "test")] == [12544, 2001, 2077]
    assert len(loaded.labels) == 17 and facts["test"]["words"] == sum(facts["test"]["classes"].values())
    gold = task.rows.references(loaded["test"])
    assert task.judge.score(gold, gold)["accuracy"] == 1.0
