"""T2: damage to the newest checkpoint, or to the best one: it is named, and the newest whole one is taken instead.

What is asked of a case: the damaged checkpoint is named, with file and fault, and the run ends with the weights, the
report and the losses of one that nobody disturbed. Where no whole one is left, one line with exit code 2 says so.
"""

import os
import re
import shutil
import signal
from pathlib import Path

from transformers import TrainerCallback

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.damages import DAMAGES, OF_BEST, STRANGE, Damage
from benchmarks.reliability.harness import STEPS, Job, find_outcome, flags, make_empty, prepare

LAST = ["--save_total_limit", "3", "--load_best_model_at_end", "false"]
BEST = ["--save_total_limit", "3"]


def run(work: Path) -> list[Case]:
    prepare(work)
    cases = Cases("T2", work)
    base, wanted = make_base(work, "last", LAST, killed_at=14)
    for damage in DAMAGES.values():
        if not cases.has(damage.name):
            damaged = f"checkpoint-{STRANGE if damage.strange else 12}"
            add(cases, work, damage, base, wanted, LAST, hit="checkpoint-12", named=f"{damaged}: {damage.fault}")
    base, wanted = make_base(work, "best", BEST, killed_at=32)
    newest, best = find_newest_and_best(base)
    for damage in (Damage("undamaged", lambda folder: None, ""), *OF_BEST.values()):
        if not cases.has(f"best checkpoint: {damage.name}"):
            named = damage.fault and f"{newest}: its best one is {best}, and there {damage.fault}"
            add(cases, work, damage, base, wanted, BEST, hit=best, named=named, kind="best checkpoint: ")
    if not cases.has("best checkpoint: moved with its folder"):
        moved = Damage("moved with its folder", lambda folder: base.rename(base.with_name("gone")), "")
        add(cases, work, moved, base, wanted, BEST, hit=best, named="", kind="best checkpoint: ")
        base.with_name("gone").rename(base)
    return cases


def train(work: Path, place: Path, more: list[str], **options) -> Job:
    argv = flags("ner", work, *STEPS, *more, "--output_dir", str(place))
    return harness.run(argv, work / "T2/out.txt", **options)


def make_base(work: Path, name: str, more: list[str], *, killed_at: int) -> tuple[Path, dict]:
    """The output directory of a run that was killed after a step, and the outcome of one that was not."""
    base, whole = work / "T2" / name, work / "T2" / f"{name}-whole"
    if not (whole / "report.json").is_file():
        train(work, make_empty(whole), more)
        train(work, make_empty(base), more, before=lambda: kill_after(killed_at))
    return base, find_outcome(whole)


def kill_after(step: int) -> None:
    """Let every training of this process be killed after a step."""
    import hfkit

    class Kill(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step == step:
                os.kill(os.getpid(), signal.SIGKILL)

    begin = hfkit.TransferTrainer.__init__

    def begin_watched(self, *args, **kwargs) -> None:
        begin(self, *args, **kwargs)
        self.add_callback(Kill())

    hfkit.TransferTrainer.__init__ = begin_watched


def find_newest_and_best(base: Path) -> tuple[str, str]:
    from hfkit.training.resuming import find_best, step_folders

    newest = step_folders(base)[-1]
    return newest.name, find_best(newest).name


def add(
    cases: Cases,
    work: Path,
    damage: Damage,
    base: Path,
    wanted: dict,
    more: list[str],
    *,
    hit: str,
    named: str,
    kind: str = "",
) -> None:
    place = work / "T2/run"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(base, place)
    damage.act(place / hit)
    job = train(work, place, more)
    equal = find_outcome(place) == wanted
    said = not named or re.search(named, job.text) is not None
    refused = job.code == 2 and not job.has_traceback
    good = said and (refused or (job.code == 0 and equal))
    result = "refused" if refused else f"{job.verdict}; {'the same result' if equal else 'ANOTHER RESULT'}"
    cases.add(kind + damage.name, good, f"{'' if said else 'NOT NAMED; '}{result}")
