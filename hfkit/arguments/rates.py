"""The flag of rates that are found on the data before training."""

from dataclasses import dataclass, field

from hfkit.errors import UserError


@dataclass
class RateArguments:
    """How the rates of a strategy are fitted to a dataset."""

    find_rate: bool = field(
        default=False,
        metadata={
            "help": "before the first step try rates from 1/30 to 30 times the strategy's on training batches, take"
            " everything back, and multiply the rates by what was found, from 0.1 to 10; lower blocks by no more than"
            " upper ones"
        },
    )

    def check_rates(self, *, fp16: bool) -> None:
        """Refuse a search that would not see what training does.

        Raises:
            UserError: naming the flags.
        """
        if self.find_rate and fp16:
            rule = "the gradient scaler leaves out steps of its own, and a sweep could not tell which rate did it"
            raise UserError("find_rate with fp16", rule, "Use --precision fp32 or bf16, or leave it out")
