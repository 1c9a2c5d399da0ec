"""Prompts: the tokens of the whole text, the scores of the whole text, answers read back, and a model that follows."""

import json
import logging
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers
from torch.nn.utils.rnn import pad_sequence
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedTokenizerFast,
)

from hfkit import RecipeArguments, parse
from hfkit.baselines import FewShotPrompt, ZeroShotPrompt, choose_baselines
from hfkit.baselines.choice import make_baseline
from hfkit.baselines.logits import refuse_alike
from hfkit.baselines.prompting.completions import complete
from hfkit.baselines.prompting.demonstrations import Draw, find_nearest
from hfkit.baselines.prompting.layout import Layout, Rendered, Request
from hfkit.baselines.prompting.prompting import CONTENT_FREE
from hfkit.baselines.prompting.scoring import Scorer, shared_scores, whole_scores
from hfkit.contract.abilities import Prompt
from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.data.text.tags import entities
from hfkit.errors import UserError
from hfkit.tasks import NER, PartOfSpeech, TextClassification
from hfkit.tasks.tagging.prompts import read_entities, write_entities
from tests.baselines.rows import headline_of, with_target
from tests.tiny import text as tiny

GOLDEN = Path(__file__).parents[1] / "golden" / "prompts"
KINDS = {"PER": "person", "LOC": "location"}
SENTIMENT = {"negative": "negative", "positive": "positive"}
CHAT = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}<end>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)


# Models and tokenizers


def random_model(family: str, vocabulary: int = 300, **settings) -> torch.nn.Module:
    """A small causal model with weights large enough for scores to differ."""
    torch.manual_seed(0)
    size = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 3, "num_attention_heads": 4}
    ends = {"bos_token_id": 0, "eos_token_id": 0, "initializer_range": 0.3, "vocab_size": vocabulary}
    if family == "gpt2":
        config = GPT2Config(n_embd=32, n_layer=3, n_head=4, n_positions=128, **ends)
        return GPT2LMHeadModel(config).eval()
    if family == "gpt-neox":
        return GPTNeoXForCausalLM(GPTNeoXConfig(**size, **ends)).eval()
    kind, of_model = (MistralConfig, MistralForCausalLM) if family == "mistral" else (LlamaConfig, LlamaForCausalLM)
    return of_model(kind(**size, **ends, num_key_value_heads=2, **settings)).eval()


def random_requests(shared: int = 30, rows: int = 9) -> list[Request]:
    """Contexts of many lengths with one beginning, and answers of 1 to 5 tokens of which some begin alike."""
    draw = random.Random(0)

    def tokens(count: int) -> tuple[int, ...]:
        return tuple(draw.randrange(3, 300) for _ in range(count))

    beginning, answers = tokens(shared), tuple(tokens(1 + n % 5) for n in range(8))
    answers += (answers[4][:2] + (7,), answers[4][:1], answers[3] + (8, 9))
    found = [Request(beginning + tokens(draw.randrange(1, 20)), answers) for _ in range(rows)]
    return [*found, Request(beginning + tokens(3), (tokens(2), tokens(4)))]


def one_by_one(model: torch.nn.Module, request: Request) -> list[float]:
    """The mean log-probability of each answer from its own text, without padding: nothing of hfkit in it."""
    means = []
    for answer in request.answers:
        ids = torch.tensor([request.context + answer])
        with torch.no_grad():
            logs = model(ids).logits[0, :-1].log_softmax(-1)
        means.append(logs.gather(-1, ids[0, 1:, None])[-len(answer) :].mean().item())
    return means


def words() -> PreTrainedTokenizerFast:
    """Whole words, signs and line ends of the tiny corpora and the templates, one token each."""
    prompts = [NER().prompt(row, KINDS, [row]) for row in tiny.ner_rows(200, 0)]
    prompts += [TextClassification().prompt(row, SENTIMENT, [row]) for row in tiny.reviews(200, 0)]
    layout = Layout(tiny.byte_bpe())
    split = Regex(r"\n|\w+|[^\w\s]")
    cutter = pre_tokenizers.Split(split, "removed", invert=True)
    found = {word for prompt in prompts for word, _ in cutter.pre_tokenize_str(layout.render(prompt).context)}
    vocabulary = {word: i for i, word in enumerate(["<end>", "<unk>", *sorted(found | {"N", "A", "/", "none"})])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = cutter
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<end>", unk_token="<unk>", pad_token="<end>", model_max_length=512
    )


