"""The codec of models that write: tokens in, tokens out, a loss that counts every token once, and the stock answers."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from datasets import Dataset
from torch.nn import functional
from transformers import (
    AutoModelForSeq2SeqLM,
    DataCollatorForSeq2Seq,
    GenerationConfig,
    PreTrainedModel,
    Seq2SeqTrainer,
    Seq2SeqTrainingArguments,
)

from hfkit.contract.target import Nothing
from hfkit.errors import UserError
from hfkit.tasks import Summarization, Translation
from hfkit.tasks.generation.writer import Writer
from tests.fixtures.encoding import encode, run_model
from tests.tiny import writers


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory) -> dict[str, str]:
    place = tmp_path_factory.mktemp("writers")
    return {kind: writers.writer(place / kind, kind, layers=1) for kind in ("t5", "bart", "mbart")}


def codec_of(checkpoint: str, **flags) -> Writer:
    return Summarization(**flags).codec(checkpoint, Nothing())


def rows(count: int = 12, seed: int = 0) -> Dataset:
    found = writers.pairs(count, seed)
    return Dataset.from_list([{"source": row["document"], "target": [row["summary"]]} for row in found])


def stir(model: PreTrainedModel, times: int) -> PreTrainedModel:
    """The model with weights so much larger that its answers depend on what it reads."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(times if parameter.ndim > 1 else 1)
        for name, bias in model.named_buffers():
            if name == "final_logits_bias":
                bias[:, :4] = -1000  # none of the special tokens
    return model


def stock_answers(model, codec: Writer, data: Dataset, place: Path) -> list[str]:
    """The greedy answers of transformers' own trainer, over batches in the order of the rows."""
    args = Seq2SeqTrainingArguments(
        str(place),
        predict_with_generate=True,
        per_device_eval_batch_size=5,
        report_to="none",
        use_cpu=True,
        disable_tqdm=True,
    )
    collator = DataCollatorForSeq2Seq(codec.processor, model=model)
    features = data.map(
        lambda row: {
            **codec.processor(codec.prefix + row["source"]),
            "labels": codec.processor(text_target=row["target"][0])["input_ids"],
        },
        remove_columns=data.column_names,
    )
    trainer = Seq2SeqTrainer(model, args, data_collator=collator, processing_class=codec.processor)
    found = trainer.predict(features)
    ids = np.where(found.predictions == -100, codec.processor.pad_token_id, found.predictions)
    return [text.strip() for text in codec.processor.batch_decode(ids, skip_special_tokens=True)]


@pytest.mark.parametrize(("kind", "times"), [("t5", 3), ("bart", 10)])
def test_the_answers_and_the_loss_are_those_of_the_stock_trainer(kind, times, checkpoints, tmp_path):
    codec, data = codec_of(checkpoints[kind], max_target_length=12), rows()
    model = stir(codec.model(), times).eval()
    encoded = codec.encode(data, split="test", answers=True)
    batch = codec.collate([encoded[row] for row in range(8)])
    with torch.no_grad():
        loss, output = codec.loss(model, batch)
        assert loss.item() == pytest.approx(model(**batch).loss.item(), abs=1e-6)
        # Two micro-batches of one step: each counts the tokens of both.
        half = [codec.loss(model, codec.collate([encoded[i] for i in part]), (batch["labels"] != -100).sum())[0]
                for part in (range(4), range(4, 8))]  # fmt: skip
        assert sum(half).item() == pytest.approx(loss.item(), abs=1e-6)
        codec.fit_loss(encoded, label_smoothing=0.1)
        labels = batch["labels"].flatten()
        smooth = functional.cross_entropy(output["logits"].flatten(0, 1), labels, label_smoothing=0.1)
        assert codec.loss(model, batch)[0].item() == pytest.approx(smooth.item(), abs=1e-6)
        known = codec.outputs(model, batch, output)["written"]
        assert torch.equal(known, codec.outputs(model, batch)["written"])  # with the encoder's output or without
    twice = {name: torch.cat([value, value]) for name, value in batch.items()}
    with torch.no_grad():  # the same rows twice, without dropout
        assert codec.divergence(codec.loss(model, twice)[1], twice).item() == pytest.approx(0, abs=1e-5)
    ours = codec.decode(run_model(codec, model, encoded, batch_size=5), encoded)
    assert ours == stock_answers(model, codec, data, tmp_path) and len(set(ours)) > 2


