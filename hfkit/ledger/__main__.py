"""`python -m hfkit.ledger`: what `hfkit compare` runs, and with `work PROCESS` a worker that ends with that process."""

import sys

from hfkit.errors import GOES_ON, run
from hfkit.ledger.compare import compare, work

if __name__ == "__main__":
    argv = sys.argv[1:]
    run(lambda: work(int(argv[1]), argv[2:]) if argv[:1] == ["work"] else compare(argv), GOES_ON)
