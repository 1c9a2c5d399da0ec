"""Names of a package that are imported on first use: a run imports only what it uses."""

import gc
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def import_on_first_use(package: str, homes: Mapping[str, str]) -> Callable[[str], Any]:
    """A `__getattr__` for `package` that imports each name from its module on first use, and keeps it.

    Args:
        homes: public name -> relative module, such as ".trainer".
    """

    def find(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        collecting = gc.isenabled()
        # Thousands of modules make objects that stay. The collector would walk all of them again and again, which took
        # a fifth of the time of importing.
        gc.disable()
        try:
            value = getattr(import_module(homes[name], package), name)
        finally:
            if collecting:
                gc.enable()
        setattr(sys.modules[package], name, value)
        return value

    return find
