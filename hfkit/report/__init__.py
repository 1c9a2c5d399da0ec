"""The record of a run and its pages: every contender on the same test rows, how sure that is, and the facts beside it.

A report is about any task, which it knows by the parts of the contract alone. `report.json` is the record; the pages
here and the model card in `hub` are rendered from it and from nothing else. On the floor of runs (3) this room may know
the floors below it, tasks and baselines.
"""
