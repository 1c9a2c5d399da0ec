"""Trackers: every depth's rate, the stage and the contenders' scores, and nothing that is nobody's business.

Lines for people: one for every logging event, which a script can take apart.
"""

import gc
import json
import math
import re
import shlex
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import TrainerCallback
from transformers.integrations.integration_utils import INTEGRATION_TO_CALLBACK
from transformers.trainer_callback import TrainerState

from hfkit import TransferArguments
from hfkit.errors import UserError
from hfkit.training.console import censor, line_of
from tests.fixtures.finished import run_recipe
from tests.fixtures.runs import trainer

GRADUAL = dict(strategy="gradual", head_only=0.25, unfreeze_stages=3, unfreeze_until=0.58, thaw_warmup=0.0)
TOKEN = "hf_" + "x" * 34


def events_in(folder: Path) -> EventAccumulator:
    (place,) = (folder / "runs").iterdir()
    found = EventAccumulator(str(place))
    found.Reload()
    return found


def scalars(events: EventAccumulator, tag: str) -> dict[int, float]:
    return {event.step: event.value for event in events.Scalars(tag)}


# tensorboard


@pytest.fixture(scope="module")
def gradual(checkpoint, corpus, tmp_path_factory):
    """A run of four stages that was tracked, and its events."""
    folder = tmp_path_factory.mktemp("tracked")
    flags = dict(report_to="tensorboard", lr_scheduler_type="constant", eval_strategy="epoch", run_name=TOKEN)
    run = trainer(checkpoint, corpus, folder, **flags, **GRADUAL)
    run.train()
    run.predict(run.eval_dataset)
    return run, events_in(folder)


def test_every_depth_has_its_rate_and_none_while_it_is_frozen(gradual):
    run, events = gradual
    tags = [tag for tag in events.Tags()["scalars"] if tag.startswith("train/lr/")]
    assert tags == [
        "train/lr/00_embeddings",
        *(f"train/lr/{depth:02d}_block_{depth - 1}" for depth in range(1, 5)),
        "train/lr/05_head",
    ]
    peaks = {group["depth"]: group["lr"] for group in run.groups()}
    plan, moved = run.unfreezing.plan, 0
    for depth, tag in enumerate(tags):
        rates = scalars(events, tag)
        assert list(rates) == list(range(1, 13))
        for step, rate in rates.items():
            learns = plan.lowest_trainable(step - 1) <= depth
            assert rate == pytest.approx(peaks[depth] if learns else 0.0)
            moved += learns
    assert 0 < moved < 6 * 12


def test_the_stage_is_logged(gradual):
    run, events = gradual
    assert run.unfreezing.plan.starts == (0, 3, 5, 7)
    assert list(scalars(events, "train/stage").values()) == [1] * 3 + [2] * 2 + [3] * 2 + [4] * 5


def test_what_the_stock_trainer_logs_is_there_too(gradual):
    run, events = gradual
    history = run.state.log_history
    for tag, key in (("train/loss", "loss"), ("train/grad_norm", "grad_norm"), ("eval/f1", "eval_f1")):
        kept = {entry["step"]: entry[key] for entry in history if key in entry}
        assert len(kept) in (2, 12) and scalars(events, tag) == pytest.approx(kept)


def test_the_log_of_the_run_stays_as_it_is(gradual):
    run, _ = gradual
    keys = {key for entry in run.state.log_history for key in entry}
    assert {"learning_rate", "head_learning_rate", "lowest_learning_rate", "lowest_trainable_depth"} <= keys
    assert [key for key in keys if "/" in key or key == "stage"] == []


def test_a_prediction_is_not_taken_for_a_test(gradual):
    assert [tag for tag in gradual[1].Tags()["scalars"] if tag.startswith("test/")] == []


def test_arguments_are_told_without_secrets(gradual):
    run, events = gradual
    (text,) = events.Tensors("args/text_summary")
    told = text.tensor_proto.string_val[0].decode()
    assert '"strategy": "gradual"' in told and '"run_name": "(withheld)"' in told
    assert run.args.run_name == TOKEN
    files = [file for file in Path(run.args.output_dir).rglob("*") if file.is_file()]
    assert files and not [file for file in files if TOKEN.encode() in file.read_bytes()]


