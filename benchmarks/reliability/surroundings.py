"""T10b: a hostile working folder runs nothing, and `hfkit demo` answers its own page alone."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from benchmarks.reliability import harness
from benchmarks.reliability.cases import Case, Cases
from benchmarks.reliability.harness import flags, make_empty
from benchmarks.reliability.traps import PATIENCE, Traps

# Names that Python, hfkit or what it uses import: as modules, and as packages.
MODULES = ("json", "random", "statistics", "evaluate", "queue", "string", "sitecustomize", "usercustomize", "yaml")
PACKAGES = ("datasets", "transformers", "torch", "numpy", "accelerate", "gradio", "hfkit", "peft", "wandb")
HOOKS = ("post-index-change", "post-checkout", "pre-commit", "fsmonitor-watchman")
Judge = Callable[[str, bool, str], None]  # of a case: its name, whether it is good, and the outcome
# What a payload's file begins with -> the kind of traps.
KINDS = {"git": "git's configuration and hooks", "import": "modules and packages", "settings": "files of settings"}


def run(work: Path) -> list[Case]:
    harness.prepare(work)
    cases, traps = Cases("T10b", work), Traps(work / "T10b")
    with traps.set_up():
        run_commands(work, traps, cases)
        ask_demo(work, traps, cases)
    return cases


def start(argv: list[str], cwd: Path, work: Path) -> subprocess.Popen:
    """Start a command in a process of its own, as a user does."""
    with (work / "T10b/out.txt").open("w") as out:
        environment = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}
        return subprocess.Popen(
            argv, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT
        )


# The working folder


def run_commands(work: Path, traps: Traps, cases: Cases) -> None:
    """Each command, in a working folder full of traps."""
    program = str(Path(sys.executable).parent / "hfkit")
    model, rows = str(work / "warm/reviews"), str(work / "material/reviews")
    out = work / "T10b/written"
    recipe, *given = flags("reviews", work, "--num_train_epochs", "1", "--output_dir", str(out / "run"))
    once = ["--strategies", "full", "--seeds", "0", "--jobs", "1", "--compare_dir", str(out / "compared")]
    commands = {
        "a recipe": [sys.executable, recipe, *given],
        "hfkit evaluate": [program, "evaluate", model, "--dataset", rows, "--output_dir", str(out / "judged")],
        "hfkit predict": [program, "predict", model, "--text", "anna saw rain", "-o", str(out / "a.jsonl")],
        "hfkit doctor": [program, "doctor", "--task", "text-classification", "--dataset", rows],
        "hfkit compare": [program, "compare", "--recipe", recipe, *given, *once],
    }
    for name, argv in commands.items():
        wanted = {kind: f"{name}: {said}" for kind, said in KINDS.items()}
        if all(map(cases.has, wanted.values())):
            continue
        make_empty(out)
        place = make_place(traps)
        prove(place, traps)
        process = start(argv, place, work)
        code = process.wait(600)
        printed = (work / "T10b/out.txt").read_text(errors="replace").strip().splitlines() or [""]
        ran = sorted(path.name for path in traps.ran.iterdir())
        for kind, case in wanted.items():
            sprung = [f"{one} ran" for one in ran if one.startswith(kind)]
            why = f"exit code {code}" + (f": {printed[-1]}" if code else "")
            cases.add(case, not sprung and code == 0, "; ".join([*sprung, why]))


def make_place(traps: Traps) -> Path:
    """A working folder as somebody may have sent it in an archive."""
    lay = traps.lay()
    place = lay.folder / "received"
    for name in MODULES:
        lay.file(f"received/{name}.py", traps.code(f"import-{name}"))
    for name in PACKAGES:
        lay.file(f"received/{name}/__init__.py", traps.code(f"import-{name}"))
    subprocess.run(["git", "init", "-q", place], check=True)
    settings = {
        "core.fsmonitor": f"{traps.command('git-fsmonitor')}; false",
        "core.pager": traps.command("git-pager"),
        "diff.external": traps.command("git-diff"),
        "filter.x.clean": traps.command("git-filter"),
        "core.hooksPath": str(place / ".git/hooks"),
    }
    for key, value in settings.items():
        subprocess.run(["git", "-C", place, "config", key, value], check=True)
    scripts = {f".git/hooks/{name}": f"git-{name}" for name in HOOKS} | {
        "git": "git-itself",
        "python": "settings-python",
    }
    for name, mark in scripts.items():
        lay.file(f"received/{name}", f"#!/bin/sh\n{traps.command(mark)}\n").chmod(0o755)
    texts = {
        ".gitattributes": "* filter=x\n",
        "matplotlibrc": "backend: module://evaluate\n",
        "conftest.py": traps.code("settings-conftest"),
        ".env": f"PYTHONSTARTUP={place}/evaluate.py\nHF_ENDPOINT={traps.address}\n",
        "pyvenv.cfg": f"home = {place}\n",
        "x.pth": f"import os; os.system({traps.command('settings-pth')!r})\n",
        "accelerate.yaml": f"x: !!python/object/apply:os.system [{traps.command('settings-yaml')}]\n",
    }
    for name, text in texts.items():
        lay.file(f"received/{name}", text)
    return place


def prove(place: Path, traps: Traps) -> None:
    """Show that the traps of the folder spring for who is careless.

    Raises:
        RuntimeError: one of them does not.
    """
    quiet = {"cwd": place, "capture_output": True}
    subprocess.run(["git", "status"], **quiet, check=False)
    subprocess.run([sys.executable, "-c", "import statistics, datasets"], **quiet, check=False)
    sprung = " ".join(path.name for path in traps.ran.iterdir())
    if any(word not in sprung for word in ("fsmonitor", "statistics", "datasets")):
        raise RuntimeError(f"a trap did not spring, only: {sprung}")
    make_empty(traps.ran)


# The demo


@contextmanager
def serve(work: Path, traps: Traps) -> Iterator[int]:
    """The port of a demo that is served."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    program = str(Path(sys.executable).parent / "hfkit")
    process = start([program, "demo", str(work / "warm/reviews"), "--port", str(port)], make_place(traps), work)
    try:
        until = time.monotonic() + PATIENCE
        while f":{port}" not in (work / "T10b/out.txt").read_text():
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"the demo does not start: {(work / 'T10b/out.txt').read_text()[-500:]}")
            time.sleep(0.1)
        yield port
    finally:
        process.terminate()
        process.wait(60)


