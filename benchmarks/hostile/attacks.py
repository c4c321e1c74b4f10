"""Runs one attack against a server on loopback, in its own process: ``python -m benchmarks.hostile.attacks``.

The process lowers its priority and sends requests for a limited time, over at most two connections at once. The attack
with slow connections uses a few hundred connections that send almost nothing. At the end, the process prints the numbers
of responses as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import http.client
import io
import json
import os
import socket
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

from benchmarks.hostile.server import ATTACKER
from benchmarks.micro.dialogue import exchanges

__all__ = ["ATTACKS", "Attack"]

NICENESS = 10
CONNECTIONS = 2
ANSWER_SECONDS = 30.0
REFUSED_PAUSE_SECONDS = 0.1
FIRST_ERROR = 400
ORDINARY_INTERVAL_SECONDS = 0.1
FLOOD_PAGES = 250_000
PAGES_PER_IMPORT = 10_000
CONSOLIDATION_SECONDS = 30.0
"""Time for which measurements continue after the server accepted the last page of the flood."""
TEXT_CHARACTERS = 100_000
CHAT_NUMBERS = 400_000
"""Number of source marks in one chat request to the proxy; together about 7 MB."""
UNKNOWN_NAMES = 500_000
JSON_DEPTH = 1_000_000
ZIP_BYTES = 400 << 20
ZIP_ENTRIES = 20_000
SLOW_CONNECTIONS = 100
"""Number of connections of each kind: idle, slow headers, slow bodies."""
SLOW_BYTE_SECONDS = 0.5
USER = f"/v1/users/{ATTACKER}"

Request = tuple[str, bytes, str]
"""Path, body and content type of a POST."""


@dataclass
class Attack:
    """Parameters and results of an attack.

    Attributes:
        port: The server's port on 127.0.0.1.
        key: The attacker's API key.
        seconds: The attack sends nothing after this time.
        scale: Factor on the sizes above; less than 1.0 for a trial.
        answers: Number of responses by status; "none" for no response, "closed" for a closed connection.
        details: Further figures for the report.
    """

    port: int
    key: str
    seconds: float
    scale: float = 1.0
    answers: Counter[str] = field(default_factory=Counter)
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._ends_at = time.monotonic() + self.seconds

    @property
    def left(self) -> float:
        """Number of seconds until the attack ends."""
        return self._ends_at - time.monotonic()

    def scaled(self, number: int) -> int:
        """Returns a size, multiplied by the scale of this attack."""
        return max(1, int(number * self.scale))

    def post(self, request: Request) -> str:
        """Sends one request on a new connection. Counts and returns the status of the response."""
        path, body, content_type = request
        headers = {"Authorization": f"Bearer {self.key}", "Content-Type": content_type}
        timeout = min(ANSWER_SECONDS, max(1.0, self.left))
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)) as connection:
            try:
                connection.request("POST", path, body, headers)
                response = connection.getresponse()
                response.read()
                status = str(response.status)
            except TimeoutError:
                status = "none"
            except (OSError, http.client.HTTPException):
                status = "closed"
        self.answers[status] += 1
        return status

    def repeat(self, requests: list[Request], connections: int = CONNECTIONS) -> None:
        """Sends the requests in turn over ``connections`` connections without a pause until the time is over."""

        def work(first: int) -> None:
            for request in cycle(requests[first:] + requests[:first]):
                if self.left <= 0:
                    return
                if self.post(request)[0] != "2":
                    time.sleep(REFUSED_PAUSE_SECONDS)

        with ThreadPoolExecutor(connections) as threads:
            list(threads.map(work, range(connections)))


def ordinary(attack: Attack) -> None:
    """Sends ordinary requests instead of an attack: adds a page and recalls in turn, ten times per second."""
    said = cycle(list(exchanges(2_000, seed=3)))
    for number, (user, assistant, _) in enumerate(said):
        if attack.left <= 0:
            return
        if number % 2:
            attack.post(_json("/pages", {"user_input": user, "agent_response": assistant}))
        else:
            attack.post(_json("/recall", {"query": user, "max_pages": 5}))
        time.sleep(ORDINARY_INTERVAL_SECONDS)


def flood(attack: Attack) -> None:
    """Imports 250,000 pages in files of 10,000 while the worker consolidates them."""
    total = attack.scaled(FLOOD_PAGES)
    attack.details["pages_accepted"] = 0
    for file, count in _page_files(total, attack.scaled(PAGES_PER_IMPORT)):
        while attack.left > 0 and attack.post((f"{USER}/import", file, "application/octet-stream"))[0] != "2":
            time.sleep(REFUSED_PAUSE_SECONDS)
        if attack.left <= 0:
            return
        attack.details["pages_accepted"] += count
    time.sleep(max(0.0, min(attack.left, CONSOLIDATION_SECONDS * attack.scale)))


def _page_files(total: int, pages_per_file: int) -> Iterator[tuple[bytes, int]]:
    lines = []
    for user, assistant, _ in exchanges(total, seed=5):
        lines.append(json.dumps({"user_text": user, "assistant_text": assistant}))
        if len(lines) == pages_per_file:
            yield "\n".join(lines).encode(), len(lines)
            lines.clear()
    if lines:
        yield "\n".join(lines).encode(), len(lines)


def texts(attack: Attack) -> None:
    """Adds and recalls texts for which a backtracking regular expression may take quadratic or exponential time."""
    requests = [request for text in _hostile_texts() for request in _uses_of(text)]
    attack.repeat([*requests, _chat("".join(f"[{number}] " for number in range(attack.scaled(CHAT_NUMBERS))))])


def _hostile_texts() -> Iterator[str]:
    """Yields texts of 100,000 characters, and short texts that are enough for exponential patterns."""
    for unit in (
        ".",
        "</",
        "刚刚",
        "hien dang ",
        "hiện đang ",
        "e\u0301\u0323",
        "\u200b",
        "!?",
        " \n",
        "<think>",
        "(((",
        "a@",
        "1-",
        "。",
        '"',
    ):
        yield (unit * TEXT_CHARACTERS)[:TEXT_CHARACTERS]
    for unit in ("hien dang ", "刚刚", "I used to "):
        yield unit * 25 + "!"


def _uses_of(text: str) -> Iterator[Request]:
    yield _json("/pages", {"user_input": text, "agent_response": text})
    yield _json("/messages", {"messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "ok"}]})
    yield _json("/recall", {"query": text[:2_000]})
    yield _json("/answers", {"query": text[:2_000], "remember": False})
    yield (
        "/v1/chat/completions",
        json.dumps({"model": "m", "messages": [{"role": "user", "content": text}]}).encode(),
        "application/json",
    )
    yield f"{USER}/flush?timeout_seconds=1", b"", "application/json"


def _chat(text: str) -> Request:
    body = {"model": "m", "messages": [{"role": "assistant", "content": text}, {"role": "user", "content": text}]}
    return "/v1/chat/completions", json.dumps(body).encode(), "application/json"


def bodies(attack: Attack) -> None:
    """Sends deeply nested JSON, and bodies with 500,000 unknown names or wrong values."""
    depth, names = attack.scaled(JSON_DEPTH), attack.scaled(UNKNOWN_NAMES)
    unknown = json.dumps({f"k{number}": 1 for number in range(names)}).encode()
    attack.repeat(
        [
            (f"{USER}/recall", b"[" * depth, "application/json"),
            (f"{USER}/pages", b'{"user_input":' * (depth // 3), "application/json"),
            (f"{USER}/pages", b'{"user_input":"a","metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}", "application/json"),
            (f"{USER}/recall", unknown, "application/json"),
            (f"{USER}/messages", b'{"messages":[' + b"1," * (names * 7) + b"1]}", "application/json"),
            (f"{USER}/forget", b'{"page_ids":[' + b"1," * (names * 7) + b"1]}", "application/json"),
        ]
    )  # fmt: skip


def zips(attack: Attack) -> None:
    """Imports small zip files that unpack to hundreds of megabytes or hold thousands of files, one at a time."""
    size = attack.scaled(ZIP_BYTES)
    conversation = b'[{"title": "%s", "mapping": {}}]'
    files = [
        _zipped({"conversations.json": [b"[", b" " * size, b"]"]}),
        _zipped({"conversations.json": [conversation % (b"a" * size)]}),
        _zipped({"conversations.json": [b"[" * size]}),
        _zipped({f"{number}/conversations.json": [b"[]"] for number in range(attack.scaled(ZIP_ENTRIES))}),
    ]
    attack.details["bytes_sent_per_file"] = [len(each) for each in files]
    requests: list[Request] = [(f"{USER}/import", each, "application/octet-stream") for each in files]
    attack.repeat(requests, connections=1)


def _zipped(members: dict[str, list[bytes]]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, parts in members.items():
            with archive.open(name, "w") as member:
                for part in parts:
                    member.write(part)
    return target.getvalue()


def slow(attack: Attack) -> None:
    """Keeps open 100 idle connections, 100 with unfinished headers and 100 with unfinished bodies.

    Sends one byte every half second on those with unfinished requests, and reopens connections that the server closes.
    """
    count = attack.scaled(SLOW_CONNECTIONS)
    headers = f"POST {USER}/pages HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Padding: ".encode()
    body = f"POST {USER}/pages HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {attack.key}\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n".encode()
    heads = [b""] * count + [headers] * count + [body] * count
    connections = [_opened(attack, head) for head in heads]
    while attack.left > 0:
        time.sleep(min(SLOW_BYTE_SECONDS, max(0.0, attack.left)))
        for number, head in enumerate(heads):
            if not _is_open(connections[number], drip=bool(head)):
                attack.answers["closed"] += 1
                connections[number] = _opened(attack, head)
    attack.details["connections_open_at_end"] = sum(_is_open(each, drip=False) for each in connections)
    for each in connections:
        if each is not None:
            each.close()


def _opened(attack: Attack, head: bytes) -> socket.socket | None:
    try:
        connection = socket.create_connection(("127.0.0.1", attack.port), 1)
        connection.sendall(head)
        connection.settimeout(0)
    except OSError:
        return None
    return connection


def _is_open(connection: socket.socket | None, *, drip: bool) -> bool:
    """Returns whether a connection is still open. Sends one byte on it if requested."""
    if connection is None:
        return False
    try:
        if drip:
            connection.send(b"a")
        ended = connection.recv(1, socket.MSG_PEEK) == b""
    except BlockingIOError:
        return True
    except OSError:
        ended = True
    if ended:
        connection.close()
    return not ended


def _json(route: str, body: dict[str, Any]) -> Request:
    return f"{USER}{route}", json.dumps(body).encode(), "application/json"


ATTACKS: dict[str, Callable[[Attack], None]] = {
    "ordinary": ordinary, "flood": flood, "texts": texts, "bodies": bodies, "zips": zips, "slow": slow,
}  # fmt: skip
"""Attacks by name; "ordinary" is the load of the quiet server."""


def main() -> None:
    """Reads the API key from standard input, runs one attack and prints its report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name", choices=ATTACKS)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--seconds", type=float, required=True)
    parser.add_argument("--scale", type=float, default=1.0)
    arguments = parser.parse_args()
    os.nice(NICENESS)
    attack = Attack(arguments.port, input(), arguments.seconds, arguments.scale)
    ATTACKS[arguments.name](attack)
    print(json.dumps({"answers": dict(sorted(attack.answers.items())), **attack.details}))


if __name__ == "__main__":
    main()
