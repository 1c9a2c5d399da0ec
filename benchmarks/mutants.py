"""What would notice if a guard were gone: each is switched off in a copy of the project, and its tests must fail.

    python -m benchmarks.mutants [words of a guard's name ...]

A test that passes without the guard it is for proves nothing. The list is also checked by tests/house/test_mutants.py,
so that it moves along with the code.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "mutants.json"
SECONDS = 600  # that the tests of one guard may take
FAILED = 1  # pytest's code for tests that ran and failed


@dataclass(frozen=True)
class Mutant:
    """A guard, and how it is switched off: `old` stands once in `file`, and `new` takes its place."""

    guard: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


MUTANTS = (
    Mutant(
        "what is frozen is compared bit by bit",
        "hfkit/training/invariants.py",
        "if digest(self._of_depth(model, depth)) != self._frozen[depth]:",
        "if False:",
        ("tests/training/test_trainer.py::test_broken_promises_are_noticed_while_training",),
    ),
    Mutant(
        "what is thawed has to move",
        "hfkit/training/invariants.py",
        "if now == [value for _, _, value in watched]:",
        "if False:",
        ("tests/training/test_trainer.py::test_broken_promises_are_noticed_while_training",),
    ),
    Mutant(
        "a loss or gradient that is not finite ends the run",
        "hfkit/training/invariants.py",
        "if torch.isfinite(loss).all() and torch.isfinite(norms).all():",
        "if True:",
        ("tests/training/test_trainer.py::test_a_non_finite_value_stops_before_the_weights_are_touched",),
    ),
    Mutant(
        "replicas are compared",
        "hfkit/training/invariants.py",
        "different = [rank for rank, theirs in enumerate(everyone) if not torch.equal(theirs, everyone[0])]",
        "different = []",
        ("tests/training/test_distributed.py::test_diverged_replicas_stop_the_run",),
    ),
    Mutant(
        "the distributed wrapper is rebuilt at a thaw",
        "hfkit/model/unfreezing.py",
        "        self.lowest = lowest\n        self.on_change()\n",
        "        self.lowest = lowest\n",
        ("tests/training/test_distributed.py::test_replicas_stay_equal_in_every_way_to_train[checkpointing]",),
    ),
    Mutant(
        "frozen norms and dropouts hold still",
        "hfkit/model/unfreezing.py",
        "self._frozen_modules = [module for module in model.modules() if id(module) in frozen]",
        "self._frozen_modules = []",
        (
            "tests/model/test_unfreezing.py::test_frozen_means_no_gradient_no_requires_grad_and_eval_mode",
            "tests/model/test_unfreezing.py::test_running_statistics_move_with_the_depths_that_learn_and_no_others",
        ),
    ),
    Mutant(
        "one process with several GPUs is refused",
        "hfkit/training/refusals.py",
        "if trainer.args.n_gpu > 1:",
        "if False:",
        ("tests/model/test_parallel.py::test_one_process_on_two_gpus_is_refused",),
    ),
    Mutant(
        "a checkpoint's bytes are those that were written",
        "hfkit/training/sealed.py",
        "if describe(path) != wanted:",
        "if False:",
        ("tests/training/test_sealed.py::test_a_damaged_checkpoint_is_passed_over_with_file_and_fault",),
    ),
    Mutant(
        "another run's checkpoint is not resumed",
        "hfkit/training/checkpoints.py",
        "    found = differences(read_identity(checkpoint), identity)\n    if found:\n",
        "    found = differences(read_identity(checkpoint), identity)\n    if False:\n",
        ("tests/training/test_trainer.py::test_another_run_is_not_resumed_nor_overwritten",),
    ),
    Mutant(
        "another run's results are not overwritten",
        "hfkit/training/checkpoints.py",
        "    if found and not overwrite and find_results(folder):\n",
        "    if False:\n",
        ("tests/training/test_trainer.py::test_another_run_is_not_resumed_nor_overwritten",),
    ),
    Mutant(
        "a pickle with code is never loaded",
        "hfkit/model/pickles.py",
        "weights_only=True, mmap=True)",
        "weights_only=False, mmap=True)",
        ("tests/model/test_pickles.py::test_a_pickle_with_code_is_refused_by_name_and_runs_nothing",),
    ),
    Mutant(
        "an index of weights leads nowhere else",
        "hfkit/model/pickles.py",
        """if "/" in shard or "\\\\" in shard or shard == "..":""",
        "if False:",
        (
            "tests/model/test_pickles.py::test_shards_elsewhere_are_refused",
            "tests/model/test_weights.py::test_shards_elsewhere_are_refused",
        ),
    ),
    Mutant(
        "a checkpoint with code of its own is the stock class on request only",
        "hfkit/model/weights.py",
        "    if not accepted:\n",
        "    if False:\n",
        (
            "tests/model/test_sources.py::"
            "test_a_checkpoint_with_code_of_its_own_is_trained_as_the_stock_class_on_request_only",
        ),
    ),
    Mutant(
        "a head is taken over by the names of its labels",
        "hfkit/model/heads.py",
        "            tensor.copy_(tensor[order])\n",
        "            pass\n",
        ("tests/model/test_weights.py::test_a_head_follows_its_labels_into_another_order",),
    ),
    Mutant(
        "a stored activation has the bytes that were written",
        "hfkit/prefix/store.py",
        "return length == len(place) and xxh3_64_intdigest(place) == wanted",
        "return length == len(place)",
        ("tests/prefix/test_cache.py::test_a_cache_that_is_changed_while_it_is_used_changes_nothing",),
    ),
    Mutant(
        "equal inputs stay on one side of a split",
        "hfkit/data/splitting.py",
        "    for keys in (contents, units):\n",
        "    for keys in (units,):\n",
        ("tests/data/test_splitting.py::test_rows_of_one_unit_or_with_equal_inputs_stay_together",),
    ),
    Mutant(
        "nothing is fetched from an address unasked",
        "hfkit/data/places.py",
        "if not source.allow_remote:",
        "if False:",
        ("tests/data/test_places.py::test_nothing_is_fetched_from_an_address_without_the_flag",),
    ),
    Mutant(
        "text of strangers is no markup",
        "hfkit/report/pages.py",
        "autoescape=True,",
        "autoescape=False,",
        ("tests/report/test_hostile_text.py::test_hostile_text_stays_text",),
    ),
    Mutant(
        "a cell is no formula",
        "hfkit/runtime/formulas.py",
        'return f"\'{text}" if FORMULA.match(text) and not NUMBER.fullmatch(text) else text',
        "return text",
        ("tests/runtime/test_formulas.py::test_what_begins_like_a_formula_gets_a_mark",),
    ),
    Mutant(
        "secrets are withheld",
        "hfkit/runtime/redaction.py",
        "    value = SECRET.sub(WITHHELD, value)\n",
        "",
        ("tests/report/test_report.py::test_secrets_and_the_home_folder_are_withheld",),
    ),
    Mutant(
        "the demo answers under its own name alone",
        "hfkit/inference/demo/guard.py",
        "if len(hosts) != 1 or not self.is_own(name_of(hosts[0])):",
        "if False:",
        ("tests/inference/test_demo.py::test_requests_are_answered_under_own_names_alone",),
    ),
    Mutant(
        "git obeys nothing that lies in the working folder",
        "hfkit/runtime/machine.py",
        "            cwd=checkout,\n",
        "",
        ("tests/runtime/test_machine.py::test_the_commit_is_that_of_hfkit_wherever_it_works",),
    ),
)


def main(argv: Sequence[str] | None = None) -> int:
    """Switch the guards off one by one; the number of those that no test missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("words", nargs="*", help="only guards whose names hold all of these words")
    words = parser.parse_args(argv).words
    chosen = [mutant for mutant in MUTANTS if all(word in mutant.guard for word in words)]
    with tempfile.TemporaryDirectory() as place:
        copy = copy_project(Path(place) / "project")
        tests = sorted({test for mutant in chosen for test in mutant.tests})
        if run_tests(copy, tests) != 0:
            raise SystemExit("error: the tests of the guards have to pass before a guard is switched off")
        missed = {mutant.guard: is_missed(copy, mutant) for mutant in chosen}
    if not words:
        guards = [{"guard": m.guard, "file": m.file, "tests": m.tests, "missed": missed[m.guard]} for m in chosen]
        summary = {"missed": sum(missed.values()), "of": len(missed), "guards": guards}
        RESULT.write_text(json.dumps(summary, indent=1) + "\n")
    print(f"{sum(missed.values())} of {len(missed)} guards were missed by their tests when they were off")
    return len(missed) - sum(missed.values())


