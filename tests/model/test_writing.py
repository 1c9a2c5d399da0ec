"""A batch whose rows leave it as they end is written as `generate()` writes it, in fewer products."""

from collections.abc import Callable

import pytest
import torch
import transformers as hf
from torch import Tensor, nn
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from hfkit.model.writing import write
from tests.tiny.families import DECODER
from tests.tiny.language import CAUSAL, config_of
from tests.tiny.writers import ARCHITECTURES, make_model

ROWS, WIDTH, MOST, VOCABULARY = 12, 7, 16, 100
STOPS = list(range(3, VOCABULARY, 9))  # rows of random models end at different steps


def causal(name: str) -> PreTrainedModel:
    config = config_of(name)
    config.vocab_size = VOCABULARY
    return shake(AutoModelForCausalLM.from_config(config))


def shake(model: PreTrainedModel) -> PreTrainedModel:
    """The model with weights so large that what a token sees decides what comes next."""
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.normal_(0, 0.6)
        for name, parameter in model.named_parameters():
            if "EncDecAttention.o" in name or "encoder_attn.out_proj.weight" in name:
                parameter.mul_(4)  # every row of a decoder starts with the same token
    return model.eval()


def make_inputs(model: PreTrainedModel, rows: int = ROWS) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    ids = torch.randint(3, VOCABULARY, (rows, WIDTH), generator=draw)
    mask = torch.ones_like(ids)
    for row in range(rows):
        padding = slice(0, row % 3) if not model.config.is_encoder_decoder else slice(WIDTH - row % 3, WIDTH)
        ids[row, padding], mask[row, padding] = 0, 0
    inputs = {"input_ids": ids, "attention_mask": mask}
    if not model.config.is_encoder_decoder:
        return inputs
    return {"encoder_outputs": model.get_encoder()(**inputs), "attention_mask": mask}


def settings(**changes: object) -> GenerationConfig:
    plain = {"max_new_tokens": MOST, "eos_token_id": STOPS, "pad_token_id": 0, "decoder_start_token_id": 0}
    plain["no_repeat_ngram_size"] = 1  # random models would repeat themselves and never end
    return GenerationConfig(do_sample=False, **plain | changes)


def up_to_ends(tokens: Tensor, begun: int) -> list[list[int]]:
    """The tokens of every row that are not behind its end."""
    rows = [row[begun:] for row in tokens.tolist()]
    ends = [next((place for place, token in enumerate(row) if token in STOPS), len(row)) for row in rows]
    return [row[: end + 1] for row, end in zip(rows, ends, strict=True)]


def watch_rows(module: nn.Module, run: Callable[[], Tensor]) -> tuple[list[int], Tensor]:
    """The rows that a module computes in each of its calls in a run, and what the run returns."""
    seen = []
    hook = module.register_forward_pre_hook(lambda _, args: seen.append(len(args[0])))
    made = run()
    hook.remove()
    return seen, made


def compare(model: PreTrainedModel, config: GenerationConfig) -> tuple[int, int]:
    """The rows that go through the head with and without a call for each row that goes on; the tokens are alike."""
    begun = 1 if model.config.is_encoder_decoder else WIDTH
    head = model.get_output_embeddings()
    with torch.no_grad():
        whole, expected = watch_rows(head, lambda: model.generate(**make_inputs(model), generation_config=config))
        parts, made = watch_rows(head, lambda: write(model, make_inputs(model), config))
    answers = up_to_ends(expected, begun)
    assert up_to_ends(made, begun) == answers and made.shape == expected.shape
    assert len({len(answer) for answer in answers}) > 3  # ends are spread out
    return sum(parts), sum(whole)


@pytest.mark.parametrize("name", [*ARCHITECTURES, *CAUSAL])
def test_what_is_written_is_what_generate_writes_in_fewer_products(name):
    model = shake(make_model(name, VOCABULARY)) if name in ARCHITECTURES else causal(name)
    parts, whole = compare(model, settings())
    assert parts < 0.9 * whole


