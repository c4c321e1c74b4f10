"""The command ``memoryos ui``: opens the inspector in the browser, and starts a server if none is running."""

from __future__ import annotations

import threading
import webbrowser
from http.client import HTTPConnection, HTTPException
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

import click

from memoryos.doors.http.serve_command import run_server

if TYPE_CHECKING:
    from memoryos.doors.http.settings import ServerSettings
    from memoryos.doors.session import Session

__all__ = ["ui"]

TITLE = b"<title>MemoryOS</title>"
PROBE_TIMEOUT_SECONDS = 2.0
PROBE_BYTES = 10_000
LOOPBACK_ADDRESSES = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  (keys of a table; no socket is opened)
"""Maps each address that means "listen on all addresses" to an address that a browser can open."""


@click.command()
@click.option("--port", type=int, help="Port of the server.  [default: 8078]")
@click.option("--no-browser", is_flag=True, help="Print the address without opening a browser.")
@click.pass_obj
def ui(session: Session, port: int | None, *, no_browser: bool) -> None:
    """Open the inspector in the browser. If no server is running, start one."""
    from memoryos.doors.http.settings import ServerSettings  # noqa: PLC0415  (other commands start faster)

    settings = ServerSettings(port=port)
    fragment = _fragment(session)

    def show(address: str) -> None:
        click.echo(f"The inspector is at {address}/{fragment}")
        if not no_browser:  # in a thread, because a text browser would block the server
            threading.Thread(target=webbrowser.open, args=[f"{address}/{fragment}"], daemon=True).start()

    address = _address(settings)
    if _is_inspector(address):
        show(address)
    else:
        run_server(session, settings, show)


def _fragment(session: Session) -> str:
    """Returns the URL fragment that selects the memory of ``--user``; "" without this option."""
    if "--user" not in session.options:
        return ""
    config = session.config()
    return f"#/tiers?{urlencode({'user': config.user_id, 'assistant': config.assistant_id})}"


def _address(settings: ServerSettings) -> str:
    host = LOOPBACK_ADDRESSES.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"http://{host}:{settings.port}"


def _is_inspector(address: str) -> bool:
    """Returns whether a MemoryOS server with an inspector answers at an address."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=PROBE_TIMEOUT_SECONDS)
    try:
        connection.request("GET", "/")
        return TITLE in connection.getresponse().read(PROBE_BYTES)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
