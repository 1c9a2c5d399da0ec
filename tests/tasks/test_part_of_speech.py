"""Part-of-speech tagging: plain tags in, one of them per word out, from the rows to what is shown."""

import contextlib
import io
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from datasets import ClassLabel, Dataset, DatasetDict, Features, List, Value
from transformers import AutoModelForTokenClassification

from hfkit.baselines import Lexicon, WordTags
from hfkit.contract.rows import Media
from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.contract.view import Span, Spans, Text
from hfkit.errors import DataError, UserError
from hfkit.tasks import NER, PartOfSpeech
from tests.fixtures.encoding import facts_of, prepare, run_model
from tests.tiny import text as tiny

CLASSES = {word: "PROPN" for word in tiny.PEOPLE + tiny.PLACES} | {word: "VERB" for word in tiny.VERBS}
CLASSES |= {".": "PUNCT", "in": "ADP", "the": "DET"}


def tagged_splits(train: int = 40, validation: int = 8, test: int = 8) -> DatasetDict:
    """The tiny sentences with a tag that each word has everywhere."""
    splits = DatasetDict()
    for split, rows in tiny.ner_splits(train, validation, test).items():
        words = rows["tokens"][:]
        tags = [[CLASSES.get(word, "NOUN") for word in sentence] for sentence in words]
        splits[split] = Dataset.from_dict({"tokens": words, "upos": tags})
    return splits


@pytest.fixture
def task(tmp_path) -> PartOfSpeech:
    return PartOfSpeech(dataset=tiny.folder_of(tagged_splits(), tmp_path / "data"))


def test_tags_stay_as_they_are_and_become_the_labels_of_the_head(task, checkpoint):
    loaded, codec, encoded = prepare(task, checkpoint)
    assert loaded["test"].column_names == ["tokens", "tags"]
    assert loaded.target == Labels(("ADP", "DET", "NOUN", "PROPN", "PUNCT", "VERB"))
    assert task.rows.references(loaded["test"]) == tagged_splits()["test"]["upos"][:]
    assert (task.rows.media, task.rows.unit, task.rows.main_column) == (Media.TEXT, "sentence", "text")
    facts = facts_of(task, loaded, codec, encoded)
    assert facts["scheme"] == "plain" and facts["train"]["rows"] == 40 and facts["train"]["words_without_tokens"] == 0
    assert sum(facts["train"]["classes"].values()) == facts["train"]["words"]


def test_tags_may_be_numbers_of_classes(tmp_path):
    names = ["NOUN", "VERB"]
    features = Features({"words": List(Value("string")), "pos_tags": List(ClassLabel(names=names))})
    rows = Dataset.from_dict({"words": [["rain", "left"]], "pos_tags": [[0, 1]]}, features=features)
    splits = DatasetDict(dict.fromkeys(("train", "validation", "test"), rows))
    loaded = PartOfSpeech(dataset=tiny.folder_of(splits, tmp_path)).load()
    assert loaded["train"]["tags"][:] == [["NOUN", "VERB"]] and loaded.labels == names


def test_every_word_gets_one_tag_with_or_without_gold_answers(task, checkpoint):
    loaded, codec, encoded = prepare(task, checkpoint)
    model = codec.model()
    predictions = codec.decode(run_model(codec, model, encoded["test"]), encoded["test"])
    assert [len(tags) for tags in predictions] == [len(words) for words in loaded["test"]["tokens"]]
    assert {tag for tags in predictions for tag in tags} <= set(loaded.labels)
    raw = Dataset.from_dict({"tokens": loaded["test"]["tokens"][:]})
    asked, faults = task.rows.to_predict(raw)
    asked = codec.encode(asked, split="input", answers=False)
    assert not faults and codec.decode(run_model(codec, model, asked), asked) == predictions


