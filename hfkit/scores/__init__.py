"""Scores of plain values, and how sure they are: numbers in, numbers out.

`metrics` computes scores, `score` names them and says which direction is better, `evidence` holds what a headline
depends on row by row, `statistics` turns that into intervals and paired tests, and `calibration` measures
probabilities. This room stands on floor 0: it imports nothing of hfkit, and knows no task, no model and no report.
"""
