"""Averages of weights: over the steps of a run, and between where it began and where it ended.

`callback` says when; `moving`, `interpolation` and `statistics` say how.
"""
