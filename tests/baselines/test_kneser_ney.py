"""The counter of bytes: probabilities that sum to 1, better ones for what was counted, and answers for every row."""

import numpy as np
import pytest

from hfkit.baselines.kneser_ney import BASE, SYMBOLS, ByteCounter, KneserNey, nats_of
from hfkit.contract.abilities import Stretch
from hfkit.errors import UserError
from hfkit.tasks import NER, Chat, LanguageModelling
from tests.tiny.language import conversations, documents, write_rows

TEXTS = [text.encode() for text in documents(40, 0)]


@pytest.mark.parametrize("order", [1, 2, 4, 7])
@pytest.mark.parametrize("before", [b"", b"anna s", b"\x00\xff\xfe\xfd\xfc\xfb", "anna läß".encode()])
def test_probabilities_sum_to_one_after_every_context(order, before):
    model = KneserNey(TEXTS, order)
    symbols = [*([SYMBOLS] * order), *before][-(order - 1) :] if order > 1 else []
    context = 0
    for symbol in symbols:
        context = context * BASE + symbol
    probabilities = model.score_codes(context * BASE + np.arange(SYMBOLS))
    assert probabilities.min() > 0 and abs(probabilities.sum() - 1) < 1e-12


def test_a_text_that_was_counted_is_likelier_than_its_letters_in_another_order():
    model = KneserNey(TEXTS, 5)
    text = TEXTS[0]
    assert np.log(model.probabilities(text)).sum() > 3 + np.log(model.probabilities(bytes(sorted(text)))).sum()


def test_a_context_is_read_and_not_scored():
    model = KneserNey(TEXTS, 5)
    whole, size = nats_of(model, [Stretch("", "anna saw oslo")])
    parts = [nats_of(model, [Stretch("", "anna ")]), nats_of(model, [Stretch("anna ", "saw oslo")])]
    assert size == sum(part[1] for part in parts) == 13
    assert abs(whole - sum(part[0] for part in parts)) < 1e-9


@pytest.mark.parametrize(
    ("kind", "column", "make"), [(LanguageModelling, "text", documents), (Chat, "messages", conversations)]
)
def test_it_answers_tasks_of_texts(kind, column, make, tmp_path):
    task = kind(dataset=write_rows(tmp_path / "rows", column, make))
    rows = task.load()
    answers = ByteCounter().answers(task, rows).predictions
    bits = task.judge.score(answers, task.rows.references(rows["test"]))["bits_per_byte"]
    assert len(answers) == len(rows["test"]) and 0 < bits < 8


def test_it_is_refused_where_a_row_asks_for_another_answer():
    task = NER()
    with pytest.raises(UserError, match="predicts texts byte by byte"):
        ByteCounter().answers(task, task.load())
