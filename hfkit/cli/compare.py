"""`hfkit compare`: every way of reusing a checkpoint, and every baseline, on the same rows."""

import typer

from ..errors import run


def compare(context: typer.Context) -> None:
    """Judge every way of reusing a checkpoint, and every baseline, on the same rows, and say which is worth its cost.

    `hfkit compare --help` lists its flags; every flag of the recipe is accepted too. What has ended is never computed
    again: the same command goes on where it was stopped, and one with more seeds or strategies adds to it. Started by
    torchrun, `accelerate launch` or srun, on one machine or on several that share --compare_dir, every process works.

    With --json the last thing printed, and the only one on stdout, is a document: of every test its page, its ledger,
    the verdict and the contenders.

        hfkit compare --recipe recipes/bert_sentiment.py --dataset reviews --strategies feature-extraction full
        hfkit compare --recipe recipes/bert_ner.py --dataset entities --strategies gradual --seeds 0 --tune 0.3 1 3
        hfkit compare --recipe recipes/vit_images.py --strategies full --seeds 0 --label_budgets 20 --jobs 2 --json
    """

    def main() -> None:
        # Within `run`: who presses Ctrl+C while torch is imported has interrupted it, too.
        from ..ledger import compare as ledger

        ledger.compare(context.args)

    run(main)
