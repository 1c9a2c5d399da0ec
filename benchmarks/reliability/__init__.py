"""Faults on purpose, in programs: what is killed, damaged, filled up or refused, and what came of it.

    python -m benchmarks.reliability                # every test that has no result yet
    python -m benchmarks.reliability T2b T3         # these, again

A test is a module of this folder whose docstring begins with the test's name ("T3: ...") and that has a function
`run(work: Path) -> list[Case]`. `cases.py` has `Case`, `harness.py` runs of hfkit in forked children, `material.py`
tiny rows and checkpoints, and `traps.py` what must not happen while something hostile is read.
"""
