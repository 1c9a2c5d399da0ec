"""What a push takes out of a folder: files of known names that lie in it, and none that holds a secret."""

import html
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest
import torch
from safetensors.torch import save_file

from hfkit.errors import UserError
from hfkit.hub.push import push
from hfkit.hub.secrets import refuse_secrets
from hfkit.hub.staging import choose, stage, staged_files
from hfkit.runtime.redaction import SECRETS, withhold_secrets

# Made up, and built so that no scanner takes this file for a leak.
EXAMPLES = {
    "Hugging Face token": ["hf_" + "Ab1" * 11, "api_org_" + "aB" * 17],
    "GitHub token": ["ghp_" + "a1B2" * 9, "github_pat_" + "11AB" * 10 + "_x"],
    "AWS key": ["AKIA" + "ABCD" * 4, 'aws_secret_access_key = "' + "aB3/" * 10 + '"'],
    "OpenAI or Anthropic key": ["sk-" + "a1B2" * 12, "sk-proj-" + "a1_B-" * 8, "sk-ant-api03-" + "a1_B-" * 18],
    "Slack token": ["xoxb-" + "123456789012-" * 2 + "abc", "hooks.slack.com/services/T0AB/B0CD/" + "a1B2" * 6],
    "Google key": ["AIza" + "a1B2_" * 7, "ya29." + "a1B2" * 9],
    "GitLab or PyPI token": ["glpat-" + "a1B2_" * 4, "pypi-AgEI" + "a1B2_" * 12],
    "address with a password": [
        "http://ada:" + "correct-horse@" + "proxy.example:8080",
        "postgres://u:" + "a1!B2@db/x",
    ],
    "private key": [
        "-----BEGIN OPENSSH " + "PRIVATE KEY-----\nb3BlbnNzaC1rZXk\n-----END OPENSSH " + "PRIVATE KEY-----"
    ],
    "bearer token": ['"Authorization": "Bearer ' + "a1B2" * 8 + '"'],
}
EVERY = [(kind, example) for kind, examples in EXAMPLES.items() for example in examples]


@pytest.fixture
def folder(tmp_path) -> Path:
    """A saved model with a card, as small as it gets."""
    place = tmp_path / "model"
    (place / "adapter").mkdir(parents=True)
    for name in ("config.json", "tokenizer.json", "adapter/adapter_config.json"):
        (place / name).write_text("{}")
    for name in ("README.md", "adapter/README.md"):
        (place / name).write_text("# A model\n")
    for name in ("model.safetensors", "adapter/adapter_model.safetensors"):
        save_file({"weight": torch.zeros(4)}, place / name, metadata={"format": "pt"})
    return place


LEFT_OUT = (
    *("training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "trainer_state.json", "hfkit_run.json"),
    *(".env", "train.log", "events.out.tfevents.1", "pytorch_model.bin", "other.safetensors", "notes.md", "data.csv"),
    *("checkpoint-3/model.safetensors", "checkpoint-3/config.json", "hfkit_cache/rows.bin", "runs/tb/events.1"),
    *("adapter/optimizer.pt", ".git/config", "wandb/secrets.yaml", ".eval_results/run.log", "plots/page.html"),
)
TAKEN = (
    *("generation_config.json", "model-00001-of-00002.safetensors", "model.safetensors.index.json", "report.md"),
    *("model.fp16.safetensors", "vocab.txt", "merges.txt", "spiece.model", "chat_template.jinja", "report.html"),
    *("preprocessor_config.json", "processor_config.json", "special_tokens_map.json", "plots/curve.svg"),
    *(".eval_results/wnut17.yaml", "examples/0.png"),
)


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".safetensors"):
            save_file({"weight": torch.zeros(4)}, folder / name)
        else:
            (folder / name).write_text("{}")


def test_known_names_are_taken_and_all_else_is_left_out(folder):
    before = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    write(folder, *LEFT_OUT, *TAKEN)
    selection = choose(folder)
    assert set(selection.files) == before | set(TAKEN)
    assert set(selection.left_out) == set(LEFT_OUT)
    assert selection.left_out["data.csv"] == 2


