"""Judge every way of reusing a checkpoint, and every baseline, on the same rows: which is worth its cost?

    python recipes/compare_strategies.py
    python recipes/compare_strategies.py --recipe recipes/bert_ner.py --dataset path/to/folder --seeds 0 1 2 3 4
    torchrun --nproc_per_node 4 recipes/compare_strategies.py --compare_dir shared/folder

Takes the flags of `hfkit compare` and those of the recipe that it compares with. Without any it compares seven
strategies and three baselines on the bundled sample, with three seeds. Measured results: benchmarks/results/ledgers
"""

import sys

from hfkit.ledger.compare import compare
from hfkit.runtime.commands import GOES_ON, run


def main() -> None:
    # The values below are defaults: what the command line names wins.
    compare(["--recipe", "recipes/bert_sentiment.py", "--compare_dir", "runs/compare-strategies", *sys.argv[1:]])


if __name__ == "__main__":
    run(main, GOES_ON)
