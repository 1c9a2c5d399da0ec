"""From a model's folder to the Hub: staged by an allow-list, searched for secrets, its card checked, then sent.

The client's `upload_folder` does the sending: it retries by itself, and files that an interrupted push has sent are not
sent again by the next one.
"""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from hfkit.errors import UserError, one_line
from hfkit.hub.card import ADAPTER, read_report, render_card, write_card
from hfkit.hub.failures import explain_errors
from hfkit.hub.lint import find_model_name, lint
from hfkit.hub.lint_metadata import read_metadata
from hfkit.hub.paths import find_paths, hide_folders, shorten_paths
from hfkit.hub.secrets import refuse_secrets
from hfkit.hub.staging import PUBLISHED, choose, stage, staged_files
from hfkit.report.report import render
from hfkit.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi

OTHERS = ".eval_results/"  # others may have added to it
MOST_FAULTS = 3  # of a card in a message


@dataclass(frozen=True)
class Push:
    """The files that were sent, or would be; sizes are bytes."""

    repo_id: str
    files: dict[str, int]
    left_out: dict[str, int]
    removed: list[str] = field(default_factory=list)  # from an earlier push, missing in this one
    commit: "CommitInfo | None" = None  # None: a dry run
    changed: bool = False
    url: str | None = None


@dataclass(frozen=True)
class Target:
    """Where to, and how."""

    repo_id: str
    private: bool | None = None
    revision: str | None = None
    create_pr: bool = False
    tag: str | None = None

    def __post_init__(self) -> None:
        if self.create_pr and self.revision not in (None, "main"):
            rule = "a pull request is made against main"
            raise UserError(f"revision={self.revision}", rule, "Leave out --revision or --create-pr")
        if self.create_pr and self.tag:
            raise UserError(f"tag={self.tag}", "what is only proposed gets no tag", "Leave out --tag or --create-pr")

    @property
    def branch(self) -> str | None:
        """The branch to create where it is missing."""
        kept = (None, "main")
        return None if self.revision in kept or self.revision.startswith("refs/pr/") else self.revision

    def command(self, folder: Path) -> str:
        """The command line for the same push."""
        words = ["hfkit", "push", str(folder), self.repo_id]
        words += ["--private"] * bool(self.private) + ["--create-pr"] * self.create_pr
        for flag, value in (("--revision", self.revision), ("--tag", self.tag)):
            words += [flag, value] if value else []
        return f"`{shlex.join(words)}`"


def push(
    folder: Path,
    repo_id: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    tag: str | None = None,
    dry_run: bool = False,
    message: str = "Upload a model with hfkit",
) -> Push:
    """Publish a model's folder on the Hub, in a repository that is created where it is missing.

    Afterwards the repository holds this model: files of these names that an earlier push left and that are missing
    here are removed in the same commit, and files of other names stay. Where nothing has changed nothing is committed.

    Args:
        folder: a finished run, or any saved model with a README.md. Nothing in it is changed.
        repo_id: `owner/name`, or a name of your own.
        private: create the repository so; None leaves it to the account's default.
        revision: the branch to push to, created where it is missing; None is main.
        create_pr: propose it as a pull request instead.
        tag: a name for the pushed commit.
        dry_run: do everything up to the first request.
        message: of the commit.

    Raises:
        UserError: what was given cannot be pushed; a file that holds a secret is named.
        Failure: the Hub or the way to it failed; the same call goes on.
    """
    target = Target(repo_id, private, revision, create_pr, tag)
    again = target.command(folder)
    with TemporaryDirectory(prefix="hfkit-push-") as place, explain_errors(repo_id, again):
        if not dry_run:
            target = replace(target, repo_id=full_name(repo_id))
        require_name(repo_id)
        selection = choose(folder)
        stage(selection, Path(place))
        _publish_pages(folder, Path(place), target.repo_id)
        files = staged_files(Path(place))
        refuse_secrets(files, then=f"then run {again}")
        _refuse_cards(folder, Path(place), again)
        sizes = {name: path.stat().st_size for name, path in files.items()}
        staged = Push(target.repo_id, sizes, selection.left_out)
        if dry_run:
            return staged
        with _hide_bars_in_logs():
            return _send(staged, Path(place), target, message, again)


def full_name(repo_id: str) -> str:
    """The name with its owner, by default the user of the present token.

    Raises:
        PermissionError: the token may only read. Other errors are the client's own.
    """
    from huggingface_hub import HfApi

    require_name(repo_id)
    user = HfApi().whoami()
    if user.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise PermissionError("the token may only read")
    return repo_id if "/" in repo_id else f"{user['name']}/{repo_id}"


