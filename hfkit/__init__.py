"""hfkit: transfer learning for a pretrained checkpoint and a modest dataset.

The public names are loaded when they are first used, so that `import hfkit` costs next to nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .arguments import RecipeArguments, TransferArguments, parse
    from .errors import UserError, run
    from .evaluation.report import Report
    from .trainer import TransferTrainer

__version__ = "0.1.0"
__all__ = ["RecipeArguments", "Report", "TransferArguments", "TransferTrainer", "UserError", "parse", "run"]

_HOMES = {
    "RecipeArguments": ".arguments",
    "Report": ".evaluation.report",
    "TransferArguments": ".arguments",
    "TransferTrainer": ".trainer",
    "UserError": ".errors",
    "parse": ".arguments",
    "run": ".errors",
}


def __getattr__(name: str) -> Any:
    """The public name, imported from its module on first use and kept."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hfkit' has no attribute '{name}'")
    globals()[name] = value = getattr(import_module(_HOMES[name], __name__), name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
