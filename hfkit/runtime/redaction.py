"""Secrets, which never leave a run: known by their form, by their name, or because they are this user's own."""

import os
import re
from contextlib import suppress
from itertools import chain, count
from netrc import NetrcParseError, netrc
from pathlib import Path
from typing import Any

WITHHELD = "(withheld)"
# A flag, a key of a mapping or a variable of the environment with this name holds a secret.
SECRET_NAME = re.compile(
    r"(?:^|[-_])(?:token|secret|password|passwd|passphrase|pat|api[-_]?key|(?:access|secret|private|account)[-_]key)$",
    re.IGNORECASE,
)
WITH_PASSWORD = "address with a password"
# Their form, by kind. Every pattern asks for more than any word of a vocabulary or of a page's style has.
BEGIN = r"(?<![A-Za-z0-9])"  # not \b: f1_LABEL is the name of a score, and a label may look like a token
SECRETS = {
    "Hugging Face token": BEGIN + r"(?:hf|api_org)_[A-Za-z0-9]{16,}",
    "GitHub token": BEGIN + r"(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{22,})",
    "AWS key": BEGIN + r"(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])"
    r"|(?i:aws_secret_access_key)[\"'\s:=]{1,6}[A-Za-z0-9/+]{40}",
    "OpenAI or Anthropic key": BEGIN + r"sk-(?:(?:ant|proj|svcacct|admin|or)-[\w-]{20,}|[A-Za-z0-9]{32,})",
    "Slack token": BEGIN + r"xox[abeoprs]-[A-Za-z0-9-]{16,}|hooks\.slack\.com/services/T\w+/B\w+/\w{16,}",
    "Google key": BEGIN + r"(?:AIza[\w-]{35}(?![\w-])|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})",
    "GitLab or PyPI token": BEGIN + r"(?:glpat-[\w-]{20,}|pypi-AgEI[\w-]{50,})",
    WITH_PASSWORD: r"(?<=://)[^\s/:@\"'<>\\]{1,64}:[^\s/@\"'<>\\]{3,256}@(?=[\w\[])",
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\S]{0,20000}?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
    ),
    "bearer token": r"(?i:authorization)[\"'\s:=]{1,6}(?i:bearer)\s+[\w.~+/=-]{16,}",
}
SECRET = re.compile("|".join(SECRETS.values()))
# All but tabs and line ends: what begins an escape sequence, also in 8 bits, other line ends, and signs of direction.
CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]")
FEWEST = 12  # characters of a value that is searched for literally: shorter ones occur by chance


def find_own_secrets() -> dict[str, str]:
    """The secrets in this user's environment, of `hf auth login` and in ~/.netrc, by name."""
    from huggingface_hub.constants import HF_TOKEN_PATH

    found = {f"value of {name}": value for name, value in os.environ.items() if SECRET_NAME.search(name)}
    with suppress(OSError):  # where there is none, or another user's
        found["token of `hf auth login`"] = Path(HF_TOKEN_PATH).read_text(encoding="utf-8", errors="replace")
    with suppress(OSError, NetrcParseError, UnicodeError):  # `wandb login` keeps its key there
        found |= {f"password of {host} in .netrc": password or "" for host, (*_, password) in netrc().hosts.items()}
    return {name: value.strip() for name, value in found.items() if len(value.strip()) >= FEWEST}


def withhold_secrets(value: Any) -> Any:
    """A plain value that can be published: without secrets (by the name of their key, by their form, or this user's
    own), and with the home folder, which names the user, as `~`.

    Only text is withheld by the name of its key: a key may be a label, and many labels are called `password`. Keys that
    are secrets themselves are withheld too, and numbered where there are several.
    """
    home = Path.home()
    # The root of the file system, the home folder in some containers, names no user.
    shown = re.compile(rf"(?<![\w./~-]){re.escape(str(home))}(?![\w.-])") if home != Path(home.anchor) else None
    return _withhold(value, tuple(find_own_secrets().values()), shown)


def make_printable(line: str) -> str:
    """A line for a terminal or a log, without secrets, and with characters spelt out that a terminal would obey.

    The folders of this machine stay: the user has to find them.
    """
    return spell_out_controls(_withhold(line, tuple(find_own_secrets().values()), None))


def spell_out_controls(text: str) -> str:
    """A text in which characters that move, colour or turn round what stands near them are written as in JSON."""
    return CONTROLS.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def _withhold(value: Any, own: tuple[str, ...], home: re.Pattern | None) -> Any:
    if isinstance(value, dict):
        public: dict[Any, Any] = {}
        for key, item in value.items():
            name = _withhold(key, own, home)
            if name != key:  # a label that looks like a token; another one must not take its place
                name = next(one for one in chain([name], (f"{name} {n}" for n in count(2))) if one not in public)
            public[name] = _withhold_by_key(key, _withhold(item, own, home))
        return public
    if isinstance(value, list | tuple):
        return type(value)(_withhold(item, own, home) for item in value)
    if not isinstance(value, str) or value.startswith("data:image/"):
        return value
    for secret in own:
        value = value.replace(secret, WITHHELD)
    value = SECRET.sub(WITHHELD, value)
    return home.sub("~", value) if home else value


def _withhold_by_key(key: Any, value: Any) -> Any:
    text = isinstance(value, str) or isinstance(value, list) and any(isinstance(one, str) for one in value)
    return WITHHELD if value and text and SECRET_NAME.search(str(key)) else value
