"""From a model's folder to the Hub: staged by an allow-list, looked through for secrets, its card judged, then sent.

The client's `upload_folder` does the sending: it retries what is worth it, and what an interrupted push has sent is
not sent again by the next one.
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
from hfkit.hub.failures import explained
from hfkit.hub.lint import lint, named
from hfkit.hub.lint_metadata import read_metadata
from hfkit.hub.paths import replaced, shown_places, without_places
from hfkit.hub.secrets import refuse_secrets
from hfkit.hub.staging import PUBLISHED, choose, stage, staged_files
from hfkit.report.report import render
from hfkit.version import __version__

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, HfApi

OTHERS = ".eval_results/"  # others may have added to it
MOST_FAULTS = 3  # of a card, that are told


@dataclass(frozen=True)
class Push:
    """What was sent, or would be: sizes are bytes."""

    repo_id: str
    files: dict[str, int]
    left_out: dict[str, int]
    removed: list[str] = field(default_factory=list)  # of an earlier push, with no like in this one
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
        """What to run for the same push."""
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
    with TemporaryDirectory(prefix="hfkit-push-") as place, explained(repo_id, again):
        if not dry_run:
            target = replace(target, repo_id=full_name(repo_id))
        require_name(repo_id)
        chosen = choose(folder)
        stage(chosen, Path(place))
        _publish_pages(folder, Path(place), target.repo_id)
        files = staged_files(Path(place))
        refuse_secrets(files, then=f"then run {again}")
        _refuse_cards(folder, Path(place), again)
        sizes = {name: path.stat().st_size for name, path in files.items()}
        staged = Push(target.repo_id, sizes, chosen.left_out)
        if dry_run:
            return staged
        with _quiet_in_logs():
            return _sent(staged, Path(place), target, message, again)


def full_name(repo_id: str) -> str:
    """The name with its owner, who is taken to be the user that the present token belongs to.

    Raises:
        PermissionError: the token may only read. Other errors are the client's own.
    """
    from huggingface_hub import HfApi

    require_name(repo_id)
    told = HfApi().whoami()
    if told.get("auth", {}).get("accessToken", {}).get("role") == "read":
        raise PermissionError("the token may only read")
    return repo_id if "/" in repo_id else f"{told['name']}/{repo_id}"


def require_name(repo_id: str) -> None:
    """Raises the client's `HFValidationError` for what cannot be a repository's name."""
    from huggingface_hub.utils import validate_repo_id

    validate_repo_id(repo_id)


def _sent(staged: Push, place: Path, target: Target, message: str, again: str) -> Push:
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
        held = {found.name: found.target_commit for found in api.list_repo_refs(repo_id).tags}
        if held.get(tag) != commit:
            rule = "it stands at another commit already; the model itself was pushed"
            raise UserError(f"tag '{tag}'", rule, "Push again with another --tag") from error


def _publish_pages(folder: Path, place: Path, repo_id: str) -> None:
    """Take the folders of this machine out of the staged report and cards, and give the cards the id that they are
    published under: their snippets load the model by it.

    What was written by hand stays as it is; a run that lost its card gets one.
    """
    if not (place / "report.json").is_file():
        return
    report = read_report(folder)
    public, shown = without_places(report), shown_places(report)
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
            as_rendered = text == render_card(report, model=named(read_metadata(text)[0]), **how)
            named_so = render_card(public, model=repo_id, **how) if as_rendered else replaced(text, shown)
            card.write_text(named_so, encoding="utf-8")


def _refuse_cards(folder: Path, place: Path, again: str) -> None:
    """Refuse cards that say what the report does not; of a model without a report, a card that cannot be read."""
    if (place / "report.json").is_file():
        faults = lint(place)
        fix = f"`hfkit card write {shlex.quote(str(folder))}` writes it anew"
    else:
        faults, fix = _unreadable(place / "README.md"), "Mend it"
    if faults:
        more = f" and {len(faults) - MOST_FAULTS} more" if len(faults) > MOST_FAULTS else ""
        raise UserError("model card", "; ".join(faults[:MOST_FAULTS]) + more, f"{fix}; then run {again}")


def _unreadable(card: Path) -> list[str]:
    import yaml
    from huggingface_hub import ModelCard

    try:
        if not card.read_text(encoding="utf-8").strip():
            return ["README.md: it is empty"]
        ModelCard.load(card)
    # The client does not look at the types of what it reads.
    except (ValueError, TypeError, KeyError, AttributeError, yaml.YAMLError) as error:
        return [f"README.md: its metadata cannot be read ({one_line(error)})"]
    return []


def _is_text(card: Path) -> bool:
    try:
        return bool(card.read_text(encoding="utf-8"))
    except UnicodeDecodeError:
        return False  # the linter says so


@contextmanager
def _quiet_in_logs() -> Iterator[None]:
    """No progress bars where nobody sees them move."""
    from huggingface_hub.utils import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars

    quiet = not sys.stderr.isatty() and not are_progress_bars_disabled()
    if quiet:
        disable_progress_bars()
    try:
        yield
    finally:
        if quiet:
            enable_progress_bars()
