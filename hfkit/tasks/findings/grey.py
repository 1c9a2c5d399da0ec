"""Grey pictures for a backbone: grey in each of its channels, or one channel and the first weights summed."""

from typing import Any, Literal

from datasets import Dataset
from transformers import PreTrainedModel

from hfkit.errors import UserError
from hfkit.model.channels import find_first_convolution, sum_channels
from hfkit.tasks.classification.pictures import PictureClassifier

Grey = Literal["repeat", "sum"]


def describe_grey(grey: Grey, channels: int | None) -> str:
    """How a checkpoint of so many channels reads grey, in one sentence."""
    if channels == 1:
        return "Grey: the checkpoint reads one channel."
    if grey == "sum":
        return "Grey: one channel, with the first convolution's weights summed over the colours (--grey sum)."
    return "Grey: repeated in every channel that the checkpoint reads (--grey repeat)."


class GreyClassifier(PictureClassifier):
    """A picture classifier that reads grey, of which a checkpoint for colours may be given one channel.

    Args:
        grey: "sum": the model reads one channel, and its first convolution has the sum of its weights over the colours.
    """

    def __init__(self, *args: Any, grey: Grey, **options: Any) -> None:
        self.grey = grey
        super().__init__(*args, **options)

    @property
    def sums(self) -> bool:
        """Whether this checkpoint reads colours and is to read grey."""
        return self.grey == "sum" and self.colours is not None

    def _load_processor(self) -> Any:
        processor = super()._load_processor()
        mean, spread = getattr(processor, "image_mean", None), getattr(processor, "image_std", None)
        self.colours: tuple[list[float], list[float]] | None = None
        if self.grey == "repeat" or mean is not None and len(mean) == 1:
            return processor
        if mean is None or spread is None:
            raise UserError(
                "grey=sum",
                f"checkpoint '{self.checkpoint}' has no image_mean and image_std to make one of",
                "Leave it out: grey is then repeated",
            )
        self.colours = list(mean), list(spread)
        processor.image_mean, processor.image_std = [sum(mean) / len(mean)], [sum(spread) / len(spread)]
        processor.do_convert_rgb = False  # it would bring the colours back
        return processor

    def _names_of_targets(self, encoded: Dataset) -> dict[int, str]:
        # The base class reads them off the gold answers, where what is not known has a name too.
        return dict(enumerate(self.labels))

    def model(self, **options: Any) -> PreTrainedModel:
        model = super().model(**options)
        if self.sums:
            find_first_convolution(model, f"checkpoint '{self.checkpoint}'")
            sum_channels(model, spreads=self.colours[1], spread=self.processor.image_std[0])
        return model