def require_name(repo_id: str) -> None:
    """Raises the client's `HFValidationError` for what cannot be a repository's name."""
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)


def _send(staged: Push, place: Path, target: Target, message: str, again: str) -> Push:
    from huggingface_hub import HfApi, ModelCard

    api, repo_id = HfApi(library_name="hfkit", library_version=__version__), target.repo_id
    try:
        ModelCard.load(place / "README.md").validate()  # before a repository is made for it
    except ValueError as error:
        rule = f"the Hub refuses it ({one_line(error)})"
        raise UserError("model card", rule, f"Mend it; then run {again}") from error
    api.create_repo(repo_id, private=target.private, exist_ok=True)
    if target.branch:
        api.create_branch(repo_id, branch=target.branch, exist_ok=True)
    before = api.model_info(repo_id, revision=target.revision)
    if target.private and not before.private:
        raise UserError(
            f"repository '{repo_id}'",
            "it exists and is public, so --private cannot be kept",
            f"Make it private in its settings, or choose another name; then run {again}",
        )
    removed = [
        name
        for name in (sibling.rfilename for sibling in before.siblings)
        if PUBLISHED.fullmatch(name) and name not in staged.files and not name.startswith(OTHERS)
    ]
    commit = api.upload_folder(
        repo_id=repo_id,
        folder_path=place,
        revision=target.revision,
        create_pr=target.create_pr,
        delete_patterns=removed or None,
        commit_message=message,
    )
    if target.tag:
        _tag(api, repo_id, target.tag, commit.oid)
    at = f"/tree/{target.revision}" if target.branch else ""
    return replace(
        staged,
        removed=removed,
        commit=commit,
        changed=commit.oid != before.sha,
        url=commit.pr_url or f"{api.endpoint}/{repo_id}{at}",
    )


def _tag(api: "HfApi", repo_id: str, tag: str, commit: str) -> None:
    from huggingface_hub.errors import HfHubHTTPError

    try:
        api.create_tag(repo_id, tag=tag, revision=commit)
    except HfHubHTTPError as error:
        if error.response.status_code != 409:
            raise
        commits = {known.name: known.target_commit for known in api.list_repo_refs(repo_id).tags}
        if commits.get(tag) != commit:
            rule = "it stands at another commit already; the model itself was pushed"
            raise UserError(f"tag '{tag}'", rule, "Push again with another --tag") from error


def _publish_pages(folder: Path, place: Path, repo_id: str) -> None:
    """Take the folders of this machine out of the staged report and cards, and give the cards the id that they are
    published under, by which their snippets load the model.

    Edits by hand stay; a run that lost its card gets one.
    """
    if not (place / "report.json").is_file():
        return
    report = read_report(folder)
    public, names = hide_folders(report), find_paths(report)
    if public != report:
        for name, text in render(public).items():
            if (place / name).is_file():
                (place / name).write_text(text, encoding="utf-8")
    if not (place / "README.md").is_file():
        write_card(place, model=repo_id)
    for name, adapter in (("README.md", False), (f"{ADAPTER}/README.md", True)):
        card = place / name
        if card.is_file() and _is_text(card):
            text, how = card.read_text(encoding="utf-8"), {"pictures": not adapter, "adapter": adapter}
            as_rendered = text == render_card(report, model=find_model_name(read_metadata(text)[0]), **how)
            renamed = render_card(public, model=repo_id, **how) if as_rendered else shorten_paths(text, names)
            card.write_text(renamed, encoding="utf-8")


def _refuse_cards(folder: Path, place: Path, again: str) -> None:
    """Refuse cards that contradict the report; of a model without a report, a card that cannot be read."""
    if (place / "report.json").is_file():
        faults = lint(place)
        fix = f"`hfkit card write {shlex.quote(str(folder))}` writes it anew"
    else:
        faults, fix = _find_unreadable(place / "README.md"), "Mend it"
    if faults:
        more = f" and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise UserError("model card", "; ".join(faults[:MOST_FAULTS]) + more, f"{fix}; then run {again}")


def _find_unreadable(card: Path) -> list[str]:
    import yaml
    from huggingface_hub import ModelCard

    try:
        if not card.read_text(encoding="utf-8").strip():
            return ["README.md: it is empty"]
        ModelCard.load(card)
    # The client does not check the types of the values that it reads.
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        return [f"README.md: its metadata cannot be read ({one_line(error)})"]
    return []


def _is_text(card: Path) -> bool:
    try:
        return bool(card.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return False  # the linter reports it


@contextmanager
def _hide_bars_in_logs() -> Iterator[None]:
    """Hide progress bars unless a terminal shows them."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if quiet:
        disable_progress_bars()
    try:
        yield
    finally:
        if quiet:
            enable_progress_bars()