def ask(
    port: int, path: str = "/", headers: Mapping[str, str] | None = None, method: str = "GET", body: bytes | None = None
) -> tuple[int, str, HTTPResponse | None]:
    """The status, the text and the answer of the demo; status 0 where it hangs up."""
    connection = HTTPConnection("127.0.0.1", port, timeout=90)
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        given = {"Host": f"127.0.0.1:{port}"} | dict(headers or {})
        if body is not None:
            given = {"Content-Length": str(len(body)), "Content-Type": "application/json"} | given
        for name, value in given.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.read(5_000_000).decode(errors="replace"), answer
    except (OSError, HTTPException):
        return 0, "", None
    finally:
        connection.close()


def ask_demo(work: Path, traps: Traps, cases: Cases) -> None:
    """Requests as the page sends them, and as others do."""
    listed = [*FOREIGN_HOSTS, *FOREIGN_ORIGINS, *FILES, *BODIES, *PAGE]
    if all(cases.has(f"demo: {name}") for name in listed):
        return
    with serve(work, traps) as port:
        own = {"Origin": f"http://127.0.0.1:{port}"}
        question = json.dumps({"data": ["anna saw rain"]}).encode()

        def judge(name: str, good: bool, outcome: str) -> None:
            if not cases.has(f"demo: {name}"):
                cases.add(f"demo: {name}", good, outcome)

        status, page, answer = ask(port, headers=own)
        policy = answer.headers["Content-Security-Policy"] or "" if answer else ""
        judge(PAGE[0], status == 200 and "gradio_config" in page, f"status {status}, {len(page):,} characters")
        judge(PAGE[1], "default-src 'self'" in policy and "frame-ancestors 'none'" in policy, policy[:90])
        hosts = set(re.findall(r"""https?:(?:\\?/){2}([^/\\"'\s<>]+)""", page)) - {f"127.0.0.1:{port}", "www.w3.org"}
        judge(PAGE[2], not hosts and status == 200, f"foreign hosts: {sorted(hosts)}")
        judge(PAGE[3], str(work) not in page and str(Path.home()) not in page, "folders of this machine in the page")
        status, text, _ = ask(port, "/gradio_api/call/ask", own, "POST", question)
        event = json.loads(text)["event_id"] if status == 200 else ""
        _, text, _ = ask(port, f"/gradio_api/call/ask/{event}", own)
        judge(PAGE[4], "event: complete" in text, f"status {status}, {text[:60]}")
        for name, host in FOREIGN_HOSTS.items():
            status, text, _ = ask(port, headers={"Host": host.replace("PORT", str(port))})
            judge(name, status in (400, 403) and "gradio_config" not in text, f"status {status}")
        for name, headers in FOREIGN_ORIGINS.items():
            given = {key: value.replace("PORT", str(port)) for key, value in headers.items()}
            status, _, _ = ask(port, "/gradio_api/call/ask", given, "POST", question)
            judge(name, status == 403, f"status {status}")
        for name, path in FILES.items():
            ask_file(port, name, path, work, traps, judge)
        send_bodies(port, own, judge)


