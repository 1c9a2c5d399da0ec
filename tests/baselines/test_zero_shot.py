"""Zero-shot baselines: the scores of the stock pipelines, labels told apart, and what cannot be asked refused."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, Features, List, Value
from tokenizers import processors
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    CLIPConfig,
    CLIPImageProcessor,
    CLIPModel,
    GPT2Config,
    GPT2ForSequenceClassification,
    PreTrainedTokenizerFast,
    SiglipConfig,
    SiglipModel,
    pipeline,
)

from hfkit.arguments.recipe import RecipeArguments
from hfkit.baselines import ZeroShotCLIP, ZeroShotNLI, choose_baselines
from hfkit.baselines.zero_shot_nli import Pairs, find_verdicts, infer
from hfkit.contract.target import Labels
from hfkit.contract.task import Loaded
from hfkit.errors import UserError
from hfkit.tasks import NER
from hfkit.tasks.image_classification import ImageClassification
from hfkit.tasks.text_classification import TextClassification
from tests.baselines.rows import headline_of, with_target
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny

NLI = {0: "contradiction", 1: "neutral", 2: "entailment"}
LABELS = ["bread", "music", "snow"]


def named(config, names: dict[int, str] = NLI):
    config.id2label, config.label2id = names, {name: place for place, name in names.items()}
    return config


def bert_nli(folder: Path, names: dict[int, str] = NLI) -> str:
    """A random model of inference with its tokenizer."""
    tokenizer = tiny.wordpiece()
    torch.manual_seed(0)
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    config = BertConfig(vocab_size=len(tokenizer), max_position_embeddings=64, initializer_range=0.3, **sizes)
    BertForSequenceClassification(named(config, names)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def bart_nli(folder: Path) -> str:
    """The same of the other kind: an encoder-decoder that pools the end token, entailment first."""
    tokenizer = tiny.unigram()
    # As BART's own, which ends a pair once more behind the first text.
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A </s>", pair="$A </s> </s> $B </s>", special_tokens=[("</s>", 2)]
    )
    torch.manual_seed(0)
    blocks = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    config = BartConfig(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_ffn_dim=32,
        decoder_ffn_dim=32,
        max_position_embeddings=64,
        init_std=0.3,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=2,
        decoder_start_token_id=2,
        **blocks,
    )
    model = BartForSequenceClassification(named(config, {0: "ENTAILMENT", 1: "neutral", 2: "CONTRADICTION"}))
    model.save_pretrained(folder)
    tokenizer.model_input_names = ["input_ids", "attention_mask"]
    tokenizer.save_pretrained(folder)
    return str(folder)


def gpt2_nli(folder: Path) -> str:
    tokenizer = tiny.byte_bpe()
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(tokenizer), n_embd=32, n_layer=2, n_head=2, n_positions=48, initializer_range=0.3
    )
    config.pad_token_id = config.eos_token_id = config.bos_token_id = tokenizer.eos_token_id
    GPT2ForSequenceClassification(named(config)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def nli(tmp_path_factory) -> str:
    return bert_nli(tmp_path_factory.mktemp("nli"))


def text_tokenizer(checkpoint: str) -> PreTrainedTokenizerFast:
    """The checkpoint's tokenizer, as texts are read with it."""
    return TextClassification().codec(checkpoint, Labels(("a", "b"))).processor


def rows(texts: list[str], answers: list, several: bool = False) -> Loaded:
    kind = List(Value("string")) if several else Value("string")
    split = Dataset.from_dict({"text": texts, "label": answers}, Features({"text": Value("string"), "label": kind}))
    task = TextClassification(problem="multi-label" if several else "single-label")
    return with_target(task, DatasetDict(train=split, validation=split, test=split))


TEXTS = [
    "anna likes bread.",
    "boris saw the sea in oslo",
    "carla met anna . " * 14,
    "snow",
    "dmitri left music in lima",
]


# Inference


