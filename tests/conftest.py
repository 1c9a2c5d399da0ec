"""Everything runs offline, on one thread, with one tiny checkpoint and one tiny corpus for the whole session."""

import gc
import os
import shutil
import signal
import sys
from pathlib import Path

# A suite that is started in the background inherits that Ctrl+C is ignored, and so would all that it starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # numpy's too: tests run side by side

import pytest  # noqa: E402

# What is imported within functions costs seconds, and the process that only hands tests out to workers needs none.


def freeze() -> None:
    """Leave what is imported out of further collections: every training asks for one, which took half of its time."""
    gc.collect()
    gc.freeze()


def pytest_collection_finish() -> None:
    import torch

    torch.set_num_threads(1)
    freeze()


SIGNALS = {number: signal.getsignal(number) for number in signal.valid_signals()}


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    for number, handler in SIGNALS.items():
        # A command that was interrupted stays deaf until its process ends, which this one does not.
        if handler is not None and signal.getsignal(number) != handler:
            signal.signal(number, handler)
    if commands := sys.modules.get("hfkit.runtime.commands"):
        commands.signals.asked = None  # or the next training in this process would end as well
    if nextitem is not None and nextitem.path != item.path:
        freeze()  # more is imported by now, and what the last module held is gone


def pytest_sessionfinish() -> None:
    gc.unfreeze()  # at its end the interpreter tells of whatever it could not take down


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory) -> str:
    """A random BERT encoder of four layers with its tokenizer."""
    from tests.tiny import text

    return text.bert(tmp_path_factory.mktemp("bert"))


@pytest.fixture(scope="session")
def corpus(tmp_path_factory) -> str:
    """The tiny NER corpus: 22 training rows, so that accumulation windows and last batches are partial."""
    from tests.tiny import text

    return text.ner_folder(tmp_path_factory.mktemp("ner"), train=22, validation=8, test=8)


@pytest.fixture(scope="session")
def finished_once(checkpoint, tmp_path_factory) -> Path:
    """`tests.fixtures.finished`, made once for all workers of the session: to read, never to write."""
    from tests.fixtures import finished

    return finished.finished(shared(tmp_path_factory) / "finished", checkpoint)


@pytest.fixture(scope="session")
def pairs(checkpoint, corpus, tmp_path_factory) -> Path:
    """`tests.fixtures.pairs`, likewise."""
    from tests.fixtures.pairs import make_once, make_pairs

    return make_once(shared(tmp_path_factory) / "pairs", make_pairs, checkpoint, corpus)


@pytest.fixture(scope="session")
def more_pairs(pairs, checkpoint, corpus) -> Path:
    """More runs of two processes at the same place, which take a minute: for slow tests."""
    from tests.fixtures.pairs import make_more_pairs, make_once

    return make_once(pairs, make_more_pairs, checkpoint, corpus)


def shared(factory: pytest.TempPathFactory) -> Path:
    """The session's folder, which is above those of its workers."""
    base = factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture
def finished_runs(finished_once, tmp_path, monkeypatch) -> Path:
    """A copy of it to work in, which is the working folder."""
    place = shutil.copytree(finished_once, tmp_path / "work")
    monkeypatch.chdir(place)
    return place


@pytest.fixture
def hub():
    """A Hub on this machine, for clients in other processes (see `tests.loopback.hub`)."""
    from tests.loopback.hub import running

    with running() as one:
        yield one
