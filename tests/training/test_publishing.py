"""What a run leaves behind can be published: no secret is in any of its files."""

import runpy
from pathlib import Path

import pytest

RECIPE = str(Path(__file__).parents[2] / "recipes" / "bert_ner.py")


def run_recipe(*argv: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", [RECIPE, "--use_cpu", "--report_to", "none", "--disable_tqdm", "true", *argv])
        runpy.run_path(RECIPE, run_name="__main__")


def test_a_hub_token_is_in_no_file_of_the_run(checkpoint, corpus, tmp_path, monkeypatch):
    token = "hf_" + "x" * 34
    monkeypatch.setenv("HF_TOKEN", token)
    run_recipe(
        *("--checkpoint", checkpoint, "--dataset", corpus, "--output_dir", str(tmp_path / "out")),
        *("--run_name", token, "--max_steps", "2"),
    )
    files = [file for file in (tmp_path / "out").rglob("*") if file.is_file()]
    written = {"model.safetensors", "report.json", "hfkit_run.json", "trainer_state.json", "optimizer.pt"}
    assert written <= {file.name for file in files}
    assert [file for file in files if token.encode() in file.read_bytes()] == []
