"""A chat model for any OpenAI-compatible endpoint, built on the ``openai`` SDK."""

from __future__ import annotations

import contextlib
import email.utils
import itertools
import re
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from memoryos.errors import AnalystUnavailableError, InvalidReplyError
from memoryos.language.text import estimate_tokens
from memoryos.models.thinking import strip_thinking, without_thoughts
from memoryos.seams import Usage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    import openai

    from memoryos.seams import ChatRequest, Meter

__all__ = ["NO_KEY", "OpenAIChat", "connect", "mended", "translate_errors"]

CONNECT_SECONDS = 5.0
NO_KEY = "none"
"""Placeholder for endpoints without authentication; the SDK requires a key."""
MAX_RETRY_AFTER_SECONDS = 86_400.0
MAX_TOKENS_PER_CALL = 1_000_000_000
"""Larger token counts from an endpoint are ignored as invalid."""
_TEXT_ERROR_CODES = frozenset(
    {"context_length_exceeded", "content_filter", "content_policy_violation", "invalid_prompt"}
)
"""Error codes for a prompt that is too long or not allowed. A retry with fewer request options can't help."""
_INVALID_JSON_CODE = "json_validate_failed"
"""Error code for a reply that violated the JSON format. It does not show that the endpoint rejects the option.

So this request is retried with fewer options, but later requests use the same options again.
"""
_FAILED_FINISH_REASONS = frozenset({"abort", "error", "insufficient_system_resource"})
"""Values of ``finish_reason`` that report a failure of the endpoint."""
_UNSTORABLE = re.compile("[\\0\ud800-\udfff]")


