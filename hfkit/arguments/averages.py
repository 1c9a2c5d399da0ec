"""The flags of averaging weights, over the steps of a run and between its start and its end."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hfkit.arguments.ranges import Range
from hfkit.errors import UserError

GRID = tuple(tenths / 10 for tenths in range(1, 11))
AUTO = "auto"
SHARE = Range(0.0, 1.0, above=True)


@dataclass
class AverageArguments:
    """Averages of weights, all off by default."""

    ranges: ClassVar[Mapping[str, Range]] = {"ema": Range(0.0, 1.0, above=True, below=True)}

    ema: float | None = field(
        default=None,
        metadata={
            "help": "evaluate, choose and save a moving average of the weights, which keeps this share of itself in"
            " every optimizer step t, at most (1 + t) / (10 + t); try 0.99"
        },
    )
    wise_ft: list[str] = field(
        default_factory=list,
        metadata={
            "help": "at the end go back towards the weights at the start, and keep so much of the way as is best on"
            " validation: shares from 0 to 1 to try, or auto: tenths (Wortsman et al. 2022)"
        },
    )

    @property
    def averages(self) -> bool:
        """True if the weights that a run ends with are averages of others."""
        return self.ema is not None or bool(self.wise_ft)

    @property
    def wise_ft_shares(self) -> tuple[float, ...]:
        """The shares of the way from the start to the end that are tried, largest first; none without --wise_ft."""
        if [AUTO] == self.wise_ft:
            return GRID[::-1]
        return tuple(sorted({float(share) for share in self.wise_ft}, reverse=True))

    def check_averages(self, *, adapted: bool, pretrained: bool, blocks_learn: bool) -> None:
        """Refuse averages that mean nothing here.

        Args:
            adapted: adapters learn beside frozen weights.
            pretrained: the run starts from the weights of a checkpoint.
            blocks_learn: more than the head may learn.

        Raises:
            UserError: naming the flag.
        """
        try:
            inside = all(share in SHARE for share in self.wise_ft_shares)
        except ValueError:
            inside = False
        named = f"wise_ft={' '.join(map(str, self.wise_ft))}"
        if not inside:
            raise UserError(named, f"each share is a number {SHARE}, or all of it is {AUTO}", "Try --wise_ft auto")
        if self.wise_ft and adapted:
            rule = "the average of two adapters' matrices is no average of what they add to the weights"
            raise UserError(f"{named} with adapters", rule, "Leave it out, or use --strategy full or gradual")
        if self.wise_ft and not (pretrained and blocks_learn):
            rule = "it goes back towards the checkpoint, and here the blocks begin at random or never learn"
            raise UserError(named, rule, "Leave it out, or use --strategy full or gradual")