def test_the_folder_stays_as_it_is_and_small_files_are_copies(folder, tmp_path):
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    (tmp_path / "stage").mkdir()
    stage(choose(folder), tmp_path / "stage")
    staged = staged_files(tmp_path / "stage")
    assert set(staged) == {path.relative_to(folder).as_posix() for path in before}
    staged["README.md"].write_text("another card")
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_the_settings_go_along_redacted(folder, tmp_path):
    secret = "hf_" + "Ab1" * 11
    settings = {
        "learning_rate": 1e-4,
        "hub_token": "anything",
        "run_name": f"x {secret}",
        "output_dir": str(Path.home()),
    }
    (folder / "report.json").write_text(json.dumps({"settings": settings}))
    (tmp_path / "stage").mkdir()
    stage(choose(folder), tmp_path / "stage")
    assert json.loads((tmp_path / "stage/training_args.json").read_text()) == {
        "learning_rate": 1e-4,
        "hub_token": "(withheld)",
        "run_name": "x (withheld)",
        "output_dir": "~",
    }


@pytest.mark.parametrize("name", ["vocab.txt", "model-00001-of-00002.safetensors", "adapter", "examples"])
def test_a_link_that_leads_outside_is_refused(name, folder, tmp_path):
    outside = tmp_path / "outside"
    write(outside, "adapter_config.json", "0.png")
    for path in (folder / "adapter").iterdir():
        path.unlink()
    (folder / "adapter").rmdir()
    (folder / name).symlink_to(outside if name in ("adapter", "examples") else outside / "adapter_config.json")
    with pytest.raises(UserError, match=rf"'{name}.*a link that leads out of the folder.*Put a copy"):
        choose(folder)


def test_links_inside_and_links_that_are_left_out_anyway_are_fine(folder, tmp_path):
    (folder / "vocab.txt").symlink_to(folder / "tokenizer.json")
    (folder / "elsewhere").symlink_to(tmp_path)
    (folder / "secrets.env").symlink_to("/etc/hostname")
    selection = choose(folder)
    assert "vocab.txt" in selection.files and {"elsewhere", "secrets.env"} <= set(selection.left_out)


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        (["config.json"], r"there is no config\.json or adapter_config\.json"),
        (["README.md"], r"there is no README\.md or report\.json"),
        (["model.safetensors"], r"there are no weights in it"),
    ],
)
def test_what_is_no_model_is_refused(missing, message, folder):
    for name in missing:
        (folder / name).unlink()
    with pytest.raises(UserError, match=message):
        choose(folder)
    with pytest.raises(UserError, match="there is no such folder"):
        choose(folder / "nowhere")


# Secrets


def refusal(folder: Path) -> str:
    with pytest.raises(UserError) as refused:
        refuse_secrets(choose(folder).files, then="then run `hfkit push`")
    return str(refused.value)


def test_every_kind_has_an_example():
    assert EXAMPLES.keys() == SECRETS.keys()


@pytest.mark.parametrize(("kind", "example"), EVERY, ids=[f"{kind} {i}" for i, (kind, _) in enumerate(EVERY)])
def test_a_secret_is_found_by_its_looks_and_not_repeated(kind, example, folder):
    (folder / "tokenizer.json").write_text(f'{{"note": "see {example} there"}}')
    message = refusal(folder)
    assert f"'tokenizer.json' ({kind})" in message and "nothing was sent" in message and "README" not in message
    assert example not in message and example[6:20] not in message
    published = withhold_secrets({"note": [f"see {example} there"]})
    assert "(withheld)" in published["note"][0] and example not in published["note"][0]


