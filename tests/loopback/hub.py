"""A Hub on 127.0.0.1 for the real client: both ways of uploading (Xet and LFS), faults on demand, and a log of all.

It speaks what `huggingface_hub` asks of models. A client in another process takes it by HF_ENDPOINT, which is read at
import, and programs it by the routes below /_control.
"""

import base64
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from tests.fixtures.card_rules import card_faults
from tests.loopback.state import WHEN, File, Repo
from tests.loopback.xet import OutOfRange, Store

WRITER, READER = "hf_writerwriterwriterwriter", "hf_readerreaderreaderreader"
TOKENS = {WRITER: ("me", "write"), READER: ("me", "read")}
LARGE = 1_000_000  # bytes from which on also text goes to the large files' store
DROPPED = 0  # in place of a status: the connection is closed without an answer


@dataclass
class Request:
    method: str
    path: str  # as it was sent
    query: dict[str, list[str]]
    headers: Any
    body: bytes
    user: str | None
    role: str | None

    def json(self) -> Any:
        return json.loads(self.body or b"{}")


@dataclass
class Answer:
    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Fault:
    """The next `times` requests that match, after `after` others that do, get `status` instead of an answer."""

    method: str
    path: str  # a pattern to search for
    status: int
    times: int = 1
    after: int = 0

    def hits(self, method: str, path: str) -> bool:
        if self.times == 0 or method != self.method or not re.search(self.path, path):
            return False
        if self.after:
            self.after -= 1
            return False
        self.times -= 1
        return True


class Refusal(Exception):
    def __init__(self, status: int, message: str, code: str = "") -> None:
        headers = {"X-Error-Message": message} | ({"X-Error-Code": code} if code else {})
        self.answer = in_json({"error": message}, status, headers)


def in_json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Answer:
    return Answer(status, json.dumps(value).encode(), {"Content-Type": "application/json", **(headers or {})})