@pytest.mark.parametrize(
    "changes",
    [
        {"no_repeat_ngram_size": 2},
        {"repetition_penalty": 1.5},
        {"forced_bos_token_id": 5},
        {"suppress_tokens": [4, 5, 6]},
    ],
)
def test_settings_that_look_back_see_all_that_was_written(changes):
    parts, whole = compare(shake(make_model("t5", VOCABULARY)), settings(**changes))
    assert parts < whole


@pytest.mark.parametrize(
    "changes",
    [
        {"num_beams": 2},
        {"min_new_tokens": 4},
        {"exponential_decay_length_penalty": (4, 1.2)},
        {"begin_suppress_tokens": list(range(3, 60))},
        {"cache_implementation": "dynamic"},
    ],
)
@pytest.mark.parametrize("of_model", [False, True])  # generate() takes from its config what another leaves open
def test_what_counts_from_the_start_is_written_in_one_call(changes, of_model):
    model = shake(make_model("bart", VOCABULARY))
    if of_model:
        model.generation_config.update(**changes)
    config = settings() if of_model else settings(**changes)
    head = model.get_output_embeddings()
    whole, expected = watch_rows(head, lambda: model.generate(**make_inputs(model), generation_config=config))
    parts, made = watch_rows(head, lambda: write(model, make_inputs(model), config))
    assert torch.equal(made, expected) and parts == whole


def test_a_length_that_counts_the_prompt_is_written_in_one_call():
    model, config = causal("Llama"), settings(max_new_tokens=None, max_length=WIDTH + 4)
    assert torch.equal(
        write(model, make_inputs(model), config), model.generate(**make_inputs(model), generation_config=config)
    )


def test_a_cache_that_keeps_more_than_a_part_for_each_row_is_read_anew():
    """A state space model's layers have no keys to select from."""
    config = hf.FalconH1Config(
        **{**DECODER, "vocab_size": VOCABULARY, "head_dim": 8},
        mamba_d_ssm=32,
        mamba_n_heads=4,
        mamba_d_head=8,
        mamba_n_groups=1,
        mamba_d_state=8,
        mamba_chunk_size=8,
    )
    compare(shake(AutoModelForCausalLM.from_config(config)), settings())


@pytest.mark.parametrize("kind", ["openai-gpt", "switch"])
def test_models_without_a_cache_or_with_more_in_the_output_of_their_encoder_go_on(kind):
    ids = {"pad_token_id": 0, "decoder_start_token_id": 0}
    if kind == "openai-gpt":
        config = hf.OpenAIGPTConfig(vocab_size=VOCABULARY, n_positions=64, n_embd=32, n_layer=2, n_head=2)
        model = AutoModelForCausalLM.from_config(config)
    else:
        sizes = {"d_model": 32, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
        config = hf.SwitchTransformersConfig(vocab_size=VOCABULARY, num_experts=2, **sizes, **ids)
        model = hf.SwitchTransformersForConditionalGeneration(config)
    compare(shake(model), settings())


def test_what_follows_an_end_is_padding():
    model = causal("Llama")
    tokens = write(model, make_inputs(model), settings(pad_token_id=1))
    for row, answer in zip(tokens[:, WIDTH:].tolist(), up_to_ends(tokens, WIDTH), strict=True):
        assert row[len(answer) :] == [1] * (len(row) - len(answer))


def test_one_row_is_written_in_one_call():
    model = causal("Llama")
    inputs = make_inputs(model, rows=1)
    assert torch.equal(write(model, inputs, settings()), model.generate(**inputs, generation_config=settings()))


def test_rows_that_something_else_ends_are_all_ended():
    """A time limit, say: no call goes on from there."""
    model = causal("Llama")
    tokens = write(model, make_inputs(model), settings(max_time=0.0))
    assert tokens.shape == (ROWS, WIDTH + 1)
