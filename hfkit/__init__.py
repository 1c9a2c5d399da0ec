"""hfkit: transfer learning for a pretrained checkpoint and a modest dataset.

The public names are loaded when they are first used, so that `import hfkit` costs next to nothing.
"""

from typing import TYPE_CHECKING

from hfkit.runtime.lazy import import_on_first_use
from hfkit.version import __version__ as __version__

if TYPE_CHECKING:
    from hfkit.arguments.parse import parse
    from hfkit.arguments.recipe import RecipeArguments
    from hfkit.arguments.training import TransferArguments
    from hfkit.errors import UserError
    from hfkit.report.report import Report
    from hfkit.runtime.commands import run
    from hfkit.training.trainer import TransferTrainer

__all__ = [
    "KEEP_BEST",
    "RecipeArguments",
    "Report",
    "TransferArguments",
    "TransferTrainer",
    "UserError",
    "parse",
    "run",
]

__getattr__ = import_on_first_use(
    __name__,
    {
        "KEEP_BEST": ".arguments.training",
        "RecipeArguments": ".arguments.recipe",
        "Report": ".report.report",
        "TransferArguments": ".arguments.training",
        "TransferTrainer": ".training.trainer",
        "UserError": ".errors",
        "parse": ".arguments.parse",
        "run": ".runtime.commands",
    },
)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
