"""What never leaves a run: secrets by how they look, by the name they go by, or because they are this user's own."""

import os
import re
from pathlib import Path
from typing import Any

WITHHELD = "(withheld)"
# A flag, a key of a mapping or a variable of the environment whose value is one.
SECRET_NAME = re.compile(r"(?:^|[-_])(?:token|secret|password|passwd|(?:api|access)[-_]key)$", re.IGNORECASE)
# How they look, by kind. Every pattern asks for more than a word of a vocabulary or of a page's style could be.
SECRETS = {
    "Hugging Face token": r"\b(?:hf|api_org)_[A-Za-z0-9]{16,}\b",
    "GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{22,})\b",
    "AWS key": r"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b|(?i:aws_secret_access_key)[\"'\s:=]{1,6}[A-Za-z0-9/+]{40}",
    "OpenAI or Anthropic key": r"\bsk-(?:(?:ant|proj|svcacct|admin|or)-[\w-]{20,}|[A-Za-z0-9]{32,}\b)",
    "Slack token": r"\bxox[abeoprs]-[A-Za-z0-9-]{16,}|hooks\.slack\.com/services/T\w+/B\w+/\w{16,}",
    "Google key": r"\b(?:AIza[\w-]{35}|ya29\.[\w-]{20,}|GOCSPX-[\w-]{20,})",
    "private key": (
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
        r"(?:[\s\S]{0,20000}?-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----)?"
    ),
    "bearer token": r"(?i:authorization)[\"'\s:=]{1,6}(?i:bearer)\s+[\w.~+/=-]{16,}",
}
SECRET = re.compile("|".join(SECRETS.values()))
FEWEST = 12  # characters from which on a value is searched for as it is: shorter ones occur by chance


def own_secrets() -> dict[str, str]:
    """The values that this user's environment and `hf auth login` hold, by what they are called."""
    from huggingface_hub.constants import HF_TOKEN_PATH

    found = {f"value of {name}": value for name, value in os.environ.items() if SECRET_NAME.search(name)}
    kept = Path(HF_TOKEN_PATH)
    if kept.is_file():
        found["token of `hf auth login`"] = kept.read_text(encoding="utf-8", errors="replace")
    return {name: value.strip() for name, value in found.items() if len(value.strip()) >= FEWEST}


def without_secrets(value: Any) -> Any:
    """A plain value fit to be published: secrets withheld by the name of their key, by how they look or because they
    are this user's own; and the home folder, which names the user, as `~`.
    """
    return _without(value, tuple(own_secrets().values()))


def _without(value: Any, own: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {
            key: WITHHELD if item and SECRET_NAME.search(key) else _without(item, own) for key, item in value.items()
        }
    if isinstance(value, list):
        return [_without(item, own) for item in value]
    if not isinstance(value, str):
        return value
    for secret in own:
        value = value.replace(secret, WITHHELD)
    return re.sub(rf"^{re.escape(str(Path.home()))}(?=/|$)", "~", SECRET.sub(WITHHELD, value))
