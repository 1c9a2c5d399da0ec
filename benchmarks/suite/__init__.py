r"""The suite: hfkit's default, no flag touched, beside the stock Trainer tuned over its rates, on many real datasets.

    python -m benchmarks.suite --data path/to/datasets --weights path/to/checkpoints [--only NAME ...] [--jobs 2]
    python -m benchmarks.suite collect

Both sides get the same rows, batch, optimizer steps and number of evaluations, and each keeps its best weights on
validation. The stock trainer's rate is the best of three on validation, with seed 0, and it computes in bfloat16, which
makes it cheaper; one run with that rate in float32, its default, says what that costs. hfkit takes its defaults. Sets
that were looked at while these were chosen are told apart from those that were judged once. Every run is a cell of its
own under runs/suite: a killed suite goes on where it was.
"""
