"""What TransferTrainer promises: it trains what the plan says, resumes bit-exact, and stops before nan spreads."""

import copy
import shutil

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForTokenClassification, pipeline

from hfkit.arguments.strategies import STRATEGIES
from hfkit.contract.abilities import Decision
from hfkit.contract.codec import Batch
from hfkit.errors import UserError
from hfkit.scores.evidence import total
from hfkit.tasks.tagging.codec import WordTagger
from hfkit.training.invariants import BrokenPromise, NonFinite, digest
from hfkit.training.sealed import seal
from tests.fixtures.runs import at, trainer

# Stages at steps 0, 3, 5 and 7 of the 12 that 22 rows make in two epochs of 6 batches; 0, 1, 2 with 3 per window.
GRADUAL = dict(strategy="gradual", head_only=0.25, unfreeze_stages=3, unfreeze_until=0.58, thaw_warmup=0.2)
ALWAYS = (("gradual", 4), ("lora", 4))  # in every run of the suite


def weights(model) -> bytes:
    return digest(model.state_dict().values())


@pytest.mark.parametrize(
    ("strategy", "accumulation"),
    [
        pytest.param(strategy, windows, marks=() if (strategy, windows) in ALWAYS else pytest.mark.slow)
        for strategy in sorted(STRATEGIES.keys() - {"auto"})  # test_auto.py has its own
        for windows in (1, 4)
    ],
)
def test_a_resumed_run_ends_with_the_same_bits(strategy, accumulation, checkpoint, corpus, tmp_path):
    """Cut before, at and after every thaw; 6 batches an epoch leave a partial window of 2 at accumulation 4."""
    flags = dict(GRADUAL) if strategy == "gradual" else dict(strategy=strategy)
    flags |= dict(gradient_accumulation_steps=accumulation, num_train_epochs=2 if accumulation == 1 else 4)
    whole = trainer(checkpoint, corpus, tmp_path / "whole", save_strategy="steps", save_steps=1, **flags)
    whole.train()
    starts = whole.unfreezing.plan.starts
    cuts = {cut + d for cut in starts for d in (-1, 0, 1)} | {whole.total_steps // 2}
    for cut in sorted(cut for cut in cuts if 0 < cut < whole.total_steps):
        resumed = trainer(checkpoint, corpus, tmp_path / f"resumed-{cut}", **flags)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert weights(resumed.model) == weights(whole.model), f"cut at step {cut}, stages at {starts}"
        losses = [[(e["step"], e["loss"]) for e in t.state.log_history if "loss" in e] for t in (whole, resumed)]
        assert losses[0] == losses[1]


def test_rows_of_like_length_come_in_the_same_order_after_a_cut(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", train_sampling_strategy="group_by_length")
    whole = trainer(checkpoint, corpus, tmp_path / "whole", save_strategy="steps", save_steps=1, **flags)
    whole.train()
    cut = whole.total_steps * 3 // 4  # within the second epoch
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
    assert weights(resumed.model) == weights(whole.model)


@pytest.mark.parametrize("strategy", sorted(STRATEGIES.keys() - {"auto"}))  # test_auto.py has its own
def test_the_plan_is_what_moves(strategy, checkpoint, corpus, tmp_path):
    """Frozen depths keep their bits until their thaw; from then on they change."""
    flags = dict(GRADUAL) if strategy == "gradual" else dict(strategy=strategy)
    run = trainer(checkpoint, corpus, tmp_path, save_strategy="steps", save_steps=1, **flags)
    before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
    seen = {name: None for name in before}  # the first step after which a parameter differs

    def watch(*_, **__):
        for name, parameter in run.model.named_parameters():
            if seen[name] is None and not torch.equal(parameter, before[name]):
                seen[name] = run.state.global_step

    run.add_callback(at("on_step_end", watch))
    run.train()
    plan, unfreezing = run.unfreezing.plan, run.unfreezing
    for name, step in seen.items():
        thaw = plan.thaw_step(unfreezing.depths.parameters[name])
        if name in unfreezing.always_frozen or thaw is None:
            assert step is None, f"{name} was to stay frozen and changed at step {step}"
        else:
            # Its first step may be at rate 0, or bring no data for its rows: soon after the thaw, never before.
            assert step is not None and thaw + 1 <= step <= thaw + 3, f"{name}: thaw at {thaw}, moved at {step}"
    assert run.invariants.checked["thawed_depths_moved"] >= 1


def test_stages_change_only_between_optimizer_steps(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, gradient_accumulation_steps=2, num_train_epochs=3, **GRADUAL)
    sets = []
    step = run.training_step

    def record(model, inputs, *args):
        sets.append((run.state.global_step, frozenset(n for n, p in model.named_parameters() if p.requires_grad)))
        return step(model, inputs, *args)

    run.training_step = record
    run.train()
    assert len({trainable for _, trainable in sets}) == 4
    for step_number in {number for number, _ in sets}:
        assert len({trainable for number, trainable in sets if number == step_number}) == 1


def test_accumulation_and_partial_windows_do_not_change_the_gradient(checkpoint, corpus, tmp_path):
    """One batch of 8 equals 2 micro-batches of 4 and 8 of 1: the loss is averaged over the labels of the whole step."""
    ends = []
    for size, windows in ((8, 1), (4, 2), (1, 8)):
        run = trainer(
            checkpoint,
            corpus,
            tmp_path / f"{size}",
            strategy="full",
            per_device_train_batch_size=size,
            gradient_accumulation_steps=windows,
            num_train_epochs=1,
            max_grad_norm=0.0,
            optim="sgd",
            learning_rate=0.1,
        )
        for module in run.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        run.train()
        ends.append(torch.cat([p.detach().view(-1) for p in run.model.parameters()]))
    assert torch.allclose(ends[0], ends[1], atol=1e-6) and torch.allclose(ends[0], ends[2], atol=1e-6)


class Renamed(WordTagger):
    """Calls its targets `tags`, so that the stock trainer cannot count them."""

    def count_targets(self, batch: Batch) -> int:
        return int((batch["tags"] != -100).sum())

    def inputs(self, batch: Batch) -> dict[str, torch.Tensor]:
        return {name: value for name, value in batch.items() if name != "tags"}

    def loss(self, model, batch: Batch, items=None):
        output = model(**self.inputs(batch))
        return self.loss_of_logits(output["logits"], batch["tags"], items), output


def test_targets_of_another_name_are_counted_over_the_whole_step(checkpoint, corpus, tmp_path):
    ends = []
    for renamed, size in ((False, 8), (True, 2)):
        run = trainer(
            checkpoint,
            corpus,
            tmp_path / f"{renamed} {size}",
            strategy="full",
            per_device_train_batch_size=size,
            gradient_accumulation_steps=8 // size,
            max_steps=1,
            optim="sgd",
            learning_rate=0.1,
        )
        if renamed:
            plain, run.codec.__class__ = run.codec.collate, Renamed
            run.training_collator = lambda rows, plain=plain: rename(plain(rows))
        for module in run.model.modules():
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        run.train()
        ends.append(torch.cat([p.detach().view(-1) for p in run.model.parameters()]))
    assert torch.allclose(ends[0], ends[1], atol=1e-6)


def rename(batch: Batch) -> Batch:
    return {"tags" if name == "labels" else name: value for name, value in batch.items()}


def test_a_codec_whose_targets_nobody_counts_is_refused(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    with pytest.raises(TypeError, match="needs `count_targets`"):
        run._get_num_items_in_batch([{"start_positions": torch.tensor([1, 2])}], run.args.device)


@pytest.mark.parametrize("where", ["loss", "gradient"])
def test_a_non_finite_value_stops_before_the_weights_are_touched(where, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full")
    poison = "bert.encoder.layer.1.output.dense.weight"
    parameter = dict(run.model.named_parameters())[poison]
    untouched = None

    def spoil(*_, **__):
        nonlocal untouched
        if run.state.global_step == 3:
            untouched = weights(run.model)
            if where == "gradient":
                parameter.register_hook(lambda gradient: gradient * float("inf"))
            else:
                run.codec.loss_of_logits = lambda logits, labels, items: logits.sum() * float("nan")

    run.add_callback(at("on_step_begin", spoil))
    with pytest.raises(NonFinite) as error:
        run.train()
    assert "step 4" in str(error.value)
    assert (poison in str(error.value)) or where == "loss"
    assert weights(run.model) == untouched


def test_broken_promises_are_noticed_while_training(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path / "a", **GRADUAL)
    frozen = run.model.bert.encoder.layer[0].output.dense.weight

    def tamper(*_, **__):
        if run.state.global_step == 2:
            frozen.data[0, 0] += 1

    run.add_callback(at("on_step_end", tamper))
    with pytest.raises(BrokenPromise, match="depth 1 changed while it was frozen"):
        run.train()

    run = trainer(checkpoint, corpus, tmp_path / "b", **GRADUAL)
    block = run.model.bert.encoder.layer[3]
    block.register_forward_hook(lambda module, inputs, output: output.detach())
    with pytest.raises(BrokenPromise, match=r"step 8: in 5 steps no parameter of depths \[3, 4\]"):
        run.train()

    run = trainer(checkpoint, corpus, tmp_path / "c", **GRADUAL)
    stock = run.create_optimizer

    def forgetful(model=None):
        optimizer = stock(model)
        for group in optimizer.param_groups:
            group["params"] = [] if group["depth"] == 4 else group["params"]
        return optimizer

    run.create_optimizer = forgetful
    with pytest.raises(BrokenPromise, match="depth 4 was thawed.*did not move"):
        run.train()


def test_logged_rates_are_those_of_the_head_the_top_block_and_the_lowest_that_learns(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, lr_scheduler_type="constant", **{**GRADUAL, "thaw_warmup": 0.0})
    run.train()
    strategy = STRATEGIES["gradual"]
    logs = [entry for entry in run.state.log_history if "loss" in entry]
    assert [entry["lowest_trainable_depth"] for entry in logs] == [5] * 3 + [3] * 2 + [2] * 2 + [0] * 5
    for entry in logs:
        lowest = entry["lowest_trainable_depth"]
        expected = strategy.head_learning_rate
        if lowest < 5:
            expected = strategy.learning_rate * strategy.layer_decay ** (4 - lowest)
        assert entry["lowest_learning_rate"] == pytest.approx(expected)
        assert entry["head_learning_rate"] == pytest.approx(strategy.head_learning_rate)
        assert entry["learning_rate"] == pytest.approx(strategy.learning_rate)


def test_the_saved_model_needs_no_hfkit(checkpoint, corpus, tmp_path):
    for strategy in ("gradual", "lora"):
        run = trainer(checkpoint, corpus, tmp_path / strategy, strategy=strategy, num_train_epochs=1)
        run.train()
        run.save_model()
        loaded = AutoModelForTokenClassification.from_pretrained(tmp_path / strategy)
        batch = run.data_collator([run.train_dataset[i] for i in range(4)])
        batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
        run.model.eval()
        loaded.eval()
        with torch.inference_mode():
            assert torch.allclose(loaded(**batch).logits, run.model(**batch).logits, atol=1e-5)
        tagger = pipeline("token-classification", str(tmp_path / strategy), aggregation_strategy="simple")
        assert {e["entity_group"] for e in tagger("anna saw snow in paris .")} <= {"PER", "LOC"}
        assert not (tmp_path / strategy / "training_args.bin").exists()


def test_an_adapter_comes_back_with_its_head(checkpoint, corpus, tmp_path):
    from peft import PeftModel

    run = trainer(checkpoint, corpus, tmp_path, strategy="lora", num_train_epochs=1)
    run.train()
    run.save_model()
    torch.manual_seed(123)  # another random head, which the adapter's files must replace
    base = run.codec.model()
    loaded = PeftModel.from_pretrained(base, tmp_path / "adapter").eval()
    batch = run.data_collator([run.train_dataset[i] for i in range(4)])
    batch = {key: batch[key] for key in ("input_ids", "attention_mask")}
    with torch.inference_mode():
        assert torch.equal(loaded(**batch).logits, run.model.eval()(**batch).logits)


def test_scratch_shares_nothing_with_the_checkpoint(checkpoint, corpus, tmp_path):
    scratch = trainer(checkpoint, corpus, tmp_path / "a", strategy="scratch").model
    pretrained = trainer(checkpoint, corpus, tmp_path / "b", strategy="full").model
    name = "bert.encoder.layer.0.attention.self.query.weight"
    assert not torch.equal(scratch.state_dict()[name], pretrained.state_dict()[name])


def test_another_run_is_not_resumed_nor_overwritten(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", num_train_epochs=1, save_strategy="steps", save_steps=2)
    trainer(checkpoint, corpus, tmp_path, **flags).train()
    with pytest.raises(UserError, match=r"results of a different run \(settings.seed: 42 then, 1 now"):
        trainer(checkpoint, corpus, tmp_path, seed=1, **flags).train()
    with pytest.raises(UserError, match="settings.layer_decay: 1.0 then, 0.5 now"):
        trainer(checkpoint, corpus, tmp_path / "b", layer_decay=0.5, **flags).train(
            resume_from_checkpoint=str(tmp_path / "checkpoint-2")
        )
    assert (tmp_path / "checkpoint-2").is_dir() and not (tmp_path / "b" / "hfkit_run.json").exists()
    trainer(checkpoint, corpus, tmp_path, **flags).train()  # the same run again is welcome
    trainer(checkpoint, corpus, tmp_path, seed=1, overwrite_output_dir=True, **flags).train()


def test_group_names_are_compared_on_resume(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", num_train_epochs=1, save_strategy="steps", save_steps=2)
    trainer(checkpoint, corpus, tmp_path, **flags).train()
    file = tmp_path / "checkpoint-2" / "hfkit_run.json"
    file.write_text(file.read_text().replace("depth001.decay", "layer1.decay"))
    seal(file.parent)
    with pytest.raises(UserError, match=r"groups\.depth001\.decay: None then"):
        trainer(checkpoint, corpus, tmp_path, **flags).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_an_output_folder_that_cannot_be_written(checkpoint, corpus, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UserError, match=r"output_dir=.*file.*cannot be written.*Choose another --output_dir"):
        trainer(checkpoint, corpus, tmp_path / "file" / "out", strategy="full")


def test_optimizers_that_would_not_honour_the_groups_are_refused(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full")
    run.optimizer = torch.optim.SGD(run.model.parameters(), lr=0.1)
    with pytest.raises(UserError, match="its groups must hold every parameter exactly once, by depth"):
        run.train()


def test_training_twice_starts_the_plan_anew(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **GRADUAL)
    start = copy.deepcopy(run.model.state_dict())
    lowest = []
    run.add_callback(at("on_step_end", lambda *_, **__: lowest.append(run.unfreezing.lowest)))
    run.train()
    run.model.load_state_dict(start)
    run.train()
    assert len(lowest) == 24 and lowest[:12] == lowest[12:] and set(lowest) == {5, 3, 2, 0}
    assert all(parameter.requires_grad for parameter in run.model.parameters())


def test_an_interrupted_training_leaves_the_model_as_it_came(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **GRADUAL)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    run.add_callback(at("on_step_end", interrupt))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert all(parameter.requires_grad for parameter in run.model.parameters())
    assert not run.model._forward_pre_hooks
    trainer(checkpoint, corpus, tmp_path, seed=1, **GRADUAL).train()  # it had written nothing, so it claims nothing


def test_after_an_interrupt_within_an_optimizer_step_training_starts_again(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, overwrite_output_dir=True, **GRADUAL)

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    # After the trainer's own callback has taken the frozen groups out of the optimizer.
    breaking = at("on_pre_optimizer_step", interrupt)
    run.add_callback(breaking)
    with pytest.raises(KeyboardInterrupt):
        run.train()
    grouped = sum(len(group["params"]) for group in run.optimizer.param_groups)
    assert grouped == len(list(run.model.parameters()))
    run.remove_callback(breaking)
    run.train()
    assert run.state.global_step == run.total_steps


def test_what_decides_the_weights_is_part_of_the_run(checkpoint, corpus, tmp_path):
    """Another base under an adapter, another augmentation, a changed row: each is another run."""
    flags = dict(strategy="lora", save_strategy="steps", save_steps=6)
    trainer(checkpoint, corpus, tmp_path / "a", **flags).train()
    cut = str(tmp_path / "a" / "checkpoint-6")
    other = trainer(checkpoint, corpus, tmp_path / "b", **flags)
    other.starting_weights[5] += 1e-3
    with pytest.raises(UserError, match="different run .weights:"):
        other.train(resume_from_checkpoint=cut)
    with pytest.raises(UserError, match="task.word_dropout: 0.0 then, 0.1 now"):
        trainer(checkpoint, corpus, tmp_path / "b", task=dict(word_dropout=0.1), **flags).train(
            resume_from_checkpoint=cut
        )
    changed = trainer(checkpoint, corpus, tmp_path / "b", **flags)
    rows = changed.train_dataset.to_list()
    rows[17]["input_ids"][1] += 1
    changed.train_dataset = Dataset.from_list(rows, features=changed.train_dataset.features)
    with pytest.raises(UserError, match="different run .rows:"):
        changed.train(resume_from_checkpoint=cut)
    # What changes no weight is free to differ.
    free = dict(eval_accumulation_steps=4, save_total_limit=1)
    trainer(checkpoint, corpus, tmp_path / "b", **free, **flags).train(resume_from_checkpoint=cut)


def test_a_run_whose_plan_is_refused_leaves_no_trace(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path / "out", lr_scheduler_type="reduce_lr_on_plateau", eval_strategy="epoch")
    run.args.thaw_warmup = 0.2
    with pytest.raises(UserError, match="thawed groups cannot warm up on it"):
        run.train()
    assert not [path for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")]


def test_checkpoints_in_the_middle_of_a_step_are_refused(checkpoint, corpus, tmp_path):
    with pytest.raises(UserError, match="enable_jit_checkpoint=True: it saves in the middle of a step"):
        trainer(checkpoint, corpus, tmp_path, enable_jit_checkpoint=True)


def test_foreign_folders_are_never_deleted(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", num_train_epochs=1)
    run = trainer(checkpoint, corpus, tmp_path, save_strategy="steps", save_steps=6, **flags)
    run.train()
    run.save_model()
    (tmp_path / "checkpoint-best-of-mine").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="holds results of a different run"):
        trainer(checkpoint, corpus, tmp_path, seed=1, **flags).train()
    trainer(checkpoint, corpus, tmp_path, seed=1, overwrite_output_dir=True, **flags).train()
    assert {p.name for p in tmp_path.iterdir()} >= {"checkpoint-best-of-mine", "notes.txt", "hfkit_run.json"}
    assert not (tmp_path / "checkpoint-6").exists() and not (tmp_path / "model.safetensors").exists()
    (tmp_path / "foreign" / "checkpoint-500").mkdir(parents=True)
    (tmp_path / "foreign" / "checkpoint-500" / "trainer_state.json").write_text("{}")
    with pytest.raises(UserError, match="it does not say which"):
        trainer(checkpoint, corpus, tmp_path / "foreign", **flags).train()


def test_a_damaged_run_file_is_named(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", num_train_epochs=1, save_strategy="steps", save_steps=6)
    trainer(checkpoint, corpus, tmp_path, **flags).train()
    (tmp_path / "hfkit_run.json").write_text('{"settings": {')
    with pytest.raises(UserError, match=r"hfkit_run.json: it cannot be read as JSON"):
        trainer(checkpoint, corpus, tmp_path, **flags).train()


@pytest.mark.parametrize(
    "flags",
    [
        dict(lr_scheduler_type="reduce_lr_on_plateau", eval_strategy="epoch", thaw_warmup=0.0),
        dict(train_sampling_strategy="group_by_length", eval_strategy="epoch"),
    ],
    ids=["plateau", "group_by_length"],
)
def test_stock_flags_that_move_the_schedule_or_the_order(flags, checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", **flags)
    run.train()
    scores = run.task.judge.score(run.predictions("validation"), run.references("validation"))
    assert run.evaluate()["eval_f1"] == scores["f1"]


def test_tuning_the_decision_moves_one_bias_and_never_lowers_the_headline(checkpoint, corpus, tmp_path):
    for strategy in ("feature-extraction", "lora"):
        run = trainer(checkpoint, corpus, tmp_path / strategy, strategy=strategy, learning_rate=1e-2)
        run.train()
        before = {name: p.detach().clone() for name, p in run.model.named_parameters()}
        scores = run.tune_decision()
        moved = {name for name, p in run.model.named_parameters() if not torch.equal(p, before[name])}
        assert scores["after"] >= scores["before"] and run.evaluate()["eval_f1"] == pytest.approx(scores["after"])
        assert moved <= {"classifier.bias", "base_model.model.classifier.modules_to_save.default.bias"}
        assert (len(moved) == 1) is (scores["after"] > scores["before"])


def test_the_decision_bias_takes_back_a_handicap(checkpoint, corpus, tmp_path):
    """Logits of 1 for the right label and 1.6 more for O: 0.75 is the smallest step that lets every entity win."""
    run = trainer(checkpoint, corpus, tmp_path, strategy="full")
    rows, labels = run.eval_dataset, run.rows.labels
    width = max(map(len, rows["labels"])) + 2
    logits = np.full((len(rows), width, len(labels)), -100.0, dtype=np.float32)
    for i, row in enumerate(rows["labels"]):
        logits[i, : len(row)] = np.eye(len(labels))[[max(label, 0) for label in row]]  # what stands at -100 is not read
    logits[..., labels.index("O")] += 1.6
    positions = np.array([row + [-100] * (width - len(row)) for row in rows["labels"]])
    judge, gold = run.task.judge, run.references("validation")

    def decision(logits: np.ndarray) -> Decision:
        outputs = {"logits": logits, "positions": positions}
        return run.codec.decision(outputs, rows, lambda predictions: total(judge.evidence(predictions, gold)))

    expected = np.zeros(len(labels))
    expected[labels.index("O")] = -0.75
    found = decision(logits)
    assert np.array_equal(found.shift, expected) and found.before < found.after == 1
    logits[..., labels.index("O")] -= 1.6
    assert not decision(logits).shift.any()


def test_words_are_hidden_whole_and_only_in_training(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="full", task=dict(word_dropout=0.4))
    tokenizer = run.processing_class
    rows = [{**run.train_dataset[i % 22], "row": i} for i in range(440)]
    batch, augmented = run.data_collator(rows), run.training_collator(rows)
    changed = augmented["input_ids"] != batch["input_ids"]
    assert (augmented["input_ids"][changed] == tokenizer.mask_token_id).all()
    assert not changed[torch.isin(batch["input_ids"], torch.tensor(tokenizer.all_special_ids))].any()
    word = (batch["labels"] != -100).cumsum(1)
    for row in range(0, 440, 40):
        for number in range(1, int(word[row].max()) + 1):
            pieces = (word[row] == number) & ~torch.isin(batch["input_ids"][row], torch.tensor([0, 2, 3]))
            assert changed[row][pieces].all() or not changed[row][pieces].any()
    share = changed.sum() / (~torch.isin(batch["input_ids"], torch.tensor(tokenizer.all_special_ids))).sum()
    assert 0.35 < share < 0.45
    assert all(torch.equal(augmented[key], batch[key]) for key in batch if key != "input_ids")
    assert all(torch.equal(again, augmented[key]) for key, again in run.training_collator(rows).items())
    run.training_collator.epoch = 1
    assert not torch.equal(run.training_collator(rows)["input_ids"], augmented["input_ids"])
    assert run.get_eval_dataloader().collate_fn.collator is run.data_collator is not run.training_collator
    assert run.get_train_dataloader().collate_fn.collator is run.training_collator


def test_a_resumed_run_draws_the_same_augmentation(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", gradient_accumulation_steps=4, num_train_epochs=4, task=dict(word_dropout=0.3))
    whole = trainer(checkpoint, corpus, tmp_path / "whole", save_strategy="steps", save_steps=1, **flags)
    whole.train()
    for cut in (3, 4):
        resumed = trainer(checkpoint, corpus, tmp_path / f"resumed-{cut}", **flags)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{cut}"))
        assert weights(resumed.model) == weights(whole.model)


def test_a_score_that_the_task_has_not_cannot_choose_the_best_epoch(checkpoint, corpus, tmp_path):
    message = "metric_for_best_model='{}': it is a score of this task: loss, f1, prec"
    for name in ("macro_f1", "eval_invalid_predictions"):  # the second one is a number, and no score
        with pytest.raises(UserError, match=message.format(name)):
            trainer(checkpoint, corpus, tmp_path, metric_for_best_model=name)
    for name in ("eval_loss", "eval_precision"):
        trainer(checkpoint, corpus, tmp_path, metric_for_best_model=name)


def test_rows_without_known_answers_are_refused_before_any_pass(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    run.model.register_forward_pre_hook(lambda *_: pytest.fail("the model ran"))
    rows = run.eval_dataset.select(range(3))
    for ask in (run.evaluate, run.predict):
        with pytest.raises(UserError, match="3 rows to evaluate: a trainer evaluates its own splits"):
            ask(rows)


def test_resuming_from_the_newest_checkpoint(checkpoint, corpus, tmp_path):
    flags = dict(strategy="full", save_strategy="steps", save_steps=2)
    whole = trainer(checkpoint, corpus, tmp_path, **flags)
    with pytest.raises(UserError, match="holds no checkpoint"):
        whole.train(resume_from_checkpoint=True)
    whole.train()
    for step in (12, 10):
        shutil.rmtree(tmp_path / f"checkpoint-{step}")
    resumed = trainer(checkpoint, corpus, tmp_path, **flags)
    resumed.train(resume_from_checkpoint=True)
    assert resumed._initial_global_step == 8 and weights(resumed.model) == weights(whole.model)
