"""A user of the Hub in a process of its own, for tests/hub/test_push.py: the client reads HF_ENDPOINT as it is
imported.

    python -m tests.loopback.client FACTS.json

The working folder is that of `tests.fixtures.finished`. What happened is written to FACTS.json, and judged by the
tests.
"""

import json
import os
import re
import shutil
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import HfApi, snapshot_download
from safetensors.torch import load_file, save_file
from transformers import pipeline
from typer.testing import CliRunner

from hfkit.cli import app
from tests.fixtures import finished
from tests.fixtures.examples import examples_of
from tests.loopback.hub import READER, WRITER

ENDPOINT, API = os.environ["HF_ENDPOINT"], HfApi()
NER, TEXT, IMAGES = Path("runs/bert-ner"), Path("runs/bert-sentiment"), Path("runs/vit-images")
LFS = bool(os.environ.get("HF_HUB_DISABLE_XET"))
SENT = re.compile(r"/commit/|/_lfs/|/v1/xorbs/")
BLOBS = re.compile(r"/_lfs/|/v1/xorbs/")
# What is asked of each model as it was pushed: repository, revision, class, input.
ASKED = {
    "ner": (NER, "me/bert-ner", None, "AutoModelForTokenClassification", "anna met berlin ."),
    "text": (TEXT, "me/reviews", "v1.0", "AutoModelForSequenceClassification", "good good bad"),
    "images": (IMAGES, "me/digits", "small", "AutoModelForImageClassification", "picture.png"),
}


def hfkit(*argv: Any) -> dict[str, Any]:
    """A command as a user gives it: its exit code, what it printed, and what it asked the Hub."""
    first = len(log())
    ended = CliRunner().invoke(app, [str(word) for word in argv])
    if not isinstance(ended.exception, SystemExit | None):
        raise ended.exception
    asked = log()[first:]
    return {
        "code": ended.exit_code,
        "out": ended.stdout,
        "err": ended.stderr,
        "sent": [entry["path"] for entry in asked if SENT.search(entry["path"]) and entry["status"] == 200],
        "blobs": [entry["path"] for entry in asked if BLOBS.search(entry["path"]) and entry["status"] == 200],
        "created": sum(entry["path"] == "/api/repos/create" for entry in asked),
    }


def log() -> list[dict[str, Any]]:
    with urllib.request.urlopen(f"{ENDPOINT}/_control/log") as answer:
        return json.load(answer)


def control(name: str, **asked: Any) -> None:
    data = json.dumps(asked).encode()
    urllib.request.urlopen(urllib.request.Request(f"{ENDPOINT}/_control/{name}", data=data)).close()


@contextmanager
def fault(method: str, path: str, status: int, **times: int):
    control("fail", method=method, path=path, status=status, **times)
    yield
    control("clear")


@contextmanager
def token(value: str | None):
    kept = os.environ.pop("HF_TOKEN")
    if value is not None:
        os.environ["HF_TOKEN"] = value
    yield
    os.environ["HF_TOKEN"] = kept


def examples() -> dict[str, Any]:
    """Every command of the help, in order: a dry run, a private repository, a tag, a pull request, a branch."""
    return {" ".join(argv): hfkit(*argv) for argv in examples_of("push")}


def repositories() -> dict[str, Any]:
    """What lies in the repositories after them."""
    names = {"ner": ("me/bert-ner", None), "pull": ("me/digits", "refs/pr/1"), "main": ("me/digits", None)}
    names |= {"branch": ("me/digits", "small"), "text": ("me/reviews", None)}
    found = {key: sorted(API.list_repo_files(name, revision=revision)) for key, (name, revision) in names.items()}
    return {
        **found,
        "private": API.model_info("me/bert-ner").private,
        "tags": {tag.name: tag.target_commit for tag in API.list_repo_refs("me/reviews").tags},
        "head": API.model_info("me/reviews").sha,
        "card": Path(API.hf_hub_download("me/reviews", "README.md")).read_text(),
        "settings": Path(API.hf_hub_download("me/reviews", "training_args.json")).read_text(),
    }


def again() -> dict[str, Any]:
    return {
        "same": hfkit("push", NER, "me/bert-ner"),
        "with its tag": hfkit("push", TEXT, "me/reviews", "--tag", "v1.0"),
        "commits": len(API.list_repo_commits("me/bert-ner")),
    }


def loaded() -> dict[str, Any]:
    """Each pushed model out of an empty cache, beside the one in its folder."""
    return {task: _loaded(*asked, cache=Path("caches", task)) for task, asked in ASKED.items()}


def _loaded(folder: Path, name: str, revision: str | None, kind: str, given: str, *, cache: Path) -> dict[str, bool]:
    model, where = getattr(transformers, kind), {"revision": revision, "cache_dir": str(cache)}
    logits = [_logits(model, place, given, **more) for place, more in ((name, where), (folder, {}))]
    place = Path(snapshot_download(name, revision=revision, cache_dir=f"{cache}-files"))
    # Its card has got the name that it was pushed under, and its report lost the folders of this machine.
    pages = {"README.md", "report.json", "report.md", "report.html"}
    files = [path for path in place.iterdir() if (folder / path.name).is_file() and path.name not in pages]
    same = {path.name: path.read_bytes() == (folder / path.name).read_bytes() for path in files}
    task = API.model_info(name, revision=revision).pipeline_tag or _task(place)
    options = {"model_kwargs": {"cache_dir": str(cache)}, "revision": revision}
    answers = [pipeline(task, model=str(m), **more)(given) for m, more in ((name, options), (folder, {}))]
    return {
        "same logits": torch.equal(*logits),
        "some logits": logits[0].numel() > 1,
        "same files": all(same.values()) and "model.safetensors" in same,
        "same answers": answers[0] == answers[1],
        "some answer": bool(answers[0]),
    }


