"""The loss of a whole step, weights of classes, moved thresholds, and one answer for a row of several views."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch.nn import functional
from transformers import PreTrainedConfig

from hfkit import TransferArguments, TransferTrainer
from hfkit.contract.target import Labels
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.codec import Classifier
from hfkit.tasks.classification.kinds import KINDS
from hfkit.tasks.classification.thresholds import best_shifts
from tests.tiny import text as tiny

PROBLEMS = tuple(KINDS)


def classifier(problem: str, labels: str = "abcd", *, balanced: bool = False) -> Classifier:
    """A codec without a processor: what it makes of logits does not depend on one."""
    kind = KINDS[problem]
    return Classifier("none", "none", Labels(tuple(labels), kind.problem_type), {}, kind, balanced=balanced)


def batch_of(problem: str, rows: int = 12, classes: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Random logits and targets of a problem."""
    draw = torch.Generator().manual_seed(0)
    width = 1 if problem in ("regression", "ordinal") else classes
    logits = torch.randn(rows, width, generator=draw)
    if problem == "single-label":
        return logits, torch.randint(classes, (rows,), generator=draw)
    if problem == "multi-label":
        return logits, torch.randint(2, (rows, classes), generator=draw).float()
    return logits, torch.randint(1, 6, (rows,), generator=draw).float()


def with_targets(codec: Classifier, gold: list) -> Dataset:
    return codec.with_targets(Dataset.from_dict({"text": [""] * len(gold)}), Dataset.from_dict({"label": gold}))


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_the_loss_of_a_step_is_one_mean_however_it_is_cut_into_micro_batches(problem, label_smoothing):
    codec, (logits, labels) = classifier(problem), batch_of(problem)
    codec.label_smoothing = label_smoothing
    whole = codec.loss_of_logits(logits, labels)
    parts = [
        codec.loss_of_logits(logits[rows], labels[rows], labels.numel())
        for rows in (slice(0, 2), slice(2, 9), slice(9, 12))
    ]
    torch.testing.assert_close(sum(parts), whole)
    if not label_smoothing:
        stock = {
            "single-label": lambda: functional.cross_entropy(logits, labels),
            "multi-label": lambda: functional.binary_cross_entropy_with_logits(logits, labels),
        }.get(problem, lambda: functional.mse_loss(logits[:, 0], labels))
        torch.testing.assert_close(whole, stock())


def test_shares_of_classes_have_the_loss_of_a_class_where_one_has_all():
    codec, (logits, labels) = classifier("single-label"), batch_of("single-label")
    shares = functional.one_hot(labels, 4).float()
    whole = codec.loss_of_logits(logits, labels)
    torch.testing.assert_close(codec.loss_of_logits(logits, shares), whole)
    # The trainer counts every share as a label.
    torch.testing.assert_close(codec.loss_of_logits(logits, shares, shares.numel()), whole)


@pytest.mark.parametrize("problem", ["multi-label", "regression"])
def test_accumulated_steps_move_the_weights_as_large_batches_do(problem, tmp_path):
    checkpoint = tiny.bert(tmp_path / "bert", layers=2)
    answers = {"multi-label": lambda label: ["x", label], "regression": lambda label: float(label == "positive")}
    splits = DatasetDict(
        {
            split: Dataset.from_list([{**row, "label": answers[problem](row["label"])} for row in rows])
            for split, rows in tiny.review_splits(12, 4, 4).items()
        }
    )
    task = TextClassification(dataset=tiny.folder_of(splits, tmp_path / "data"), problem=problem)
    rows = task.load()
    codec = task.codec(checkpoint, rows.target)

    def train(batch: int, accumulated: int) -> torch.Tensor:
        args = TransferArguments(
            output_dir=str(tmp_path / f"run{batch}"),
            strategy="full",
            optim="sgd",
            learning_rate=0.1,
            num_train_epochs=1,
            per_device_train_batch_size=batch,
            gradient_accumulation_steps=accumulated,
            train_sampling_strategy="sequential",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            save_strategy="no",
        )
        torch.manual_seed(0)
        model = codec.model()
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        TransferTrainer(model=model, args=args, task=task, codec=codec, rows=rows).train()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    torch.testing.assert_close(train(6, 1), train(2, 3), rtol=1e-4, atol=1e-6)