def test_a_recipe_ends_with_the_scores_of_all_contenders(checkpoint, corpus, tmp_path):
    flags = ("--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path), "--baseline", "lexicon")
    run_recipe("bert_ner", *flags, "--report_to", "tensorboard")
    report = json.loads((tmp_path / "report.json").read_text())
    events = events_in(tmp_path)
    told = {tag: next(iter(scalars(events, tag).values())) for tag in events.Tags()["scalars"] if tag[:5] == "test/"}
    wanted = {}
    for contender in report["contenders"]:
        name = re.sub(r"\W+", "_", contender["name"].replace("-", "HYPHEN")).strip("_").replace("HYPHEN", "-")
        values = {"": contender["headline"], **{f"_{end}": contender["interval"][end] for end in ("low", "high")}}
        wanted |= {f"test/f1{end}/{name}": value for end, value in values.items()}
    assert len(wanted) == 9 and told == pytest.approx(wanted)


# Which trackers


def test_without_the_flag_nothing_is_tracked(checkpoint, corpus, tmp_path):
    assert trainer(checkpoint, corpus, tmp_path).trackers == []


PACKAGES = {
    **{"tensorboard": "tensorboard", "trackio": "trackio", "wandb": "wandb", "mlflow": "mlflow", "dagshub": "mlflow"},
    **{"comet_ml": "'comet-ml>=3.43.2'", "clearml": "clearml", "dvclive": "dvclive", "neptune": "neptune"},
    **{"swanlab": "swanlab", "codecarbon": "codecarbon", "flyte": "flytekit", "azure_ml": "azureml-sdk"},
}


@pytest.mark.parametrize("name", INTEGRATION_TO_CALLBACK)
def test_a_tracker_that_cannot_start_is_refused_by_name_with_the_command(name, monkeypatch, capsys, tmp_path):
    for module in (name, "tensorboardX", "mlflow", "flytekit", "azureml"):
        monkeypatch.setitem(sys.modules, module, None)  # as if it could not be found
    with pytest.raises(UserError) as refused:
        TransferArguments(output_dir=str(tmp_path), report_to=name, use_cpu=True)
    if name in PACKAGES:
        rule = f"its package is not installed. Run: pip install {PACKAGES[name]}, or leave --report_to out."
    else:  # a setting is missing, not a package
        assert name == "kubeflow"
        rule = "it cannot start (KubeflowCallback requires KUBEFLOW_TRAINER_SERVER_URL environment variable"
    assert str(refused.value).startswith(f"report_to={name}: {rule}")
    gc.collect(1)  # the callback that half began is young
    assert capsys.readouterr() == ("", "")


def test_a_tracker_that_is_not_installed_is_refused_before_data_is_read(monkeypatch, capsys, tmp_path):
    monkeypatch.setitem(sys.modules, "dvclive", None)
    with pytest.raises(SystemExit) as end:
        run_recipe("bert_ner", "--dataset", "no/such", "--output_dir", str(tmp_path), "--report_to", "dvclive")
    assert end.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: report_to=dvclive: its package is not installed.")


def test_a_tracker_that_breaks_on_import_is_refused(monkeypatch, tmp_path):
    """`wandb` may be found and still not import."""

    class Breaks(TrainerCallback):
        def __init__(self):
            raise AttributeError("module 'numpy' has no attribute 'float_'")

    monkeypatch.setitem(INTEGRATION_TO_CALLBACK, "wandb", Breaks)
    with pytest.raises(UserError, match=r"report_to=wandb: it cannot start \(module 'numpy' .*\). Mend that, or leave"):
        TransferArguments(output_dir=str(tmp_path), report_to=["tensorboard", "wandb"], use_cpu=True)


def test_a_tracker_that_nobody_knows_is_refused(tmp_path):
    with pytest.raises(UserError, match="report_to=tensorbord: it is one of azure_ml, .*, wandb. Use tensorboard, or"):
        TransferArguments(output_dir=str(tmp_path), report_to="tensorbord", use_cpu=True)


class WritesEverythingDown(TrainerCallback):
    def on_train_begin(self, args, state, control, **kwargs):
        self.told = [args.to_dict(), args.to_json_string(), list(sys.argv), kwargs, args.run_name]

    def on_predict(self, args, state, control, metrics, **kwargs):
        self.told = None


def test_trackers_that_look_at_the_command_line_see_no_secret(monkeypatch, tmp_path):
    whole = ["recipe.py", "--hub_token", TOKEN, "--run_name", "a name", f"--note={TOKEN}"]
    monkeypatch.setattr(sys, "argv", whole)
    monkeypatch.setenv("HOME", str(tmp_path))
    args = TransferArguments(output_dir=str(tmp_path / "out"), run_name=TOKEN, use_cpu=True)
    tracker = WritesEverythingDown()
    censor(tracker)
    tracker.on_train_begin(args, TrainerState(), None, model="model")
    settings, text, argv, kwargs, name = tracker.told
    assert name == "(withheld)" and args.run_name == TOKEN
    assert TOKEN not in text and settings["output_dir"] == "~/out" and kwargs == {"model": "model"}
    assert argv == ["recipe.py", "--hub_token", "(withheld)", "--run_name", "a name", "--note=(withheld)"]
    assert sys.argv is whole and args.output_dir == str(tmp_path / "out")
    tracker.on_predict(args, TrainerState(), None, metrics={})
    assert tracker.told is not None


# Lines


@pytest.mark.parametrize("quiet", [True, False])
def test_the_lines_of_a_log_can_be_taken_apart(quiet, checkpoint, corpus, tmp_path, capsys):
    run = trainer(checkpoint, corpus, tmp_path, eval_strategy="epoch", disable_tqdm=quiet, **GRADUAL)
    run.train()
    out, err = capsys.readouterr()
    assert err == ""
    lines = [dict(word.split("=") for word in shlex.split(line)) for line in out.splitlines() if line[:5] == "step="]
    history = [entry for entry in run.state.log_history if not {"prefix_cache", "unpadding"} & entry.keys()]
    assert [line["step"] for line in lines] == [f"{entry['step']}/12" for entry in history]
    stages = [run.unfreezing.plan.stage(entry["step"] - 1) + 1 for entry in history]
    assert [line["stage"] for line in lines] == [f"{stage}/4" for stage in stages]
    for line, entry in zip(lines, history, strict=True):
        assert float(line["epoch"]) == pytest.approx(entry["epoch"], abs=0.005)
        for key in {"loss", "eval_loss", "eval_f1", "head_learning_rate", "train_loss"} & entry.keys():
            assert float(line[key]) == pytest.approx(entry[key], rel=1e-3)
    assert not [key for line in lines for key in line if "_PER" in key or "/" in key or "per_second" in key]


def test_a_value_that_is_no_number_is_shown():
    state = TrainerState(global_step=7, max_steps=9, epoch=0.5)
    line = line_of({"loss": math.nan, "grad_norm": math.inf, "epoch": 0.5, "note": "two words"}, state, "1/2")
    assert line == "step=7/9 epoch=0.50 stage=1/2 loss=nan grad_norm=inf note='two words'"