def copy_project(place: Path) -> Path:
    """A clone of the project with its files as they are now, to spoil."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(place)], check=True)
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split("\0"):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    return place


def is_missed(copy: Path, mutant: Mutant) -> bool:
    """Whether the tests of a guard fail while it is off."""
    file = copy / mutant.file
    whole = file.read_text(encoding="utf-8")
    file.write_text(switch_off(whole, mutant), encoding="utf-8")
    try:
        code = run_tests(copy, mutant.tests)
    finally:
        file.write_text(whole, encoding="utf-8")
    print(f"{'missed' if code == FAILED else 'NOT MISSED'}: {mutant.guard}", flush=True)
    return code == FAILED


def switch_off(source: str, mutant: Mutant) -> str:
    """The module without the guard.

    Raises:
        ValueError: the guard stands there not at all, or several times.
    """
    if (found := source.count(mutant.old)) != 1:
        raise ValueError(f"{mutant.guard}: {mutant.file} has its text {found} times: change benchmarks/mutants.py")
    return source.replace(mutant.old, mutant.new)


def run_tests(copy: Path, tests: Sequence[str]) -> int:
    """pytest's exit code; tests that do not end have failed."""
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-n0", "-m", "", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy), "OMP_NUM_THREADS": "1"}
    try:
        return subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=SECONDS).returncode
    except subprocess.TimeoutExpired:
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