def test_rows_are_encoded_with_and_without_answers(checkpoints):
    codec, data = codec_of(checkpoints["t5"], max_source_length=10, max_target_length=3), rows(20)
    assert codec.prefix == writers.PREFIX  # as the checkpoint wants it
    encoded = codec.encode(data, split="test", answers=True)
    assert encoded["row"][:] == list(range(20))
    text = codec.processor.decode(encoded[0]["input_ids"], skip_special_tokens=True)
    assert text.startswith(writers.PREFIX) and max(map(len, encoded["input_ids"])) == 10
    facts = codec.facts(encoded)
    assert facts["truncated"] > 0 and facts["truncated_targets"] == 20 and facts["most_target_tokens"] == 3
    assert all(labels[-1] == codec.processor.eos_token_id for labels in encoded["labels"])
    asked = codec.encode(data.remove_columns("target"), split="input", answers=False)
    assert asked["input_ids"][:] == encoded["input_ids"][:] and "labels" not in asked.column_names
    batch = codec.collate([asked[0], asked[1]])
    assert set(batch) == {"input_ids", "attention_mask"}
    tokens = codec.tokens(data)
    assert tokens.limit == 10 and not tokens.windowed and len(tokens.ids) == 20
    assert codec_of(checkpoints["t5"], source_prefix="").prefix == ""


def test_padding_and_minus_100_are_never_decoded(checkpoints):
    codec, data = codec_of(checkpoints["t5"], max_target_length=6), rows(2)
    encoded = codec.encode(data, split="test", answers=False)
    who = codec.processor(text_target="anna")["input_ids"]
    written = np.array([[*who, -100, -100], [who[0], who[0], *who[1:], -100]])
    assert codec.decode({"written": written}, encoded) == ["anna", "anna anna"]
    batch = codec.collate([encoded[0], encoded[1]])
    found = codec.outputs(codec.model().eval(), batch)["written"]
    ends = found == codec.processor.eos_token_id
    assert found.shape[1] <= 6 and bool((found[(ends.cumsum(1) - ends.int()) > 0] == -100).all())


@pytest.mark.parametrize(
    ("flags", "fragments"),
    [
        ({"max_target_length": 70}, ["max_target_length 70", "at most for the 64", "--max_target_length"]),
        ({"max_source_length": 1}, ["max_source_length 1", "no text"]),
    ],
)
def test_lengths_that_do_not_fit_are_refused(flags, fragments, checkpoints):
    with pytest.raises(UserError) as refused:
        codec_of(checkpoints["bart"], **flags).encode(rows(2), split="test", answers=True)
    for fragment in fragments:
        assert fragment in str(refused.value)


