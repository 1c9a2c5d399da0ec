"""`hfkit demo`: a page that says what the model says, to this machine alone, and refuses odd inputs in words."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from copy import copy
from dataclasses import replace
from http.client import HTTPConnection
from io import BytesIO
from pathlib import Path
from threading import Event

import httpx
import numpy as np
import pytest
from datasets import Dataset
from gradio_client import Client, handle_file
from PIL import Image
from starlette.datastructures import Headers
from typer.testing import CliRunner

import hfkit.inference.demo
from hfkit.cli import app
from hfkit.contract.target import Labels
from hfkit.data.text.texts import JOINT
from hfkit.errors import UserError
from hfkit.inference.demo import guard, is_loopback, load_demo, require_gradio, use_own_folder
from hfkit.inference.demo.asking import MOST_CHARACTERS, DemoModel, TimedModel, Unanswered
from hfkit.inference.demo.guard import Guard
from hfkit.inference.demo.page import build_page, example_inputs, examples_label, launch
from hfkit.inference.saved import load_saved
from hfkit.tasks import TextClassification
from tests.fixtures.examples import examples_of


def hfkit_(*argv: str):
    return CliRunner().invoke(app, [*argv])


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def picture(image: Image.Image, kind: str = "PNG") -> dict:
    buffer = BytesIO()
    image.save(buffer, kind)
    return {"bytes": buffer.getvalue(), "path": None}


@pytest.fixture(scope="module")
def models(finished_once) -> dict[str, DemoModel]:
    names = ("bert-sentiment", "bert-ner", "vit-images")
    return {name: load_demo(str(finished_once / "runs" / name)) for name in names}


@pytest.fixture(scope="module")
def untrained(checkpoint, tmp_path_factory):
    """A model for texts of some problem, with an untrained head and no report."""

    def make(problem: str, labels: tuple[str, ...], **settings) -> DemoModel:
        task, folder = TextClassification(problem=problem), tmp_path_factory.mktemp(problem)
        codec = task.codec(checkpoint, Labels(labels, task.kind.problem_type))
        codec.model().save_pretrained(folder)
        codec.processor.save_pretrained(folder)
        return replace(load_demo(str(folder)), **settings)

    return make


def refusal(model: DemoModel, row: dict) -> str:
    with pytest.raises(Unanswered) as refused:
        model.answer(row)
    return str(refused.value)


def asking(model: DemoModel, folder: Path):
    """What the button of the page calls."""
    (found,) = [one.fn for one in build_page(model, folder).fns.values() if one.api_name == "ask"]
    return found


# What it says


@pytest.mark.parametrize("argv", examples_of("demo"), ids=" ".join)
def test_the_examples_of_the_help_answer_their_first_row(argv, finished_runs):
    # A server has no end: what it would serve is made and asked once.
    ended = hfkit_(*argv, *(["--check"] if "--check" not in argv else []))
    assert ended.exit_code == 0, ended.output
    reply = json.loads(ended.stdout)
    saved = load_saved(argv[1])
    if saved.ranks_labels:
        assert reply["prediction"] in saved.labels
        assert sum(reply["likelihoods"].values()) == pytest.approx(1, abs=1e-5)
    else:
        assert {entity["label"] for entity in reply["prediction"]} <= {"PER", "LOC"}


def test_answers_are_those_of_the_model(models):
    model = models["bert-sentiment"]
    texts = ["anna likes rain.", "boris left the sea."]
    predicted = model.saved.predict_table(Dataset.from_dict({"text": texts}))
    for text, one in zip(texts, predicted, strict=True):
        reply = model.answer({"text": text})
        assert reply.record == one.record
        assert reply.likelihoods == pytest.approx(one.likelihoods, abs=1e-6)


def test_the_head_of_the_page_is_the_report(models):
    model = models["bert-sentiment"]
    report = json.loads((model.saved.folder / "report.json").read_text())
    subject = report["contenders"][0]
    about = model.about()
    assert f"**{subject['headline']:.3f}**" in about and f"[{subject['interval']['low']:.3f}" in about
    assert "24 test rows of reviews" in about and "negative, positive" in about
    assert str(model.saved.folder.parent) not in about
    assert "synthetic" not in about
    made_up = replace(model, report=report | {"data": report["data"] | {"synthetic": True}})
    assert "synthetic data" in made_up.about()
    assert "LOC, PER" in models["bert-ner"].about()


def test_text_from_data_is_no_markup(models):
    saved = models["bert-sentiment"].saved
    codec = copy(saved.codec)
    codec.target = Labels(("<script>alert(1)</script>", "*b*"))
    strange = replace(models["bert-sentiment"], saved=replace(saved, codec=codec))
    assert "<script>" not in strange.about() and "*b*" not in strange.about()


def test_what_nobody_means_to_ask_is_refused_in_words(models):
    assert refusal(models["bert-sentiment"], {"text": "  "}) == "Write a text first."
    assert f"{MOST_CHARACTERS:,} characters" in refusal(models["bert-ner"], {"text": "x" * (MOST_CHARACTERS + 1)})
    assert refusal(models["vit-images"], {"image": None}) == "Choose a picture first."
    assert "an SVG is a drawing" in refusal(models["vit-images"], {"image": {"bytes": b"<svg></svg>", "path": None}})
    assert "megapixels" in refusal(models["vit-images"], {"image": picture(Image.new("L", (10000, 6000)))})


def test_odd_pictures_are_read(models):
    deep = Image.fromarray((np.arange(900).reshape(30, 30) * 70).astype(np.uint16))
    for image in (deep, Image.new("RGBA", (30, 20), (255, 0, 0, 0)), Image.new("P", (5, 9)), Image.new("1", (1, 1))):
        assert models["vit-images"].answer({"image": picture(image)}).record in map(str, range(10))


def test_a_text_that_was_cut_is_said_to_be(models):
    assert models["bert-sentiment"].answer({"text": "anna likes rain."}).note == ""
    assert "only its first 64 tokens were read" in models["bert-sentiment"].answer({"text": "rain " * 500}).note
    # A tagger reads long texts in windows, to their end.
    assert models["bert-ner"].answer({"text": "anna met boris in oslo . " * 50}).note == ""


# The page


def test_the_button_gives_what_is_shown(models, untrained, tmp_path):
    text = "anna met boris in oslo ."
    answer = models["bert-ner"].answer({"text": text})
    shown, note = asking(models["bert-ner"], tmp_path)(text)
    assert shown["text"] == text
    assert [(one["start"], one["end"], one["entity"]) for one in shown["entities"]] == [
        (one["start"], one["end"], one["label"]) for one in answer.record
    ]
    assert note == ("" if shown["entities"] else "Nothing was found.")

    several = untrained("multi-label", ("a", "b", "c"))
    likely, note = asking(several, tmp_path)(text)
    assert set(likely) == {"a", "b", "c"}
    assert note == f"Labels: {', '.join(name for name in likely if likely[name] > 0.5) or 'none'}"

    number = untrained("regression", ("score",))
    assert asking(number, tmp_path)(text) == (number.answer({"text": text}).record, "")
    scale = untrained("ordinal", ("1 to 5",))
    assert asking(scale, tmp_path)(text)[0] in range(1, 6)

    pairs = untrained("single-label", ("no", "yes"), columns=("text", "text_pair"))
    likely, _ = asking(pairs, tmp_path)(text, "anna likes rain.")
    assert likely == pytest.approx(pairs.answer({"text": text, "text_pair": "anna likes rain."}).likelihoods)
    assert likely != pytest.approx(pairs.answer({"text": text, "text_pair": text}).likelihoods, abs=1e-9)
    assert "report" in pairs.about()


def test_only_whole_rows_are_offered(models, untrained, tmp_path):
    tokens = {
        "errors": [{"row": 0, "kind": "missed", "why": "", "tokens": ["anna", "left"], "gold": [], "predicted": []}]
    }
    words = replace(models["bert-ner"], report=tokens)
    assert example_inputs(words, tmp_path) == [["anna left"]] and examples_label(words).startswith("Test rows")
    # A report keeps the words around a span, which are not both texts of a row.
    pairs = untrained("single-label", ("no", "yes"), columns=("text", "text_pair"), report=tokens)
    assert examples_label(pairs) == "To try"
    assert all(text for row in example_inputs(pairs, tmp_path) for text in row)
    assert pairs.answer(pairs.examples()[0]).record in ("no", "yes")
    tokens["errors"][0]["text"] = JOINT.join(["who left?", "anna left"])
    assert example_inputs(pairs, tmp_path) == [["who left?", "anna left"]]


def test_a_browser_gets_answers_and_asks_nobody_else(models, tmp_path):
    port = free_port()
    with use_own_folder() as folder:
        app_, url = launch(models["vit-images"], folder, "127.0.0.1", port, share=False)
        try:
            assert url == f"http://127.0.0.1:{port}/"
            path = tmp_path / "picture.png"
            Image.new("L", (8, 8), 200).save(path)
            client = Client(url, verbose=False)
            likely, _, looked_at = client.predict(handle_file(path), api_name="/ask")
            with Image.open(looked_at) as drawn:
                assert drawn.size == (640, 640)
            answer = models["vit-images"].answer({"image": picture(Image.open(path))})
            assert likely["label"] == answer.record
            for one in likely["confidences"]:
                assert one["confidence"] == pytest.approx(answer.likelihoods[one["label"]], abs=1e-5)
            with pytest.raises(Exception, match="Choose a picture first"):
                client.predict(None, api_name="/ask")

            html = httpx.get(url).text + httpx.get(f"{url}theme.css").text
            fetched = re.findall(
                r"""(?:<script[^>]*\ssrc|<link[^>]*\shref|url\()\s*=?\s*["']?(https?:[^"')\s>]+)""", html
            )
            assert [address for address in fetched if not address.startswith(url)] == []

            # No file but what somebody sent.
            own = models["vit-images"].saved.folder / "config.json"
            assert httpx.get(f"{url}gradio_api/file={own}").status_code == 403
            asked = {"data": [{"path": str(own), "meta": {"_type": "gradio.FileData"}}]}
            event = httpx.post(f"{url}gradio_api/call/ask", json=asked).json()["event_id"]
            assert "event: error" in httpx.get(f"{url}gradio_api/call/ask/{event}").text
            assert any(folder.rglob("*.png"))
            refuse_others(url, port)
        finally:
            app_.close(verbose=False)
    assert not folder.exists()


def refuse_others(url: str, port: int) -> None:
    """What other websites, and programs that send too much, get from the page."""
    page = httpx.get(url, headers={"Origin": url.rstrip("/")})
    assert page.status_code == 200 and "window.gradio_config" in page.text
    policy = page.headers["Content-Security-Policy"]
    assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy and "http" not in policy
    hosts = set(re.findall(r"""https?:(?:\\?/){2}([^/\\"'\s<>]+)""", page.text))
    assert hosts <= {f"127.0.0.1:{port}", "www.w3.org"}, hosts
    asked = {"data": [None]}
    for name in ("evil.example", f"evil.example:{port}", "127.0.0.1.evil.example", "10.0.0.1", "a b", ""):
        assert httpx.get(url, headers={"Host": name}).status_code in (400, 403), name
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"http://localhost:{port}", "file://"):
        ended = httpx.post(f"{url}gradio_api/call/ask", json=asked, headers={"Origin": origin})
        assert ended.status_code == 403, origin
    assert httpx.get(url, headers={"Host": f"localhost:{port}"}).status_code == 200
    announced = HTTPConnection("127.0.0.1", port)
    announced.request("POST", "/gradio_api/call/ask", headers={"Content-Length": str(10**12)})
    assert announced.getresponse().status == 413


