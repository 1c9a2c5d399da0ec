"""A terminal for the tests: what was sent to it, and what somebody before it would see in the end."""

import fcntl
import os
import struct
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pyte

COLUMNS, LINES = 100, 60


class Terminal:
    """A pseudo-terminal that is read as it is written to."""

    def __init__(self) -> None:
        self.master, self.slave = os.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
        self._bytes = b""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self.master, 65536)
            except OSError:  # nobody has the other end open
                return
            if not chunk:
                return
            self._bytes += chunk

    def close(self) -> None:
        """Once nobody writes to it any more."""
        os.close(self.slave)
        self._reader.join(30)
        os.close(self.master)

    @property
    def sent(self) -> str:
        return self._bytes.decode()

    @property
    def screen(self) -> list[str]:
        """The lines that are not empty."""
        return [line.rstrip() for line in self._screen().display if line.strip()]

    @property
    def cursor_is_hidden(self) -> bool:
        return self._screen().cursor.hidden

    def _screen(self) -> pyte.Screen:
        screen = pyte.Screen(COLUMNS, LINES)
        pyte.Stream(screen).feed(self.sent)
        return screen


@contextmanager
def stderr_on_terminal() -> Iterator[Terminal]:
    """Within it this process's stderr is a terminal; its stdout is not."""
    terminal, before = Terminal(), sys.stderr
    sys.stderr = os.fdopen(os.dup(terminal.slave), "w")
    try:
        yield terminal
    finally:
        sys.stderr.close()
        sys.stderr = before
        terminal.close()
