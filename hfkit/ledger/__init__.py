"""Every way of reusing a checkpoint, and every baseline, on the same rows: one comparison.

`bench` says what is compared, and `runner` runs it cell by cell from a `queue`, which any number of processes may
share. `standing` and `facts` turn the results into ledger.json, by `statistics`, `budgets`, `verdict` and `advice`;
`pages` and `plots` render that. This room stands on floor 4, the doors: it may import every floor below, and of the
doors those to its left. It knows no task by name.
"""
