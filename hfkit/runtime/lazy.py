"""Names of a package that are imported on first use: a run imports what it uses and nothing else."""

import gc
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def import_on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for `package`: each name is imported from its module when it is first asked for, and kept.

    Args:
        homes: public name -> relative module, such as ".trainer".
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        collecting = gc.isenabled()
        # Thousands of modules make objects that stay; the collector would walk all of them again and again, which is a
        # fifth of the time that importing takes.
        gc.disable()
        try:
            value = getattr(import_module(homes[name], package), name)
        finally:
            if collecting:
                gc.enable()
        setattr(sys.modules[package], name, value)
        return value

    return find