class Hub:
    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.objects: dict[str, bytes] = {}  # sha256 -> what LFS uploaded
        self.store = Store()
        self.faults: list[Fault] = []
        self.log: list[dict[str, Any]] = []  # method, path, status, body
        self.lock = threading.RLock()
        self.url = ""

    def answer(self, request: Request) -> Answer:
        if request.path.startswith("/_control/"):
            return self._control(request)
        with self.lock:
            fault = next((fault for fault in self.faults if fault.hits(request.method, request.path)), None)
        if fault:
            given = Answer(DROPPED) if fault.status == DROPPED else Refusal(fault.status, "on demand").answer
        else:
            given = self._served(request)
        entry = {"method": request.method, "path": request.path, "status": given.status, "body": request.body}
        with self.lock:
            self.log.append(entry)
        return given

    def _served(self, request: Request) -> Answer:
        for method, pattern, serve in ROUTES:
            found = re.fullmatch(pattern, request.path)
            if found and request.method in method.split():
                try:
                    with self.lock:
                        return serve(self, request, *(unquote(part or "") for part in found.groups()))
                except Refusal as refusal:
                    return refusal.answer
        return Refusal(404, "no such route").answer

    def _control(self, request: Request) -> Answer:
        with self.lock:
            if request.path == "/_control/fail":
                self.faults.append(Fault(**request.json()))
            elif request.path == "/_control/clear":
                self.faults.clear()
            elif request.path == "/_control/log":
                first = int(request.query.get("first", ["0"])[0])
                return in_json([{**seen, "body": len(seen["body"])} for seen in self.log[first:]])
        return in_json({})

    # Who may do what

    def repo(self, request: Request, name: str, write: bool = False) -> Repo:
        if request.headers.get("Authorization") and request.user is None:
            raise Refusal(401, "Invalid credentials in Authorization header")
        repo = self.repos.get(name)
        if repo is None or repo.private and request.user != name.split("/")[0]:
            raise Refusal(404 if request.user else 401, "Repository not found", "RepoNotFound")
        if write:
            self.require_writer(request, name)
        return repo

    def require_writer(self, request: Request, name: str) -> None:
        if request.user is None:
            raise Refusal(401, "Invalid username or password.")
        if request.role != "write" or request.user != name.split("/")[0]:
            raise Refusal(403, "You don't have the rights to write to this repository")

    def commit_of(self, request: Request, name: str, revision: str):
        commit = self.repo(request, name).at(revision)
        if commit is None:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        return commit

    # Accounts, cards, repositories

    def whoami(self, request: Request) -> Answer:
        if request.user is None:
            raise Refusal(401, "Invalid credentials in Authorization header")
        access = {"accessToken": {"role": request.role, "displayName": "test"}}
        return in_json({"type": "user", "name": request.user, "fullname": request.user, "orgs": [], "auth": access})

    def validate_yaml(self, request: Request) -> Answer:
        faults = card_faults(request.json()["content"])
        told = {"errors": [{"message": fault} for fault in faults], "warnings": []}
        return in_json(told, 400 if faults else 200)

    def create(self, request: Request) -> Answer:
        asked = request.json()
        if request.user is None:
            raise Refusal(401, "Invalid username or password.")
        name = f"{asked.get('organization') or request.user}/{asked['name']}"
        if name in self.repos:
            told = {"error": "You already created this model repo", "url": f"{self.url}/{name}"}
            return in_json(told, 409)
        self.require_writer(request, name)
        self.repos[name] = Repo(name, private=asked.get("visibility") == "private")
        return in_json({"url": f"{self.url}/{name}", "id": name, "name": name})

    def info(self, request: Request, name: str, revision: str = "main") -> Answer:
        commit, repo = self.commit_of(request, name, revision or "main"), self.repos[name]
        siblings = [{"rfilename": path} for path in commit.files]
        if "blobs" in request.query:
            siblings = [{**described(path, file, self), "rfilename": path} for path, file in commit.files.items()]
        dates = {"createdAt": WHEN, "lastModified": WHEN}
        told = {"_id": "1", "id": name, "modelId": name, "sha": commit.oid, "private": repo.private, "gated": False}
        return in_json({**told, **dates, "tags": [], "downloads": 0, "likes": 0, "siblings": siblings})

    def tree(self, request: Request, name: str, revision: str, folder: str) -> Answer:
        commit, inside = self.commit_of(request, name, revision), f"{folder}/" if folder else ""
        files = {path: file for path, file in commit.files.items() if path.startswith(inside)}
        if not files:
            raise Refusal(404, f"{folder} does not exist", "EntryNotFound")
        deep = request.query.get("recursive", [""])[0].lower() in ("true", "1")
        folders = {path[: path.index("/", len(inside))] for path in files if "/" in path[len(inside) :]}
        listed = [{"type": "directory", "oid": "0" * 40, "size": 0, "path": path} for path in sorted(folders)]
        shown = files if deep else {path: file for path, file in files.items() if "/" not in path[len(inside) :]}
        return in_json(listed + [described(path, file, self) for path, file in shown.items()])

    def paths_info(self, request: Request, name: str, revision: str) -> Answer:
        commit = self.commit_of(request, name, revision)
        if request.headers.get("Content-Type", "").startswith("application/json"):
            paths = request.json()["paths"]
        else:
            paths = parse_qs(request.body.decode()).get("paths", [])
        return in_json([described(path, commit.files[path], self) for path in paths if path in commit.files])

    def refs(self, request: Request, name: str) -> Answer:
        repo = self.repo(request, name)
        heads = [{"name": head, "ref": f"refs/heads/{head}", "targetCommit": oid} for head, oid in repo.heads.items()]
        tags = [{"name": tag, "ref": f"refs/tags/{tag}", "targetCommit": oid} for tag, oid in repo.tags.items()]
        pulls = [head for head in heads if head["name"].startswith("refs/pr/")]
        branches = [head for head in heads if head not in pulls]
        pulls = [{**pull, "ref": pull["name"]} for pull in pulls]
        return in_json({"branches": branches, "converts": [], "tags": tags, "pullRequests": pulls})

    def commits(self, request: Request, name: str, revision: str) -> Answer:
        self.commit_of(request, name, revision)
        history = self.repos[name].history(revision)
        return in_json([{"id": c.oid, "title": c.title, "message": "", "date": WHEN, "authors": []} for c in history])

    def branch(self, request: Request, name: str, branch: str) -> Answer:
        repo = self.repo(request, name, write=True)
        if branch in repo.heads:
            raise Refusal(409, "Reference already exists")
        repo.heads[branch] = self.commit_of(request, name, request.json().get("startingPoint", "main")).oid
        return in_json({})

    def tag(self, request: Request, name: str, revision: str) -> Answer:
        repo, tag = self.repo(request, name, write=True), request.json()["tag"]
        if tag in repo.tags:
            raise Refusal(409, "Tag reference exists already")
        repo.tags[tag] = self.commit_of(request, name, revision).oid
        return in_json({})

    def open_discussion(self, request: Request, name: str) -> Answer:
        # Anyone who is logged in may propose a change to what is not theirs.
        repo = self.repo(request, name, write=False)
        if request.role != "write":
            raise Refusal(403, "This token may not write")
        ref = repo.pull_request(request.json()["title"])
        return in_json({"num": int(ref.rpartition("/")[2])})

    def discussion(self, request: Request, name: str, number: str) -> Answer:
        title = self.repo(request, name).pulls[int(number) - 1]
        told = {"num": int(number), "title": title, "author": {"name": "ada"}, "createdAt": WHEN, "status": "draft"}
        changes = {"isPullRequest": True, "changes": {"base": "refs/heads/main"}, "filesWithConflicts": []}
        return in_json({**told, **changes, "repo": {"name": name, "type": "model"}, "events": [], "diff": ""})

    # Uploads

    def preupload(self, request: Request, name: str, revision: str) -> Answer:
        self.writable(request, name, revision, proposed="create_pr" in request.query)
        files, told = self.commit_of(request, name, revision).files, []
        for asked in request.json()["files"]:
            held = files.get(asked["path"])
            large = asked["size"] > LARGE or is_binary(asked["path"], base64.b64decode(asked["sample"]))
            mode = {"path": asked["path"], "uploadMode": "lfs" if large else "regular", "shouldIgnore": False}
            told.append(mode | ({"oid": held.etag} if held else {}))
        return in_json({"files": told})

    def writable(self, request: Request, name: str, revision: str, proposed: bool = False) -> Repo:
        repo = self.repo(request, name)
        if proposed or revision.startswith("refs/pr/"):
            if request.role != "write":
                raise Refusal(403, "This token may not write")
        else:
            self.require_writer(request, name)
        return repo

    def lfs_batch(self, request: Request, name: str) -> Answer:
        told = []
        for asked in request.json()["objects"]:
            actions = {
                "upload": {"href": f"{self.url}/_lfs/{asked['oid']}", "header": {}},
                "verify": {"href": f"{self.url}/_lfs-verify", "header": {}},
            }
            told.append(asked if asked["oid"] in self.objects else {**asked, "actions": actions})
        return in_json({"transfer": "basic", "objects": told})

    def lfs_put(self, request: Request, oid: str) -> Answer:
        if hashlib.sha256(request.body).hexdigest() != oid:
            raise Refusal(400, "not what was announced")
        self.objects[oid] = request.body
        return Answer()

    def lfs_verify(self, request: Request) -> Answer:
        asked = request.json()
        return Answer(200 if len(self.objects.get(asked["oid"], b"")) == asked["size"] else 404)

    def commit(self, request: Request, name: str, revision: str) -> Answer:
        proposed = "create_pr" in request.query
        repo = self.writable(request, name, revision, proposed)
        if revision not in repo.heads:
            raise Refusal(404, f"Invalid rev id: {revision}", "RevisionNotFound")
        title, changed = "", {}
        for line in request.body.splitlines():
            part = json.loads(line)
            value = part["value"]
            if part["key"] == "header":
                title = value["summary"]
            elif part["key"] == "file":
                content = base64.b64decode(value["content"])
                changed[value["path"]] = File(len(content), content=content)
            elif part["key"] == "lfsFile":
                if value["oid"] not in self.objects and value["oid"] not in self.store.by_sha256:
                    raise Refusal(400, "LFS pointer pointed to a file that does not exist")
                changed[value["path"]] = File(value["size"], sha256=value["oid"])
            else:
                changed[value["path"]] = None
        if proposed:
            revision = repo.pull_request(title)
        made = repo.commit(revision, title, changed)
        told = {"success": True, "commitOid": made.oid, "commitUrl": f"{self.url}/{name}/commit/{made.oid}"}
        pull = {"pullRequestUrl": f"{self.url}/{name}/discussions/{len(repo.pulls)}"} if proposed else {}
        return in_json(told | pull)

    # Downloads

    def resolve(self, request: Request, name: str, revision: str, path: str) -> Answer:
        commit = self.commit_of(request, name, revision)
        file = commit.files.get(path)
        if file is None:
            refusal = Refusal(404, "Entry not found", "EntryNotFound")
            refusal.answer.headers["X-Repo-Commit"] = commit.oid
            raise refusal
        headers = {"X-Repo-Commit": commit.oid, "ETag": f'"{file.etag}"', "Accept-Ranges": "bytes"}
        headers |= {"Content-Type": "application/octet-stream"}
        content, stored = file.content, self.store.by_sha256.get(file.sha256 or "")
        if file.sha256:
            headers |= {"X-Linked-Etag": f'"{file.sha256}"', "X-Linked-Size": str(file.size)}
            content = self.objects.get(file.sha256)
        if stored:
            route = f"{self.url}/api/models/{name}/xet-read-token/{quote(revision, safe='')}"
            headers |= {"X-Xet-Hash": stored.hash, "Link": f'<{route}>; rel="xet-auth"'}
        if request.method == "HEAD":
            return Answer(200, b"", {**headers, "Content-Length": str(file.size)})
        if content is None:
            raise Refusal(501, "only a client with Xet can download it")
        return ranged(request, content, headers)

    # Xet

    def xet_token(self, request: Request, name: str, kind: str, revision: str) -> Answer:
        if kind == "write":
            self.writable(request, name, revision, proposed="create_pr" in request.query)
        else:
            self.repo(request, name)
        expires = int(time.time()) + 3600
        headers = {"X-Xet-Cas-Url": f"{self.url}/_cas", "X-Xet-Access-Token": "xet-session"}
        told = {"casUrl": f"{self.url}/_cas", "accessToken": "xet-session", "exp": expires}
        return in_json(told, headers={**headers, "X-Xet-Token-Expiration": str(expires)})

    def put_xorb(self, request: Request, name: str) -> Answer:
        return in_json({"was_inserted": self.store.put_xorb(name, request.body)})

    def put_shard(self, request: Request) -> Answer:
        try:
            self.store.put_shard(request.body)
        except ValueError as error:
            raise Refusal(400, str(error)) from error
        return in_json({"result": 1})

    def reconstruct(self, request: Request, name: str) -> Answer:
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
        first, last = (int(asked[1]), int(asked[2]) + 1 if asked[2] else None) if asked else (0, None)
        try:
            found = self.store.reconstruction(name, f"{self.url}/_cas/xorbs", first, last)
        except OutOfRange as error:
            raise Refusal(416, "behind the end of the file") from error
        if found is None:
            raise Refusal(404, "no such file")
        return in_json(found)

    def get_xorb(self, request: Request, name: str) -> Answer:
        return ranged(request, self.store.xorbs[name], {"Content-Type": "application/octet-stream"})


