"""The guard between page and network: whose requests are answered, of which size, and what a browser may do.

A page that listens on this machine alone is within reach of every website that its user opens: the site lets its own
name point at 127.0.0.1 (DNS rebinding), or sends requests across origins. Both show in headers that a site cannot
forge, so those are checked before anything else sees the request.
"""

import asyncio
import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from hfkit.inference.demo import is_loopback

LARGEST_REQUEST = 42_000_000  # bytes: a picture of 30 MB in base64
LONGEST_REQUEST = 60.0  # seconds that sending one may take
# The page's own scripts stand in it, and so does the style of its parts; everything else comes from this server.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:"
    " blob:; font-src 'self' data:; media-src 'self' data: blob:; worker-src 'self' blob:; connect-src 'self' data:"
    " blob:; object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
FOREIGN_META = re.compile(rb"<meta\b[^>]*?https?://[^>]*>\s*", re.IGNORECASE)  # gradio's own, for previews of links


class Guard:
    """An ASGI middleware that refuses requests which the page did not send, and adds headers to all answers.

    Args:
        host: the address that is listened on.
        names: further host names to answer under, in lower case; it may grow while the page is served.
    """

    def __init__(self, app: ASGIApp, host: str, names: set[str]) -> None:
        self.app, self.host, self.names = app, host, names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan" or self.refusal(Headers(scope=scope)) is None:
                await self.app(scope, receive, send)
            else:
                await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        if (reason := self.refusal(headers)) is not None:
            await PlainTextResponse(reason, 403, HEADERS)(scope, receive, send)
        elif not may_be_sent(headers.get("content-length", "0")):
            await PlainTextResponse(f"at most {LARGEST_REQUEST:,} bytes", 413, HEADERS)(scope, receive, send)
        else:
            await self.app(scope, limit(receive), protect(send))

    def refusal(self, headers: Headers) -> str | None:
        """Why a request is not answered; None if it is."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self.is_own(name_of(hosts[0])):
            return "not the name of this server (start it with --allow_host NAME to answer under another)"
        # From another port of this machine comes another program, maybe of another user.
        origins = [one.partition("://")[2] for one in headers.getlist("origin")]
        if any(origin != hosts[0] and name_of(origin) not in self.names for origin in origins):
            return "this was sent by another page"
        return None

    def is_own(self, name: str) -> bool:
        """Whether a host name in a request means this server: no website can let an address or these names be its own.

        Args:
            name: in lower case, without port.
        """
        if name in self.names or name == "localhost":
            return True
        try:
            address = ipaddress.ip_address(name)
        except ValueError:
            return not is_loopback(self.host) and name in (self.host.lower(), *machine_names())
        return address.is_loopback or not is_loopback(self.host)


def machine_names() -> Iterable[str]:
    """The names of this machine, in lower case."""
    name = socket.gethostname().lower()
    return {name, name.partition(".")[0], f"{name.partition('.')[0]}.local"}


def name_of(host: str) -> str:
    """The name in 'name:port' in lower case; '' for what is neither name nor address."""
    found = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([\w.-]+?)\.?)(?::\d{1,5})?", host)
    return (found[1] or found[2]).lower() if found else ""


def may_be_sent(length: str) -> bool:
    return length.isascii() and length.isdigit() and len(length) < 16 and int(length) <= LARGEST_REQUEST


def limit(receive: Receive) -> Receive:
    """`receive` for a request whose body is neither too large nor too slow; what is takes its end for a lost client."""
    taken, ended = 0, False
    until: float | None = None

    async def receive_limited() -> Message:
        nonlocal taken, ended, until
        if ended:  # only the end of the connection can come, hours later for a stream of events
            return await receive()
        clock = asyncio.get_running_loop().time
        until = until or clock() + LONGEST_REQUEST
        try:
            message = await asyncio.wait_for(receive(), until - clock())
        except TimeoutError:
            message = {"type": "http.disconnect"}
        taken += len(message.get("body", b""))
        ended = not message.get("more_body", False)
        return message if taken <= LARGEST_REQUEST else {"type": "http.disconnect"}

    return receive_limited


def protect(send: Send) -> Send:
    """`send` with our headers, and without addresses of others in the head of a page."""
    start: Message | None = None
    page = bytearray()

    async def send_protected(message: Message) -> None:
        nonlocal start
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            if headers.get("content-type", "").startswith("text/html"):
                start = message  # its length is known at the end
                return
        elif message["type"] == "http.response.body" and start is not None:
            page.extend(message.get("body", b""))
            if message.get("more_body", False):
                return
            body = FOREIGN_META.sub(b"", bytes(page))
            MutableHeaders(scope=start)["content-length"] = str(len(body))
            await send(start)
            message = {"type": "http.response.body", "body": body}
        await send(message)

    return send_protected
