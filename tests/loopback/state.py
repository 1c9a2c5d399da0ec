"""What a Hub holds: repositories of models with their commits, branches, tags and pull requests."""

import hashlib
from dataclasses import dataclass, field

EMPTY = "0" * 40
WHEN = "2026-01-01T00:00:00.000Z"


@dataclass(frozen=True)
class File:
    """A file of a commit. What is large lies elsewhere and is known by its sha256; git holds a pointer to it."""

    size: int
    sha256: str | None = None
    content: bytes | None = None

    @property
    def pointer(self) -> bytes:
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()

    @property
    def oid(self) -> str:
        """Its name in git."""
        held = self.pointer if self.sha256 else self.content
        return hashlib.sha1(b"blob %d\0" % len(held) + held).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 or self.oid


@dataclass(frozen=True)
class Commit:
    oid: str
    title: str
    files: dict[str, File]
    parent: str = EMPTY


@dataclass
class Repo:
    id: str
    private: bool
    commits: dict[str, Commit] = field(default_factory=dict)
    heads: dict[str, str] = field(default_factory=dict)  # branch or refs/pr/N -> commit
    tags: dict[str, str] = field(default_factory=dict)
    pulls: list[str] = field(default_factory=list)  # titles; the first one is number 1

    def __post_init__(self) -> None:
        attributes = b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"
        self.heads["main"] = EMPTY
        self.commit("main", "initial commit", {".gitattributes": File(len(attributes), content=attributes)})

    def commit(self, head: str, title: str, changed: dict[str, File | None]) -> Commit:
        """Add a commit to a head; a file that is None goes."""
        parent = self.heads[head]
        files = dict(self.commits[parent].files) if parent != EMPTY else {}
        files = {path: file for path, file in (files | changed).items() if file is not None}
        oid = hashlib.sha1(f"{parent} {title} {len(self.commits)}".encode()).hexdigest()
        self.commits[oid] = made = Commit(oid, title, files, parent)
        self.heads[head] = oid
        return made

    def at(self, revision: str) -> Commit | None:
        oid = self.heads.get(revision) or self.tags.get(revision) or revision
        return self.commits.get(oid)

    def history(self, revision: str) -> list[Commit]:
        found, commit = [], self.at(revision)
        while commit is not None:
            found.append(commit)
            commit = self.commits.get(commit.parent)
        return found

    def pull_request(self, title: str) -> str:
        """Open one on main, and return its ref."""
        self.pulls.append(title)
        ref = f"refs/pr/{len(self.pulls)}"
        self.heads[ref] = self.heads["main"]
        return ref