@pytest.mark.parametrize("made", [bert_nli, bart_nli])
def test_entailment_is_that_of_the_stock_pipeline(made, tmp_path):
    checkpoint = made(tmp_path)
    ask = pipeline("zero-shot-classification", checkpoint, device="cpu")
    template = "anna saw {} in paris ."
    answers = ZeroShotNLI(checkpoint, template).answers(TextClassification(), rows(TEXTS, ["snow", *LABELS, "snow"]))
    expected = np.zeros((len(TEXTS), len(LABELS)))
    for row, found in enumerate(ask(TEXTS, LABELS, hypothesis_template=template)):
        expected[row, [LABELS.index(label) for label in found["labels"]]] = found["scores"]
    assert np.ptp(expected, axis=0).min() > 1e-3  # the model does read its texts
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-5)
    assert [ranked[0] for ranked in answers.predictions] == [LABELS[place] for place in expected.argmax(-1)]
    # Several labels: what the pipeline calls a probability is the sigmoid of the logit that a threshold is set on.
    processor = text_tokenizer(checkpoint)
    model = BertForSequenceClassification if made is bert_nli else BartForSequenceClassification
    model = model.from_pretrained(checkpoint).eval()
    entails, contradicts = find_verdicts(model.config.id2label, checkpoint)
    pairs = Pairs(processor, [template.replace("{}", label) for label in LABELS])
    logits = infer(model, pairs, TEXTS, desc="test")
    scores = 1 / (1 + np.exp(logits[..., contradicts] - logits[..., entails]))
    for row, found in enumerate(ask(TEXTS, LABELS, hypothesis_template=template, multi_label=True)):
        theirs = dict(zip(found["labels"], found["scores"], strict=True))
        np.testing.assert_allclose(scores[row], [theirs[label] for label in LABELS], atol=1e-5)


@pytest.mark.parametrize("made", [bert_nli, bart_nli, gpt2_nli])
def test_a_pair_put_together_is_the_pair_tokenised(made, tmp_path):
    processor = text_tokenizer(made(tmp_path))
    hypotheses = ["This example is bread.", "This example is music in the sea."]
    pairs = [pair for batch in Pairs(processor, hypotheses).batches(TEXTS) for pair in batch]
    assert sorted((pair.row, pair.label) for pair in pairs) == [(i, j) for i in range(len(TEXTS)) for j in range(2)]
    assert max(len(pair.inputs["input_ids"]) for pair in pairs) == processor.model_max_length  # one is cut
    for pair in pairs:
        whole = processor(TEXTS[pair.row], hypotheses[pair.label], truncation="only_first")
        assert pair.inputs == {name: whole[name] for name in processor.model_input_names}


def test_what_a_text_says_is_no_end_of_it(nli):
    processor = text_tokenizer(nli)
    (pair,) = Pairs(processor, ["snow"]).pair(["anna [SEP] boris"], [0])
    assert pair.inputs["input_ids"].count(processor.sep_token_id) == 2


def test_of_a_pair_the_premise_is_both_texts(nli):
    pair, joined = (
        rows(TEXTS, ["snow", *LABELS, "snow"]),
        rows([f"{text} oslo" for text in TEXTS], ["snow", *LABELS, "snow"]),
    )
    pair = pair.with_splits(
        {split: of_split.add_column("text_pair", ["oslo"] * len(TEXTS)) for split, of_split in pair.splits.items()}
    )
    found = [ZeroShotNLI(nli).answers(TextClassification(), loaded).probabilities for loaded in (pair, joined)]
    np.testing.assert_array_equal(*found)


def learnt_nli(folder: Path) -> str:
    """A model taught which colour a hypothesis must name to be entailed: the one in the text."""
    checkpoint = bert_nli(folder, {0: "entailment", 1: "not_entailment"})
    processor = text_tokenizer(checkpoint)
    model = BertForSequenceClassification.from_pretrained(checkpoint)
    draw, optimizer = random.Random(0), torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(250):
        chosen_pairs = []
        for _ in range(32):
            said = draw.choice(tiny.PLACES)
            asked = said if draw.random() < 0.5 else draw.choice([place for place in tiny.PLACES if place != said])
            chosen_pairs.append(
                (f"{draw.choice(tiny.PEOPLE)} {draw.choice(tiny.VERBS)} in {said}", f"in {asked}.", said != asked)
            )
        texts, hypotheses, targets = map(list, zip(*chosen_pairs, strict=True))
        batch = processor(texts, hypotheses, padding=True, return_tensors="pt")
        optimizer.zero_grad()
        model(**batch, labels=torch.tensor(targets, dtype=torch.long)).loss.backward()
        optimizer.step()
    model.save_pretrained(folder)
    return checkpoint


