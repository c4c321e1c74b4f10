"""``memoryos ui``: the inspector in the browser, of a server that runs or of one that is started for it."""

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
LOOK_SECONDS = 2.0
LOOKED_AT_BYTES = 10_000
REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104  (nothing listens on them here)
"""Where a server that listens on every address is reached from its own machine."""


@click.command()
@click.option("--port", type=int, help="Port of the server.  [default: 8078]")
@click.option("--no-browser", is_flag=True, help="Only say the address.")
@click.pass_obj
def ui(session: Session, port: int | None, *, no_browser: bool) -> None:
    """Open the inspector in the browser; a server is started unless one runs."""
    from memoryos.doors.http.settings import ServerSettings  # noqa: PLC0415  (other commands need no web server)

    settings = ServerSettings(port=port)
    place = _place(session)

    def show(address: str) -> None:
        click.echo(f"The inspector is at {address}/{place}")
        if not no_browser:  # a browser of the terminal would hold the server up
            threading.Thread(target=webbrowser.open, args=[f"{address}/{place}"], daemon=True).start()

    address = _address(settings)
    if _is_inspector(address):
        show(address)
    else:
        run_server(session, settings, show)


def _place(session: Session) -> str:
    """Returns where the page begins: at the memory that was named, else where it likes."""
    if "--user" not in session.options:
        return ""
    config = session.config()
    return f"#/tiers?{urlencode({'user': config.user_id, 'assistant': config.assistant_id})}"


def _address(settings: ServerSettings) -> str:
    host = REACHED_AT.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"http://{host}:{settings.port}"


def _is_inspector(address: str) -> bool:
    """Returns whether a server of ours listens there."""
    connection = HTTPConnection(urlsplit(address).netloc, timeout=LOOK_SECONDS)
    try:
        connection.request("GET", "/")
        return TITLE in connection.getresponse().read(LOOKED_AT_BYTES)
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
