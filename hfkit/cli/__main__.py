"""`python -m hfkit.cli …`: the same as `hfkit …`."""

from . import app

app()
