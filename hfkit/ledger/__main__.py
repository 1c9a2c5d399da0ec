"""`python -m hfkit.ledger`: what `hfkit compare` runs, and with `work PROCESS` a worker that ends with that process."""

import sys

from hfkit.runtime.commands import GOES_ON, run
from hfkit.runtime.parents import end_with

if __name__ == "__main__":
    argv = sys.argv[1:]
    works = argv[:1] == ["work"]
    if works:
        end_with(int(argv[1]))
    # Only now: these imports take seconds, in which the parent may end.
    from hfkit.ledger.compare import compare, work

    run(lambda: work(argv[2:]) if works else compare(argv), GOES_ON)