NAME, REV = r"([\w.-]+/[\w.-]+)", r"([^/]+)"
MODEL = f"/api/models/{NAME}"
ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/api/whoami-v2", Hub.whoami),
    ("POST", "/api/validate-yaml", Hub.validate_yaml),
    ("POST", "/api/repos/create", Hub.create),
    ("GET", MODEL, Hub.info),
    ("GET", f"{MODEL}/revision/{REV}", Hub.info),
    ("GET", f"{MODEL}/tree/{REV}(?:/(.*))?", Hub.tree),
    ("POST", f"{MODEL}/paths-info/{REV}", Hub.paths_info),
    ("GET", f"{MODEL}/refs", Hub.refs),
    ("GET", f"{MODEL}/commits/{REV}", Hub.commits),
    ("POST", f"{MODEL}/branch/{REV}", Hub.branch),
    ("POST", f"{MODEL}/tag/{REV}", Hub.tag),
    ("POST", f"{MODEL}/discussions", Hub.open_discussion),
    ("GET", rf"{MODEL}/discussions/(\d+)", Hub.discussion),
    ("POST", f"{MODEL}/preupload/{REV}", Hub.preupload),
    ("POST", f"{MODEL}/commit/{REV}", Hub.commit),
    ("GET", f"{MODEL}/xet-(read|write)-token/{REV}", Hub.xet_token),
    ("POST", rf"/{NAME}\.git/info/lfs/objects/batch", Hub.lfs_batch),
    ("PUT", "/_lfs/([0-9a-f]{64})", Hub.lfs_put),
    ("POST", "/_lfs-verify", Hub.lfs_verify),
    ("POST", "/_cas/v1/xorbs/[^/]+/([0-9a-f]{64})", Hub.put_xorb),
    ("POST", "/_cas/v1/shards", Hub.put_shard),
    ("GET", "/_cas/v1/reconstructions/([0-9a-f]{64})", Hub.reconstruct),
    ("GET", "/_cas/xorbs/([0-9a-f]{64})", Hub.get_xorb),
    ("GET HEAD", f"/{NAME}/resolve/{REV}/(.+)", Hub.resolve),
]


