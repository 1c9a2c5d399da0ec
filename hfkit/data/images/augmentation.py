"""Variation of training images, so that the model learns to ignore what does not change the label."""

from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image as Pillow
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.v2 import functional

RATIO = (3 / 4, 4 / 3)  # width to height of a crop
KERNELS = {Pillow.Resampling[name] for name in ("NEAREST", "BILINEAR", "BICUBIC", "LANCZOS")}  # known to tensors


@dataclass(frozen=True)
class Preset:
    """The random changes of a training image."""

    scale: tuple[float, float] | None = None  # shares of the area that a crop keeps; None: no crop
    jitter: float = 0.0  # of brightness, contrast and saturation
    trivial: bool = False  # one operation from TrivialAugment's wide space
    erasing: float = 0.0  # probability of filling a rectangle with the mean colour


# Sources: crops of Szegedy et al. 2015, section 6; TrivialAugment of Müller and Hutter 2021; random erasing of Zhong
# et al. 2020, with the probability of later training recipes, a quarter.
PRESETS = {
    "none": Preset(),
    "light": Preset(scale=(0.6, 1.0), jitter=0.1),
    "standard": Preset(scale=(0.25, 1.0), jitter=0.3),
    "strong": Preset(scale=(0.08, 1.0), trivial=True, erasing=0.25),
}


class Augmentation:
    """Turns a part of a picture into a training input, with draws from torch's global generator.

    Args:
        size: height and width of the result.
        fill: the neutral colour, one value of 0 to 255 per channel.
    """

    def __init__(
        self,
        preset: Preset,
        size: tuple[int, int],
        *,
        flipped: bool,
        resample: Pillow.Resampling,
        fill: tuple[int, ...],
    ) -> None:
        self.size, self.flipped = size, flipped
        self.resample = resample if resample in KERNELS else Pillow.Resampling.BICUBIC
        self.crop = v2.RandomResizedCrop(size, scale=preset.scale, ratio=RATIO)
        self.trivial = v2.TrivialAugmentWide(fill=fill if len(fill) == 3 else fill[0]) if preset.trivial else None
        steps: list[v2.Transform] = []
        if preset.jitter:
            steps.append(v2.ColorJitter(preset.jitter, preset.jitter, preset.jitter if len(fill) == 3 else 0))
        if preset.erasing:
            steps.append(v2.RandomErasing(preset.erasing, value=[value / 255 for value in fill]))
        self.steps = steps

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """A crop of an image of this size: left, upper, right, lower."""
        # The transform only looks at the size of the picture.
        drawn = self.crop.make_params([torch.empty(0, height, width)])
        return drawn["left"], drawn["top"], drawn["left"] + drawn["width"], drawn["top"] + drawn["height"]

    def __call__(self, part: Tensor, out: Tensor) -> Tensor:
        """Vary the part within a box: uint8 (channels, height, width) -> `out`, from 0 to 1."""
        # Shrinking bytes takes a third of Pillow's time, recolouring floats half of it.
        pixels = functional.resize(part, self.size, interpolation=self.resample)
        if self.flipped and torch.rand(()) < 0.5:
            pixels = pixels.flip(-1)
        if self.trivial is not None:
            pixels = pixels_of(self.trivial(functional.to_pil_image(pixels)))
        shares = out.copy_(pixels).div_(255)
        for step in self.steps:
            shares = step(shares)
        return shares if shares is out else out.copy_(shares)


def pixels_of(picture: Pillow.Image) -> Tensor:
    """uint8, (channels, height, width), with the channels of a pixel next to each other in memory."""
    return torch.from_numpy(np.array(picture)).reshape(picture.height, picture.width, -1).permute(2, 0, 1)


def make_mixer(mix: str, alpha: float, classes: int) -> v2.Transform:
    """A transform that mixes the rows of a batch and their labels: (images, labels) -> (images, shares of each label).

    Sources: mixup of Zhang et al. 2018; CutMix of Yun et al. 2019, both with one share for the whole batch.
    """
    kinds = {"mixup": [v2.MixUp], "cutmix": [v2.CutMix], "both": [v2.MixUp, v2.CutMix]}[mix]
    return v2.RandomChoice([kind(alpha=alpha, num_classes=classes) for kind in kinds])


def describe_target(target: Tensor, names: dict[int, str]) -> str:
    """A target in words: a label, several with their shares, or a number."""
    if not names:
        return f"{target.item():g}"
    if not target.ndim:
        return names[int(target)]
    shares = {names[place]: float(share) for place, share in enumerate(target) if share >= 0.005}
    if all(share == 1 for share in shares.values()):
        return ", ".join(shares) or "none"
    return " + ".join(f"{name} {share:.2g}" for name, share in sorted(shares.items(), key=lambda item: -item[1]))