def test_a_word_without_a_token_gets_a_tag_all_the_same(checkpoint):
    codec = PartOfSpeech().codec(checkpoint, Labels(("ADJ", "NOUN")))
    rows = Dataset.from_dict({"tokens": [["anna", "\u200b", ""]]})
    encoded = codec.encode(rows, split="input", answers=False)
    assert codec.decode(run_model(codec, codec.model(), encoded), encoded)[0][1:] == ["ADJ", "ADJ"]


def change(**columns: list) -> Callable[[Path], PartOfSpeech]:
    """Good rows, with others in one split."""

    def build(folder: Path) -> PartOfSpeech:
        good = {"tokens": [["anna", "left"], ["rain"]], "upos": [["PROPN", "VERB"], ["NOUN"]]}
        for split in ("train", "validation", "test"):
            Dataset.from_dict(columns.get(split, good)).to_json(str(folder / f"{split}.jsonl"))
        return PartOfSpeech(dataset=str(folder))

    return build


@pytest.mark.parametrize(
    ("build", "expected", "fragments"),
    [
        (
            change(test={"tokens": [["anna"], ["left"]], "upos": [["PROPN"], ["ADV"]]}),
            DataError,
            ["split 'test', row 1, column 'upos'", "tag 'ADV'", "train, which knows NOUN, PROPN, VERB", "skip"],
        ),
        (
            change(train={"tokens": [["anna", "left"], ["rain"]], "upos": [["PROPN", " "], ["NOUN"]]}),
            DataError,
            ["split 'train', row 0, column 'upos'", "tag ' '", "every word has a tag"],
        ),
        (
            change(train={"tokens": [["anna"], ["rain"]], "upos": [["NOUN"], ["NOUN"]]}),
            UserError,
            ["column 'upos'", "every word of train has the tag NOUN", "Check that this is the tag column"],
        ),
    ],
)
def test_bad_tags_are_refused_with_value_rule_and_fix(build, expected, fragments, tmp_path):
    with pytest.raises(expected) as refused:
        build(tmp_path).load()
    for fragment in fragments:
        assert fragment in str(refused.value)


def test_rows_with_unknown_tags_are_left_out_and_counted_where_that_is_asked(tmp_path):
    task = change(test={"tokens": [["anna"], ["left"]], "upos": [["PROPN"], ["ADV"]]})(tmp_path)
    loaded = replace(task, on_bad_row="skip").load()
    assert loaded["test"]["tokens"][:] == [["anna"]]
    skipped = task.rows.facts(loaded.splits)["test"]["skipped"]
    assert skipped == {"it does not occur in train, which knows NOUN, PROPN, VERB": 1}


def test_a_finished_model_refuses_tags_that_it_does_not_know(task):
    with pytest.raises(DataError, match="the model does not know it, only NOUN, VERB"):
        task.rows_to_evaluate(Labels(("NOUN", "VERB")))


def test_answers_are_shown_word_by_word(task):
    row, answer = {"tokens": ["anna", "left"]}, ["PROPN", "VERB"]
    view = task.view
    assert view.row(row) == Text("anna left")
    shown = Spans(("anna", "left"), (Span(0, 1, "PROPN"), Span(1, 2, "VERB")), total=2)
    assert view.answer(answer, row) == shown and isinstance(shown, view.answers)
    assert view.record(answer, row) == [
        {"word": "anna", "tag": "PROPN", "start": 0, "end": 4},
        {"word": "left", "tag": "VERB", "start": 5, "end": 9},
    ]


def test_records_of_a_text_say_where_each_word_stands_in_it(task):
    rows, _ = task.rows.to_predict(Dataset.from_dict({"text": ["Anna, left."]}))
    assert rows["tokens"][:] == [["Anna", ",", "left", "."]]
    record = task.view.record(["PROPN", "PUNCT", "VERB", "PUNCT"], rows[0])
    assert [("Anna, left."[part["start"] : part["end"]]) for part in record] == rows["tokens"][0]


