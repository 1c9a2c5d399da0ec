"""`hfkit compare`: every way of reusing a checkpoint, and every baseline, on the same rows."""

from argparse import SUPPRESS
from typing import Any

import typer

from hfkit.cli.help import Command
from hfkit.runtime.commands import GOES_ON, run


class Compare(Command):
    """Its flags are read by the parser of recipes, which lists them."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from hfkit.ledger.arguments import own_parser

        super().format_help(ctx, formatter)
        parser = own_parser()
        parser.usage = SUPPRESS  # it stands above
        print(parser.format_help())


def compare(context: typer.Context) -> None:
    """Judge every way of reusing a checkpoint, and every baseline, on the same rows, and say which is worth its cost.

    Every flag of the recipe is accepted beside those below. What has ended is never computed again: the same command
    goes on where it was stopped, and one with more seeds or strategies adds to it. Started by torchrun, `accelerate
    launch` or srun, on one machine or on several that share --compare_dir, every process works.

    With --json the last thing printed, and the only one on stdout, is a document: of every test its page, its ledger,
    the chosen contender, the verdict and all contenders.

        hfkit compare --recipe recipes/bert_sentiment.py --dataset reviews --strategies feature-extraction full
        hfkit compare --recipe recipes/bert_ner.py --dataset entities --strategies gradual --seeds 0 --tune 0.3 1 3
        hfkit compare --recipe recipes/vit_images.py --strategies full --seeds 0 --label_budgets 20 --jobs 2 --json

    Exit codes: 0 the pages are written, and say which contender failed; 1 something failed; 2 a flag, the recipe or
    the data cannot be used; 75 interrupted.
    """

    def main() -> None:
        # Within `run`: who presses Ctrl+C while torch is imported has interrupted it, too.
        from hfkit.ledger import compare as ledger

        ledger.compare(context.args)

    run(main, GOES_ON)