def pieces() -> PreTrainedTokenizerFast:
    """Byte pairs over the whole text as Llama's, where a token may hold any blank and goes on over nothing else."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    from tokenizers.trainers import BpeTrainer

    texts = [" ".join(row["tokens"]) for row in tiny.ner_rows(50, 0)] + ["Label: positive negative\nText:"] * 9
    trainer = BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", "<end>"], initial_alphabet=list("\nabc▁:;,.'"), show_progress=False
    )
    tokenizer.train_from_iterator([word for text in texts for word in text.split()] + ["\n", "▁positive"], trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", unk_token="<unk>", pad_token="<end>")


def gluing() -> PreTrainedTokenizerFast:
    """Byte pairs without any cut before them, so that a token may lie across the seam of context and answer."""
    tokenizer = Tokenizer(models.BPE())
    from tokenizers.trainers import BpeTrainer

    alphabet = sorted({chr(c) for c in range(32, 127)} | {"\n"})
    trainer = BpeTrainer(vocab_size=300, initial_alphabet=alphabet, special_tokens=["<end>"], show_progress=False)
    tokenizer.train_from_iterator(["Label: positive", "Label: post", "Label: negative"] * 20, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<end>", pad_token="<end>")


# Scores


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt-neox"])
@pytest.mark.parametrize("shared", [0, 30], ids=["nothing shared", "shared"])
def test_scores_are_those_of_whole_prompts(family, shared):
    model, requests = random_model(family), random_requests(shared)
    scorer = Scorer(model)
    found, whole = scorer.score(requests), whole_scores(model, requests)
    assert scorer.shares
    for ours, theirs, request in zip(found, whole, requests, strict=True):
        alone = one_by_one(model, request)
        np.testing.assert_allclose(ours, alone, atol=1e-4)
        np.testing.assert_allclose(theirs, alone, atol=1e-4)
    assert np.ptp(np.concatenate(found)) > 1


def test_eager_attention_and_small_groups_and_batches_change_nothing(monkeypatch):
    model, requests = random_model("llama"), random_requests()
    expected = np.concatenate(shared_scores(model, requests))
    monkeypatch.setattr("hfkit.baselines.prompting.scoring.TOKENS", 1)
    monkeypatch.setattr("hfkit.baselines.prompting.scoring.best_nodes", lambda *args: 2)
    np.testing.assert_allclose(np.concatenate(shared_scores(model, requests)), expected, atol=1e-4)
    model.set_attn_implementation("eager")
    np.testing.assert_allclose(np.concatenate(shared_scores(model, requests)), expected, atol=1e-4)


def test_a_model_that_forgets_is_found_out_and_scored_in_whole(caplog):
    model, requests = random_model("mistral", sliding_window=16), random_requests()
    scorer = Scorer(model)
    with caplog.at_level(logging.WARNING):
        found = scorer.score(requests)
    assert not scorer.shares and "scored in whole" in caplog.text
    for ours, request in zip(found, requests, strict=True):
        np.testing.assert_allclose(ours, one_by_one(model, request), atol=1e-4)


def test_longer_prompts_are_checked_again():
    model = random_model("mistral", sliding_window=24)
    scorer, short, long = Scorer(model), random_requests(shared=2, rows=3), random_requests(shared=40)
    short = [request._replace(context=request.context[:6]) for request in short]
    scorer.score(short)
    assert scorer.shares
    found = scorer.score(long)
    assert not scorer.shares
    np.testing.assert_allclose(found[0], one_by_one(model, long[0]), atol=1e-4)


# Completions


@pytest.mark.parametrize("family", ["llama", "gpt2", "gpt-neox", "mistral"])
def test_completions_are_those_of_each_prompt_alone(family):
    tokenizer = tiny.byte_bpe()
    tokenizer.pad_token = tokenizer.eos_token
    model, requests = (
        random_model(family, len(tokenizer), **({"sliding_window": 16} if family == "mistral" else {})),
        [],
    )
    for request in random_requests(20):
        requests.append(Request(tuple(token % len(tokenizer) for token in request.context), ()))
    found = complete(model, tokenizer, requests, 6)
    for text, request in zip(found, requests, strict=True):
        output = model.generate(torch.tensor([request.context]), max_new_tokens=6, do_sample=False, pad_token_id=0)
        alone = tokenizer.decode(output[0, len(request.context) :], skip_special_tokens=True)
        assert text == alone.partition("\n")[0].strip()


# Tokens


def prompts_of(rows: list[dict], labels: dict[str, str] | None = None, shots: int = 2) -> list[Prompt]:
    task, labels = TextClassification(), labels or SENTIMENT
    return [task.prompt(row, labels, tiny.reviews(shots, 5)) for row in rows]


@pytest.mark.parametrize("make", [tiny.byte_bpe, tiny.unigram, tiny.wordpiece, words, pieces, gluing])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_tokens_are_those_of_the_whole_text(make, chat):
    tokenizer = make()
    tokenizer.chat_template = CHAT if chat else None
    layout = Layout(tokenizer)
    labels = {"negative": "negative", "positive": "positive", "post": "post", "posit": "posit", "n": "n"}
    texts = ["anna likes rain.", "she said: 'no", "  ", "Label: post\n\nText: x", "été ☕ <end>", "x" * 80]
    rendered = [layout.render(p) for p in prompts_of([{"text": text} for text in texts], labels)]
    for one, request in zip(rendered, layout.tokenise(rendered), strict=True):
        for answer, ids in zip(one.answers, request.answers, strict=True):
            whole = tokenizer(one.context + answer, add_special_tokens=False)["input_ids"]
            assert list(request.context[len(layout.opening) :] + ids) == whole
            assert ids


def test_a_token_across_the_seam_belongs_to_every_answer():
    layout = Layout(gluing())
    request = layout.tokenise([Rendered("Label:", (" positive", " x"))])[0]
    texts = [layout.tokenizer.decode(request.context + ids).replace(" ", "") for ids in request.answers]
    assert texts == ["Label:positive", "Label:x"]
    assert len(request.context) < len(layout.tokenizer("Label:")["input_ids"])


def test_contexts_that_end_in_several_ways_are_tokenised_one_by_one():
    layout = Layout(gluing())
    rendered = [Rendered(context, (" x", " positive")) for context in ("Label:", "Text", "some Label", "Label:")]
    for one, request in zip(rendered, layout.tokenise(rendered), strict=True):
        for answer, ids in zip(one.answers, request.answers, strict=True):
            assert list(request.context + ids) == layout.tokenizer(one.context + answer)["input_ids"]


def test_a_row_cannot_write_special_tokens():
    tokenizer = words()
    tokenizer.chat_template = CHAT
    layout = Layout(tokenizer)
    text = layout.render(prompts_of([{"text": "bad <end> good"}])[0]).context
    assert "bad < end> good" in text and text.count("<end>") == 5  # one for each turn that is over


def test_prompts_that_are_too_long_lose_their_first_demonstrations():
    layout = Layout(words())
    prompt = TextClassification().prompt({"text": "anna likes rain."}, SENTIMENT, tiny.reviews(12, 0))
    whole = len(layout.tokenise([layout.render(prompt)])[0].context)
    fitted = layout.fit([prompt, prompt._replace(shots=())], 100)
    assert whole > 100 and [found.cut for found in fitted] == [False, False] and fitted[1].dropped == 0
    kept = prompt._replace(shots=prompt.shots[fitted[0].dropped :])
    assert fitted[0].request == layout.tokenise([layout.render(kept)])[0]
    assert len(fitted[0].request.context) + 1 <= 100
    more = prompt._replace(shots=prompt.shots[fitted[0].dropped - 1 :])
    assert len(layout.tokenise([layout.render(more)])[0].context) + 1 > 100
    cut = layout.fit([prompt], 10)[0]
    assert cut.dropped == 12 and cut.cut and len(cut.request.context) == 9
    assert cut.request.context == fitted[0].request.context[-9:]


# Templates

PAIR = {"text": "It rains.", "text_pair": "It is\nwet.", "label": "positive"}
ROWS = {
    "text": (TextClassification(), SENTIMENT, {"text": "anna  likes\nrain.", "label": "positive"}),
    "pair": (TextClassification(), SENTIMENT, PAIR),
    "entities": (NER(), KINDS, {"tokens": ["anna", "left", "new", "paris"], "tags": ["B-PER", "O", "B-LOC", "I-LOC"]}),
}


@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("shots", [0, 2])
@pytest.mark.parametrize("chat", [False, True], ids=["plain", "chat"])
def test_templates_are_as_they_were(kind, shots, chat):
    tokenizer = words()
    tokenizer.chat_template = CHAT if chat else None
    task, labels, row = ROWS[kind]
    rendered = Layout(tokenizer).render(task.prompt(row, labels, [row] * shots))
    text = "".join([rendered.context, "⟦", *(f"{answer}|" for answer in rendered.answers), "⟧\n"])
    file = GOLDEN / f"{kind}-{'chat' if chat else 'plain'}-{shots}.txt"
    assert text == file.read_text(encoding="utf-8")


# Answers


@pytest.mark.parametrize("rows", [tiny.ner_rows(60, 3)])
def test_entities_come_back_as_they_were_written(rows):
    for row in rows:
        assert read_entities(write_entities(row["tokens"], row["tags"], KINDS), row["tokens"], KINDS) == row["tags"]
        found = [[KINDS[kind], " ".join(row["tokens"][a:b])] for kind, a, b in entities(row["tags"])]
        assert read_entities(json.dumps(found), row["tokens"], KINDS) == row["tags"]


WORDS = ["Ann", "Lee", "saw", "Ann", "in", "A", ";", "B", "-", "Town"]


@pytest.mark.parametrize(
    ("answer", "tags"),
    [
        ("person: Ann Lee; person: Ann", "B-PER I-PER O B-PER O O O O O O"),
        (" PERSON :ann lee ;location: a ; b-town ", "B-PER I-PER O O O B-LOC I-LOC I-LOC I-LOC I-LOC"),
        ("person: Bob; location: Town", "O O O O O O O O O B-LOC"),  # there is no Bob
        ("None.", "O O O O O O O O O O"),
        ('{"person": ["Ann", "Lee"]}', "B-PER B-PER O O O O O O O O"),
        ('[{"person": "Ann Lee"}]', "B-PER I-PER O O O O O O O O"),
        ("[]", "O O O O O O O O O O"),
        ("", None),
        ("Ann Lee is a person", None),
        ("person Ann", None),
        ("person:", None),
        ("animal: Ann", None),
        ('[["person", 3]]', None),
        ('[["animal", "Ann"]]', None),
        ("[" * 100_000, None),
        ('["person: Ann"', None),
    ],
)
def test_answers_that_list_entities_are_read(answer, tags):
    assert read_entities(answer, WORDS, KINDS) == (tags.split() if tags else None)
    parsed = NER().read_completion(answer, {"tokens": WORDS}, KINDS)
    assert parsed == (tags.split() if tags else ["O"] * len(WORDS), tags is not None)


@pytest.mark.parametrize(
    ("completion", "parsed"),
    [
        (" Positive.\nText: more", (["p"], True)),
        ("it is positive", ([""], False)),
        ("", ([""], False)),
    ],
)
def test_answers_that_name_a_label_are_read(completion, parsed):
    assert TextClassification().read_completion(completion, {"text": "a"}, {"n": "negative", "p": "positive"}) == parsed


# A model that follows


@pytest.fixture(scope="module")
def follower(tmp_path_factory) -> str:
    """A small Llama trained on prompts of both tasks, with no to two demonstrations, and nothing else."""
    tokenizer, draw = words(), random.Random(0)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=0,
        pad_token_id=0,
        initializer_range=0.1,  # with the usual 0.02 it copies no word after as many steps
    )
    model, layout = LlamaForCausalLM(config), Layout(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, betas=(0.9, 0.98))
    reviews, sentences = tiny.reviews(400, 11), tiny.ner_rows(400, 12)
    texts = []
    for _ in range(1600):
        task, labels, rows = draw.choice([(TextClassification(), SENTIMENT, reviews), (NER(), KINDS, sentences)])
        row, *shots = draw.choices(rows, k=1 + draw.randrange(3))
        answer = task.prompt(row, labels, [row]).shots[0][1]
        texts.append(layout.split([(layout.render(task.prompt(row, labels, shots)).context, f" {answer}\n")])[0])
    texts.sort(key=lambda text: len(text[0]))
    batches = [texts[i : i + 16] for i in range(0, len(texts), 16)]
    for step in range(400):
        batch = draw.choice(batches)
        ids = pad_sequence([torch.tensor(context + answer) for context, answer in batch], batch_first=True)
        places = [torch.tensor([-100] * len(context) + list(answer)) for context, answer in batch]
        model(input_ids=ids, labels=pad_sequence(places, batch_first=True, padding_value=-100)).loss.backward()
        for group in optimizer.param_groups:
            group["lr"] = 3e-3 * min(1, 2 - step / 200, (step + 1) / 20)
        optimizer.step()
        optimizer.zero_grad()
    folder = tmp_path_factory.mktemp("follower")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def reviews(**sizes: int) -> Loaded:
    return with_target(TextClassification(), tiny.review_splits(**sizes))


def sentences(**sizes: int) -> Loaded:
    return with_target(NER(), tiny.ner_splits(**sizes))


@pytest.mark.slow
def test_a_model_that_follows_is_far_above_chance(follower):
    task, rows = TextClassification(), reviews(test=60)
    for baseline in (ZeroShotPrompt(follower), FewShotPrompt(follower, shots=1, orders=3)):
        found = baseline.answers(task, rows)
        assert headline_of(task, found.predictions, rows) > 0.9
        assert found.probabilities.shape == (60, 2)
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-6)
        best = [["negative", "positive"][i] for i in found.probabilities.argmax(1)]
        assert [ranked[0] for ranked in found.predictions] == best
        facts = json.loads(json.dumps(found.facts))
        way = "calibrated" if facts["calibration"]["used"] else "raw"
        assert facts["orders"][way]["headlines"][0] == headline_of(task, found.predictions, rows)
        assert facts["calibration"]["used"] == (facts["calibration"]["calibrated"] > facts["calibration"]["raw"])
        assert facts["beginning_shared"] and facts["layout"] == "plain text"
    assert facts["demonstrations"] == 2 and len(facts["orders"]["raw"]["headlines"]) == 3


@pytest.mark.slow
def test_a_model_that_follows_lists_entities(follower):
    task, rows = NER(), sentences(test=30)
    own = json.dumps(KINDS)
    for baseline in (ZeroShotPrompt(follower, own), FewShotPrompt(follower, own, shots=2, orders=2)):
        found = baseline.answers(task, rows)
        assert headline_of(task, found.predictions, rows) > 0.75
        assert found.facts["unparseable"] < 0.1 and found.probabilities is None
        assert [len(tags) for tags in found.predictions] == [len(words) for words in rows["test"]["tokens"]]


def test_a_model_that_does_not_is_unparseable_and_all_wrong(tmp_path):
    tokenizer = words()
    random_model("llama", len(tokenizer), max_position_embeddings=512).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    found = ZeroShotPrompt(str(tmp_path), json.dumps(KINDS)).answers(NER(), sentences(test=6))
    assert found.facts["unparseable"] == 1.0
    assert {tag for tags in found.predictions for tag in tags} == {"O"}


@pytest.mark.slow
def test_the_answers_of_test_are_not_looked_at(follower):
    rows = reviews()
    labels = rows["test"]["label"][:]
    other = rows["test"].remove_columns("label").add_column("label", labels[::-1])
    baseline = FewShotPrompt(follower, shots=1, orders=2)
    assert labels[::-1] != labels
    expected = baseline.predict(TextClassification(), rows)
    assert baseline.predict(TextClassification(), rows.with_splits({**rows.splits, "test": other})) == expected


@pytest.mark.slow
def test_calibration_divides_by_what_says_nothing(follower, monkeypatch):
    scores = iter([0.0, 1.0, 0.5, 0.5])  # raw and calibrated on validation, then on test
    scored = []

    def score_logs(task, head, rows, logs) -> float:
        scored.append(logs)
        return next(scores)

    monkeypatch.setattr("hfkit.baselines.prompting.prompting.score_logs", score_logs)
    task, rows = TextClassification(), reviews(test=5)
    found = ZeroShotPrompt(follower).answers(task, rows)
    assert found.facts["calibration"] == {"used": True, "validation_rows": 24, "raw": 0.0, "calibrated": 1.0}
    tokenizer = PreTrainedTokenizerFast.from_pretrained(follower)
    model, layout = LlamaForCausalLM.from_pretrained(follower).eval(), Layout(tokenizer)

    def shares(text: str) -> np.ndarray:
        prompt = layout.render(task.prompt({"text": text}, SENTIMENT, ()))
        likely = np.exp(one_by_one(model, layout.tokenise_fully(prompt)))
        return likely / likely.sum()

    empty = np.mean([shares(text) for text in CONTENT_FREE], axis=0)
    np.testing.assert_allclose(scored[0] - scored[1], np.tile(np.log(empty), (24, 1)), atol=1e-4)
    for text, ours in zip(rows["test"]["text"], found.probabilities, strict=True):
        expected = shares(text) / empty
        np.testing.assert_allclose(ours, expected / expected.sum(), atol=1e-5)


# Demonstrations


def test_balanced_demonstrations_are_as_many_of_every_class():
    classes = ["a"] * 5 + ["b"] * 3 + ["c"] * 9
    first, again, other = (Draw("balanced", 3).picks(order, 2, classes, None) for order in (0, 0, 1))
    assert first == again != other and first[0] == first[1]
    assert sorted(classes[place] for place in first[0]) == ["a"] * 3 + ["b"] * 3 + ["c"] * 3
    assert len(set(first[0])) == 9


def test_the_nearest_demonstration_stands_last_and_orders_keep_the_rows(checkpoint, tmp_path):
    train = ["anna saw the rain", "boris likes music", "carla left paris", "dmitri painted snow"]
    for task, encoder in ((NER(), checkpoint), (TextClassification(), tiny.gpt2(tmp_path))):
        near = find_nearest(train, ["boris likes music", "carla left paris"], 2, task, encoder, Labels(("O", "B-PER")))
        assert near[:, 0].tolist() == [1, 2]
        first, other = (Draw("nearest", 2).picks(order, 2, train, near) for order in (0, 1))
        assert [pick[-1] for pick in first] == [1, 2]
        assert [sorted(pick) for pick in first] == [sorted(pick) for pick in other]


@pytest.mark.slow
def test_nearest_demonstrations_are_asked_with_every_query(follower, checkpoint):
    rows = reviews(train=24, validation=8, test=8)
    found = FewShotPrompt(follower, None, 2, "nearest", 2, checkpoint).answers(TextClassification(), rows)
    assert len(found.predictions) == 8 and found.facts["demonstrations"] == 2


# What cannot work


def typed(kind: Value | List, values: list) -> DatasetDict:
    rows = Dataset.from_dict({"text": ["a", "b"], "label": values}, Features({"text": Value("string"), "label": kind}))
    return DatasetDict(train=rows, validation=rows, test=rows)


@pytest.mark.parametrize(
    ("problem", "kind", "values"),
    [("multi-label", List(Value("string")), [["x"], ["y"]]), ("regression", Value("float64"), [0.5, 1.5])],
)
def test_a_task_that_a_prompt_cannot_do_is_refused_before_loading(problem, kind, values):
    with pytest.raises(UserError, match=f"problem={problem}.*one label of several"):
        task = TextClassification(problem=problem)
        ZeroShotPrompt("nowhere").answers(task, with_target(task, typed(kind, values)))


def test_a_task_without_prompts_is_refused_before_loading():
    with pytest.raises(UserError, match="task 'pos': a prompt cannot do this task. Use another baseline"):
        ZeroShotPrompt("nowhere").answers(PartOfSpeech(), sentences())


def test_shots_beyond_a_class_are_refused_and_the_class_named():
    rows = reviews(train=6)
    with pytest.raises(UserError, match=r"shots=7: train has 6 rows"):
        FewShotPrompt("nowhere", shots=7).answers(TextClassification(), rows)
    with pytest.raises(UserError, match=r"shots=5: balanced .* and '(negative|positive)' has [0-4] in train"):
        FewShotPrompt("nowhere", shots=5).answers(TextClassification(), rows)
    with pytest.raises(UserError, match="no class of their own"):
        FewShotPrompt("nowhere", demonstrations="balanced").answers(NER(), sentences())
    with pytest.raises(UserError, match="shots=0: it is a count"):
        FewShotPrompt("nowhere", shots=0)


@pytest.mark.slow
def test_labels_of_the_same_tokens_are_refused_and_both_named(follower):
    rows = reviews()
    with pytest.raises(UserError, match="labels 'negative' and 'positive': the tokenizer makes the same tokens"):
        ZeroShotPrompt(follower, '{"negative": "zzz", "positive": "yyy"}').answers(TextClassification(), rows)
    with pytest.raises(UserError, match="label 'b': the tokenizer makes no token"):
        refuse_alike(["a", "b", "c"], [(1, 2), (), (1,)])


@pytest.mark.slow
def test_checkpoints_that_are_no_language_model_are_refused(follower, checkpoint, tmp_path):
    rows = reviews()
    with pytest.raises(UserError, match="it has no weights for"):
        ZeroShotPrompt(checkpoint).answers(TextClassification(), rows)
    model = LlamaForCausalLM.from_pretrained(follower)
    model.config.save_pretrained(tmp_path)
    torch.save(model.state_dict(), tmp_path / "pytorch_model.bin")
    with pytest.raises(UserError, match="cannot load it"):
        ZeroShotPrompt(str(tmp_path)).answers(TextClassification(), rows)


def test_a_chat_template_that_refuses_is_named():
    tokenizer = words()
    tokenizer.chat_template = "{{ raise_exception('roles must be poetry') }}"
    with pytest.raises(UserError, match="roles must be poetry"):
        Layout(tokenizer).render(prompts_of([{"text": "a"}])[0])


@pytest.mark.parametrize(
    ("template", "rule"),
    [
        ("{{ nothing }}", "makes no text"),
        ("{{ 'x' * 10**6 }}", "adds more than 100,000 characters"),
        ("{% for i in range(10**10) %}{% endfor %}", "Range too big"),
    ],
)
def test_a_chat_template_that_makes_no_prompt_is_named(template, rule):
    tokenizer = words()
    tokenizer.chat_template = template
    with pytest.raises(UserError, match=rule):
        Layout(tokenizer).render(prompts_of([{"text": "a"}])[0])


def test_flags_make_the_baselines():
    names = ["--baseline", "zero-shot-prompt", "few-shot-prompt"]
    flags = ["--prompt_checkpoint", "lm", "--shots", "2", "--demonstrations", "nearest", "--prompt_orders", "3"]
    recipe = parse((RecipeArguments,), argv=[*names, *flags, "--checkpoint", "bert"])[0]
    baselines = [make_baseline(name, recipe) for name in recipe.baseline]
    assert baselines == [ZeroShotPrompt("lm"), FewShotPrompt("lm", None, 2, "nearest", 3, "bert")]
    with pytest.raises(UserError, match="prompt_checkpoint"):
        choose_baselines(replace(recipe, prompt_checkpoint=None))
    with pytest.raises(UserError, match="demonstrations"):
        parse((RecipeArguments,), argv=["--demonstrations", "best"])
