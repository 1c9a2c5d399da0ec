"""`hfkit compare`: every way of reusing a checkpoint, and every baseline, on the same rows."""

import typer

from ..errors import run


def compare(context: typer.Context) -> None:
    """Judge every way of reusing a checkpoint, and every baseline, on the same rows, and say which is worth its cost.

        hfkit compare --recipe recipes/bert_sentiment.py
        hfkit compare --recipe recipes/bert_ner.py --dataset my/entities --strategies gradual full --tune 0.3 1 3
        hfkit compare --recipe recipes/vit_images.py --seeds 0 1 2 3 4 --label_budgets 20 100 500 --jobs 2

    `hfkit compare --help` lists its flags; every flag of the recipe is accepted too. What has ended is never computed
    again: the same command goes on where it was stopped, and one with more seeds or strategies adds to it. Started by
    torchrun, `accelerate launch` or srun, on one machine or on several that share --compare_dir, every process works.
    """
    from ..ledger import compare as ledger

    run(lambda: ledger.compare(context.args))
