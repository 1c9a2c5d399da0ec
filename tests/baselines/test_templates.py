"""Chat templates: those that go through the turns are let through for their form, others are tried with limits."""

import pytest

from hfkit.baselines.prompting import templates
from hfkit.baselines.prompting.templates import may_not_end, refuse_endless
from hfkit.errors import UserError

LOOP = "{% for m in messages %}"
USUAL = {
    "ChatML": LOOP + "{{ '<|im_start|>' + m['role'] + '\\n' + m['content'] }}{% endfor %}",
    "a text put together": LOOP + "{% set c = '<' + m['role'] + '>' + m['content'] | trim %}{% if loop.index0 == 0 %}"
    "{% set c = bos_token + c %}{% endif %}{{ c }}{% endfor %}",
    "turns that are counted": "{% set ns = namespace(i=0) %}" + LOOP + "{% set ns.i = ns.i + 1 %}{% endfor %}"
    "{{ raise_exception('too many') if ns.i > 100 }}",
    "marks of what is generated": LOOP + "{% generation %}{{ m.content }}{% endgeneration %}{% endfor %}",
    "tools": LOOP + "{% for call in m.tool_calls %}{{ call.arguments | tojson }}{% endfor %}{% endfor %}",
    "no template at all": "{% for",
}
ODD = {
    "counts": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "multiplies": "{{ 'a' * 10**10 }}",
    "doubles": "{% set ns = namespace(x='a') %}" + LOOP + "{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}",
    "grows by turns": "{% set ns = namespace(x='a', y='b') %}" + LOOP + "{% set ns.x = ns.x + ns.y %}"
    "{% set ns.y = ns.y + ns.x %}{% endfor %}",
    "pads": "{{ 'a' | center(10000000000) }}",
    "formats": "{{ '%09999999999d' % 1 }}",
    "calls itself": "{% macro f(n) %}{{ f(n + 1) }}{% endmacro %}{{ f(0) }}",
    "nests": "{% for a in 'aaaaaaaaaa' %}" * 5 + "{% endfor %}" * 5,
}


@pytest.mark.parametrize("name", USUAL)
def test_what_goes_through_the_turns_is_let_through_untried(name):
    assert not may_not_end(USUAL[name])


@pytest.mark.parametrize("name", ODD)
def test_what_may_not_end_is_known_by_its_form_and_not_compiled_here(name):
    assert may_not_end(ODD[name])


@pytest.mark.slow  # each trial starts a process, which imports transformers
@pytest.mark.parametrize("name", ["counts", "multiplies", "doubles", "pads"])
def test_what_does_not_end_is_stopped_and_refused(name, monkeypatch):
    monkeypatch.setattr(templates, "SECONDS", 15)
    with pytest.raises(UserError, match="prompt_checkpoint 'x': its chat template: it does not end within 15 seconds"):
        refuse_endless(ODD[name], "prompt_checkpoint 'x'")


@pytest.mark.slow
def test_what_counts_a_little_is_accepted_after_a_trial():
    template = "{% for i in range(3) %}{{ messages[i].content }}{% endfor %}"
    assert may_not_end(template)
    refuse_endless(template, "prompt_checkpoint 'x'")