class OpenAIChat:
    """A ``ChatModel`` for an OpenAI-compatible endpoint.

    Endpoints support different request options. Structured replies are requested first with a JSON schema, then in JSON
    mode, then with neither. The temperature and the usage report of a stream are also omitted if necessary. When the
    endpoint rejects an option, later requests of the same kind omit it.

    Args:
        model: Name of the model at the endpoint.
        api_key: API key of the endpoint.
        base_url: Address of the endpoint; default: OpenAI's.
        timeout_seconds: Maximum time without data from the endpoint.
        max_retries: Number of retries after a dropped connection or status 408, 409, 429 or 5xx. Waits with jitter, or
            for the time in ``Retry-After`` (up to two minutes).
        concurrency: Maximum number of concurrent calls; further callers wait.
        temperature: Sampling temperature; None for the endpoint's default.
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
            AnalystUnavailableError: If the endpoint can't be reached, refuses the request, or is rate limited.
            InvalidReplyError: If the reply is empty, withheld by a content filter, or malformed.
        """
        with self._slots, self._metered(request, meter) as cost:
            completion = self._create(request, stream=False)
            text = strip_thinking("".join(_whole_characters([_text_of(completion, "message", cost)])))
            if not cost.has_answered:
                raise InvalidReplyError("the LLM sent a malformed reply: it has no choices")
            if not text:
                raise InvalidReplyError("the LLM sent an empty reply; retry or use another model")
            return text

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the reply in pieces.

        Raises:
            AnalystUnavailableError: As for ``complete``; also if the connection drops during the reply.
            InvalidReplyError: As for ``complete``.
        """
        with self._slots, self._metered(request, meter) as cost:
            has_text = False
            with contextlib.closing(_pieces(self._create(request, stream=True), cost)) as pieces:
                for piece in without_thoughts(_whole_characters(pieces)):
                    has_text = True
                    yield piece
            if not has_text:
                raise InvalidReplyError("the LLM sent an empty reply; retry or use another model")

    def close(self) -> None:
        """Closes the connections; a later call opens new ones."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _create(self, request: ChatRequest, *, stream: bool) -> Any:
        """Sends the request; while the endpoint rejects it, retries with fewer options."""
        import openai  # noqa: PLC0415  (takes 0.4 s)

        client: Any = self._connected()
        messages: Any = [{"role": each.role, "content": each.content} for each in request.messages]
        option_sets = self._option_sets(request, stream=stream)
        kind = (request.schema is not None, stream)
        is_permanent = True
        for number in range(self._accepted.get(kind, 0), len(option_sets)):
            try:
                reply = client.chat.completions.create(
                    model=self._model, messages=messages, stream=stream, **option_sets[number]
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if number == len(option_sets) - 1 or error.code in _TEXT_ERROR_CODES:
                    raise
                is_permanent = is_permanent and error.code != _INVALID_JSON_CODE
            else:
                if is_permanent:
                    self._accepted[kind] = number
                return reply
        raise InvalidReplyError("the endpoint rejected the request with every combination of options")

    def _option_sets(self, request: ChatRequest, *, stream: bool) -> list[dict[str, Any]]:
        """Returns the combinations of optional parameters to try, the fewest options last."""
        formats: list[dict[str, Any]] = [{}]
        if request.schema is not None:
            schema = {"name": request.schema.name, "schema": dict(request.schema.schema), "strict": True}
            strict = {"type": "json_schema", "json_schema": schema}
            formats = [{"response_format": strict}, {"response_format": {"type": "json_object"}}, {}]
        temperatures = [{}] if self._temperature is None else [{"temperature": self._temperature}, {}]
        usage_options = [{"stream_options": {"include_usage": True}}, {}] if stream else [{}]
        combinations = itertools.product(formats, temperatures, usage_options)
        return [format_ | temperature | usage for format_, temperature, usage in combinations]

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    @contextlib.contextmanager
    def _metered(self, request: ChatRequest, meter: Meter) -> Iterator[_CallCost]:
        """Yields a record for the cost of a call. At the end, also after an error, reports the cost to the meter."""
        started = time.monotonic()
        cost = _CallCost()
        failed = True
        try:
            with translate_errors("the LLM"):
                yield cost
            failed = False
        except GeneratorExit:
            failed = False
            raise
        finally:
            prompt_tokens, reply_tokens, estimated = cost.tokens(request)
            meter(Usage(self._model, prompt_tokens, reply_tokens, time.monotonic() - started, estimated, failed))


@dataclass
class _CallCost:
    """The cost of a running call, as far as it is known."""

    has_answered: bool = False
    usage: Any = None
    texts: list[str] = field(default_factory=list)

    def tokens(self, request: ChatRequest) -> tuple[int, int, bool]:
        """Returns the prompt tokens, the reply tokens, and whether both are estimated.

        Returns (0, 0, False) if there was no reply.
        """
        reported: list[Any] = [getattr(self.usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
        if all(isinstance(each, int) and 0 <= each < MAX_TOKENS_PER_CALL for each in reported) and reported[0]:
            return reported[0], reported[1], False
        if not self.has_answered:
            return 0, 0, False
        prompt_tokens = sum(estimate_tokens(each.content) for each in request.messages)
        return round(prompt_tokens), round(estimate_tokens("".join(self.texts))), True


def connect(
    api_key: str | None, base_url: str | None, timeout_seconds: float, max_retries: int, concurrency: int
) -> openai.OpenAI:
    """Returns a client of the SDK without sending a request."""
    import httpx2  # noqa: PLC0415  (as above)
    import openai  # noqa: PLC0415

    limits = httpx2.Limits(max_connections=concurrency + 1, max_keepalive_connections=min(concurrency, 100))
    timeout = httpx2.Timeout(timeout_seconds, connect=min(CONNECT_SECONDS, timeout_seconds))
    return openai.OpenAI(
        api_key=(api_key or "").strip() or NO_KEY,
        base_url=base_url or "https://api.openai.com/v1",
        max_retries=max_retries,
        timeout=timeout,
        http_client=openai.DefaultHttpxClient(limits=limits, timeout=timeout),
    )


@contextlib.contextmanager
def translate_errors(endpoint: str) -> Iterator[None]:
    """Converts errors of the SDK to ``AnalystError``; no message contains text of the request or the reply.

    Raises them ``from None``, because endpoints quote the request in their errors and a traceback would show it.

    Args:
        endpoint: Name of the endpoint for error messages, for example "the LLM".
    """
    import httpx2  # noqa: PLC0415  (as above)
    import openai  # noqa: PLC0415

    try:
        yield
    except openai.APITimeoutError:
        raise AnalystUnavailableError(f"{endpoint} did not answer in time; retry or raise the timeout") from None
    except openai.APIStatusError as error:
        raise _status_error(endpoint, error) from None
    except (openai.APIConnectionError, httpx2.HTTPError) as error:
        raise AnalystUnavailableError(
            f"{endpoint} can't be reached: {_root_cause(error)}; check the base URL and the network"
        ) from None
    except openai.APIError as error:
        raise AnalystUnavailableError(f"{endpoint} sent an error instead of a reply{_code(error.code)}") from None
    except httpx2.InvalidURL:
        raise AnalystUnavailableError(
            f"{endpoint} can't be reached: the address is invalid; check the base URL"
        ) from None
    except UnicodeEncodeError:
        raise AnalystUnavailableError(
            f"no request was sent to {endpoint}: the key or the text has characters that can't be sent; remove them"
        ) from None
    except (openai.OpenAIError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidReplyError(f"{endpoint} sent a malformed reply: {type(error).__name__}") from None
    except RuntimeError:
        raise AnalystUnavailableError(f"the connection to {endpoint} was closed during the call; retry") from None


def _root_cause(error: BaseException) -> str:
    """Returns the class name of the root cause, for example ConnectionRefusedError."""
    while True:
        cause = error.__cause__ or next(iter(error.args), None)
        if not isinstance(cause, BaseException):
            return type(error).__name__
        error = cause


_STATUS_TEXTS: Mapping[int, tuple[str, str]] = {
    401: ("rejected the API key (401)", "check the key and the base URL"),
    403: ("denied access (403)", "check the permissions of the key"),
    404: ("has no such model or path (404)", "check the model name and the base URL"),
    429: ("is rate limited (429)", "retry later"),
}


def _status_error(endpoint: str, error: openai.APIStatusError) -> AnalystUnavailableError:
    status = error.status_code
    problem, advice = _STATUS_TEXTS.get(status, (f"answered with status {status}", "see the log of the endpoint"))
    message = f"{endpoint} {problem}{_code(error.code)}; {advice}"
    return AnalystUnavailableError(message, _retry_after(error.response.headers))


def _code(code: Any) -> str:
    """Returns ": " and the error code; "" if the code could be free text."""
    is_code = isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum()
    return f": {code[:60]}" if is_code else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds in ``Retry-After``, which contains a number or a date; None without a valid value."""
    value = headers.get("retry-after", "")
    at = email.utils.parsedate_tz(value)
    seconds = 0.0
    with contextlib.suppress(ValueError, OverflowError):
        seconds = float(value) if at is None else email.utils.mktime_tz(at) - time.time()
    return min(seconds, MAX_RETRY_AFTER_SECONDS) if seconds > 0 else None


def _pieces(events: Any, cost: _CallCost) -> Generator[str, None, None]:
    has_started = is_finished = False
    with contextlib.closing(events):
        for event in events:
            has_started = True
            yield _text_of(event, "delta", cost)
            is_finished = is_finished or any(getattr(each, "finish_reason", None) for each in event.choices or ())
    if has_started and not cost.has_answered:
        raise InvalidReplyError("the LLM sent a malformed reply: it has no choices")
    if not is_finished:
        raise AnalystUnavailableError("the LLM ended in the middle of its reply; retry")


def _text_of(reply: Any, part: str, cost: _CallCost) -> str:
    """Returns the text of a completion or a chunk and records its cost. Any field may be missing."""
    error = getattr(reply, "error", None)
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        raise AnalystUnavailableError(f"the LLM sent an error instead of a reply{_code(code)}")
    cost.usage = getattr(reply, "usage", None) or cost.usage
    choices = getattr(reply, "choices", None)
    if not choices:
        return ""
    cost.has_answered = True
    choice = choices[0]
    message = getattr(choice, part, None)
    text = _text(getattr(message, "content", None))
    reasoning = getattr(message, "reasoning_content", None) or getattr(message, "reasoning", None)
    cost.texts += [text, _text(reasoning)]
    if choice.finish_reason == "content_filter" or getattr(message, "refusal", None):
        raise InvalidReplyError("a content filter of the endpoint withheld the reply; change the text or the filter")
    if choice.finish_reason in _FAILED_FINISH_REASONS:
        raise AnalystUnavailableError("the LLM ended in the middle of its reply; retry")
    return text


def _text(content: Any) -> str:
    """Returns the text of a message's content: a string, or a list of typed parts, of which only text parts count."""
    if isinstance(content, list):
        return "".join(each["text"] for each in content if each.get("type") == "text")
    return content if isinstance(content, str) else ""


def _whole_characters(pieces: Iterable[str]) -> Iterator[str]:
    """Yields the pieces of a text so that no surrogate pair is split over two pieces.

    A surrogate without its other half is replaced.
    """
    pending = ""
    for piece in pieces:
        text = pending + piece
        pending = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        yield mended(text[: len(text) - len(pending)])
    yield mended(pending)


def mended(text: str) -> str:
    """Returns the text with lone surrogates and NUL replaced, because databases can't store them."""
    if not _UNSTORABLE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
