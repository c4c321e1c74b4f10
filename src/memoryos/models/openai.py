"""Any OpenAI-compatible endpoint as a chat model, on the ``openai`` SDK."""

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
from memoryos.models.thinking import spoken, without_thoughts
from memoryos.seams import Usage

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping

    import openai

    from memoryos.seams import ChatRequest, Meter

__all__ = ["NO_KEY", "OpenAIChat", "connect", "explain", "mended"]

CONNECT_SECONDS = 5.0
NO_KEY = "none"
"""What the SDK is given for an endpoint that asks for no key."""
LONGEST_RETRY_AFTER = 86_400.0
MOST_TOKENS = 1_000_000_000
"""Of one call; an endpoint that tells more is not believed."""
_OF_THE_TEXT = frozenset({"context_length_exceeded", "content_filter", "content_policy_violation", "invalid_prompt"})
"""Codes of a refusal that no plainer form of the request would change."""
_OF_THE_REPLY = "json_validate_failed"
"""Code of a refusal after which a plainer form helps this once: the model broke the JSON that it was held to."""
_BREAKING_OFF = frozenset({"abort", "error", "insufficient_system_resource"})
"""Reasons to finish with which an endpoint says that it was the one that failed."""
_UNSTORABLE = re.compile("[\\0\ud800-\udfff]")


