"""The optional libraries for images."""

from importlib.util import find_spec

from hfkit.errors import UserError


def require_vision() -> None:
    """Require the libraries for images.

    Raises:
        UserError: one is missing.
    """
    missing = [name for name, module in (("pillow", "PIL"), ("torchvision", "torchvision")) if not find_spec(module)]
    if missing:
        raise UserError(
            ", ".join(missing), "images need it, and it is not installed", 'Run: pip install "hfkit[vision]"'
        )
