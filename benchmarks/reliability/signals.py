"""T5: signals that ask to end. Exit code 75, no step of training is lost, and the same command ends the same.

Each case is two of them: "ends" and "saved". A run that is past its training must not train a second time.
"""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from transformers import TrainerCallback

import hfkit
from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import digest, find_outcome, flags, make_empty, prepare
from hfkit.training.sealed import find_fault

ALL = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2)
# Of 24 steps an epoch: within one, in its last step, in evaluations, while a checkpoint is written, and elsewhere.
WHERE = {"step": ALL, "forward": ALL, "last step": ALL[:2], "evaluation": ALL, "save": ALL, "loader": ALL[:2]}
WHERE |= {"cache": ALL[:2], "baseline": ALL[1:3], "report": ALL[2:], "predict": ALL}
STEP, LAST = 31, 24
RUN = ["--num_train_epochs", "2", "--logging_steps", "10", "--resume_from_checkpoint", "auto"]
CACHED = ["--num_train_epochs", "3", "--cache_dir"]
ROWS = 4000  # to predict


def run(work: Path) -> list[Case]:
    prepare(work)
    cases, made = Cases("T5", work), make_empty(work / "T5")
    for where, numbers in WHERE.items():
        for number in numbers:
            case = f"{number.name} in {where}"
            if cases.has(f"{case}: saved"):
                continue
            (interrupt_prediction if where == "predict" else interrupt_run)(work, made, cases, case, where, number)
    return cases


def interrupt_run(work: Path, made: Path, cases: Cases, case: str, where: str, number: int) -> None:
    whole = made / ("cached" if where == "cache" else "loaded" if where == "loader" else "whole")
    if not whole.exists():
        harness.run(command(work, whole, where), work / "T5.txt")
    place, steps = make_empty(made / "run"), made / "steps.txt"
    steps.write_text("")
    job = harness.run(command(work, place, where), work / "T5-first.txt", before=lambda: send(where, number, steps))
    trained = read_steps(steps)
    saved = max((step_of(folder) for folder in place.glob("checkpoint-*") if not find_fault(folder)), default=0)
    again = harness.run(command(work, place, where), work / "T5.txt", before=lambda: note_steps(steps))
    repeated = sorted(set(trained) & set(read_steps(steps)[len(trained) :]))
    equal = find_outcome(place) == find_outcome(whole)
    told = f"{job.verdict}, then {again.verdict}, {'equal' if equal else 'DIFFERENT'}"
    if not cases.has(f"{case}: ends"):
        cases.add(f"{case}: ends", job.code == 75 and again.code == 0 and equal and not job.has_traceback, told)
    lost = f"{len(trained)} steps trained, the last checkpoint is of step {saved}, {len(repeated)} were trained again"
    cases.add(f"{case}: saved", job.code == 75 and not repeated, lost)


def command(work: Path, place: Path, where: str) -> list[str]:
    more = {"cache": [*CACHED, str(place / "cache")], "loader": ["--dataloader_num_workers", "2"]}.get(where, [])
    return flags("ner", work, *RUN, *more, "--output_dir", str(place))


def step_of(folder: Path) -> int:
    return int(folder.name.removeprefix("checkpoint-"))


def read_steps(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()]


class Steps(TrainerCallback):
    """Writes down every step that is taken."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def on_step_end(self, args, state, control, **kwargs):
        with self.file.open("a") as file:
            file.write(f"{state.global_step}\n")


def note_steps(file: Path) -> None:
    watch_trainers(lambda trainer: trainer.add_callback(Steps(file)))


def watch_trainers(watch: Callable[[hfkit.TransferTrainer], object]) -> None:
    """Call a function with every trainer that is made from now on."""
    build = hfkit.TransferTrainer.__init__

    def build_watched(self, *args, **kwargs) -> None:
        build(self, *args, **kwargs)
        watch(self)

    hfkit.TransferTrainer.__init__ = build_watched


def send(where: str, number: int, steps: Path) -> None:
    """Have this process sent a signal at some place, as from outside."""
    fired: list[int] = []

    def fire() -> None:
        if not fired:
            fired.append(number)
            if where == "loader":  # a scheduler signals all processes of a job: its own is another one
                kill = ["kill", f"-{number}", "--", f"-{os.getpid()}"]
                subprocess.run(kill, start_new_session=True, check=True)
            else:
                os.kill(os.getpid(), number)
            time.sleep(0.2)

    class Signal(TrainerCallback):
        def on_step_begin(self, args, state, control, **kwargs):
            if (where, state.global_step) in (("step", STEP), ("loader", STEP), ("last step", LAST - 1)):
                fire()

        def on_prediction_step(self, args, state, control, **kwargs):
            if where == "evaluation" and state.global_step == LAST:
                fire()

    def watch(trainer: hfkit.TransferTrainer) -> None:
        trainer.add_callback(Steps(steps))
        trainer.add_callback(Signal())
        if where == "forward":
            fire_before(trainer.model, "forward", fire, lambda: trainer.state.global_step == STEP)
        if where == "save":
            fire_before(trainer, "_save_rng_state", fire, lambda: trainer.state.global_step == LAST)

    watch_trainers(watch)
    if where == "loader":
        os.setpgid(0, 0)
    if where == "cache":
        from hfkit.prefix.store import Writer

        fire_before(Writer, "append", fire)
    if where == "baseline":
        from hfkit.report.report import Report

        fire_before(Report, "judge", fire)
    if where == "report":
        from hfkit.report.report import Report

        fire_before(Report, "save", fire)


def fire_before(owner: object, name: str, fire: Callable[[], None], when: Callable[[], bool] = lambda: True) -> None:
    """Have a method fire before it does its work."""
    method = getattr(owner, name)

    def fire_and_call(*args, **kwargs):
        if when():
            fire()
        return method(*args, **kwargs)

    setattr(owner, name, fire_and_call)


def interrupt_prediction(work: Path, made: Path, cases: Cases, case: str, where: str, number: int) -> None:
    rows = made / "rows.txt"
    rows.write_text("".join(f"anna likes rain {i}.\n" for i in range(ROWS)))
    asked = ["hfkit", "predict", str(work / "warm/reviews"), str(rows), "-o"]
    whole, place = made / "whole.jsonl", make_empty(made / "run") / "a.jsonl"
    if not whole.exists():
        harness.run([*asked, str(whole)], work / "T5.txt")
    job = harness.start([*asked, str(place)], work / "T5-first.txt")
    while job.poll() is None and not list(place.parent.glob("*.part.json")):
        time.sleep(0.01)
    with suppress(ProcessLookupError):
        job.send(number)
    job.wait()
    again = harness.run([*asked, str(place)], work / "T5.txt")
    equal = digest(place) == digest(whole)
    told = f"{job.verdict}, then {again.verdict}, {'equal' if equal else 'DIFFERENT'}"
    if not cases.has(f"{case}: ends"):
        cases.add(f"{case}: ends", job.code == 75 and again.code == 0 and equal, told)
    went_on = "rows were written before" in again.text
    cases.add(f"{case}: saved", went_on, "it went on behind what was written" if went_on else "it began anew")
