"""`python -m hfkit.cli …`: the same as `hfkit …`."""

from hfkit.cli import app

app()
