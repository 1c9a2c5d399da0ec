"""The content-addressed store behind a Hub, as far as one client on this machine asks it.

A file is a list of terms, and a term is a run of chunks of a xorb, a blob of many compressed chunks. The client sends
xorbs, then shards, which say which terms make up a file; to read one it asks for its terms and fetches the xorbs.
Nothing is decompressed here.
"""

import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass

ENTRY = 48  # bytes of every header and entry of a shard
BOOKMARK = b"\xff" * 32  # in place of a hash, at the end of a section
WITH_VERIFICATION, WITH_SHA256 = 1 << 31, 1 << 30
CHUNK_HEADER = 8


class OutOfRange(Exception):
    """Bytes were asked for that lie behind the end of the file."""


@dataclass(frozen=True)
class Term:
    """The chunks `first` to `last` (excluded) of a xorb, `size` bytes once decompressed."""

    xorb: str
    size: int
    first: int
    last: int


@dataclass(frozen=True)
class XetFile:
    hash: str
    terms: tuple[Term, ...]

    @property
    def size(self) -> int:
        return sum(term.size for term in self.terms)


class Store:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.xorbs: dict[str, bytes] = {}
        self.chunks: dict[str, list[tuple[int, int, int]]] = {}  # of each xorb: from and to byte, decompressed size
        self.files: dict[str, XetFile] = {}
        self.by_sha256: dict[str, XetFile] = {}

    def put_xorb(self, name: str, body: bytes) -> bool:
        """Keep a xorb; False where it was kept already."""
        with self.lock:
            known = name in self.xorbs
            self.xorbs[name], self.chunks[name] = body, list(_chunks(body))
        return not known

    def put_shard(self, body: bytes) -> None:
        """Learn what the files of a shard are made of.

        Raises:
            ValueError: a file refers to a xorb that was never sent.
        """
        with self.lock:
            for file, sha256 in _files(body):
                missing = [term.xorb for term in file.terms if term.xorb not in self.xorbs]
                if missing:
                    raise ValueError(f"no such xorb: {missing[0]}")
                self.files[file.hash] = file
                self.by_sha256[sha256] = file

    def reconstruction(self, name: str, place: str, first: int = 0, last: int | None = None) -> dict | None:
        """What the client fetches for the bytes `first` to `last` (excluded) of a file; None where it is unknown.

        Args:
            place: the address that xorbs are served under.
        """
        file = self.files.get(name)
        if file is None:
            return None
        if first >= file.size:
            raise OutOfRange
        last = min(last or file.size, file.size)
        terms, fetched, skipped, at = [], {}, 0, 0
        for term in file.terms:
            for chunk in range(term.first, term.last):
                start, end, size = self.chunks[term.xorb][chunk]
                at += size
                if at <= first or at - size >= last:
                    continue
                if not terms:
                    skipped = first - (at - size)
                if terms and terms[-1]["hash"] == term.xorb and terms[-1]["range"]["end"] == chunk:
                    terms[-1]["range"]["end"] = chunk + 1
                    terms[-1]["unpacked_length"] += size
                    fetched[term.xorb][-1]["range"]["end"] = chunk + 1
                    fetched[term.xorb][-1]["url_range"]["end"] = end - 1
                    continue
                terms.append({"hash": term.xorb, "unpacked_length": size, "range": {"start": chunk, "end": chunk + 1}})
                fetched.setdefault(term.xorb, []).append(
                    {
                        "range": {"start": chunk, "end": chunk + 1},
                        "url": f"{place}/{term.xorb}",
                        "url_range": {"start": start, "end": end - 1},  # of bytes, the last one included
                    }
                )
        return {"offset_into_first_range": skipped, "terms": terms, "fetch_info": fetched}


def _hex(raw: bytes) -> str:
    """A hash as it is written in addresses: four little-endian numbers, each in hex."""
    return "".join(f"{number:016x}" for number in struct.unpack("<4Q", raw))


def _chunks(xorb: bytes) -> Iterator[tuple[int, int, int]]:
    """From and to byte of each chunk with its header, and its size decompressed. A footer may follow the last one."""
    at = 0
    while at + CHUNK_HEADER <= len(xorb) and xorb[at] == 0:  # the version; a footer begins with a letter
        size = int.from_bytes(xorb[at + 1 : at + 4], "little")
        unpacked = int.from_bytes(xorb[at + 5 : at + 8], "little")
        end = at + CHUNK_HEADER + size
        yield at, end, unpacked
        at = end


def _files(shard: bytes) -> Iterator[tuple[XetFile, str]]:
    """The files of a shard, each with the sha256 that git knows it by."""
    at = ENTRY  # behind the shard's own header
    while (name := shard[at : at + 32]) != BOOKMARK:
        flags, count = struct.unpack_from("<II", shard, at + 32)
        at += ENTRY
        terms = []
        for _ in range(count):
            _, size, first, last = struct.unpack_from("<IIII", shard, at + 32)
            terms.append(Term(_hex(shard[at : at + 32]), size, first, last))
            at += ENTRY
        if flags & WITH_VERIFICATION:
            at += count * ENTRY
        sha256 = ""
        if flags & WITH_SHA256:
            sha256 = _hex(shard[at : at + 32])
            at += ENTRY
        yield XetFile(_hex(name), tuple(terms)), sha256
