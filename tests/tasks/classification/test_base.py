"""What texts and images share: the loss of a whole step, weights, thresholds, and a score that tallies add up to."""

import numpy as np
import pytest
import torch
from datasets import Dataset, DatasetDict, concatenate_datasets
from torch.nn import functional

from hfkit import TransferArguments, TransferTrainer
from hfkit.data.bad_rows import Fault, count_skipped, without
from hfkit.errors import DataError, UserError
from hfkit.scores.statistics import bootstrap_interval
from hfkit.tasks import TextClassification
from hfkit.tasks.classification.answers import label_sort_key
from hfkit.tasks.classification.thresholds import best_shifts, micro_f1
from tests.tiny import text as tiny

PROBLEMS = ("single-label", "multi-label", "regression", "ordinal")


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


@pytest.mark.parametrize("problem", PROBLEMS)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.2])
def test_the_loss_of_a_step_is_one_mean_however_it_is_cut_into_micro_batches(problem, label_smoothing):
    task, (logits, labels) = TextClassification(problem=problem), batch_of(problem)
    whole = task.loss({"logits": logits}, labels, label_smoothing=label_smoothing)
    parts = [
        task.loss({"logits": logits[rows]}, labels[rows], labels.numel(), label_smoothing=label_smoothing)
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
    task, (logits, labels) = TextClassification(), batch_of("single-label")
    shares = functional.one_hot(labels, 4).float()
    whole = task.loss({"logits": logits}, labels)
    torch.testing.assert_close(task.loss({"logits": logits}, shares), whole)
    # The trainer counts every share as a label.
    torch.testing.assert_close(task.loss({"logits": logits}, shares, shares.numel()), whole)


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
    raw = task.load()
    labels, processor = task.labels(raw), task.processor(checkpoint)
    data = task.prepare(raw, processor, labels)

    def trained(batch: int, accumulated: int) -> torch.Tensor:
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
        model = task.model(checkpoint, labels)
        for module in model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        trainer = TransferTrainer(
            model=model, args=args, task=task, train_dataset=data["train"], processing_class=processor
        )
        trainer.train()
        return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])

    torch.testing.assert_close(trained(6, 1), trained(2, 3), rtol=1e-4, atol=1e-6)


def prepared(problem: str, column: list, labels: list[str]) -> Dataset:
    task = TextClassification(problem=problem)
    rows = Dataset.from_dict({"label": column})
    return task.targeted(Dataset.from_dict({"text": [""] * len(column)}), rows, labels)


def test_balanced_weights_make_every_class_count_alike():
    task = TextClassification(class_weights="balanced")
    rows = prepared("single-label", ["a"] * 6 + ["c"] * 2, ["a", "b", "c"])
    weights = task.weights(rows)
    counts = torch.tensor([6.0, 2.0])
    torch.testing.assert_close(weights[[0, 2]] * counts, torch.tensor([4.0, 4.0]))  # together as much as 8 rows
    logits, ids = torch.zeros(8, 3), torch.tensor(rows["labels"][:])
    per_class = [task.loss({"logits": logits[ids == label]}, ids[ids == label], 8, weights=weights) for label in (0, 2)]
    torch.testing.assert_close(per_class[0], per_class[1])
    assert TextClassification().weights(rows) is None
    several = TextClassification(problem="multi-label", class_weights="balanced")
    weights = several.weights(prepared("multi-label", [["a"], [], [], ["b", "a"], [], []], ["a", "b"]))
    assert weights.tolist() == [2.0, 5.0]  # rows without it for each row with it


def test_predictions_are_ranked_and_the_first_five_kept():
    task = TextClassification()
    logits = np.array([[0.1, 0.9, 0.5, 0.2, 0.3, 0.4], [3.0, 3.0, 1.0, 0.0, 2.0, 2.5]])
    assert task.answers(logits, list("abcdef")) == [list("bcfed"), list("abfec")]
    scores = task.score([list("bcfed"), list("abfec")], ["e", "d"])
    assert (scores["accuracy"], scores["top5_accuracy"]) == (0.0, 0.5)


def test_a_scale_is_that_of_train():
    splits = DatasetDict(
        {name: Dataset.from_dict({"label": found}) for name, found in (("train", [2, 4]), ("test", [9]))}
    )
    assert TextClassification(problem="ordinal").labels(splits) == ["2 to 4"]
    with pytest.raises(UserError, match="max_train_rows=0"):
        TextClassification(max_train_rows=0)


