"""Failures on the way to the Hub, each in one line that says what to run once it is mended."""

from collections.abc import Iterator
from contextlib import contextmanager

from hfkit.errors import Failure, UserError, first_line
from hfkit.runtime.redaction import withhold_secrets

LOGIN = "Run `hf auth login`, or set HF_TOKEN to a token that may write"
KEPT = "Nothing here was lost, and a file that the Hub holds already is not sent again"


@contextmanager
def explain_errors(repo_id: str, again: str) -> Iterator[None]:
    """Turn errors of the client inside the block into `UserError` or `Failure`. The client retries by itself.

    Args:
        again: what to run once it is mended.
    """
    from huggingface_hub.utils import httpx

    try:
        yield
    except (UserError, Failure):
        raise
    except (OSError, RuntimeError, ValueError, httpx.HTTPError) as error:
        raise _explain(error, repo_id, again) from error


def _explain(error: Exception, repo_id: str, again: str) -> UserError | Failure:
    from huggingface_hub.errors import HFValidationError, LocalTokenNotFoundError, OfflineModeIsEnabled

    for cause in _causes(error):
        if isinstance(cause, OfflineModeIsEnabled):
            return UserError("HF_HUB_OFFLINE", "nothing is pushed while it is set", f"Unset it, then run {again}")
        if isinstance(cause, LocalTokenNotFoundError):
            return UserError("token", "there is none to push with", f"{LOGIN}; then run {again}")
        if isinstance(cause, PermissionError) and cause.errno is None:  # not that of a file here
            return UserError("token", "it may not write there", f"{LOGIN}; then run {again}")
        if isinstance(cause, HFValidationError):
            return UserError(
                f"repository '{repo_id}'", _public_line(cause), "Give a name, or an owner and a name: me/name"
            )
        if response := getattr(cause, "response", None):
            return _explain_status(response.status_code, _public_line(cause), repo_id, again)
    return Failure(f"The push to '{repo_id}' broke off ({_public_line(error)}). {KEPT}", f"Run {again}")


def _explain_status(status: int, line: str, repo_id: str, again: str) -> UserError | Failure:
    if status == 401:
        return UserError("token", "the Hub does not accept it (401)", f"{LOGIN}; then run {again}")
    if status == 403:
        rule = "this token may not write there (403)"
        return UserError(f"repository '{repo_id}'", rule, f"Take a name or a token of yours; then run {again}")
    if status == 404:
        rule = "the Hub knows no such repository or revision, or does not show it to this token (404)"
        return UserError(f"repository '{repo_id}'", rule, f"Check the name and the token; then run {again}")
    if status in (409, 412):
        return Failure(f"Someone else is changing '{repo_id}' ({status}). {KEPT}", f"Wait, then run {again}")
    if status == 429:
        return Failure(f"The Hub was asked too often (429). {KEPT}", f"Wait some minutes, then run {again}")
    return Failure(f"The Hub could not take the push to '{repo_id}' ({line}). {KEPT}", f"Run {again}")


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _public_line(error: BaseException) -> str:
    return withhold_secrets(first_line(error)).rstrip(". ")
