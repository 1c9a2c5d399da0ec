"""Another `forward` for modules of a model, for a while."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from torch import nn


@contextmanager
def wrap_forwards(wrappers: Sequence[tuple[nn.Module, Callable[[Callable], Callable]]]) -> Iterator[None]:
    """Within it each module runs what its wrapper makes of its `forward`; at the end it is as before.

    Not a hook: that cannot keep a module from running. And on the instance, not the class: others are of the same one.
    """
    # accelerate also keeps a `forward` of its own in the instance, which has to come back afterwards.
    before = [vars(module).get("forward") for module, _ in wrappers]
    try:
        for module, wrap in wrappers:
            vars(module)["forward"] = wrap(module.forward)
        yield
    finally:
        for (module, _), own in zip(wrappers, before, strict=True):
            if own is None:
                vars(module).pop("forward", None)
            else:
                vars(module)["forward"] = own