def test_a_label_of_every_row_still_weighs_something():
    task = TextClassification(problem="multi-label", class_weights="balanced")
    assert task.weights(prepared("multi-label", [["a"], ["a", "b"], ["a"]], ["a", "b"])).tolist() == pytest.approx(
        [1 / 3, 2]
    )


def test_grades_are_rounded_and_stay_on_the_scale():
    task = TextClassification(problem="ordinal")
    assert task.answers(np.array([[0.2], [2.4], [2.6], [9.0]]), ["1 to 5"]) == [1, 2, 3, 5]
    assert task.answers(np.array([[-3.7]]), ["-2 to 2"]) == [-2]
    assert TextClassification(problem="regression").answers(np.array([[9.5]]), ["score"]) == [9.5]


ANSWERS = {
    "single-label": ([["a", "b"], ["b", "a"], ["b", "a"], ["a", "b"]], ["a", "b", "a", "a"]),
    "multi-label": ([["a"], [], ["a", "b"], ["b"]], [["a", "b"], [], ["a"], ["b"]]),
    "regression": ([1.0, 2.5, 2.0, 1e6], [0.9, 3.0, 2.0, 1e6 + 4]),
    "ordinal": ([1, 2, 5, 4], [1, 3, 5, 5]),
}


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_headline_is_a_function_of_summed_tallies(problem):
    task, (predictions, references) = TextClassification(problem=problem), ANSWERS[problem]
    tallies = task.tallies(predictions, references)
    assert len(tallies) == 4
    scores = task.score(predictions, references)
    assert next(iter(scores)) == task.headline
    assert scores[task.headline] == pytest.approx(float(task.headline_of(tallies.sum(0))))
    assert all(type(value) is float for value in scores.values())
    # Resampled rows are scored as if they were the split.
    chosen = [0, 1, 1, 3]
    again = task.score([predictions[i] for i in chosen], [references[i] for i in chosen])[task.headline]
    assert float(task.headline_of(tallies[chosen].sum(0))) == pytest.approx(again, abs=1e-6)
    interval = bootstrap_interval(tallies, task.headline_of)
    assert interval.low <= scores[task.headline] <= interval.high


def test_headlines_agree_with_other_libraries():
    from scipy.stats import pearsonr
    from sklearn.metrics import cohen_kappa_score, f1_score

    draw = np.random.default_rng(0)
    gold, ours = draw.integers(1, 6, 200), draw.integers(1, 6, 200)
    ordinal = TextClassification(problem="ordinal").score(ours.tolist(), gold.tolist())
    assert ordinal["quadratic_kappa"] == pytest.approx(cohen_kappa_score(gold, ours, weights="quadratic"))
    numbers = TextClassification(problem="regression").score((ours + 1e4).tolist(), (gold * 3.0).tolist())
    assert numbers["pearson"] == pytest.approx(pearsonr(ours, gold).statistic)
    sets = draw.integers(0, 2, (2, 100, 5)).astype(bool)
    sides = [[[str(i) for i in np.flatnonzero(row)] for row in side] for side in sets]
    several = TextClassification(problem="multi-label").score(*sides)
    assert several["f1"] == pytest.approx(f1_score(sets[1], sets[0], average="micro"))


@pytest.mark.filterwarnings("error")
def test_rows_of_one_class_are_scored_without_a_warning():
    scores = TextClassification().score([["a", "b"], ["a", "b"]], ["a", "a"])
    assert scores["accuracy"] == 1 and scores["mcc"] == 0


@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_correlation_knows_no_unit(unit):
    scores = TextClassification(problem="regression").score([unit, 3 * unit, 2 * unit], [0.0, 2 * unit, unit])
    assert scores["pearson"] == pytest.approx(1.0)


@pytest.mark.parametrize("problem", ["regression", "ordinal"])
def test_constant_answers_correlate_with_nothing(problem):
    task = TextClassification(problem=problem)
    assert task.score([3, 3, 3], [1, 2, 3])[task.headline] == 0


def test_scores_of_rows_out_of_scope_stand_beside_the_others():
    task = TextClassification(out_of_scope="oos")
    scores = task.score([["a"], ["oos"], ["b"], ["oos"]], ["a", "a", "oos", "oos"])
    assert (scores["in_scope_accuracy"], scores["out_of_scope_recall"], scores["accuracy"]) == (0.5, 0.5, 0.5)