def test_balanced_weights_make_every_class_count_alike():
    codec = classifier("single-label", "abc", balanced=True)
    rows = with_targets(codec, ["a"] * 6 + ["c"] * 2)
    codec.fit_loss(rows)
    counts = torch.tensor([6.0, 2.0])
    torch.testing.assert_close(codec.weights[[0, 2]] * counts, torch.tensor([4.0, 4.0]))  # together as much as 8 rows
    logits, ids = torch.zeros(8, 3), torch.tensor(rows["labels"][:])
    per_class = [codec.loss_of_logits(logits[ids == label], ids[ids == label], 8) for label in (0, 2)]
    torch.testing.assert_close(per_class[0], per_class[1])
    assert classifier("single-label", "abc").class_weights(rows) is None
    several = classifier("multi-label", "ab", balanced=True)
    weights = several.class_weights(with_targets(several, [["a"], [], [], ["b", "a"], [], []]))
    assert weights.tolist() == [2.0, 5.0]  # rows without it for each row with it


def test_a_label_of_every_row_still_weighs_something():
    codec = classifier("multi-label", "ab", balanced=True)
    weights = codec.class_weights(with_targets(codec, [["a"], ["a", "b"], ["a"]]))
    assert weights.tolist() == pytest.approx([1 / 3, 2])


def test_targets_of_a_head_are_numbered_by_row():
    rows = with_targets(classifier("multi-label", "ab"), [["b"], []])
    assert rows["labels"][:] == [[0.0, 1.0], [0.0, 0.0]] and rows["row"][:] == [0, 1]


def test_thresholds_are_moved_into_the_logits_and_only_where_that_helps():
    draw = np.random.default_rng(1)
    gold = draw.random((300, 3)) < [0.5, 0.2, 0.05]
    logits = draw.normal(size=gold.shape) + 3 * gold - [4.0, 1.0, 1.5]
    shifts = best_shifts(logits, gold)
    codec = classifier("multi-label", "abc")
    references = [[name for name, yes in zip("abc", row, strict=True) if yes] for row in gold]
    rows = with_targets(codec, references)
    judge = codec.kind.judge(None)

    def headline(predictions: list) -> float:
        return judge.score(predictions, references)["f1"]

    decision = codec.decision({"logits": logits}, rows, headline)
    np.testing.assert_array_equal(decision.shift, shifts)
    assert decision.before == headline(codec.decode_reduced(logits, rows))
    assert decision.after == headline(codec.decode_reduced(logits + shifts, rows)) > decision.before
    # Of two views their mean is what is judged, and so what is tuned on.
    views = concatenate_datasets([rows, rows])
    spread = np.concatenate([logits - 5, logits + 5])
    np.testing.assert_allclose(codec.decision({"logits": spread}, views, headline).shift, shifts)
    unmoved = classifier("single-label", "abc")
    left = unmoved.decision({"logits": logits}, with_targets(unmoved, ["a"] * 300), lambda predictions: 0.5)
    assert (left.shift.tolist(), left.before, left.after) == ([0.0] * 3, 0.5, 0.5)


def test_a_decision_is_moved_in_the_bias_of_the_head_and_nowhere_else():
    codec, head = classifier("multi-label", "abc"), torch.nn.Linear(2, 3)
    before = head.bias.detach().clone()
    decision = codec.decision({"logits": np.full((4, 3), -1.0)}, with_targets(codec, [["a"]] * 4), len)
    assert decision.shift.any() and codec.apply(decision, list(head.parameters()), PreTrainedConfig())
    torch.testing.assert_close(head.bias.detach() - before, torch.from_numpy(decision.shift).float())
    assert not codec.apply(decision, [head.weight], PreTrainedConfig())


def test_rows_of_several_views_are_one_answer_by_their_mean():
    rows = Dataset.from_dict({"labels": [0, 1, 0, 1], "row": [0, 1, 0, 1]})
    outputs = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [3.0, 0.0]])
    assert classifier("single-label", "ab").decode({"reduced": outputs}, rows) == [["a", "b"], ["a", "b"]]


def test_likelihoods_are_those_of_labels_and_probabilities_only_of_one_class_of_several():
    rows, logits = Dataset.from_dict({"row": [0]}), np.array([[0.0, 0.0]])
    one, several, number = (classifier(problem, "ab") for problem in ("single-label", "multi-label", "regression"))
    assert (
        one.likelihoods({"reduced": logits}, rows).tolist() == [[0.5, 0.5]] == one.probabilities(logits, rows).tolist()
    )
    assert several.likelihoods({"reduced": logits + 50}, rows).tolist() == [[1.0, 1.0]]
    assert several.probabilities(logits, rows) is None
    assert number.likelihoods({"reduced": logits[:, :1]}, rows) is None