def test_the_way_to_write_is_saved_with_the_model(checkpoints, tmp_path):
    stock = AutoModelForSeq2SeqLM.from_pretrained(checkpoints["bart"])
    stock.generation_config = GenerationConfig(
        **{
            **stock.generation_config.to_dict(),
            "min_length": 20,
            "num_beams": 4,
            "length_penalty": 2.0,
            "max_length": 30,
        }
    )
    stock.save_pretrained(tmp_path / "news")
    codec_of(checkpoints["bart"]).processor.save_pretrained(tmp_path / "news")
    place = str(tmp_path / "news")
    plain = codec_of(place, max_target_length=9).model().generation_config
    assert (plain.max_new_tokens, plain.num_beams or 1, plain.min_length or 0) == (9, 1, 0)
    assert plain.forced_eos_token_id == 2 and plain.decoder_start_token_id == 2  # of the architecture
    flags = {"num_beams": 3, "length_penalty": 0.5, "no_repeat_ngram_size": 2, "max_target_length": 9}
    codec = codec_of(place, **flags)
    model = codec.model()
    for folder in ("one", "two"):
        model.save_pretrained(tmp_path / folder)
        codec.processor.save_pretrained(tmp_path / folder)
        kept = GenerationConfig.from_pretrained(tmp_path / folder)
        assert (kept.num_beams, kept.length_penalty, kept.no_repeat_ngram_size, kept.max_new_tokens) == (3, 0.5, 2, 9)
        # A finished model writes as it was saved, unless a flag says otherwise.
        codec = codec_of(str(tmp_path / folder))
        model = codec.model(finished=True)
    assert codec_of(str(tmp_path / "two"), num_beams=1).model(finished=True).generation_config.num_beams == 1
    with pytest.raises(UserError, match="weighs beams"):
        Summarization(length_penalty=0.5)


def test_the_prefix_is_saved_with_the_model(checkpoints, tmp_path):
    codec = codec_of(checkpoints["t5"], source_prefix="elena likes ")
    codec.model().save_pretrained(tmp_path)
    codec.processor.save_pretrained(tmp_path)
    assert codec_of(str(tmp_path)).prefix == "elena likes "
    config = AutoModelForSeq2SeqLM.from_pretrained(tmp_path).config
    assert Summarization.flags_of(config) == {"source_prefix": "elena likes "}


def test_languages_are_tokens_where_the_checkpoint_has_them(checkpoints, tmp_path):
    """NLLB forces the language as the first token of an answer, mBART starts the decoder with it."""
    from transformers import MBartTokenizer, NllbTokenizer

    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁anna", "▁in", "▁paris", "▁", "a"]
    vocabularies = {
        NllbTokenizer: {piece: number for number, piece in enumerate(pieces)},
        MBartTokenizer: [(piece, -3.0) for piece in pieces],
    }
    expected = {
        NllbTokenizer: ("fra_Latn", "forced_bos_token_id"),
        MBartTokenizer: ("fr_XX", "decoder_start_token_id"),
    }
    for kind, (target, setting) in expected.items():
        source = "eng_Latn" if kind is NllbTokenizer else "en_XX"
        tokenizer = kind(vocab=vocabularies[kind])
        place = tmp_path / kind.__name__
        writers.make_model("mbart", len(tokenizer), layers=1).save_pretrained(place)
        tokenizer.save_pretrained(place)
        task = Translation(source_language=source, target_language=target, max_target_length=8)
        codec = task.codec(str(place), Nothing())
        model, language = codec.model(), tokenizer.convert_tokens_to_ids(target)
        assert getattr(model.generation_config, setting) == language
        data = Dataset.from_dict({"source": ["anna in"], "target": [["in paris"]]})
        encoded = codec.encode(data, split="test", answers=True)
        assert tokenizer.convert_tokens_to_ids(source) in encoded[0]["input_ids"] and language in encoded[0]["labels"]
        written = model.generate(
            **{name: codec.collate([encoded[0]])[name] for name in ("input_ids", "attention_mask")}
        )
        assert language in written[0, :2].tolist()
        assert Translation.flags_of(model.config) == {
            "source_prefix": "",
            "source_language": source,
            "target_language": target,
        }
        with pytest.raises(UserError, match="its tokenizer knows no language 'xyz'"):
            replace(task, target_language="xyz").codec(str(place), Nothing()).model()


def test_splits_are_encoded_like_one_another(checkpoints):
    codec = codec_of(checkpoints["bart"], max_target_length=12)
    encoded = encode(codec, {"train": rows(4), "test": rows(4)})
    assert encoded["train"].to_dict() == encoded["test"].to_dict()