def test_thresholds_are_moved_into_the_logits_and_only_where_that_helps():
    draw = np.random.default_rng(1)
    gold = draw.random((300, 3)) < [0.5, 0.2, 0.05]
    logits = draw.normal(size=gold.shape) + 3 * gold - [4.0, 1.0, 1.5]
    shifts = best_shifts(logits, gold)
    assert micro_f1(logits + shifts > 0, gold) > micro_f1(logits > 0, gold) + 0.1
    assert best_shifts(np.where(gold, 1.0, -1.0), gold) is None
    assert best_shifts(logits, np.zeros_like(gold)) is None
    task = TextClassification(problem="multi-label")
    rows = prepared(
        "multi-label", [[name for name, yes in zip("abc", row, strict=True) if yes] for row in gold], [*"abc"]
    )
    np.testing.assert_array_equal(task.decision_bias(logits, rows, [*"abc"]), shifts)
    # Of two views their mean is what is judged, and so what is tuned on.
    views = concatenate_datasets([rows, rows])
    spread = np.concatenate([logits - 5, logits + 5])
    np.testing.assert_allclose(task.decision_bias(spread, views, [*"abc"]), shifts)
    assert TextClassification().decision_bias(logits, rows, [*"abc"]) is None


def test_a_label_with_few_positives_keeps_the_threshold_of_all():
    draw = np.random.default_rng(2)
    gold = np.zeros((200, 2), dtype=bool)
    gold[:80, 0], gold[:2, 1] = True, True
    logits = draw.normal(size=gold.shape) + 2 * gold - 2
    logits[:2, 1] = -9  # a threshold of its own would say yes to everything, or never
    shifts = best_shifts(logits, gold)
    common = best_shifts(logits, np.where(np.arange(2) == 1, False, gold))
    assert np.isfinite(shifts).all() and abs(shifts[1]) < 9
    assert common is not None


def test_labels_are_sorted_by_value_and_then_by_letter():
    names = ["b", "10", "9", "nan", "inf", "-1", "2.5", "a"]
    assert sorted(names, key=label_sort_key) == ["-1", "2.5", "9", "10", "a", "b", "inf", "nan"]


def test_rows_of_several_views_are_one_answer_by_their_mean():
    task = TextClassification()
    rows = Dataset.from_dict({"labels": [0, 1, 0, 1], "row": [0, 1, 0, 1]})
    outputs = np.array([[2.0, 0.0], [0.0, 1.0], [-1.0, 0.5], [3.0, 0.0]])
    assert task.decode(outputs, rows, ["a", "b"]) == ([["a", "b"], ["a", "b"]], ["a", "b"])


def test_faults_are_counted_once_a_row_and_not_all_rows_can_be_left_out(capsys):
    rows = Dataset.from_dict({"x": list(range(4))})
    faults = [Fault(1, "x", "1", "odd", "fix"), Fault(1, "x", "1", "small", "fix"), Fault(3, "x", "3", "odd", "fix")]
    kept = without("train", rows, faults, "skip")
    assert (kept["x"][:], count_skipped(kept), count_skipped(rows)) == ([0, 2], {"odd": 2}, {})
    assert "train: 2 of 4 rows skipped, first row 1 (odd)" in capsys.readouterr().out
    with pytest.raises(DataError, match="split 'train', row 1, column 'x': 1: odd; 1 more rows .* skip"):
        without("train", rows, faults, "error")
    with pytest.raises(DataError, match="split 'train', row 0"):
        without("train", rows, [Fault(row, "x", "", "odd", "fix") for row in range(4)], "skip")


def test_the_report_sees_classes_confusions_and_errors_that_teach():
    task = TextClassification()
    rows = Dataset.from_dict({"text": [f"text {n}" for n in range(4)]})
    predictions, references = [["a"], ["b"], ["b"], ["b"]], ["a", "a", "a", "b"]
    found = task.breakdown(predictions, references)
    assert found["per_class"]["a"] == {"precision": 1.0, "recall": 1 / 3, "f1": 0.5, "support": 3}
    assert found["confusion"] == {"gold": ["a", "b"], "predicted": ["a", "b"], "counts": [[1, 2], [0, 1]]}
    errors = task.errors(predictions, references, rows, 5)
    assert [error["row"] for error in errors] == [1, 2]
    assert errors[0] | {"why": ""} == {
        **{"row": 1, "kind": "confusion", "why": "", "gold": "a", "predicted": "b"},
        **{"text": "text 1", "picture": ""},
    }
    number = TextClassification(problem="regression")
    assert number.breakdown([1.0], [2.0]) == {}
    assert [error["row"] for error in number.errors([1.0, 2.0, 9.0, 3.0], [1.0, 3.0, 3.0, 3.5], rows, 2)] == [2, 1]
