"""A push round trip with the real client, by Xet and by LFS: what goes up, what never does, what breaks, what loads.

The Hub is `tests.loopback.hub`, in this process; its user is `tests.loopback.client`, one process for each way of
uploading.
"""

import base64
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock
from typer.testing import CliRunner

from hfkit.cli import app
from hfkit.errors import UserError
from hfkit.hub.push import push
from tests.fixtures import finished
from tests.fixtures.pairs import free_port
from tests.fixtures.runs import trainer
from tests.loopback.hub import DROPPED, READER, WRITER, Fault, Hub, running

ROOT = Path(__file__).parents[2]
PLANTED, OWN = "hf_" + "Planted0" * 4, "0123456789abcdef" * 2
MODEL = {"README.md", "config.json", "model.safetensors", "report.html", "report.json", "report.md"}
MODEL |= {".gitattributes", "training_args.json"}
TEXT = MODEL | {"tokenizer.json", "tokenizer_config.json"}
PICTURES = MODEL | {"preprocessor_config.json", *(f"examples/{digit}.png" for digit in range(10))}


def environment(hub: Hub, place: Path, way: str) -> dict[str, str]:
    """Of a process whose Hub is the loopback's, with caches of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    own = {"HF_ENDPOINT": hub.url, "HF_TOKEN": WRITER, "HF_HOME": str(place / "hf"), "HF_XET_TELEMETRY_ENABLED": "0"}
    own |= {"PLANTED": PLANTED, "WANDB_API_KEY": OWN, "PYTHONPATH": str(ROOT)}
    return {**kept, **own, **({"HF_HUB_DISABLE_XET": "1"} if way == "lfs" else {})}


@pytest.fixture(scope="session", params=["xet", pytest.param("lfs", marks=pytest.mark.slow)])
def round_trip(request, finished_once, checkpoint, tmp_path_factory) -> SimpleNamespace:
    """What a user saw, as `tests.loopback.client` wrote it, and what the Hub saw. Made once for all workers."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    base = tmp_path_factory.getbasetemp()
    place = (base if alone else base.parent) / f"push-{request.param}"
    with FileLock(f"{place}.lock"):
        if not (place / "ended.json").exists():
            place.mkdir()
            make(place, request.param, finished_once, checkpoint)
    ended = json.loads((place / "ended.json").read_text())
    assert ended["code"] == 0, ended["stderr"][-3000:]
    log = [{**entry, "body": base64.b64decode(entry["body"])} for entry in ended.pop("log")]
    facts = json.loads((place / "facts.json").read_text())
    return SimpleNamespace(way=request.param, work=place / "work", log=log, **ended, **facts)


def make(place: Path, way: str, finished_once: Path, checkpoint: str) -> None:
    shutil.copytree(finished_once, place / "work")
    with running() as hub:
        ended = subprocess.run(
            [sys.executable, "-m", "tests.loopback.client", str(place / "facts.json")],
            env=environment(hub, place, way) | {"CHECKPOINT": checkpoint},
            cwd=place / "work",
            capture_output=True,
            text=True,
        )
        log = [{**entry, "body": base64.b64encode(entry["body"]).decode()} for entry in hub.log]
    facts = {"url": hub.url, "code": ended.returncode, "stdout": ended.stdout, "stderr": ended.stderr, "log": log}
    (place / "ended.json").write_text(json.dumps(facts))


# What goes up


@pytest.mark.slow
def test_the_examples_of_the_help_run(round_trip):
    dry, private, tag, proposed, branch = round_trip.examples.values()
    for ended in (dry, private, tag, proposed, branch):
        assert ended["code"] == 0, ended
    assert not dry["sent"] and "Nothing was sent." in dry["out"]
    assert "checkpoint-3/" in dry["out"] and "optimizer" not in private["out"]
    for ended, name in ((private, "me/bert-ner"), (tag, "me/reviews"), (proposed, "me/digits/discussions/1")):
        assert f"Pushed: {round_trip.url}/{name} (" in ended["out"]
    pushed = json.loads(branch["out"])
    assert pushed["url"].endswith("/me/digits/tree/small") and pushed["changed"]
    assert set(pushed["files"]) == PICTURES - {".gitattributes"}
    # The same weights for the second time, in another branch: nothing but a commit.
    assert proposed["blobs"] and not branch["blobs"] and branch["sent"]


