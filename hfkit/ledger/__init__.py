"""Every way of reusing a checkpoint, and every baseline, on the same rows: one comparison."""
