"""Until its first step a run imports what it uses: nothing of other tasks, of the judge or of the report's pages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# The other tasks, contenders and judges. Of foreign packages those that the stock Trainer does not bring by itself, as
# it does pandas, peft, torchvision and parts of scipy where they are installed.
UNUSED = {
    *("hfkit.tasks.image_classification", "hfkit.tasks.text_classification", "hfkit.baselines.tfidf"),
    *("hfkit.baselines.pixel_probe", "hfkit.scores.metrics", "hfkit.samples.sentiment", "hfkit.hub", "hfkit.cli"),
    *("evaluate", "seqeval", "sklearn", "scipy.stats", "matplotlib", "timm", "hfkit.data.images.augmentation"),
    *("sentence_transformers", "typer", "tensorboard", "IPython"),
}
RUN = """
import json, runpy, sys
from transformers import TrainerCallback
import hfkit

class Stop(TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        print("loaded " + json.dumps(sorted(sys.modules)), flush=True)
        raise SystemExit(0)

class Stopped(hfkit.TransferTrainer):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.add_callback(Stop())

hfkit.TransferTrainer = Stopped
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@pytest.fixture(scope="module")
def loaded(tmp_path_factory) -> set[str]:
    """The modules of a process that ran the NER recipe up to its first optimizer step."""
    flags = ["--output_dir", str(tmp_path_factory.mktemp("run")), "--max_train_rows", "8", "--use_cpu", "true"]
    flags += ["--fit_head", "no"]  # a fitted head is judged before the first step
    code = f"import sys; sys.argv = {['recipes/bert_ner.py', *flags]!r}\n{RUN}"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    found = [line for line in ended.stdout.splitlines() if line.startswith("loaded ")]
    assert found, ended.stderr
    return set(json.loads(found[0].removeprefix("loaded ")))


@pytest.mark.slow
def test_the_run_reached_its_first_step_through_what_it_uses(loaded):
    assert {"hfkit.training.trainer", "hfkit.tasks.ner", "hfkit.model.unfreezing", "transformers.trainer"} <= loaded


@pytest.mark.slow
@pytest.mark.parametrize("module", sorted(UNUSED))
def test_nothing_is_imported_that_the_run_does_not_use(loaded, module):
    assert module not in loaded
