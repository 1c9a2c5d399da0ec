"""Values that are read off the ranking of a finding, beside the area under its ROC curve."""

import numpy as np

from hfkit.scores.ranked import Curve, Steps

SPECIFICITY = 0.9
SLACK = 1e-9  # of rounding in cumulative sums: a share of exactly a tenth may come out above it


def average_precision(steps: Steps) -> np.ndarray:
    """The mean precision at every step of recall, without interpolation, as scikit-learn has it."""
    gained = np.diff(steps.right, axis=0, prepend=0)
    precision = steps.right / np.maximum(steps.right + steps.wrong, 1e-300)
    defined = (steps.positives > 0) & (steps.negatives > 0)
    return np.where(defined, (gained * precision).sum(axis=0) / np.where(defined, steps.positives, 1), np.nan)


def sensitivity(steps: Steps) -> np.ndarray:
    """The largest share that is found at any threshold where at least 90 % of what is not there is left alone."""
    defined = (steps.positives > 0) & (steps.negatives > 0)
    allowed = steps.wrong <= (1 - SPECIFICITY + SLACK) * steps.negatives
    found = np.where(allowed, steps.right, 0).max(axis=0, initial=0)
    return np.where(defined, found / np.where(defined, steps.positives, 1), np.nan)


AUPRC = Curve(average_precision)
SENSITIVITY = Curve(sensitivity)
