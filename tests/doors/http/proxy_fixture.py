"""A running proxy between a client and a scripted endpoint."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx2
import openai
from fastapi import FastAPI

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine
from tests.doors.http.proxy_fakes import serving
from tests.waiting import TIMEOUT_SECONDS

KEY = "sk-the-endpoints-own"


@dataclass
class Proxied:
    """A running proxy.

    Attributes:
        address: Its base URL.
        engine: Its engine.
    """

    address: str
    engine: MemoryEngine

    def sdk(self, **given: Any) -> openai.OpenAI:
        values: dict[str, Any] = {"api_key": "unused", "base_url": f"{self.address}/v1", "max_retries": 0} | given
        return openai.OpenAI(**values)

    def post(self, body: bytes, headers: dict[str, str] | None = None) -> httpx2.Response:
        named = {"Content-Type": "application/json"} | (headers or {})
        with httpx2.Client(timeout=TIMEOUT_SECONDS) as client:
            got: httpx2.Response = client.post(f"{self.address}/v1/chat/completions", content=body, headers=named)
            return got

    def pages(self, user_id: str = "default_user") -> list[tuple[str, str]]:
        """Returns the stored exchanges of a user, oldest first."""
        memory = self.engine.memory(user_id, self.engine.config.assistant_id)
        return [(page.user_text, page.assistant_text) for page in memory.pages()]


def build(engine: MemoryEngine, **settings: Any) -> FastAPI:
    return build_app(engine, ServerSettings(**settings))


@contextlib.contextmanager
def proxied(
    make_engine: Callable[..., MemoryEngine],
    base_url: str | None,
    *,
    settings: dict[str, Any] | None = None,
    **config: Any,
) -> Iterator[Proxied]:
    engine = make_engine(openai_base_url=base_url, analyst=None, **({"openai_api_key": KEY} | config))
    with serving(build(engine, **(settings or {}))) as address:
        yield Proxied(address, engine)