def _task(place: Path) -> str:
    return re.search(r"^pipeline_tag: (.+)$", (place / "README.md").read_text(), re.MULTILINE)[1]


def _logits(model: Any, place: str | Path, given: str, **where: Any) -> torch.Tensor:
    if given.endswith(".png"):
        from PIL import Image

        inputs = transformers.AutoImageProcessor.from_pretrained(place, **where)(
            Image.open(given).convert("RGB"), return_tensors="pt"
        )
    else:
        inputs = transformers.AutoTokenizer.from_pretrained(place, **where)(given, return_tensors="pt")
    with torch.no_grad():
        return model.from_pretrained(place, **where).eval()(**inputs).logits


def refused() -> dict[str, Any]:
    """Pushes that must not send anything."""
    found = {}
    with token(None):
        found["no token"] = hfkit("push", NER, "me/refused")
    with token(READER):
        found["read token"] = hfkit("push", NER, "me/refused")
    with token("hf_unknownunknownunknown"):
        found["401"] = hfkit("push", NER, "me/refused")
    found["403"] = hfkit("push", NER, "you/refused")
    with fault("POST", "/api/repos/create", 500):
        found["500"] = hfkit("push", NER, "me/refused")
    with fault("POST", "/api/validate-yaml", 0):
        found["dropped"] = hfkit("push", NER, "me/refused")
    found["no name"] = hfkit("push", NER, "me/not/allowed")
    found["public"] = hfkit("push", TEXT, "me/reviews", "--private")
    card = (NER / "README.md").read_text()
    licensed, scored = (
        card.replace("---\n", "---\nlicense: mine-alone\n", 1),
        re.sub(r"value: 0\.\d+", "value: 0.987", card),
    )
    for name, text in (
        ("number", scored),
        ("yaml", card.replace("---\n", "---\nlicense: [\n", 1)),
        ("license", licensed),
    ):
        bad = shutil.copytree(NER, Path(f"bad-{name}"))
        (bad / "README.md").write_text(text)
        if name == "license":  # a model of elsewhere, with nothing to hold its card against
            (bad / "report.json").unlink()
        found[f"card: {name}"] = hfkit("push", bad, "me/refused")
    found["repositories"] = [entry.id for entry in _existing("me/refused", "you/refused")]
    return found


def _existing(*names: str) -> list[Any]:
    return [API.model_info(name) for name in names if API.repo_exists(name)]


def interrupted() -> dict[str, Any]:
    """A push of several files of weights that breaks off, and the same command again."""
    shards = _sharded(IMAGES, Path("shards"))
    found = {}
    # A commit of many files that is refused is tried again in parts by the client.
    with fault("POST", "/api/models/me/broken/commit/", 409, times=99):
        found["409"] = hfkit("push", shards, "me/broken")
    found["after 409"] = hfkit("push", shards, "me/broken")
    # Something else to send, so that what is sent again shows.
    for path in shards.glob("*.safetensors"):
        save_file({name: -value for name, value in load_file(path).items()}, path, metadata={"format": "pt"})
    with fault("PUT" if LFS else "POST", "/_lfs/[0-9a-f]" if LFS else "/v1/shards", 403, after=LFS, times=9):
        found["uploading"] = hfkit("push", shards, "me/broken")
    # A lost connection is nothing to the client, which tries again by itself.
    with fault("PUT" if LFS else "POST", "/_lfs/[0-9a-f]" if LFS else "/commit/", 0):
        found["after uploading"] = hfkit("push", shards, "me/broken")
    found["removed"] = hfkit("push", IMAGES, "me/broken")
    found["files"] = sorted(API.list_repo_files("me/broken"))
    return found


def _sharded(folder: Path, place: Path) -> Path:
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("checkpoint-*", "model.safetensors"))
    model = transformers.AutoModelForImageClassification.from_pretrained(folder)
    model.save_pretrained(place, max_shard_size="300KB")
    return place


def recipe() -> dict[str, Any]:
    """A recipe with --push_to_hub; secrets lie about in its settings, folder and environment."""
    secret = os.environ["PLANTED"]
    told = ("--dataset", "entities", "--checkpoint", os.environ["CHECKPOINT"], "--baseline", "lexicon")
    place = Path("runs/pushed")
    place.mkdir()
    (place / ".env").write_text(f"HF_TOKEN={secret}\n")
    (place / "notes.txt").write_text(f"{secret} {os.environ['WANDB_API_KEY']}\n")
    first = len(log())
    finished.run_recipe("bert_ner", *told, "--output_dir", str(place), "--push_to_hub", "--run_name", secret)
    asked = log()[first:]
    config = json.loads((NER / "tokenizer_config.json").read_text())
    leaky = shutil.copytree(NER, Path("leaky"))
    (leaky / "tokenizer_config.json").write_text(json.dumps({**config, "note": f"key {secret}"}))
    return {
        "files": sorted(API.list_repo_files("me/pushed")),
        "commits": len(API.list_repo_commits("me/pushed")),
        "order": [entry["path"] for entry in asked if entry["method"] == "POST"],
        "place": snapshot_download("me/pushed", cache_dir="caches/pushed"),
        "leaky": hfkit("push", leaky, "me/leaky"),
    }


def main() -> None:
    os.environ["HF_TOKEN"] = WRITER
    facts = {}
    for step in (examples, repositories, again, loaded, refused, interrupted, recipe):
        facts[step.__name__] = step()
    Path(sys.argv[1]).write_text(json.dumps(facts))


if __name__ == "__main__":
    main()