@pytest.mark.slow
def test_each_way_is_taken(round_trip):
    paths = " ".join(entry["path"] for entry in round_trip.log)
    assert ("/_lfs/" in paths) == (round_trip.way == "lfs")
    assert ("/_cas/v1/xorbs" in paths) == (round_trip.way == "xet")


@pytest.mark.slow
def test_only_what_is_listed_is_in_the_repositories(round_trip):
    found = round_trip.repositories
    assert set(found["ner"]) == set(found["text"]) == TEXT
    assert set(found["pull"]) == set(found["branch"]) == PICTURES
    assert found["main"] == [".gitattributes"]
    assert found["private"] and found["tags"] == {"v1.0": found["head"]}


@pytest.mark.slow
def test_the_same_push_again_sends_nothing_and_commits_nothing(round_trip):
    for key in ("same", "with its tag"):
        ended = round_trip.again[key]
        assert ended["code"] == 0 and ended["sent"] == [] and ended["out"].startswith("Nothing has changed: ")
    assert round_trip.again["commits"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("task", ["ner", "text", "images"])
def test_a_pushed_model_is_the_local_one(round_trip, task):
    found = round_trip.loaded[task]
    assert found and all(found.values()), found


@pytest.mark.slow
def test_the_card_is_published_under_the_name_of_the_repository(round_trip):
    card = round_trip.repositories["card"]
    assert 'model="me/reviews"' in card
    assert 'model="me/reviews"' not in (round_trip.work / "runs/bert-sentiment/README.md").read_text()
    settings = json.loads(round_trip.repositories["settings"])
    assert settings["strategy"] == "gradual" and settings["seed"] == 42


# What is refused, and what breaks


@pytest.mark.slow
@pytest.mark.parametrize(
    ("case", "code", "fragments"),
    [
        ("no token", 2, ["token: there is none", "hf auth login", "hfkit push runs/bert-ner me/refused"]),
        ("read token", 2, ["token: it may not write there", "hfkit push runs/bert-ner me/refused"]),
        ("401", 2, ["does not accept it (401)", "hfkit push runs/bert-ner me/refused"]),
        ("403", 2, ["'you/refused'", "may not write there (403)", "hfkit push runs/bert-ner you/refused"]),
        ("500", 1, ["500 Internal Server Error", "Nothing here was lost", "hfkit push runs/bert-ner me/refused"]),
        ("dropped", 1, ["broke off", "Nothing here was lost", "hfkit push runs/bert-ner me/refused"]),
        ("no name", 2, ["'me/not/allowed'", "owner and a name"]),
        ("public", 2, ["'me/reviews': it exists and is public", "hfkit push runs/bert-sentiment me/reviews --private"]),
        ("card: number", 2, ["model card: README.md, line", "0.987", "hfkit card write bad-number"]),
        ("card: yaml", 2, ["model card: README.md, line", "no plain YAML", "hfkit push bad-yaml me/refused"]),
        ("card: license", 2, ["model card: the Hub refuses it", "license", "hfkit push bad-license me/refused"]),
    ],
)
def test_what_cannot_be_pushed_is_refused_in_one_line_before_anything_is_sent(round_trip, case, code, fragments):
    ended = round_trip.refused[case]
    lines = [line for line in ended["err"].splitlines() if line.startswith("error: ")]
    assert ended["code"] == code and len(lines) == 1, ended
    assert all(fragment in lines[0] for fragment in fragments), lines
    assert ended["sent"] == [] and ended["out"] == ""


@pytest.mark.slow
def test_a_refused_push_leaves_no_repository_behind(round_trip):
    assert round_trip.refused["repositories"] == []
    assert [round_trip.refused[f"card: {name}"]["created"] for name in ("number", "yaml", "license")] == [0, 0, 0]


@pytest.mark.slow
def test_an_interrupted_push_goes_on_where_it_stopped(round_trip):
    found = round_trip.interrupted
    assert found["409"]["code"] == 1 and found["409"]["blobs"]
    assert "Someone else is changing 'me/broken' (409)" in found["409"]["err"]
    assert "hfkit push shards me/broken" in found["409"]["err"]
    assert found["after 409"]["code"] == 0 and found["after 409"]["blobs"] == [] and found["after 409"]["sent"]
    assert found["uploading"]["code"] > 0 and "hfkit push shards me/broken" in found["uploading"]["err"]
    assert found["after uploading"]["code"] == 0
    if round_trip.way == "lfs":  # a file is stored or it is not; Xet stores what a push sent when it has all of it
        assert found["uploading"]["blobs"] and not {*found["uploading"]["blobs"]} & {*found["after uploading"]["blobs"]}


@pytest.mark.slow
def test_what_a_former_push_left_and_this_one_lacks_is_removed(round_trip):
    assert "removed  model-00001-of-" in round_trip.interrupted["removed"]["out"]
    assert set(round_trip.interrupted["files"]) == PICTURES


# A recipe


@pytest.mark.slow
def test_a_recipe_pushes_once_when_report_and_card_are_there(round_trip):
    found = round_trip.recipe
    assert set(found["files"]) == TEXT
    assert found["commits"] == 2, "the one that makes a repository, and the push"
    assert f"Pushed: {round_trip.url}/me/pushed" in round_trip.stdout
    assert 'model="me/pushed"' in (round_trip.work / "runs/pushed/README.md").read_text()


@pytest.mark.slow
def test_a_secret_never_leaves_the_machine(round_trip):
    leaky = round_trip.recipe["leaky"]
    assert leaky["code"] == 2 and leaky["sent"] == [] and leaky["created"] == 0
    assert "'tokenizer_config.json' (Hugging Face token)" in leaky["err"]
    # What was downloaded is what Xet had compressed.
    files = [path for path in Path(round_trip.recipe["place"]).rglob("*") if path.is_file()]
    run = round_trip.work / "runs/pushed"
    files += [path for path in run.rglob("*") if path.is_file() and path.name not in (".env", "notes.txt")]
    assert {"README.md", "report.json", "report.html", "hfkit_run.json"} <= {path.name for path in files}
    seen = {str(path): path.read_bytes() for path in files}
    seen |= {f"{i} {entry['path']}": entry["body"] for i, entry in enumerate(round_trip.log)}
    seen |= {"stdout": round_trip.stdout.encode(), "stderr": round_trip.stderr.encode()}
    seen |= {"facts": json.dumps([round_trip.examples, round_trip.refused, round_trip.recipe["leaky"]]).encode()}
    assert (run / ".env").read_text().count(PLANTED) == 1
    for secret in (PLANTED, OWN, WRITER, READER):
        assert [name for name, content in seen.items() if secret.encode() in content] == []


# In a process of its own


def recipe(finished_once: Path, checkpoint: str) -> list[str]:
    flags = ["--dataset", str(finished_once / "entities"), "--checkpoint", checkpoint, "--baseline", "lexicon"]
    return [str(ROOT / "recipes/bert_ner.py"), *flags, *finished.SHORT, "--push_to_hub"]


@pytest.mark.slow
@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_of_two_processes_the_first_one_pushes(way, hub, finished_once, checkpoint, tmp_path):
    launcher = ["-m", "torch.distributed.run", "--nproc_per_node", "2", "--master_port", str(free_port())]
    ended = subprocess.run(
        [sys.executable, *launcher, *recipe(finished_once, checkpoint), "--hub_model_id", "two"],
        env=environment(hub, tmp_path, way) | {"OMP_NUM_THREADS": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert set(hub.repos["me/two"].at("main").files) == TEXT
    asked = [entry["path"] for entry in hub.log]
    assert asked.count("/api/repos/create") == 1 and asked.count("/api/models/me/two/commit/main") == 1


@pytest.mark.slow
@pytest.mark.parametrize("status", [DROPPED, 500])
@pytest.mark.parametrize("way", ["xet", "lfs"])
def test_a_hub_that_stays_broken_loses_nothing(way, status, hub, finished_once, checkpoint, tmp_path):
    hub.faults.append(Fault("POST", "/commit/", status, times=1000))
    options = dict(env=environment(hub, tmp_path, way), cwd=tmp_path, capture_output=True, text=True)
    command = [sys.executable, *recipe(finished_once, checkpoint), "--output_dir", "out", "--hub_revision", "dev"]
    ended = subprocess.run(command, **options)
    assert ended.returncode == 1, ended.stderr[-3000:]
    again = "hfkit push out me/out --revision dev"
    assert f"run `{again}`" in ended.stderr.lower() and "The run is complete in 'out', but it was not" in ended.stderr
    assert {"model.safetensors", "report.html", "README.md"} <= {path.name for path in (tmp_path / "out").iterdir()}
    hub.faults.clear()
    ended = subprocess.run([sys.executable, "-m", "hfkit.cli", *again.split()[1:]], **options)
    assert ended.returncode == 0, ended.stderr
    assert set(hub.repos["me/out"].at("dev").files) == TEXT


# Without a network


def test_a_dry_run_needs_no_network(finished_runs):
    ended = CliRunner().invoke(app, ["push", "runs/bert-ner", "me/bert-ner", "--dry-run", "--json"])
    planned = json.loads(ended.stdout)
    assert ended.exit_code == 0 and planned["url"] is None and not planned["changed"]
    assert planned["files"]["model.safetensors"] == (finished_runs / "runs/bert-ner/model.safetensors").stat().st_size
    assert "checkpoint-3/optimizer.pt" in planned["left_out"]


def test_offline_is_said_at_once(finished_runs, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", WRITER)
    ended = CliRunner().invoke(app, ["push", "runs/bert-ner", "me/bert-ner"])
    assert ended.exit_code == 2 and ended.stdout == ""
    assert ended.stderr.startswith(
        "error: HF_HUB_OFFLINE: nothing is pushed while it is set. Unset it, then run `hfkit"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"create_pr": True, "revision": "dev"}, "a pull request is made against main"),
        ({"create_pr": True, "tag": "v1"}, "what is only proposed gets no tag"),
    ],
)
def test_what_contradicts_itself_is_refused(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        push(tmp_path, "me/x", **options)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"push_to_hub": True}, "HF_HUB_OFFLINE: nothing is pushed while it is set"),
        ({"push_to_hub": True, "hub_model_id": "a/b/c"}, "repository 'a/b/c'"),
        ({"hub_token": "hf_" + "x" * 34}, r"hub_token: a flag is seen by others.*Set HF_TOKEN"),
        ({"hub_strategy": "every_save"}, "hub_strategy=every_save: a run is pushed when it has ended"),
    ],
)
def test_a_run_that_could_not_be_pushed_does_not_begin(flags, message, checkpoint, corpus, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", WRITER)
    with pytest.raises(UserError, match=message) as refusal:
        trainer(checkpoint, corpus, tmp_path / "out", **flags)
    assert "hf_x" not in str(refusal.value)


def test_saving_a_model_pushes_nothing(checkpoint, corpus, tmp_path):
    run = trainer(checkpoint, corpus, tmp_path)
    run.args.push_to_hub = True  # as with a Hub: here every request would raise
    run.save_model()
    assert (tmp_path / "model.safetensors").is_file()
