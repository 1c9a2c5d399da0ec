"""The ledger: every way of reusing a checkpoint, judged on the same rows."""
