"""Any OpenAI-compatible endpoint as a chat model, on the ``openai`` SDK."""

from __future__ import annotations

import contextlib
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any

from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.language.text import estimate_tokens
from memoryos.models.thinking import without_thoughts
from memoryos.seams import Usage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import openai
    from openai.types.chat import ChatCompletion

    from memoryos.seams import ChatRequest, Meter

__all__ = ["NO_KEY", "OpenAIChat", "connect", "explain"]

CONNECT_SECONDS = 5.0
NO_KEY = "none"
"""What the SDK is given for an endpoint that asks for no key."""


class OpenAIChat:
    """A ``ChatModel`` behind an OpenAI-compatible endpoint.

    Replies are held to a JSON schema where the endpoint can, else to JSON, else asked for in words: the first request
    that the endpoint refuses settles it for the rest.

    Args:
        model: Name of the model at that endpoint.
        api_key: Key of the endpoint.
        base_url: Its address; default: OpenAI's.
        timeout_seconds: A call that is silent for so long has failed.
        max_retries: Further tries after a dropped connection, 408, 409, 429 or 5xx: with jitter between them, or when
            ``Retry-After`` says so (up to two minutes).
        concurrency: Calls at one time; further callers wait.
        temperature: Sampling temperature; None leaves it to the endpoint.
    """

    def __init__(
        self,
        model: str,
        *,
        api_key: str | None,
        base_url: str | None = None,
        timeout_seconds: float = 60.0,
        max_retries: int = 2,
        concurrency: int = 100,
        temperature: float | None = None,
    ) -> None:
        self._model = model
        self._connect = partial(connect, api_key, base_url, timeout_seconds, max_retries, concurrency)
        self._temperature = temperature
        self._slots = threading.BoundedSemaphore(concurrency)
        self._lock = threading.Lock()
        self._client: openai.OpenAI | None = None
        self._accepted: dict[tuple[bool, bool], int] = {}

    @property
    def name(self) -> str:
        """Returns the name of the model."""
        return self._model

    def complete(self, request: ChatRequest, meter: Meter) -> str:
        """Returns the reply, never empty.

        Raises:
            AnalystUnavailableError: If the endpoint can't be reached, refuses, or is at its limit.
            InvalidReplyError: If the reply is empty, withheld or no chat completion.
        """
        with self._slots, self._metered(request, meter) as bill:
            completion = self._create(request, stream=False)
            text = "".join(without_thoughts([_text(completion)])).strip()
            bill(text, completion.usage)
            if not text:
                raise InvalidReplyError("the reply was empty")
            return text

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the reply piece by piece.

        Raises:
            AnalystUnavailableError: As ``complete``; also when the connection drops in the middle.
            InvalidReplyError: As ``complete``.
        """
        with self._slots, self._metered(request, meter) as bill:
            said: list[str] = []
            usage: list[Any] = []
            for piece in without_thoughts(_pieces(self._create(request, stream=True), usage)):
                said.append(piece)
                yield piece
            bill("".join(said), usage[-1] if usage else None)
            if not "".join(said).strip():
                raise InvalidReplyError("the reply was empty")

    def close(self) -> None:
        """Closes the connections."""
        with self._lock:
            if self._client is not None:
                self._client.close()

    def _create(self, request: ChatRequest, *, stream: bool) -> Any:
        """Sends the request with as much as the endpoint accepts: a refusal is answered with a plainer one."""
        import openai  # noqa: PLC0415  (0.4 s that only the first call costs)

        client: Any = self._connected()
        messages: Any = [{"role": each.role, "content": each.content} for each in request.messages]
        forms = self._forms(request, stream=stream)
        kind = (request.schema is not None, stream)
        for number in range(self._accepted.get(kind, 0), len(forms)):
            try:
                reply = client.chat.completions.create(
                    model=self._model, messages=messages, stream=stream, **forms[number]
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError):
                if number == len(forms) - 1:
                    raise
            else:
                self._accepted[kind] = number
                return reply
        raise InvalidReplyError("the endpoint takes no form of the request")

    def _forms(self, request: ChatRequest, *, stream: bool) -> list[dict[str, Any]]:
        extras: dict[str, Any] = {}
        if self._temperature is not None:
            extras["temperature"] = self._temperature
        if stream:
            extras["stream_options"] = {"include_usage": True}
        forms: list[dict[str, Any]] = [extras, {}] if extras else [{}]
        if request.schema is None:
            return forms
        schema = {"name": request.schema.name, "schema": dict(request.schema.schema), "strict": True}
        return [
            extras | {"response_format": {"type": "json_schema", "json_schema": schema}},
            extras | {"response_format": {"type": "json_object"}},
            *forms,
        ]

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    @contextlib.contextmanager
    def _metered(self, request: ChatRequest, meter: Meter) -> Iterator[Callable[[str, Any], None]]:
        """Yields where the bill goes; a call that ends without one has failed and costs nothing but its time."""
        started = time.monotonic()
        billed = False

        def bill(text: str, usage: Any) -> None:
            nonlocal billed
            billed = True
            seconds = time.monotonic() - started
            if usage is None or usage.prompt_tokens is None or usage.completion_tokens is None:
                asked = sum(estimate_tokens(each.content) for each in request.messages)
                meter(Usage(self._model, round(asked), round(estimate_tokens(text)), seconds, estimated=True))
            else:
                meter(Usage(self._model, usage.prompt_tokens, usage.completion_tokens, seconds))

        try:
            with explain("the LLM"):
                yield bill
        finally:
            if not billed:
                meter(Usage(self._model, 0, 0, time.monotonic() - started, failed=True))


def connect(
    api_key: str | None, base_url: str | None, timeout_seconds: float, max_retries: int, concurrency: int
) -> openai.OpenAI:
    """Returns a client of the SDK; nothing is sent yet."""
    import httpx2  # noqa: PLC0415  (as above)
    import openai  # noqa: PLC0415

    limits = httpx2.Limits(max_connections=concurrency + 1, max_keepalive_connections=min(concurrency, 100))
    timeout = httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
    return openai.OpenAI(
        api_key=api_key or NO_KEY,
        base_url=base_url or "https://api.openai.com/v1",
        max_retries=max_retries,
        timeout=timeout,
        http_client=openai.DefaultHttpxClient(limits=limits, timeout=timeout),
    )


@contextlib.contextmanager
def explain(what: str) -> Iterator[None]:
    """Turns the SDK's errors into ours; no message holds anything that was sent or replied."""
    import httpx2  # noqa: PLC0415  (as above)
    import openai  # noqa: PLC0415

    try:
        yield
    except openai.APITimeoutError as error:
        raise AnalystUnavailableError(f"{what} did not answer in time") from error
    except openai.APIStatusError as error:
        raise _status_error(what, error) from error
    except (openai.APIConnectionError, httpx2.HTTPError) as error:
        reason = type(error.__cause__ or error).__name__
        raise AnalystUnavailableError(f"{what} can't be reached: {reason}") from error
    except (openai.OpenAIError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise InvalidReplyError(f"{what} sent something that is no reply: {type(error).__name__}") from error


_REFUSALS: Mapping[int, str] = {
    401: "refuses the key (401); check the key and its address",
    403: "refuses access (403); check the key's rights",
    404: "does not know the model or the address (404)",
    429: "is at its limit (429)",
}


def _status_error(what: str, error: openai.APIStatusError) -> AnalystUnavailableError:
    status = error.status_code
    reason = _REFUSALS.get(status, f"answered with status {status}")
    code = getattr(error, "code", None)
    if isinstance(code, str) and code.replace("_", "").isalnum():
        reason = f"{reason}: {code[:60]}"
    return AnalystUnavailableError(f"{what} {reason}", _retry_after(error.response.headers))


def _retry_after(headers: Mapping[str, str]) -> float | None:
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return min(seconds, 86_400.0) if seconds > 0 else None


def _text(completion: ChatCompletion) -> str:
    choice = completion.choices[0]
    if choice.finish_reason == "content_filter" or choice.message.refusal:
        raise InvalidReplyError("the endpoint withheld the reply")
    return choice.message.content or ""


def _pieces(events: Any, usage: list[Any]) -> Iterator[str]:
    finished = False
    try:
        for event in events:
            if event.usage is not None:
                usage.append(event.usage)
            for choice in event.choices or []:
                finished = finished or choice.finish_reason is not None
                if choice.finish_reason == "content_filter":
                    raise InvalidReplyError("the endpoint withheld the reply")
                if choice.delta is not None and choice.delta.content:
                    yield choice.delta.content
    finally:
        events.close()
    if not finished:
        raise AnalystUnavailableError("the LLM broke off in the middle of its reply")
