"""The last look before a push: no file that is sent may hold a secret. The secret itself is never printed."""

import html
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

from markupsafe import Markup

from hfkit.errors import UserError
from hfkit.runtime.redaction import SECRETS, find_own_secrets, withhold_secrets

# On bytes, so that binary tokenizers are searched too, and letters are those of ASCII.
PATTERNS = {kind: re.compile(pattern.encode()) for kind, pattern in SECRETS.items()}
PIECE = 1 << 24  # bytes read at once
OVERLAP = 4096  # bytes looked at twice, so that no secret is cut in two
LONGEST_HEADER = 100_000_000  # bytes; safetensors itself takes no longer one


def refuse_secrets(files: Mapping[str, Path], then: str) -> None:
    """Refuse files that hold what looks like a secret, or one of this user's own.

    Args:
        files: name for messages -> file.
        then: what to do once the file is mended.

    Raises:
        UserError: it names the files and the kinds, never the secrets.
    """
    own = {form: name for name, value in find_own_secrets().items() for form in forms(value)}
    leaks = {
        withhold_secrets(name): kinds
        for name, path in files.items()
        if (kinds := sorted({*_kinds(name.encode(), own), *kinds_in(path, own)}))
    }
    if leaks:
        raise UserError(
            "; ".join(f"'{name}' ({', '.join(kinds)})" for name, kinds in leaks.items()),
            "this looks like a secret, and nothing was sent",
            f"Take it out of the file or its name, and revoke it if others could read it; {then}",
        )


def forms(secret: str) -> set[bytes]:
    """A secret as it stands in plain text, in JSON, in HTML and in an address."""
    in_json = json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]
    in_html = html.escape(secret), str(Markup.escape(secret))
    return {form.encode() for form in (secret, *in_json, *in_html, quote(secret, safe=""))}


def kinds_in(path: Path, own: Mapping[bytes, str]) -> Iterator[str]:
    """The kinds of secrets in a file: of all by how they look, and of `own` (value -> name) by their very values.

    Numbers of weights may look like anything, so of a safetensors file only the header is looked at; the user's own
    secrets are searched for everywhere.
    """
    weights = path.suffix == ".safetensors"
    if weights:
        yield from _kinds(_header(path), own)
    with path.open("rb") as file:
        overlap = b""
        while piece := file.read(PIECE):
            piece = overlap + piece
            yield from (name for value, name in own.items() if value in piece) if weights else _kinds(piece, own)
            if path.suffix == ".md":  # Markdown writes hf\_abc
                yield from _kinds(piece.replace(b"\\", b""), own)
            overlap = piece[-OVERLAP:]


def _kinds(content: bytes, own: Mapping[bytes, str]) -> Iterator[str]:
    yield from (kind for kind, pattern in PATTERNS.items() if pattern.search(content))
    yield from (name for value, name in own.items() if value in content)


def _header(path: Path) -> bytes:
    """The header of a safetensors file: names of tensors and metadata, as JSON.

    Raises:
        UserError: it is not such a file.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length) if length <= LONGEST_HEADER else b""
        if not isinstance(json.loads(header), dict):
            raise ValueError
    except ValueError as error:
        rule = "it is not a safetensors file"
        raise UserError(f"'{path.name}'", rule, "Save the model again with `save_pretrained`") from error
    return header