@pytest.mark.parametrize(
    "host, names, asked, origin, answered",
    [
        ("127.0.0.1", (), "[::1]:7860", None, True),
        ("127.0.0.1", (), "LOCALHOST.:7860", None, True),
        ("127.0.0.1", (), "192.168.0.7:7860", None, False),
        ("0.0.0.0", (), "192.168.0.7:7860", "http://192.168.0.7:7860", True),
        ("0.0.0.0", (), socket.gethostname(), None, True),
        ("0.0.0.0", (), "evil.example", None, False),
        ("127.0.0.1", ("hub.example",), "hub.example", "https://hub.example", True),
        ("127.0.0.1", ("hub.example",), "127.0.0.1:7860", "https://hub.example", True),
        ("127.0.0.1", ("hub.example",), "hub.example", "https://evil.example", False),
        ("demo.example", (), "demo.example:80", None, True),
    ],
)
def test_requests_are_answered_under_own_names_alone(host, names, asked, origin, answered):
    headers = Headers({"host": asked} | ({"origin": origin} if origin else {}))
    assert (Guard(None, host, set(names)).refusal(headers) is None) == answered


def test_a_body_is_neither_too_large_nor_too_slow(monkeypatch):
    async def receive() -> dict:
        await asyncio.sleep(0.01)
        return {"type": "http.request", "body": b"x" * 10, "more_body": True}

    async def count_pieces() -> int:
        limited, pieces = guard.limit(receive), 0
        while (await limited())["type"] == "http.request":
            pieces += 1
        return pieces

    monkeypatch.setattr(guard, "LARGEST_REQUEST", 35)
    assert asyncio.run(count_pieces()) == 3
    monkeypatch.setattr(guard, "LARGEST_REQUEST", 10**9)
    monkeypatch.setattr(guard, "LONGEST_REQUEST", 0.1)
    assert 1 <= asyncio.run(count_pieces()) <= 10