def described(path: str, file: File, hub: Hub) -> dict[str, Any]:
    told = {"type": "file", "path": path, "size": file.size, "oid": file.oid, "blobId": file.oid}
    if file.sha256:
        told["lfs"] = {"oid": file.sha256, "sha256": file.sha256, "size": file.size, "pointerSize": len(file.pointer)}
        if file.sha256 in hub.store.by_sha256:
            told["xetHash"] = hub.store.by_sha256[file.sha256].hash
    return told


def is_binary(path: str, sample: bytes) -> bool:
    return path.endswith((".safetensors", ".bin", ".png")) or b"\0" in sample


def ranged(request: Request, content: bytes, headers: dict[str, str]) -> Answer:
    asked = re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", ""))
    if not asked:
        return Answer(200, content, headers)
    first, last = int(asked[1]), min(int(asked[2] or len(content) - 1), len(content) - 1)
    if first > last:
        return Answer(416, b"", {**headers, "Content-Range": f"bytes */{len(content)}"})
    part = f"bytes {first}-{last}/{len(content)}"
    return Answer(206, content[first : last + 1], {**headers, "Content-Range": part})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    hub: Hub

    def _serve(self) -> None:
        split = urlsplit(self.path)
        sent = self.headers.get("Authorization", "").removeprefix("Bearer ")
        user, role = TOKENS.get(sent, (None, None))
        query = parse_qs(split.query, keep_blank_values=True)
        given = self.hub.answer(Request(self.command, split.path, query, self.headers, self._body(), user, role))
        if given.status == DROPPED:
            self.close_connection = True
            return
        self.send_response(given.status)
        for name, value in ({"Content-Length": str(len(given.body))} | given.headers).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(given.body)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        parts = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, *_: Any) -> None:
        pass  # the hub keeps its own log


@contextmanager
def running() -> Iterator[Hub]:
    """A Hub that answers at its `url` until the block ends."""
    hub = Hub()
    handler = type("Handler", (_Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