def ask_file(port: int, name: str, path: str, work: Path, traps: Traps, judge: Judge) -> None:
    """A file of the server's is not given, and nobody learns whether it is there."""
    present, absent = work / "warm/reviews/config.json", work / "warm/reviews/none.json"
    found = []
    for file in (present, absent):
        address = path.replace("FILE", str(file)).replace("ADDRESS", traps.address)
        if path.startswith("{"):
            own = {"Origin": f"http://127.0.0.1:{port}"}
            status, text, _ = ask(port, "/gradio_api/call/ask", own, "POST", address.encode())
            event = json.loads(text)["event_id"] if status == 200 else ""
            found.append(ask(port, f"/gradio_api/call/ask/{event}", own)[:2])
        else:
            found.append(ask(port, address)[:2])
    names = (present, absent)
    told = [(status, text.replace(str(file), "FILE")) for (status, text), file in zip(found, names, strict=True)]
    given, apart = "hfkit_task" in found[0][1], told[0] != told[1]
    said = f"status {found[0][0]}{'; GIVEN' * given}{'; told apart from one that is not there' * apart}"
    judge(name, not given and not apart and not traps.hits, f"{said}; {len(traps.hits)} requests to others")


def send_bodies(port: int, own: Mapping[str, str], judge: Judge) -> None:
    """Bodies that are too large, too slow, or promise what does not come."""
    where = "/gradio_api/call/ask"
    status, _, _ = ask(port, where, {**own, "Content-Length": str(10**12)}, "POST")
    judge(BODIES[0], status == 413, f"status {status}")
    status, _, _ = ask(port, where, {**own, "Content-Length": "-1"}, "POST")
    judge(BODIES[1], status in (400, 413), f"status {status}")
    piece = b"100000\r\n" + b"x" * 2**20 + b"\r\n"
    judge(BODIES[2], *stream(port, own, [piece] * 60, pause=0))
    judge(BODIES[3], *stream(port, own, [b"1\r\nx\r\n"] * 80, pause=1))
    text = json.dumps({"data": ["a" * 3_000_000]}).encode()
    status, answer, _ = ask(port, where, own, "POST", text)
    event = json.loads(answer)["event_id"] if status == 200 else ""
    _, answer, _ = ask(port, f"{where}/{event}", own)
    judge(BODIES[4], "event: error" in answer or status == 413, f"status {status}, {answer[:60]}")
    status, text, _ = ask(port)
    judge(BODIES[5], status == 200, f"status {status}")


def stream(port: int, own: Mapping[str, str], pieces: list[bytes], pause: float) -> tuple[bool, str]:
    """Whether the demo ends a body in pieces before all of them were taken."""
    began, sent = time.monotonic(), 0
    with socket.create_connection(("127.0.0.1", port), timeout=90) as connection:
        head = f"POST /gradio_api/call/ask HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nOrigin: {own['Origin']}\r\n"
        head += "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        connection.sendall(head.encode())
        connection.settimeout(0.01)
        ended = False
        for piece in pieces:
            try:
                connection.settimeout(30)
                connection.sendall(piece)
                sent += 1
                connection.settimeout(pause or 0.001)
                ended = connection.recv(1) is not None
            except TimeoutError:
                continue
            except OSError:
                ended = True
            if ended:
                break
    return ended, f"{'ended' if ended else 'taken'} after {sent} pieces and {time.monotonic() - began:.0f} s"


PAGE = ("the page itself", "a content security policy", "no foreign host", "no folder of this machine", "a question")
FOREIGN_HOSTS = {
    "Host evil.example": "evil.example",
    "Host evil.example with the port": "evil.example:PORT",
    "Host that begins like this one": "127.0.0.1.evil.example:PORT",
    "Host of another address": "10.0.0.1:PORT",
    "Host that is no name": "a b",
    "Host with a user": "127.0.0.1@evil.example",
}
FOREIGN_ORIGINS = {
    "Origin evil.example": {"Origin": "http://evil.example"},
    "Origin null": {"Origin": "null"},
    "Origin of another port": {"Origin": "http://127.0.0.1:1"},
    "Origin of another name of this machine": {"Origin": "http://localhost:PORT"},
    "Origin of a file": {"Origin": "file://"},
    "Origin with a host of a proxy": {"Origin": "http://evil.example", "X-Forwarded-Host": "evil.example"},
}
FILES = {
    "a file by its path": "/gradio_api/file=FILE",
    "a file by its path, the older way": "/file=FILE",
    "a file by the folders above": "/gradio_api/file=a/../../../../../../..FILE",
    "a file in percent signs": "/gradio_api/file=%2e%2e/%2e%2e/%2e%2e/%2e%2eFILE",
    "a file beside the page's own": "/assets/../../../../../../../../..FILE",
    "a file as an answer": '{"data": [{"path": "FILE", "meta": {"_type": "gradio.FileData"}}]}',
    "a file by an address": '{"data": [{"url": "file://FILE", "meta": {"_type": "gradio.FileData"}}]}',
    "an address through the demo": "/gradio_api/proxy=ADDRESS/x",
    "an address as a file": "/gradio_api/file=ADDRESS/x",
    "a stream of elsewhere": "/gradio_api/stream/x/../../../..FILE",
}
BODIES = (
    "10^12 bytes announced",
    "a length below 0",
    "60 MB in pieces",
    "a byte a second",
    "a text of 3 MB",
    "it still answers",
)
