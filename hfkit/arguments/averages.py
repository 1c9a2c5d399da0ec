"""The flags of averaging weights, over the steps of a run and between its start and its end."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from hfkit.arguments.ranges import Range
from hfkit.errors import UserError

GRID = tuple(tenths / 10 for tenths in range(1, 11))
AUTO, GREEDY = "auto", "greedy"
MOST = 5  # weights that a greedy soup is tried with
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
    soup: str | None = field(
        default=None,
        metadata={
            "help": "at the end average the best evaluated weights of the run, from the best on, each if validation"
            " does not get worse by it: how many are kept until then, or greedy: 5 (Wortsman et al. 2022)"
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
        return self.ema is not None or self.chooses

    @property
    def chooses(self) -> bool:
        """True if validation decides at the end which weights are averaged, and how."""
        return bool(self.soup or self.wise_ft)

    @property
    def soup_size(self) -> int:
        """The number of weights that are kept to be averaged; 0 without --soup."""
        if self.soup == GREEDY:
            return MOST
        return int(self.soup or 0)

    @property
    def wise_ft_shares(self) -> tuple[float, ...]:
        """The shares of the way from the start to the end that are tried, largest first; none without --wise_ft."""
        if [AUTO] == self.wise_ft:
            return GRID[::-1]
        return tuple(sorted({float(share) for share in self.wise_ft}, reverse=True))

    def check_averages(self, *, adapted: bool, pretrained: bool, blocks_learn: bool, evaluated: bool) -> None:
        """Refuse averages that mean nothing here.

        Args:
            adapted: adapters learn beside frozen weights.
            pretrained: the run starts from the weights of a checkpoint.
            blocks_learn: more than the head may learn.
            evaluated: validation rows are looked at while it trains.

        Raises:
            UserError: naming the flag.
        """
        self.soup = None if self.soup is None else str(self.soup)  # a number in YAML
        try:
            inside = all(share in SHARE for share in self.wise_ft_shares)
        except ValueError:
            inside = False
        named = f"wise_ft={' '.join(map(str, self.wise_ft))}"
        if not inside:
            raise UserError(named, f"each share is a number {SHARE}, or all of it is {AUTO}", "Try --wise_ft auto")
        if self.soup not in (None, GREEDY) and not re.fullmatch(r"[2-9]|[1-9]\d{1,2}", self.soup):
            raise UserError(f"soup={self.soup}", f"it is a number from 2 to 999, or {GREEDY}", f"Try --soup {GREEDY}")
        if self.soup and not evaluated:
            rule = "it averages weights that were evaluated in training, and none are"
            raise UserError(f"soup={self.soup} with eval_strategy=no", rule, "Set --eval_strategy epoch")
        if self.chooses and adapted:
            rule = "the average of two adapters' matrices is no average of what they add to the weights"
            named = named if self.wise_ft else f"soup={self.soup}"
            raise UserError(f"{named} with adapters", rule, "Leave it out, or use --strategy full or gradual")
        if self.wise_ft and not (pretrained and blocks_learn):
            rule = "it goes back towards the checkpoint, and here the blocks begin at random or never learn"
            raise UserError(named, rule, "Leave it out, or use --strategy full or gradual")
