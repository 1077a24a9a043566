"""Who may ask: this server's own page and programs, by Host, Origin and token; and the headers of every answer."""

from __future__ import annotations

import hmac
import ipaddress
import re
import socket
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

API = "/api/"
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cache-Control": "no-store",
}


_HOST = re.compile(r"(\[[\da-f:.]+\]|[^\s\[\]:@/]+)(:\d{1,5})?")  # a name or an address, and a port


def is_local(host: str) -> bool:
    """Tell whether an address to listen on can be reached from this machine alone."""
    if host == "localhost":
        return True
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return False


@dataclass(frozen=True)
class Access:
    """Who may ask.

    Attributes:
        names: that a Host header may have, in lower case, without ports.
        addresses: whether it may have any numeric address too. A page of another site that has its own name point at
            this machine (DNS rebinding) cannot make a browser send one.
        token: what a client shows; None where none is wanted.
    """

    names: frozenset[str]
    addresses: bool
    token: str | None

    @classmethod
    def at(cls, host: str, names: tuple[str, ...], token: str | None) -> Access:
        """Access to a server that listens at this address and is known by these names besides its own."""
        own = {"localhost", "127.0.0.1", "::1", host}
        if not is_local(host):
            own |= {socket.gethostname(), socket.getfqdn()}
        return cls(frozenset(name.lower() for name in (*own, *names) if name), not is_local(host), token)

    def refusal(self, path: str, headers: Headers) -> tuple[int, str] | None:
        """Return the status and the reason for which a request is refused; None for one that is not."""
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return 421, "Host: expected a name of this server; lamnet app --name gives it another"
        origin = headers.get("origin")
        if origin is not None and origin.lower().partition("://")[2] != hosts[0].lower():
            return 403, "Origin: expected this server's own page"
        if not path.startswith(API):
            return None
        if headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
            return 403, "Sec-Fetch-Site: expected this server's own page"
        return None if self._shows_token(headers) else (401, "Authorization: expected Bearer and the server's token")

    def _is_ours(self, host: str) -> bool:
        if (parts := _HOST.fullmatch(host.lower())) is None:
            return False
        name = parts[1].strip("[]")
        if name in self.names:
            return True
        with suppress(ValueError):
            return self.addresses and bool(ipaddress.ip_address(name))
        return False

    def _shows_token(self, headers: Headers) -> bool:
        if self.token is None:
            return True
        kind, _, shown = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and hmac.compare_digest(shown.encode(), self.token.encode())


class Guard:
    """The application for those who may ask; every answer gets the headers that keep browsers careful."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, as ASGI has it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        headers = Headers(scope=scope)
        refused = self._access.refusal(scope["path"], headers) or _misframed(scope["method"], headers)
        app = self._app if refused is None else problem(*refused, {"Connection": "close"})
        await app(scope, receive, guarded)


def _misframed(method: str, headers: Headers) -> tuple[int, str] | None:
    """Refuse what a proxy in between may take for more requests than one, and bodies that nobody reads."""
    if "transfer-encoding" in headers and "content-length" in headers:
        return 400, "Content-Length: expected it without Transfer-Encoding"
    if method != "POST" and ("transfer-encoding" in headers or headers.get("content-length", "0") != "0"):
        return 400, f"{method}: expected no body"
    return None


def problem(status: int, reason: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Make the answer that says in one line why a request is refused."""
    wanted = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
    return JSONResponse({"error": " ".join(reason.split())}, status, headers={**wanted, **(headers or {})})
