"""Runs the tests of reliability and writes benchmarks/results/reliability.json.

python -m benchmarks.reliability [T2b T3 ...] [--work FOLDER]
"""

import argparse
import json
import re
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

from benchmarks.reliability.cases import Case

HERE = Path(__file__).resolve().parent
RESULT = HERE.parent / "results" / "reliability.json"
NAMED = re.compile(r'"""(T\w+|[a-z]+): ')  # the beginning of a test's module


def main() -> None:
    tests = find_tests()
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("tests", nargs="*", metavar="TEST", help=f"of {', '.join(tests)}; default: those not yet run")
    parser.add_argument("--work", type=Path, default=Path("runs/reliability"), help="a folder for the runs")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    work = args.work.resolve()
    work.mkdir(parents=True, exist_ok=True)
    if unknown := [test for test in args.tests if test not in tests]:
        parser.error(f"there is no {', '.join(unknown)}; there are {', '.join(tests)}")
    if args.here:
        run_here(args.tests[0], tests[args.tests[0]], work)
        return
    from benchmarks.reliability.harness import environment

    chosen = args.tests or [test for test in tests if not (work / f"{test}.json").is_file()]
    failed = []
    for test in chosen:
        command = [sys.executable, "-m", "benchmarks.reliability", test, "--here", "--work", str(work)]
        if subprocess.run(command, env=environment(work), cwd=HERE.parents[1]).returncode:
            failed.append(test)
    write_result(work, list(tests))
    if failed:
        sys.exit(f"cut off: {', '.join(failed)}; the same command goes on")


def find_tests() -> dict[str, str]:
    """The modules of the tests, by the names with which their docstrings begin."""
    begun = {path.stem: NAMED.match(path.read_text(encoding="utf-8")) for path in sorted(HERE.glob("*.py"))}
    return {found[1]: name for name, found in begun.items() if found}


def run_here(test: str, module: str, work: Path) -> None:
    """Run one test in this process, and keep its cases."""
    found = import_module(f"benchmarks.reliability.{module}").run(work)
    (work / f"{test}.json").write_text(json.dumps([asdict(case) for case in found], indent=1) + "\n", encoding="utf-8")
    (work / f"{test}.jsonl").unlink(missing_ok=True)


def write_result(work: Path, tests: list[str]) -> None:
    """Write how many cases of each test are good; a test that was not run here keeps its figures."""
    result = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    for test in tests:
        if (work / f"{test}.json").is_file():
            cases = [Case(**case) for case in json.loads((work / f"{test}.json").read_text(encoding="utf-8"))]
            failing = [f"{case.case}: {case.outcome}" for case in cases if not case.good]
            result[test] = {"good": sum(case.good for case in cases), "of": len(cases), "failing": failing}
    RESULT.write_text(json.dumps(dict(sorted(result.items())), indent=1) + "\n", encoding="utf-8")
    for test, found in result.items():
        print(f"{test}: {found['good']} of {found['of']}")


if __name__ == "__main__":
    main()