@pytest.mark.slow
def test_a_model_of_inference_answers_without_a_row_to_learn_from(tmp_path):
    checkpoint = learnt_nli(tmp_path)
    draw = random.Random(1)
    places = [draw.choice(tiny.PLACES) for _ in range(40)]
    texts = [f"{draw.choice(tiny.PEOPLE)} {draw.choice(tiny.VERBS)} in {place}" for place in places]
    loaded = rows(texts, [f"label_{place}" for place in places])
    names = {f"label_{place}": place for place in tiny.PLACES}
    task = TextClassification()
    answers = ZeroShotNLI(checkpoint, "in {}.", names).answers(task, loaded)
    assert headline_of(task, answers.predictions, loaded) > 0.8  # chance: 0.2
    np.testing.assert_allclose(answers.probabilities.sum(-1), 1, rtol=1e-6)
    # Several labels, by a threshold that validation chose.
    task, several = TextClassification(problem="multi-label"), rows(texts, [[place] for place in places], several=True)
    answers = ZeroShotNLI(checkpoint, "in {}.").answers(task, several)
    assert answers.probabilities is None
    assert headline_of(task, answers.predictions, several) > 0.8


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (NLI, (2, 0)),
        ({0: "ENTAILMENT", 1: "NEUTRAL", 2: "CONTRADICTION"}, (0, 2)),
        ({0: "entailment", 1: "not_entailment"}, (0, 1)),
        ({0: "not_entailment", 1: "entailment"}, (1, 0)),
    ],
)
def test_the_verdicts_of_a_model_are_found_by_name(names, expected):
    assert find_verdicts(names, "nli") == expected


def test_what_cannot_be_asked_is_refused(tmp_path, nli, checkpoint):
    task, loaded = TextClassification(), rows(TEXTS, ["snow", *LABELS, "snow"])

    def refused(match: str, *args, task=task, loaded=loaded, **kwargs) -> None:
        with pytest.raises(UserError, match=match):
            ZeroShotNLI(*args, **kwargs).answers(task, loaded)

    refused("one {} for the label", nli, "This example.")
    refused("one {} for the label", nli, "{} {}")
    refused("LABEL_0, LABEL_1", bert_nli(tmp_path / "unnamed", {0: "LABEL_0", 1: "LABEL_1"}))
    refused("classifier.*answer at random", checkpoint)  # an encoder without a head
    refused("hypothesis 'saw.*of the model's 64", nli, "saw " * 80 + "{}")
    # The tiny tokenizer reads both as an unknown word.
    refused("labels 'music' and 'snow'", nli, texts={"music": "\u65e5", "snow": "\u672c"})
    refused("labels 'music' and 'snow'.*both are called 'snow'", nli, texts={"music": "snow"})
    numbers = Dataset.from_dict({"text": TEXTS, "label": [1.0, 2.0, 3.0, 4.0, 5.0]})
    regression = TextClassification(problem="regression")
    numbers = with_target(regression, DatasetDict(train=numbers, validation=numbers, test=numbers))
    refused("chooses among labels", nli, task=regression, loaded=numbers)
    tags = Dataset.from_list([{"tokens": ["a"], "tags": ["O"]}])
    tagged = with_target(NER(), DatasetDict(train=tags, validation=tags, test=tags))
    refused("column 'text'", nli, task=NER(), loaded=tagged)
    for name in ("zero-shot-nli", "zero-shot-clip"):
        with pytest.raises(UserError, match=f"baseline '{name}'.*needs a checkpoint.*--(nli|clip)_checkpoint"):
            choose_baselines(RecipeArguments(baseline=[name]))
    (found,) = choose_baselines(
        RecipeArguments(
            baseline=["zero-shot-nli"], nli_checkpoint=nli, hypothesis="It is {}.", label_texts='{"snow": "ice"}'
        )
    )
    assert found == ZeroShotNLI(nli, "It is {}.", {"snow": "ice"})


# Images


def ended_texts() -> PreTrainedTokenizerFast:
    """A tokenizer that ends every text, where CLIP reads it, and pads."""
    tokenizer = tiny.byte_bpe()
    tokenizer.pad_token = tokenizer.eos_token
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <end>", special_tokens=[("<end>", 0)]
    )
    return tokenizer


