"""A linear model on directions of edges, nothing pretrained: an image model that beats it sees more than shapes."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from hfkit.baselines.base import Answers, Baseline, require_package
from hfkit.baselines.frozen.linear import Search
from hfkit.baselines.pixel_probe import image_answers, shrink
from hfkit.contract.task import Loaded, Task

SIDE = 64  # pixels
SEARCH = Search(penalties=(10.0, 3.0, 1.0, 0.3, 0.1, 3e-2, 1e-2))


@dataclass(frozen=True)
class Hog(Baseline):
    """Logistic regression on histograms of oriented gradients (Dalal and Triggs 2005); ridge for numbers.

    For tasks whose rows have an `image` of bytes or a path. The histograms are those of scikit-image, of 9 directions
    in cells of 8 x 8 pixels, in the colour of the strongest edge, normalised over blocks of 2 x 2 cells.
    """

    name: ClassVar[str] = "HOG"
    description: ClassVar[str] = "a linear model on histograms of the directions of edges, trained from nothing"

    def answers(self, task: Task, rows: Loaded) -> Answers:
        """With the penalty that did best on validation.

        Raises:
            UserError: scikit-image is not installed.
        """
        require_package("hog")
        return image_answers(task, rows, read_histograms, SEARCH, name=self.name)


def read_histograms(image: dict[str, Any]) -> np.ndarray:
    """Histograms of an image of bytes or a path, (features,)."""
    from skimage.feature import hog

    histograms = hog(shrink(image, SIDE), pixels_per_cell=(8, 8), cells_per_block=(2, 2), channel_axis=-1)
    return histograms.astype(np.float32)
