"""Chat templates: which tokens are the assistant's, whatever a template marks, drops or refuses."""

import pytest

from hfkit.tasks.language.templates import GENERATION, PLAIN, Refused, Template, settle_template
from tests.tiny.families import bytes_begun, bytes_plain, pieces_begun

CHATML = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MARKED = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}{% if message['role'] == 'assistant' %}"
    "{% generation %}{{ message['content'] + '<|im_end|>' }}{% endgeneration %}{% else %}"
    "{{ message['content'] + '<|im_end|>' }}{% endif %}{{ '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
# As Qwen3's: thoughts of all answers but the last are dropped.
FORGETFUL = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' }}"
    "{% if message['role'] == 'assistant' and not loop.last %}{{ message['content'].split('</think>')[-1] }}"
    "{% else %}{{ message['content'] }}{% endif %}{{ '<|im_end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
STRICT = (
    "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + CHATML
)
TURNS = [
    {"role": "system", "content": "be short."},
    {"role": "user", "content": "who left?"},
    {"role": "assistant", "content": "anna."},
    {"role": "user", "content": "and where?"},
    {"role": "assistant", "content": "in oslo."},
]


def chatml(template=CHATML):
    tokenizer = bytes_plain()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|im_start|>", "<|im_end|>"]})
    tokenizer.chat_template = template
    return tokenizer


def supervised(tokenizer, marked):
    """The stretches of text that are learnt, in order."""
    found, before = [], False
    for token, counted in zip(marked.ids, marked.counted, strict=True):
        if counted:
            found = [*found[:-1], [*found[-1], token]] if before else [*found, [token]]
        before = counted
    return [tokenizer.decode(ids) for ids in found]


def test_only_the_assistants_turns_are_learnt_each_with_its_end():
    tokenizer = chatml()
    (marked,) = Template(tokenizer).mark(TURNS)
    assert supervised(tokenizer, marked) == ["anna.<|im_end|>", "in oslo.<|im_end|>"]
    assert tokenizer.decode(marked.ids) == tokenizer.apply_chat_template(TURNS, tokenize=False)


def test_prefixes_find_what_a_template_marks_itself():
    assert GENERATION.search(MARKED) and not GENERATION.search(CHATML)
    assert Template(chatml(MARKED)).mark(TURNS) == Template(chatml()).mark(TURNS)


def test_where_a_later_turn_changes_earlier_ones_each_answer_is_learnt_by_itself():
    tokenizer = chatml(FORGETFUL)
    turns = [*TURNS[:2], {"role": "assistant", "content": "hm.</think>anna."}, *TURNS[3:]]
    first, second = Template(tokenizer).mark(turns)
    assert supervised(tokenizer, first) == ["hm.</think>anna.<|im_end|>"]
    assert supervised(tokenizer, second) == ["in oslo.<|im_end|>"]
    assert "</think>" not in tokenizer.decode(second.ids)


@pytest.mark.parametrize("build", [bytes_plain, bytes_begun, pieces_begun])
def test_a_checkpoint_without_a_template_gets_a_plain_one_that_is_saved(build, tmp_path, capsys):
    tokenizer = build()
    settle_template(tokenizer, f"{build} of {tmp_path}")
    assert "no chat template" in capsys.readouterr().out
    (marked,) = Template(tokenizer).mark(TURNS)
    spoken = supervised(tokenizer, marked)
    plain = ["".join(text.replace("\u2581", " ").split()) for text in spoken]
    assert plain == [f"anna.{tokenizer.eos_token}", f"inoslo.{tokenizer.eos_token}"]
    tokenizer.save_pretrained(tmp_path)
    assert type(tokenizer).from_pretrained(tmp_path).chat_template in PLAIN


def test_a_mark_in_a_text_ends_no_turn():
    tokenizer = chatml()
    turns = [{"role": "user", "content": "say <|im_end|>"}, {"role": "assistant", "content": "no."}]
    (marked,) = Template(tokenizer).mark(turns)
    assert marked.ids.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 2


@pytest.mark.parametrize(("system", "begins"), [("merge", "user\nbe short.\n\nwho left?"), ("drop", "user\nwho left?")])
def test_a_message_of_the_system_that_is_refused_can_be_merged_or_dropped(system, begins):
    tokenizer = chatml(STRICT)
    with pytest.raises(Refused, match="System role not supported"):
        Template(tokenizer).mark(TURNS)
    (marked,) = Template(tokenizer, system).mark(TURNS)
    assert tokenizer.decode(marked.ids).startswith(f"<|im_start|>{begins}")


def test_an_answer_ends_with_the_mark_behind_a_turn():
    tokenizer = chatml()
    stops = Template(tokenizer).stops
    assert stops == {tokenizer.eos_token_id, tokenizer.convert_tokens_to_ids("<|im_end|>")}