def dual_encoder(folder: Path, kind: str) -> str:
    """A random CLIP or SigLIP with its tokenizer and image processor."""
    tokenizer = ended_texts()
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    text = {**sizes, "vocab_size": len(tokenizer), "max_position_embeddings": 64, "eos_token_id": 0}
    vision = {**sizes, "image_size": 32, "patch_size": 8}
    if kind == "clip":
        model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=12))
    else:
        model = SiglipModel(SiglipConfig(text_config={**text, "projection_size": 16}, vision_config=vision))
        model.logit_bias.data.fill_(-1.0)
    model.logit_scale.data.fill_(2.0)
    for parameter in model.parameters():
        if parameter.ndim > 1:
            torch.nn.init.normal_(parameter, std=0.3)  # as they are drawn, all texts are alike
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    size = {"height": 32, "width": 32}
    CLIPImageProcessor(size=size, crop_size=size, do_center_crop=False).save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> ImageClassification:
    return ImageClassification(dataset=tiny_images.image_folder(tmp_path_factory.mktemp("pictures"), train=3))


@pytest.mark.parametrize("kind", ["clip", "siglip"])
def test_the_nearest_sentence_is_that_of_the_stock_pipeline(kind, pictures, tmp_path):
    checkpoint, loaded = dual_encoder(tmp_path, kind), pictures.load()
    answers = ZeroShotCLIP(checkpoint, ("a photo of {}.",)).answers(pictures, loaded)
    ask = pipeline("zero-shot-image-classification", checkpoint, device="cpu")
    labels = loaded.labels
    expected = []
    for image in loaded["test"]["image"]:
        path = str(Path(pictures.dataset, image["path"]))
        found = {each["label"]: each["score"] for each in ask(path, labels, hypothesis_template="a photo of {}.")}
        expected.append([found[label] for label in labels])
    expected = np.array(expected)
    if kind == "siglip":  # the pipeline's are sigmoids of the logits
        logits = np.log(expected / (1 - expected))
        expected = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    assert np.ptp(expected, axis=0).min() > 1e-3
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-4)
    assert [ranked[0] for ranked in answers.predictions] == [labels[place] for place in expected.argmax(-1)]


def test_prompts_are_averaged_as_unit_vectors(pictures, tmp_path):
    checkpoint, loaded = dual_encoder(tmp_path, "clip"), pictures.load()
    labels, templates = loaded.labels, ("a photo of {}.", "{}, painted", "the sea in {}")
    answers = ZeroShotCLIP(checkpoint, templates).answers(pictures, loaded)
    model, tokenizer = CLIPModel.from_pretrained(checkpoint).eval(), ended_texts()
    codec = pictures.codec(checkpoint, loaded.target)
    encoded = codec.encode(loaded["test"], split="test", answers=True)
    with torch.no_grad():
        images = model.get_image_features(
            **{"pixel_values": codec.collate(list(encoded))["pixel_values"]}
        ).pooler_output
        means = []
        for label in labels:
            alone = [tokenizer(each.format(label), return_tensors="pt") for each in templates]
            units = [model.get_text_features(**each).pooler_output[0] for each in alone]
            means.append(torch.stack([unit / unit.norm() for unit in units]).mean(0))
        cosines = torch.cosine_similarity(images[:, None], torch.stack(means)[None], dim=-1)
    expected = (cosines * model.logit_scale.exp()).softmax(-1).detach().numpy()
    np.testing.assert_allclose(answers.probabilities, expected, atol=1e-4)
    # Views of an image are one answer.
    several = ImageClassification(dataset=pictures.dataset, tta="crops")
    seen = ZeroShotCLIP(checkpoint, templates).answers(several, loaded)
    assert seen.probabilities.shape == answers.probabilities.shape
    assert len(seen.predictions) == len(loaded["test"])


def test_only_a_dual_encoder_of_images_and_texts_is_taken(pictures, tmp_path):
    with pytest.raises(UserError, match=r"clip_checkpoint.*cannot load it"):
        ZeroShotCLIP(tiny_images.resnet(tmp_path)).answers(pictures, pictures.load())
    with pytest.raises(UserError, match="column 'image'"):
        ZeroShotCLIP("any").answers(TextClassification(), rows(TEXTS, ["snow", *LABELS, "snow"]))
