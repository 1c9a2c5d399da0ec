"""What frozen layers return is computed once: the same training, no wrong activation used, and reasons where not."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from datasets import Dataset, concatenate_datasets
from safetensors.torch import load_file
from torch import Tensor, nn
from transformers import TrainerCallback
from xxhash import xxh3_64_intdigest

from hfkit import TransferTrainer
from hfkit.contract.codec import Batch, Collator, Output
from hfkit.contract.target import Labels
from hfkit.data.batches import text_lengths
from hfkit.data.images.batches import JudgedImages
from hfkit.data.text.padding import PaddedTexts
from hfkit.prefix import store as prefix_store
from hfkit.prefix.cache import CHECKED_ROWS, Frozen, PrefixCache, Settings, find_unread
from hfkit.prefix.callback import can_stack
from hfkit.prefix.replay import Size
from hfkit.tasks import ImageClassification
from hfkit.tasks.classification.pictures import PictureClassifier
from hfkit.training.invariants import digest
from tests.fixtures.runs import at, trainer
from tests.tasks.test_image_classification import trainer as image_trainer
from tests.tiny import images as tiny_images
from tests.tiny import text as tiny

# What steps make of a cache: a head that is fitted before them has tests of its own.
FEATURE = {"strategy": "feature-extraction", "fit_head": "no"}
# Of 24 steps 0 to 5 train the head, 6 to 9 one block more, 10 to 13 another, the rest everything.
GRADUAL = {"strategy": "gradual", "head_only": 0.25, "unfreeze_stages": 3, "unfreeze_until": 0.58} | {
    "num_train_epochs": 4,
    "fit_head": "no",
}
PLAIN = {"cache_dtype": "float32", "eval_strategy": "epoch"}
SGD = {"optim": "sgd", "learning_rate": 0.05, "head_learning_rate": 0.1}  # Adam divides by gradients near 0


@pytest.fixture(scope="module")
def images(tmp_path_factory) -> str:
    return tiny_images.image_folder(tmp_path_factory.mktemp("images"))


@pytest.fixture(scope="module")
def vit(tmp_path_factory) -> str:
    return tiny_images.vit(tmp_path_factory.mktemp("vit"))


@pytest.fixture(scope="module")
def resnet(tmp_path_factory) -> str:
    return tiny_images.resnet(tmp_path_factory.mktemp("resnet"))


def decision(run: TransferTrainer) -> str | None:
    """`on`, the reason against it, or None where nothing was decided."""
    found = [entry["prefix_cache"] for entry in run.state.log_history if "prefix_cache" in entry]
    return found[-1] if found else None


def bits(run: TransferTrainer) -> bytes:
    return digest(run.model.state_dict().values())


def logged(run: TransferTrainer, name: str) -> list[float]:
    return [entry[name] for entry in run.state.log_history if name in entry]


def require_same_training(make: Callable[[bool], TransferTrainer], judged_by: str = "eval_f1") -> None:
    """What `make` makes with and without a cache trains alike, dropout included."""
    runs = []
    for on in (True, False):
        runs.append(make(on))  # it sets the seed
        runs[-1].train()
    cached, plain = runs
    assert decision(cached) == "on" and decision(plain) is None
    assert logged(cached, "loss") == pytest.approx(logged(plain, "loss"), rel=1e-4, abs=1e-5)
    assert logged(cached, "eval_loss") == pytest.approx(logged(plain, "eval_loss"), rel=1e-4, abs=1e-5)
    assert logged(cached, judged_by) == logged(plain, judged_by) and logged(cached, judged_by)
    state = plain.model.state_dict()
    assert all(torch.allclose(value, state[name], atol=2e-5) for name, value in cached.model.state_dict().items())


@pytest.mark.parametrize(
    ("flags", "task"),
    [
        pytest.param(FEATURE, {"max_length": 8, "stride": 2}, id="windows"),
        pytest.param(
            GRADUAL | {"gradient_accumulation_steps": 2, "num_train_epochs": 8}, {}, id="gradual accumulation"
        ),
        pytest.param(FEATURE, {}, id="feature extraction", marks=pytest.mark.slow),
        pytest.param(FEATURE | {"gradient_accumulation_steps": 2}, {}, id="accumulation", marks=pytest.mark.slow),
        pytest.param(FEATURE | {"dataloader_num_workers": 2}, {}, id="workers", marks=pytest.mark.slow),
        pytest.param(GRADUAL, {}, id="gradual", marks=pytest.mark.slow),
    ],
)
def test_texts_are_trained_as_without_a_cache(flags, task, checkpoint, corpus, tmp_path):
    require_same_training(
        lambda on: trainer(checkpoint, corpus, tmp_path / str(on), task=task, prefix_cache=on, **PLAIN, **SGD, **flags)
    )


def test_a_first_batch_without_any_label_is_no_reason_to_stop(checkpoint, tmp_path):
    splits = tiny.ner_splits(train=4, validation=8, test=8)
    silent = Dataset.from_dict({"tokens": [[]] * 20, "tags": [[]] * 20}, features=splits["train"].features)
    splits["train"] = concatenate_datasets([splits["train"], silent])
    data = tiny.folder_of(splits, tmp_path / "data")
    flags = {**PLAIN, **SGD, **FEATURE, "per_device_train_batch_size": 1}
    require_same_training(lambda on: trainer(checkpoint, data, tmp_path / str(on), prefix_cache=on, **flags))


def test_a_decoder_is_trained_as_without_a_cache(corpus, tmp_path):
    model = tiny.gpt2(tmp_path / "gpt2")
    require_same_training(
        lambda on: trainer(model, corpus, tmp_path / str(on), prefix_cache=on, **PLAIN, **SGD, **FEATURE)
    )


@pytest.mark.parametrize(
    ("name", "flags"),
    [
        pytest.param("vit", GRADUAL, id="gradual"),
        pytest.param("resnet", GRADUAL, id="convolutions"),
        pytest.param("vit", FEATURE, id="feature extraction", marks=pytest.mark.slow),
        pytest.param("vit", FEATURE | {"dataloader_num_workers": 2}, id="workers", marks=pytest.mark.slow),
    ],
)
def test_images_are_trained_as_without_a_cache(name, flags, images, request, tmp_path):
    task = ImageClassification(dataset=images, augmentation="none", flip="none")
    checkpoint = request.getfixturevalue(name)
    flags = flags | {"unfreeze_stages": 2} if "unfreeze_stages" in flags else flags
    require_same_training(
        lambda on: image_trainer(checkpoint, task, tmp_path / str(on), prefix_cache=on, **PLAIN, **SGD, **flags),
        "eval_accuracy",
    )


class Generating(PictureClassifier):
    """Runs the model once more for its answers, as a codec that generates does."""

    def outputs(self, model: nn.Module, batch: Batch, known: Output | None = None) -> dict[str, Tensor]:
        assert batch["pixel_values"].any(), "it would generate from blank pictures"
        return super().outputs(model, batch)


class Ragged(PictureClassifier):
    """Has a list of labels for each image, of any length; all of them are the same."""

    def encode(self, rows: Dataset, *, split: str, answers: bool) -> Dataset:
        encoded = super().encode(rows, split=split, answers=answers)
        lists = [[label] * (1 + row % 3) for row, label in enumerate(encoded["labels"])]
        return encoded.remove_columns("labels").add_column("labels", lists)

    def collate(self, rows: list[dict]) -> dict[str, Tensor]:
        batch = JudgedImages(self.processor, self.folder)([{**row, "labels": 0} for row in rows])
        lists = [torch.tensor(row["labels"]) for row in rows]
        return {**batch, "labels": nn.utils.rnn.pad_sequence(lists, batch_first=True, padding_value=-100)}

    def loss(self, model: nn.Module, batch: Batch, items: Tensor | int | None = None) -> tuple[Tensor, Output]:
        return super().loss(model, {**batch, "labels": batch["labels"][:, 0]})

    def store(self, collator: Collator, *_: object) -> Collator:
        return collator


class OddlyRead(ImageClassification):
    """Images, read by another codec."""

    reader: ClassVar[type[PictureClassifier]]

    def codec(self, checkpoint: str, target: Labels) -> PictureClassifier:
        codec = super().codec(checkpoint, target)
        codec.__class__ = self.reader
        return codec


@pytest.mark.parametrize("reader", [Generating, Ragged])
def test_inputs_are_read_where_more_than_the_frozen_layers_needs_them(reader, images, vit, tmp_path, monkeypatch):
    monkeypatch.setattr(OddlyRead, "reader", reader, raising=False)
    task = OddlyRead(dataset=images, augmentation="none", flip="none")
    require_same_training(
        lambda on: image_trainer(vit, task, tmp_path / str(on), prefix_cache=on, **PLAIN, **SGD, **FEATURE),
        "eval_accuracy",
    )


@pytest.mark.parametrize(
    ("labels", "fit"),
    [
        ([1, 2, 3], True),
        ([0.5, 1.0, 2.0], True),
        ([[1, 2], [3, 4], [5, 6]], True),
        ([[1, 2], [3], [5, 6]], False),
        ([[[1, 2]], [[3, 4]], [[5, 6]]], False),
        ([1, None, 3], False),
        (["a", "b", "c"], False),
        ([{"boxes": [1]}, {"boxes": [2]}, {"boxes": [3]}], False),
    ],
)
def test_only_answers_that_make_one_tensor_come_without_their_inputs(labels, fit):
    rows = Dataset.from_dict({"labels": labels})
    assert can_stack(rows, "labels") == fit and not can_stack(rows, "others")


def test_no_input_is_left_out_beside_a_mask():
    waves = [{"input_values": torch.zeros(rows, 8), "labels": torch.ones(rows).long()} for rows in (3, 2, 3)]
    assert find_unread(waves).keys() == {"input_values"}
    masked = [{**batch, "attention_mask": torch.ones(len(batch["labels"]), 8).long()} for batch in waves]
    assert find_unread(masked) == {}


@pytest.mark.slow
def test_fixed_draws_of_each_image_are_trained_on_in_turn(images, vit, tmp_path):
    task = ImageClassification(dataset=images, augmentation="strong", flip="horizontal")
    flags = {**PLAIN, **SGD, **FEATURE, "num_train_epochs": 4}
    built, losses = set(), []

    def make(on: bool, views: int = 2) -> TransferTrainer:
        run = image_trainer(vit, task, tmp_path / f"{on} {views}", prefix_cache=on, cache_views=views, **flags)
        run.add_callback(at("on_step_begin", lambda *_, **__: built.add(len(run.caching.of_train))))
        run.add_callback(at("on_train_end", lambda *_, **__: losses.append(logged(run, "loss"))))
        return run

    require_same_training(make, "eval_accuracy")
    assert built == {2, 0}
    make(True, views=1).train()
    assert losses[2][:5] == pytest.approx(losses[0][:5], rel=1e-4)
    assert losses[2][5:10] != pytest.approx(losses[0][5:10], rel=1e-4)


def test_fixed_draws_of_hidden_words_are_trained_on_in_turn(checkpoint, corpus, tmp_path):
    task = dict(word_dropout=0.2, span_masking=0.3)
    flags = {**PLAIN, **SGD, **FEATURE, "num_train_epochs": 4, "cache_views": 2}
    runs = []

    def make(on: bool) -> TransferTrainer:
        runs.append(trainer(checkpoint, corpus, tmp_path / f"{on}", task=task, prefix_cache=on, **flags))
        return runs[-1]

    require_same_training(make)
    assert {decision(run) for run in runs} == {"on", None}


def test_images_are_not_decoded_where_nobody_reads_them(images, vit, tmp_path):
    copy = shutil.copytree(images, tmp_path / "images")
    task = ImageClassification(dataset=str(copy), augmentation="none", flip="none")
    run = image_trainer(vit, task, tmp_path / "run", **FEATURE, **PLAIN)

    def delete(args, state, control, **_):
        if state.global_step == 1:  # the first batch is run both ways
            shutil.rmtree(copy / "train")

    run.add_callback(at("on_step_end", delete))
    run.train()
    assert decision(run) == "on" and not (copy / "train").exists()


def watched(run: TransferTrainer) -> list[int]:
    """How many rows each pass through the lowest block has, as they come."""
    rows = []
    inside = run.model.bert.encoder.layer[0].attention.self.query
    inside.register_forward_hook(lambda module, args, output: rows.append(len(output)))
    return rows


def test_a_later_run_needs_no_pass_through_the_frozen_layers(checkpoint, corpus, tmp_path):
    kept = str(tmp_path / "kept")
    first = trainer(checkpoint, corpus, tmp_path / "first", cache_dir=kept, **FEATURE, **PLAIN)
    rows = watched(first)
    first.train()
    assert sum(rows) > 22 + 8
    others = {"seed": 7, "learning_rate": 1e-3, "head_learning_rate": 1e-2, "num_train_epochs": 3}
    second = trainer(checkpoint, corpus, tmp_path / "second", cache_dir=kept, **FEATURE, **{**PLAIN, **others})
    rows = watched(second)
    second.train()
    # Probes of at most 3 rows; of each split 8 that are computed again, and the first batch twice.
    assert [n for n in rows if n > 3] == [8, 8, 4, 4, 8, 8]
    gradual = trainer(checkpoint, corpus, tmp_path / "third", cache_dir=kept, **GRADUAL, **PLAIN)
    before = set(Path(kept, "activations").iterdir())
    gradual.train()
    assert before < set(Path(kept, "activations").iterdir()) and len(before) == 2  # the head's cut was there


def kept_run(checkpoint: str, corpus: str, folder: Path, name: str = "run", **flags) -> TransferTrainer:
    flags = {**FEATURE, **SGD, "cache_dtype": "float32", "cache_dir": str(folder / "kept"), **flags}
    return trainer(checkpoint, corpus, folder / name, **flags)


def only_store(folder: Path) -> Path:
    (store,) = (folder / "kept" / "activations").iterdir()
    return store


def contents(store: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in store.iterdir()}


def flip(store: Path) -> None:
    file = store / "tap0.part0.bin"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def truncate(store: Path) -> None:
    file = store / "tap0.part0.bin"
    file.write_bytes(file.read_bytes()[:-64])


def lose(store: Path) -> None:
    (store / "counts0.npy").unlink()


def garble(store: Path) -> None:
    (store / "part0.json").write_text("{")


def repeat_rows(store: Path) -> None:
    rows = np.load(store / "rows0.npy")
    rows[0] = rows[1]
    np.save(store / "rows0.npy", rows)


def rewrite(store: Path, change, dtype: type = np.float32) -> None:
    """Change the activations, (tokens, width), given the place of each row, and make the checksums true again."""
    rows, (counts,) = np.load(store / "rows0.npy"), np.load(store / "counts0.npy")
    ends = np.cumsum(counts)
    places = {int(row): slice(end - count, end) for row, end, count in zip(rows, ends, counts, strict=True)}
    facts = json.loads((store / "part0.json").read_text())
    values = np.fromfile(store / "tap0.part0.bin", dtype=dtype).reshape(-1, *facts["widths"])
    change(values, places)
    (store / "tap0.part0.bin").write_bytes(values.tobytes())
    sums = np.array([[xxh3_64_intdigest(values[place].tobytes()) for place in places.values()]], dtype=np.uint64)
    np.save(store / "sums0.npy", sums)
    facts["index"] = xxh3_64_intdigest(rows.tobytes() + np.load(store / "counts0.npy").tobytes() + sums.tobytes())
    (store / "part0.json").write_text(json.dumps(facts))


def checked(rows: int) -> set[int]:
    """Those that are computed again when a store is opened."""
    return set(np.random.default_rng(rows).choice(rows, CHECKED_ROWS, replace=False).tolist())


def swap_a_checked_row(store: Path) -> None:
    def change(values, places):
        chosen = sorted(checked(22))
        pairs = [(a, b) for a in chosen for b in places if a != b and length(places[a]) == length(places[b])]
        one, other = (places[row] for row in pairs[0])
        values[one], values[other] = values[other].copy(), values[one].copy()

    rewrite(store, change)


def length(place: slice) -> int:
    return place.stop - place.start


DAMAGE = [
    *(flip, lose, swap_a_checked_row),
    *(pytest.param(damage, marks=pytest.mark.slow) for damage in (truncate, garble, repeat_rows)),
]


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_cache_is_rebuilt_and_never_used(damage, checkpoint, corpus, tmp_path):
    clean = kept_run(checkpoint, corpus, tmp_path)
    clean.train()
    store = only_store(tmp_path)
    before = contents(store)
    damage(store)
    again = kept_run(checkpoint, corpus, tmp_path, "again")
    again.train()
    assert decision(again) == "on" and bits(again) == bits(clean)
    assert contents(only_store(tmp_path)) == before


def flip_all(store: Path) -> None:
    for file in store.glob("*.bin"):
        file.write_bytes(bytes(255 - byte for byte in file.read_bytes()))


def during_training(act: Callable[[Path], None], folder: Path) -> TrainerCallback:
    """Does it to every store in the folder after the fifth step."""

    def on_step_end(args, state, *_, **__) -> None:
        if state.global_step == 5:
            for store in list((folder / "kept" / "activations").iterdir()):
                act(store)

    return at("on_step_end", on_step_end)


@pytest.mark.parametrize(
    "act",
    [
        flip_all,
        shutil.rmtree,
        pytest.param(flip, marks=pytest.mark.slow),
        pytest.param(truncate, marks=pytest.mark.slow),
    ],
    ids=lambda act: act.__name__,
)
def test_a_cache_that_is_changed_while_it_is_used_changes_nothing(act, checkpoint, corpus, tmp_path, capsys):
    runs = []
    for name in ("clean", "changed"):
        run = kept_run(checkpoint, corpus, tmp_path / name, eval_strategy="epoch", cache_dtype="float16")
        if name == "changed":
            run.add_callback(during_training(act, tmp_path / name))
        run.train()
        runs.append(run)
    clean, changed = runs
    assert bits(changed) == bits(clean) and logged(changed, "eval_loss") == logged(clean, "eval_loss")
    assert decision(changed) == "on"
    lines = [line for line in capsys.readouterr().out.splitlines() if "while in use" in line]
    assert len(lines) == (0 if act is shutil.rmtree else 2)  # one for each split; a deleted file can still be read


def test_where_too_much_is_changed_the_layers_run_as_usual(checkpoint, corpus, tmp_path, monkeypatch):
    monkeypatch.setattr(prefix_store, "RESTORED_AT_MOST", 100)
    run = kept_run(checkpoint, corpus, tmp_path, num_train_epochs=3)
    run.add_callback(during_training(flip_all, tmp_path))
    rows = watched(run)
    run.train()
    plain = kept_run(checkpoint, corpus, tmp_path, "plain", num_train_epochs=3, prefix_cache=False)
    plain.train()
    assert sum(rows) > 3 * 22 and logged(run, "loss") == pytest.approx(logged(plain, "loss"), rel=1e-4)


@pytest.mark.slow
def test_fixed_draws_are_computed_again_as_they_were_drawn(images, vit, tmp_path):
    task = ImageClassification(dataset=images, augmentation="strong", flip="horizontal")
    runs = []
    for name in ("clean", "changed"):
        kept = {**FEATURE, "num_train_epochs": 4, "cache_views": 2, "cache_dir": str(tmp_path / name / "kept")}
        run = image_trainer(vit, task, tmp_path / name / "run", **kept)
        if name == "changed":
            run.add_callback(during_training(flip_all, tmp_path / name))
        run.train()
        runs.append(run)
    assert bits(runs[0]) == bits(runs[1])


def test_a_run_deletes_nothing_that_another_one_uses(checkpoint, corpus, tmp_path):
    """The store of one is changed while it trains, so the other one cannot use it, and may not replace it either."""
    clean = kept_run(checkpoint, corpus, tmp_path / "clean")
    clean.train()
    first, others = kept_run(checkpoint, corpus, tmp_path, "first"), []

    def train_another(*_, **__) -> None:
        store = only_store(tmp_path)
        if not others:
            flip(store)
            held = store.stat().st_ino
            others.append(beside(lambda: kept_run(checkpoint, corpus, tmp_path, "second")))
            # The folder is the same one, and that of the second run, which got no name, is gone.
            assert only_store(tmp_path) == store and store.stat().st_ino == held

    first.add_callback(at("on_step_end", train_another))
    first.train()
    assert bits(first) == bits(others[0]) == bits(clean) and decision(others[0]) == "on"
    again = kept_run(checkpoint, corpus, tmp_path, "again")
    again.train()
    assert contents(only_store(tmp_path)) == contents(only_store(tmp_path / "clean")) and bits(again) == bits(clean)


@pytest.mark.slow
def test_of_two_runs_that_build_the_same_one_uses_the_others(checkpoint, corpus, tmp_path):
    first, others = kept_run(checkpoint, corpus, tmp_path, "first"), []

    def train_another(module, args, output) -> None:
        # The first one looked for a store and found none: its probes have three rows.
        if len(output) > 3 and not others:
            others.append(None)
            others[0] = beside(lambda: kept_run(checkpoint, corpus, tmp_path, "second"))

    first.model.bert.encoder.layer[0].attention.self.query.register_forward_hook(train_another)
    first.train()
    assert bits(first) == bits(others[0]) and decision(first) == decision(others[0]) == "on"
    assert only_store(tmp_path).suffix == ""


def beside(make: Callable[[], TransferTrainer]) -> TransferTrainer:
    """A run that was made and trained in the middle of another one, which draws on as if nothing had happened."""
    with torch.random.fork_rng(), torch.inference_mode(False), torch.enable_grad():
        run = make()
        run.train()
    return run


def test_the_cache_of_another_model_under_this_ones_name_is_not_used(checkpoint, corpus, tmp_path):
    clean = kept_run(checkpoint, corpus, tmp_path)
    clean.train()
    store = only_store(tmp_path)
    other = kept_run(checkpoint, corpus, tmp_path / "other")
    other.model.bert.encoder.layer[0].output.dense.weight.data *= 1.1
    other.train()
    shutil.rmtree(store)
    shutil.copytree(only_store(tmp_path / "other"), store)
    again = kept_run(checkpoint, corpus, tmp_path, "again")
    again.train()
    assert decision(again) == "on" and bits(again) == bits(clean)


def test_what_only_the_first_batch_can_see_is_seen_there(checkpoint, corpus, tmp_path, capsys):
    kept_run(checkpoint, corpus, tmp_path).train()

    def change(values, places):
        for row in places.keys() - checked(22):
            values[places[row]] = values[places[row]][::-1].copy()

    rewrite(only_store(tmp_path), change)
    # With this seed the first batch has other rows than those that are checked.
    again = kept_run(checkpoint, corpus, tmp_path, "again", seed=1)
    again.train()
    plain = kept_run(checkpoint, corpus, tmp_path, "plain", seed=1, prefix_cache=False)
    plain.train()
    assert "Prefix cache off: at depth 5 logits differ by" in capsys.readouterr().out
    assert bits(again) == bits(plain)


def test_a_hundredth_does_not_hide_in_the_precision_of_what_is_stored(checkpoint, corpus, tmp_path, capsys):
    kept_run(checkpoint, corpus, tmp_path, cache_dtype="float16").train()

    def change(values, places):
        for row in places.keys() - checked(22):
            values[places[row]] *= 1.01

    rewrite(only_store(tmp_path), change, np.float16)
    kept_run(checkpoint, corpus, tmp_path, "again", seed=1, cache_dtype="float16").train()
    assert "Prefix cache off: at depth 5 logits differ by" in capsys.readouterr().out


@pytest.mark.slow
def test_whatever_decides_the_activations_has_a_cache_of_its_own(checkpoint, corpus, tmp_path):
    kept_run(checkpoint, corpus, tmp_path).train()
    folder, counts = tmp_path / "kept" / "activations", [1]

    def another(name: str, data: str = corpus, change=lambda model: None, **flags) -> None:
        run = kept_run(checkpoint, data, tmp_path, name, **flags)
        change(run.model)
        run.train()
        counts.append(len(list(folder.iterdir())))

    another("same", learning_rate=1e-2, seed=3)
    another("weights", change=lambda model: model.bert.embeddings.LayerNorm.bias.data.add_(0.1))
    another("head", change=lambda model: model.classifier.weight.data.add_(0.1))
    another("rows", tiny.ner_folder(tmp_path, train=23, validation=8, test=8))
    another("max_length", task={"max_length": 8})
    another("dtype", cache_dtype="bfloat16")
    another("attention", change=lambda model: model.set_attn_implementation("eager"))
    assert counts == [1, 1, 2, 2, 3, 4, 5, 6]


def test_activations_too_large_for_the_precision_switch_it_off(checkpoint, corpus, tmp_path, capsys):
    run = trainer(checkpoint, corpus, tmp_path / "run", cache_dir=str(tmp_path / "kept"), **FEATURE)
    run.model.bert.encoder.layer[-1].output.LayerNorm.weight.data *= 1e6
    run.train()
    assert "Prefix cache off: an activation of" in capsys.readouterr().out
    assert run.state.global_step == run.total_steps and list((tmp_path / "kept" / "activations").iterdir()) == []


def test_a_small_budget_switches_it_off_for_the_whole_plan(checkpoint, corpus, tmp_path, capsys):
    flags = {**GRADUAL, "save_strategy": "steps", "save_steps": 8}
    whole = trainer(checkpoint, corpus, tmp_path / "whole", cache_budget=3e-5, **flags)
    whole.train()
    out = [line for line in capsys.readouterr().out.splitlines() if "cache" in line]
    assert len(out) == 1 and out[0].startswith("Prefix cache off: the activations take 0.0 GB")
    # For the one cut that is left, the budget would do.
    resumed = trainer(checkpoint, corpus, tmp_path / "resumed", cache_budget=1.0, **flags)
    resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-8"))
    assert decision(resumed) == decision(whole) != "on" and bits(resumed) == bits(whole)


@pytest.mark.parametrize(
    ("flags", "task", "reason"),
    [
        ({}, {"word_dropout": 0.1}, "the inputs are drawn anew in every epoch"),
        ({"activation_checkpointing": True}, {}, "activation checkpointing computes layers twice"),
        ({"num_train_epochs": 1}, {}, "each row passes the frozen layers 1.0 times"),
        ({"lora_rank": 2, "unfreeze_stages": 1, "head_only": 0.5}, {}, "adapters learn inside frozen layers"),
    ],
)
def test_it_stays_off_where_it_would_be_wrong_or_useless(flags, task, reason, checkpoint, corpus, tmp_path, capsys):
    run = trainer(checkpoint, corpus, tmp_path, task=task, **FEATURE, **flags)
    run.train()
    assert decision(run).startswith(reason) and f"Prefix cache off: {reason}" in capsys.readouterr().out
    assert not (tmp_path / "hfkit_cache").exists()


def test_layers_left_out_at_random_are_not_stored(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **FEATURE)
    run.model.config.encoder_layerdrop = 0.1
    run.train()
    assert "layerdrop" in decision(run)


@pytest.mark.parametrize("settings", [{"augmentation": "light"}, {"augmentation": "none", "flip": "horizontal"}])
def test_images_drawn_anew_are_not_stored(settings, images, vit, tmp_path):
    run = image_trainer(vit, ImageClassification(dataset=images, **{"flip": "none", **settings}), tmp_path, **FEATURE)
    run.train()
    assert "--cache_views" in decision(run)


def test_mixed_images_are_not_stored_in_views_either(images, vit, tmp_path):
    task = ImageClassification(dataset=images, augmentation="none", flip="none", mix="mixup")
    run = image_trainer(vit, task, tmp_path, cache_views=2, **FEATURE)
    run.train()
    assert decision(run) == "the inputs are drawn anew in every epoch"


def test_adapters_are_trained_without_a_cache(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, strategy="lora")
    run.train()
    assert decision(run) is None


def test_files_go_with_their_stage(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **GRADUAL)
    stores = {}

    def count(args, state, control, **_):
        stores[state.global_step - 1] = len(list((tmp_path / "hfkit_cache" / "activations").glob("*")))

    run.add_callback(at("on_step_end", count))
    run.train()
    assert run.unfreezing.plan.starts == (0, 6, 10, 14)
    assert [stores[step] for step in (0, 5, 6, 9, 10, 13, 14, 23)] == [3, 3, 2, 2, 1, 1, 0, 0]
    assert not (tmp_path / "hfkit_cache").exists()


def test_files_go_when_training_fails(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path, **FEATURE)

    def fail(args, state, control, **_):
        assert (tmp_path / "hfkit_cache").exists()
        raise KeyboardInterrupt

    run.add_callback(at("on_step_end", fail))
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert not (tmp_path / "hfkit_cache").exists()


@pytest.mark.parametrize(
    "kept", [pytest.param(False, id="rebuilt", marks=pytest.mark.slow), pytest.param(True, id="reopened")]
)
def test_a_resumed_run_ends_with_the_same_bits(kept, checkpoint, corpus, tmp_path):
    flags = {**GRADUAL, "cache_dir": str(tmp_path / "kept") if kept else None}
    whole = trainer(checkpoint, corpus, tmp_path / "whole", save_strategy="steps", save_steps=4, **flags)
    whole.train()
    for step in (4, 8, 12, 16):
        resumed = trainer(checkpoint, corpus, tmp_path / f"from-{step}", **flags)
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / f"checkpoint-{step}"))
        assert bits(resumed) == bits(whole) and decision(resumed) == "on", f"from step {step}"
    if kept:
        # Another resumption may keep its activations elsewhere, or nowhere.
        resumed = trainer(checkpoint, corpus, tmp_path / "elsewhere", **{**flags, "cache_dir": None})
        resumed.train(resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-8"))
        assert bits(resumed) == bits(whole)


def test_texts_padded_to_a_multiple_are_told_apart(checkpoint, corpus, tmp_path):
    """As on a GPU: lengths that differ may fill batches of one width."""
    run = trainer(checkpoint, corpus, tmp_path / "run")
    rows, collator = run.train_dataset, PaddedTexts(run.processing_class, token_labels=True, multiple=8)
    assert len(set(-(-text_lengths(rows) // 8))) > 1
    model = run.model.eval()
    frozen = Frozen(model, run.unfreezing.depths)
    with torch.no_grad():
        settings = Settings(tmp_path / "kept", "float32")
        cache = PrefixCache.build(
            frozen, rows, lambda some: run.codec.inputs(collator(some)), [3, 5], settings, {}, desc=""
        )
        for chosen in (np.arange(5), np.argsort(text_lengths(rows))[-2:], np.argsort(text_lengths(rows))[:2]):
            batch = collator([rows[int(row)] for row in chosen])
            labels = batch.pop("labels")
            real = model(**batch).logits[labels != -100]
            for depth in (3, 5):
                with cache.replay(depth, chosen, batch):
                    assert torch.allclose(model(**batch).logits[labels != -100], real, atol=1e-5)
    assert Size.of(batch).tokens == 8


def test_a_saved_model_does_not_know_of_it(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path / "run", **FEATURE)
    run.train()
    run.save_model()
    plain = trainer(checkpoint, corpus, tmp_path / "plain", strategy="full")
    assert load_file(tmp_path / "run" / "model.safetensors").keys() == plain.model.state_dict().keys()