class OpenAIChat:
    """A ``ChatModel`` behind an OpenAI-compatible endpoint.

    Replies are held to a JSON schema where the endpoint can, else to JSON, else asked for in words: the first request
    that the endpoint refuses settles it for the rest. The temperature and the wish to be told the usage of a stream are
    given up likewise.

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
        with self._slots, self._metered(request, meter) as spent:
            completion = self._create(request, stream=False)
            text = spoken("".join(_whole_characters([_said(completion, "message", spent)])))
            if not spent.has_answered:
                raise InvalidReplyError("the LLM sent something that is no reply: it has no choices")
            if not text:
                raise InvalidReplyError("the reply was empty")
            return text

    def stream(self, request: ChatRequest, meter: Meter) -> Iterator[str]:
        """Yields the reply piece by piece.

        Raises:
            AnalystUnavailableError: As ``complete``; also when the connection drops in the middle.
            InvalidReplyError: As ``complete``.
        """
        with self._slots, self._metered(request, meter) as spent:
            has_spoken = False
            with contextlib.closing(_pieces(self._create(request, stream=True), spent)) as pieces:
                for piece in without_thoughts(_whole_characters(pieces)):
                    has_spoken = True
                    yield piece
            if not has_spoken:
                raise InvalidReplyError("the reply was empty")

    def close(self) -> None:
        """Closes the connections; a later call opens them anew."""
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()

    def _create(self, request: ChatRequest, *, stream: bool) -> Any:
        """Sends the request with as much as the endpoint accepts: a refusal is answered with a plainer one."""
        import openai  # noqa: PLC0415  (0.4 s that only the first call costs)

        client: Any = self._connected()
        messages: Any = [{"role": each.role, "content": each.content} for each in request.messages]
        forms = self._forms(request, stream=stream)
        kind = (request.schema is not None, stream)
        is_settled = True
        for number in range(self._accepted.get(kind, 0), len(forms)):
            try:
                reply = client.chat.completions.create(
                    model=self._model, messages=messages, stream=stream, **forms[number]
                )
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if number == len(forms) - 1 or error.code in _OF_THE_TEXT:
                    raise
                is_settled = is_settled and error.code != _OF_THE_REPLY
            else:
                if is_settled:
                    self._accepted[kind] = number
                return reply
        raise InvalidReplyError("the endpoint takes no form of the request")

    def _forms(self, request: ChatRequest, *, stream: bool) -> list[dict[str, Any]]:
        """Returns what may go with the messages, the plainest last."""
        shapes: list[dict[str, Any]] = [{}]
        if request.schema is not None:
            schema = {"name": request.schema.name, "schema": dict(request.schema.schema), "strict": True}
            strict = {"type": "json_schema", "json_schema": schema}
            shapes = [{"response_format": strict}, {"response_format": {"type": "json_object"}}, {}]
        warmths = [{}] if self._temperature is None else [{"temperature": self._temperature}, {}]
        wishes = [{"stream_options": {"include_usage": True}}, {}] if stream else [{}]
        return [shape | warmth | wish for shape, warmth, wish in itertools.product(shapes, warmths, wishes)]

    def _connected(self) -> openai.OpenAI:
        with self._lock:
            if self._client is None:
                self._client = self._connect()
            return self._client

    @contextlib.contextmanager
    def _metered(self, request: ChatRequest, meter: Meter) -> Iterator[_Spent]:
        """Yields where it is noted what a call costs; the meter is told at its end, however it ends."""
        started = time.monotonic()
        spent = _Spent()
        failed = True
        try:
            with explain("the LLM"):
                yield spent
            failed = False
        except GeneratorExit:
            failed = False
            raise
        finally:
            asked, said, estimated = spent.tokens(request)
            meter(Usage(self._model, asked, said, time.monotonic() - started, estimated, failed))


@dataclass
class _Spent:
    """What is known of the cost of a call that is under way."""

    has_answered: bool = False
    usage: Any = None
    written: list[str] = field(default_factory=list)

    def tokens(self, request: ChatRequest) -> tuple[int, int, bool]:
        """Returns tokens read and written, and whether they are our estimate; none where nothing was answered."""
        told: list[Any] = [getattr(self.usage, name, None) for name in ("prompt_tokens", "completion_tokens")]
        if all(isinstance(each, int) and 0 <= each < MOST_TOKENS for each in told) and told[0]:
            return told[0], told[1], False
        if not self.has_answered:
            return 0, 0, False
        asked = sum(estimate_tokens(each.content) for each in request.messages)
        return round(asked), round(estimate_tokens("".join(self.written))), True


def connect(
    api_key: str | None, base_url: str | None, timeout_seconds: float, max_retries: int, concurrency: int
) -> openai.OpenAI:
    """Returns a client of the SDK; nothing is sent yet."""
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
def explain(what: str) -> Iterator[None]:
    """Turns the SDK's errors into ours; no message holds anything that was sent or replied.

    Theirs may, as endpoints quote the request when they refuse it: they are not shown with ours in a traceback.
    """
    import httpx2  # noqa: PLC0415  (as above)
    import openai  # noqa: PLC0415

    try:
        yield
    except openai.APITimeoutError:
        raise AnalystUnavailableError(f"{what} did not answer in time") from None
    except openai.APIStatusError as error:
        raise _status_error(what, error) from None
    except (openai.APIConnectionError, httpx2.HTTPError) as error:
        raise AnalystUnavailableError(f"{what} can't be reached: {_root(error)}") from None
    except openai.APIError as error:
        raise AnalystUnavailableError(f"{what} sent an error in place of a reply{_code(error.code)}") from None
    except httpx2.InvalidURL:
        raise AnalystUnavailableError(f"{what} can't be reached: its address is none; check the base URL") from None
    except UnicodeEncodeError:
        raise AnalystUnavailableError(
            f"{what} can't be asked: key or text have characters that can't be sent"
        ) from None
    except (openai.OpenAIError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidReplyError(f"{what} sent something that is no reply: {type(error).__name__}") from None
    except RuntimeError:
        raise AnalystUnavailableError(f"{what} can't be reached: its connections were closed meanwhile") from None


def _root(error: BaseException) -> str:
    """Returns the name of the error at the bottom, as ConnectionRefusedError."""
    while True:
        below = error.__cause__ or next(iter(error.args), None)
        if not isinstance(below, BaseException):
            return type(error).__name__
        error = below


_REFUSALS: Mapping[int, str] = {
    401: "refuses the key (401); check the key and its address",
    403: "refuses access (403); check the key's rights",
    404: "does not know the model or the address (404)",
    429: "is at its limit (429)",
}


def _status_error(what: str, error: openai.APIStatusError) -> AnalystUnavailableError:
    status = error.status_code
    reason = _REFUSALS.get(status, f"answered with status {status}")
    return AnalystUnavailableError(f"{what} {reason}{_code(error.code)}", _retry_after(error.response.headers))


def _code(code: Any) -> str:
    """Returns ": " and an error's code, if it is one and no sentence."""
    is_code = isinstance(code, str) and code.isascii() and code.replace("_", "").isalnum()
    return f": {code[:60]}" if is_code else ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Returns the seconds for which the endpoint asks to be left alone; it may say them or name a time."""
    told = headers.get("retry-after", "")
    at = email.utils.parsedate_tz(told)
    seconds = 0.0
    with contextlib.suppress(ValueError, OverflowError):
        seconds = float(told) if at is None else email.utils.mktime_tz(at) - time.time()
    return min(seconds, LONGEST_RETRY_AFTER) if seconds > 0 else None


def _pieces(events: Any, spent: _Spent) -> Generator[str, None, None]:
    is_begun = is_finished = False
    with contextlib.closing(events):
        for event in events:
            is_begun = True
            yield _said(event, "delta", spent)
            is_finished = is_finished or any(getattr(each, "finish_reason", None) for each in event.choices or ())
    if is_begun and not spent.has_answered:
        raise InvalidReplyError("the LLM sent something that is no reply: it has no choices")
    if not is_finished:
        raise AnalystUnavailableError("the LLM broke off in the middle of its reply")


def _said(reply: Any, part: str, spent: _Spent) -> str:
    """Returns the text of a completion or of a piece of one, and notes what it costs; any field may be missing."""
    error = getattr(reply, "error", None)
    if error:
        code = error.get("code") if isinstance(error, dict) else None
        raise AnalystUnavailableError(f"the LLM sent an error in place of a reply{_code(code)}")
    spent.usage = getattr(reply, "usage", None) or spent.usage
    choices = getattr(reply, "choices", None)
    if not choices:
        return ""
    spent.has_answered = True
    choice = choices[0]
    said = getattr(choice, part, None)
    text = _text(getattr(said, "content", None))
    thought = getattr(said, "reasoning_content", None) or getattr(said, "reasoning", None)
    spent.written += [text, _text(thought)]
    if choice.finish_reason == "content_filter" or getattr(said, "refusal", None):
        raise InvalidReplyError("the endpoint withheld the reply")
    if choice.finish_reason in _BREAKING_OFF:
        raise AnalystUnavailableError("the LLM broke off in the middle of its reply")
    return text


def _text(content: Any) -> str:
    """Returns the text of a content, which may be a list of typed parts, some of which are thoughts."""
    if isinstance(content, list):
        return "".join(each["text"] for each in content if each.get("type") == "text")
    return content if isinstance(content, str) else ""


def _whole_characters(pieces: Iterable[str]) -> Iterator[str]:
    """Yields the pieces with the halves of characters put together; what is half a character to the end is replaced."""
    held = ""
    for piece in pieces:
        text = held + piece
        held = text[-1:] if "\ud800" <= text[-1:] <= "\udbff" else ""
        yield mended(text[: len(text) - len(held)])
    yield mended(held)


def mended(text: str) -> str:
    """Returns the text without what can't be stored: lone surrogates and NUL."""
    if not _UNSTORABLE.search(text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace").replace("\0", "\ufffd")
