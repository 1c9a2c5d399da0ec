"""Every way of reusing a checkpoint, and every baseline, on the same rows: one comparison.

`bench` says what is compared and `runner` runs it, cell by cell, from a `queue` that any number of processes share;
`statistics`, `budgets`, `facts`, `verdict` and `advice` turn the results into ledger.json, and `pages` and `plots` into
its pages. This room stands on floor 4, the doors: it may import every floor below, but no other room may import it
except `cli`.
"""
