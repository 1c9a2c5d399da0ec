"""What is not known about a finding is neither learnt nor decided."""

import numpy as np
import pytest
import torch
from torch.nn import functional

from hfkit.tasks.classification.label_cells import NoAnswer
from hfkit.tasks.classification.writing import Writing
from hfkit.tasks.findings.kinds import Findings, OneFinding, best_shift
from hfkit.tasks.losses import IGNORED

KIND = Findings()
GOLD = [["Edema", "Mass?"], [], ["Mass"], ["Edema?", "Mass?"]]
LABELS = ["Edema", "Mass"]


def test_targets_tell_what_is_not_known():
    assert KIND.targets(GOLD, LABELS)[0] == [[1, IGNORED], [0, 0], [0, 1], [IGNORED, IGNORED]]
    assert KIND.facts(GOLD) == {"classes": {"Edema": 1, "Mass": 1}, "not_known": {"Edema": 1, "Mass": 2}}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("gamma", [0.0, 2.0])
@pytest.mark.parametrize("balanced", [False, True])
def test_the_loss_is_that_of_the_answers_that_are_known(smoothing, gamma, balanced):
    targets = torch.tensor(KIND.targets(GOLD, LABELS)[0])
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), requires_grad=True)
    weights = KIND.weights(targets) if balanced else None
    loss = KIND.loss(logits, targets, smoothing, weights, gamma)
    loss.backward()
    unknown = targets == IGNORED
    assert (logits.grad[unknown] == 0).all() and (logits.grad[~unknown] != 0).all()
    assert KIND.count(targets, None) == 5 and KIND.count(targets, 9) == 9
    if not gamma:
        soft = torch.where(unknown, 0, targets) * (1 - smoothing) + smoothing / 2
        each = functional.binary_cross_entropy_with_logits(logits, soft, pos_weight=weights, reduction="none")
        assert loss.item() == pytest.approx(each[~unknown].sum().item(), rel=1e-5)


def test_a_batch_of_which_nothing_is_known_teaches_nothing():
    logits = torch.ones(2, 2, requires_grad=True)
    KIND.loss(logits, torch.full((2, 2), float(IGNORED)), 0.0, None).backward()
    assert (logits.grad == 0).all()


def test_weights_count_known_rows_alone():
    assert KIND.weights(torch.tensor(KIND.targets(GOLD, LABELS)[0])).tolist() == [2.0, 1.0]


READINGS = {
    "as they are": (Findings(), ["Edema?", "Mass", "Scar?"]),
    "positive": (Findings(uncertain="positive"), ["Edema", "Mass", "Scar?"]),
    "negative": (Findings(uncertain="negative", blank="negative"), ["Mass"]),
}


@pytest.mark.parametrize("reading", READINGS)
def test_columns_of_findings_are_read_as_the_flags_say(reading):
    kind, expected = READINGS[reading]
    read = kind.reader(None, Writing(complete=True))
    cells = {"No Finding": None, "Edema": -1.0, "Mass": "1.0", "Scar": None, "Tube": 0}
    assert read(cells) == expected
    # In a picture without findings, what is left blank is not there.
    assert read({**cells, "No Finding": 1, "Edema": None, "Mass": ""}) == []
    with pytest.raises(NoAnswer, match="a finding is 1, 0, -1"):
        read({**cells, "Mass": 2})


def test_names_in_one_cell_are_findings():
    read = KIND.reader(None, Writing(separator="|"))
    assert read("Mass|Edema") == ["Edema", "Mass"] and read("No Finding") == []
    assert Findings(no_finding="Mass").reader(None, Writing(separator="|"))("Mass|No Finding") == ["No Finding"]


def test_a_threshold_balances_both_errors_and_moves_no_rank():
    gold = np.array([1] * 6 + [0] * 30)
    logits = np.where(gold, -1.0, -3.0) + np.linspace(0, 0.5, 36)
    shift = best_shift(logits, gold)
    assert ((logits + shift > 0) == gold).all()
    assert best_shift(logits, np.where(gold, IGNORED, 0)) == 0  # nothing to go by
    assert KIND.shift(np.stack([logits, logits], 1), [[a, IGNORED] for a in gold.tolist()])[1] == 0


def test_predictions_are_likelihoods_of_every_label():
    logits = np.array([[0.0, 2.0]])
    (several,), (one,) = KIND.answers(logits, LABELS), OneFinding().answers(logits, LABELS)
    assert several == pytest.approx({"Edema": 0.5, "Mass": 1 / (1 + np.exp(-2))})
    assert sum(one.values()) == pytest.approx(1)
    assert KIND.record(several) == ["Mass"] and OneFinding().record(one) == "Mass"
    assert KIND.show(["Edema", "Mass?"]).labels == ("Edema", "Mass?") and KIND.show(several).labels == ("Mass",)
    assert OneFinding().show("Edema").labels == ("Edema",) and OneFinding().show(one).labels == ("Mass",)


def test_what_is_not_known_is_no_mistake_and_speaks_for_nothing():
    labels = ["effusion", "nodule"]
    logits = torch.tensor([[2.0, 3.0], [1.0, -1.0], [-2.0, -3.0]])
    kind = Findings()
    answers = kind.answers(logits.numpy(), labels)
    references = [["effusion", "nodule?"], ["nodule"], []]
    (wrong,) = kind.rank_mistakes(answers, references, kind.likelihoods(logits.numpy()), labels)
    assert wrong == (1, pytest.approx(float(torch.tensor(1.0).sigmoid())))
    # The sum of what was found; where nothing was, the finding that came nearest.
    assert kind.speak_for(answers, logits, labels).tolist() == [5.0, 1.0, -2.0]
    one = OneFinding()
    assert one.speak_for(one.answers(logits.numpy(), labels), logits, labels).tolist() == [0.5, 1.0, 0.5]