def test_mistakes_are_the_confusions_that_happen_most():
    rows = Dataset.from_dict({"tokens": [["a", "b"], ["c", "d"], ["e", "f"], ["g"]]})
    gold, ours = [["X", "Y"], ["X", "Y"], ["X", "Y"], ["Z"]], [["Y", "Y"], ["Y", "Y"], ["Y", "Y"], ["X"]]
    mistakes = PartOfSpeech().view.mistakes(ours, gold, rows, 5)
    assert [(m.row, m.why) for m in mistakes] == [
        (0, "X taken for Y, 3 times in test"),
        (1, "X taken for Y, 3 times in test"),
        (3, "Z taken for X, once in test"),
    ]
    assert mistakes[0].gold == Spans(("a", "b"), (Span(0, 1, "X"),), total=2)
    assert mistakes[0].to_json()["predicted"] == [{"start": 0, "end": 1, "label": "Y"}]
    assert PartOfSpeech().view.mistakes(gold, gold, rows, 5) == []


def test_examples_are_a_word_of_each_tag_in_its_sentence(task):
    rows = task.load()["train"]
    examples = task.view.examples(rows, 3)
    assert list(examples) == ["ADP", "DET", "NOUN"]
    example = examples["ADP"].to_json()
    assert example["text"] == "in" and example["before"] and example["after"]


def test_the_snippet_tags_words_without_hfkit(task, checkpoint, tmp_path):
    loaded, codec, _ = prepare(task, checkpoint)
    saved = tmp_path / "saved"
    codec.model().save_pretrained(saved)
    codec.processor.save_pretrained(saved)
    assert AutoModelForTokenClassification.from_pretrained(saved).config.hfkit_task == "pos"
    snippet = task.view.snippet(str(saved), loaded.target, [], {})
    assert "hfkit" not in snippet.replace(str(saved), "")
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(snippet, {})
    pairs = eval(printed.getvalue())
    assert [word for word, _ in pairs] == "Ada wrote to Charles from London .".split()
    assert {tag for _, tag in pairs} <= set(loaded.labels)


def test_plain_tags_are_learnt(task, checkpoint, tmp_path):
    from transformers import set_seed

    from hfkit import TransferArguments, TransferTrainer

    flags = dict(strategy="full", learning_rate=2e-3, num_train_epochs=6, per_device_train_batch_size=4)
    flags |= dict(report_to="none", disable_tqdm=True, use_cpu=True, save_strategy="no")
    args = TransferArguments(output_dir=str(tmp_path / "run"), **flags)
    set_seed(0)
    loaded, codec, encoded = prepare(task, checkpoint)
    trainer = TransferTrainer(model=codec.model(), args=args, task=task, codec=codec, rows=loaded, encoded=encoded)
    trainer.train()
    tuned = trainer.tune_decision()
    assert tuned["before"] == tuned["after"]  # no tag stands for nothing
    score = task.judge.score(trainer.predictions("test"), task.rows.references(loaded["test"]))
    assert score["accuracy"] > 0.9


def test_the_sample_is_synthetic_and_has_the_universal_tags():
    task = PartOfSpeech(max_train_rows=20)
    loaded = task.load()
    assert len(loaded["train"]) == 20 and {"NOUN", "VERB", "ADJ", "PUNCT"} <= set(loaded.labels)
    assert task.sample.synthetic and task.sample.checkpoint == NER.sample.checkpoint


def test_words_are_known_by_their_most_frequent_tag():
    splits = DatasetDict(
        train=Dataset.from_dict(
            {
                "tokens": [["The", "walk"], ["They", "walk"], ["the", "walk"]],
                "tags": [["DET", "NOUN"], ["PRON", "VERB"], ["DET", "NOUN"]],
            }
        ),
        test=Dataset.from_dict({"tokens": [["THE", "walk", "sky"]], "tags": [["DET", "NOUN", "NOUN"]]}),
    )
    task = PartOfSpeech()
    [answer] = WordTags().answers(task, Loaded(splits, task.rows.target(splits))).predictions
    assert answer[:2] == ["DET", "NOUN"] and answer[2] in ("DET", "NOUN")
    with pytest.raises(UserError, match="word-tags"):
        Lexicon().answers(task, Loaded(splits, task.rows.target(splits)))