def test_metadata_of_weights_is_looked_at(folder):
    weights = {"weight": torch.zeros(4)}
    save_file(weights, folder / "model.safetensors", metadata={"by": EXAMPLES["GitHub token"][0]})
    assert "'model.safetensors' (GitHub token)" in refusal(folder)
    (folder / "model.safetensors").write_bytes(b"\x00" * 100)
    with pytest.raises(UserError, match=r"'model\.safetensors': it is not a safetensors file"):
        refuse_secrets(choose(folder).files, then="")


def test_numbers_of_weights_are_no_secret_unless_they_are_this_users_own(folder, monkeypatch):
    token = EXAMPLES["Hugging Face token"][0].encode().ljust(64)
    save_file({"weight": torch.frombuffer(bytearray(token), dtype=torch.uint8)}, folder / "model.safetensors")
    refuse_secrets(choose(folder).files, then="")
    monkeypatch.setenv("HF_TOKEN", token.decode().strip())
    assert "'model.safetensors' (value of HF_TOKEN)" in refusal(folder)


def test_a_value_of_the_environment_is_found_though_it_looks_like_nothing(folder, monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("SHORT_TOKEN", "{}")
    (folder / "config.json").write_text('{"key": "0123456789abcdef"}')
    message = refusal(folder)
    assert "'config.json' (value of WANDB_API_KEY)" in message and "SHORT" not in message
    assert "0123456789abcdef" not in message
    assert withhold_secrets("key 0123456789abcdef!") == "key (withheld)!"


def test_a_secret_in_a_name_is_found_and_the_name_is_not_printed(folder):
    secret = EXAMPLES["GitLab or PyPI token"][0]
    (folder / f"model.{secret}.safetensors").write_bytes((folder / "model.safetensors").read_bytes())
    (folder / f"notes-{secret}.txt").touch()
    message = refusal(folder)
    assert "'model.(withheld).safetensors' (GitLab or PyPI token)" in message and secret not in message
    assert "notes-(withheld).txt" in choose(folder).left_out


@pytest.mark.parametrize("name", ["report.html", "tokenizer.json", "README.md", "config.json"])
def test_a_secret_is_found_however_it_is_written(name, folder, monkeypatch):
    secret = 'pass & "word" <1> ä/b'
    monkeypatch.setenv("MY_PASSWORD", secret)
    written = {"report.html": html.escape(secret), "README.md": quote(secret, safe="")}.get(name, json.dumps(secret))
    (folder / name).write_text(written)
    assert f"'{name}' (value of MY_PASSWORD)" in refusal(folder)


def test_what_netrc_holds_is_found(folder, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".netrc").write_text("machine api.tracker.example\n  login user\n  password 0123456789abcdef0123\n")
    (tmp_path / ".netrc").chmod(0o600)
    (folder / "config.json").write_text('{"key": "0123456789abcdef0123"}')
    assert "'config.json' (password of api.tracker.example in .netrc)" in refusal(folder)


def test_labels_that_are_called_like_secrets_are_no_secrets(monkeypatch):
    facts = {"password": {"f1": 0.5}, "api_key": 12, "token": ["hf", "x"], "hub_token": "abc", "ids": {"token": [1]}}
    public = withhold_secrets(facts)
    assert public == facts | {"token": "(withheld)", "hub_token": "(withheld)"}


def test_labels_that_look_like_tokens_are_withheld_one_by_one():
    first, second = EXAMPLES["Hugging Face token"]
    public = withhold_secrets({first: {"f1": 0.5}, "other": {second: 1}, second: {"f1": 0.25}, "labels": (first, "a")})
    assert public == {
        "(withheld)": {"f1": 0.5},
        "other": {"(withheld)": 1},
        "(withheld) 2": {"f1": 0.25},
        "labels": ("(withheld)", "a"),
    }


def test_a_label_that_looks_like_a_token_is_withheld_in_the_names_of_its_scores():
    for kind, example in EVERY:
        if kind not in ("address with a password", "private key", "bearer token"):
            public = withhold_secrets({f"eval_f1_{example}": 0.5})
            assert "(withheld)" in next(iter(public)) and example not in next(iter(public)), kind


def test_the_home_folder_is_found_inside_a_text(monkeypatch):
    monkeypatch.setenv("HOME", "/home/ada")
    public = withhold_secrets(["--dataset=/home/ada/x", "a '/home/ada' b", "/home/adam", "/mnt/home/ada", "/home/ada"])
    assert public == ["--dataset=~/x", "a '~' b", "/home/adam", "/mnt/home/ada", "~"]
    monkeypatch.setenv("HOME", "/")
    assert withhold_secrets("/a/b") == "/a/b"


def test_the_token_that_was_logged_in_with_is_found(folder):
    """In a process of its own: where the token lies is decided when the client is imported."""
    place = folder.parent / "token"
    place.write_text("looks-like-nothing-at-all\n")
    (folder / "tokenizer.json").write_text('{"a": "looks-like-nothing-at-all"}')
    code = "from hfkit.runtime.redaction import find_own_secrets; print(sorted(find_own_secrets()))"
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={"HF_TOKEN_PATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[2],
    )
    assert ended.stdout.strip() == "['token of `hf auth login`']"


def test_a_secret_in_markdown_is_found_though_its_underscore_is_escaped(folder):
    (folder / "README.md").write_text("# A model\n" + EXAMPLES["Hugging Face token"][0].replace("_", "\\_"))
    assert "'README.md' (Hugging Face token)" in refusal(folder)


def test_a_secret_on_the_seam_of_two_pieces_is_found(folder, monkeypatch):
    monkeypatch.setattr("hfkit.hub.secrets.PIECE", 5000)
    for at in (4980, 4999, 5010, 9990):
        (folder / "tokenizer.json").write_text("x" * at + " " + EXAMPLES["GitHub token"][0] + " " + "y" * 6000)
        assert "'tokenizer.json' (GitHub token)" in refusal(folder)


def test_what_only_resembles_a_secret_passes(folder):
    words = ["hf_hub", "hf_transformers", "sk-toggleable__content", "sk-learn-like-library-of-estimators", "sk-SK"]
    words += [
        "##ghp_",
        "akiaabcdabcdabcdabcd",
        "xoxo",
        "xoxb-",
        "AIza",
        "Bearer",
        "Authorization: Basic",
        "BEGIN PUBLIC KEY",
    ]
    words += ["-----BEGIN CERTIFICATE-----", "pad_token", "private key", "risk-" + "a1B2" * 12]
    (folder / "tokenizer.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "vocab.txt").write_text("\n".join(words))
    refuse_secrets(choose(folder).files, then="")


def test_real_vocabularies_and_pages_hold_nothing_like_a_secret(finished_once):
    from hfkit.samples import resolve_checkpoint

    files = {str(path): path for path in Path(resolve_checkpoint("sample-text")).rglob("*") if path.is_file()}
    files |= {str(path): path for path in (finished_once / "runs").rglob("report.*")}
    assert any(path.name == "tokenizer.json" for path in files.values())
    refuse_secrets({name: path for name, path in files.items() if path.suffix != ".safetensors"}, then="")


# What nobody could read


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("README.md", b"---\ntags: 3\n---\n", "model card: README.md: its metadata cannot be read"),
        ("README.md", b" \n", "model card: README.md: it is empty"),
        ("README.md", b"\xff\xfe", "model card: README.md: its metadata cannot be read"),
        ("config.json", b"{", "'config.json': it is no configuration in JSON"),
        ("config.json", b"\xff", "'config.json': it is no configuration in JSON"),
        ("report.json", b'{"settings": {}, "origin": null}', "its card is made from its report.json"),
    ],
)
def test_what_cannot_be_read_is_refused(name, content, message, folder):
    (folder / name).write_bytes(content)
    with pytest.raises(UserError, match=message):
        push(folder, "me/model", dry_run=True)


def test_a_name_that_is_no_text_can_be_printed(folder):
    with open(os.fsencode(folder) + b"/bad\xff.txt", "w"):
        pass
    assert "bad\\udcff.txt" in choose(folder).left_out