def test_an_answer_that_does_not_end_keeps_nobody_waiting(models):
    class Slow:
        def __init__(self) -> None:
            self.asked, self.go_on = 0, Event()

        def answer(self, row: dict) -> dict:
            self.asked += 1
            self.go_on.wait(10)
            return row

    slow = Slow()
    timed = TimedModel(slow, seconds=0.05)
    with pytest.raises(Unanswered, match="within 0.05 seconds"):
        timed.answer({})
    with pytest.raises(Unanswered, match="still keeps the model busy"):
        timed.answer({})
    assert slow.asked == 1
    slow.go_on.set()
    timed.late.result(10)
    assert timed.answer({"text": "a"}) == {"text": "a"}


def test_an_address_in_use_is_refused(finished_runs):
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        one.listen()
        port = str(one.getsockname()[1])
        ended = hfkit_("demo", "runs/bert-sentiment", "--port", port)
    assert ended.exit_code == 2, ended.output
    assert f"address 127.0.0.1:{port}" in ended.stderr and "--port" in ended.stderr


@pytest.mark.parametrize(
    "host, alone",
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("::", False)],
)
def test_only_loopback_is_this_machine_alone(host, alone):
    assert is_loopback(host) == alone


def test_without_gradio_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(hfkit.inference.demo, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=re.escape("pip install 'hfkit[demo]'")):
        require_gradio()


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_a_server_ends_when_told_to_with_code_0(end, finished_runs):
    port = str(free_port())
    argv = [sys.executable, "-m", "hfkit.cli", "demo", "runs/bert-ner", "--port", port, "--host", "0.0.0.0"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as server:
        assert f":{port}" in server.stdout.readline()
        client = Client(f"http://127.0.0.1:{port}/", verbose=False)
        entities, _ = client.predict("anna met boris in oslo .", api_name="/ask")
        assert "".join(one["token"] for one in entities) == "anna met boris in oslo ."
        server.send_signal(end)
        out, err = server.communicate(timeout=60)
    assert server.returncode == 0
    assert out == "ended\n"
    assert "without a password" in err and "Traceback" not in err
