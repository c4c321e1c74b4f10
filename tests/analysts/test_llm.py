"""Tests the calls of the LLM analyst, its second request, its limits, and the fallback analyst."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memoryos.analysts import fallback_analyst
from memoryos.analysts.fallback_analyst import FallbackAnalyst
from memoryos.analysts.llm import REPLY_SHARE, LLMAnalyst
from memoryos.errors import AnalystError, AnalystUnavailableError, BudgetExceededError, InvalidReplyError
from memoryos.language.text import estimate_tokens
from memoryos.model import Origin, Profile, Trait
from memoryos.optional_methods import reads_immediately
from memoryos.retrieval.excerpts import whole_page
from memoryos.retrieval.recall import Recall, RecalledPage, Signals
from memoryos.seams import AnswerRequest, ChatRequest, Material, Meter, Profiling, Reading, Reply, Usage
from memoryos.testing import Bill, ScriptedAnalyst, ScriptedChatModel, ok_reply
from tests.analysts.contracts import check_profiling, check_reading
from tests.analysts.test_llm_replies import MATERIAL, PROFILE, READ, SAID
from tests.analysts.test_prompts import CHINESE, ENGLISH, batch, entry, pages

SECRET = "Zanzibar"
BATCH = batch(pages(SAID))
RECALL = Recall("q", pages=tuple(RecalledPage(page, whole_page(page)[:1], 1.0, Signals()) for page in pages(SAID)))
Work = Callable[[LLMAnalyst, Meter], Any]


def read(analyst: LLMAnalyst, meter: Meter) -> Reading:
    return analyst.read(BATCH, meter)


def profile(analyst: LLMAnalyst, meter: Meter) -> Profiling:
    return analyst.profile(MATERIAL, meter)


WORK: list[tuple[Work, dict[str, Any]]] = [(read, READ), (profile, PROFILE)]


class Spent:
    """A meter that allows nothing."""

    def allow(self) -> None:
        raise BudgetExceededError("used up")

    def __call__(self, usage: Usage) -> None:
        raise AssertionError(usage)


def ask(stream: bool) -> AnswerRequest:
    return AnswerRequest("Where does Nora live?", "<memory>", RECALL, stream)


@pytest.mark.parametrize(("work", "reply"), WORK)
def test_a_good_reply_costs_one_call(work: Work, reply: dict[str, Any]) -> None:
    model, bill = ScriptedChatModel([json.dumps(reply)]), Bill()
    assert work(LLMAnalyst(model), bill)
    assert (len(model.requests), bill.calls) == (1, 1)
    schema = model.requests[0].schema
    assert schema is not None
    assert set(schema.schema["properties"]) == set(reply)


@pytest.mark.parametrize(("work", "reply"), WORK)
@pytest.mark.parametrize("bad", ["no JSON", f'{{"{SECRET}": ["{SECRET}"]}}', "x" * 100_000, "lone \ud83d \0 half"])
def test_a_bad_reply_is_asked_for_again_once_with_the_reason(work: Work, reply: dict[str, Any], bad: str) -> None:
    model, bill = ScriptedChatModel([bad, json.dumps(reply)]), Bill()
    assert work(LLMAnalyst(model), bill) == work(LLMAnalyst(ScriptedChatModel([json.dumps(reply)])), Bill())
    first, second = model.requests
    assert bill.calls == 2
    assert second.schema == first.schema
    assert second.messages[:-2] == first.messages
    echo, repair = second.messages[-2:]
    assert (echo.role, repair.role) == ("assistant", "user")
    assert len(echo.content) <= 4_000
    assert echo.content.encode()
    assert "the reply" in repair.content
    assert SECRET not in repair.content


@pytest.mark.parametrize(("work", "reply"), WORK)
def test_after_the_second_bad_reply_it_gives_up(
    work: Work, reply: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    bad = json.dumps({SECRET: SECRET, "topics": SECRET, "traits": SECRET})
    model, bill = ScriptedChatModel([bad, bad, json.dumps(reply)]), Bill()
    with pytest.raises(InvalidReplyError) as caught:
        work(LLMAnalyst(model), bill)
    assert (len(model.requests), bill.calls) == (2, 2)
    assert SECRET not in str(caught.value)
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("work", "reply"), WORK)
@pytest.mark.parametrize("place", [0, 1])
def test_an_endpoint_that_is_away_is_not_asked_again(work: Work, reply: dict[str, Any], place: int) -> None:
    script: list[str | Exception] = ["no JSON"] * place
    model, bill = ScriptedChatModel([*script, AnalystUnavailableError("away"), json.dumps(reply)]), Bill()
    with pytest.raises(AnalystUnavailableError):
        work(LLMAnalyst(model), bill)
    assert len(model.requests) == bill.calls == place + 1
    assert bill.usages[-1].failed


@pytest.mark.parametrize(("work", "reply"), WORK)
def test_nothing_is_asked_when_the_budget_is_used_up(work: Work, reply: dict[str, Any]) -> None:
    model = ScriptedChatModel([json.dumps(reply)])
    with pytest.raises(BudgetExceededError):
        work(LLMAnalyst(model), Spent())
    assert model.requests == []


def test_the_same_batch_makes_the_same_prompt() -> None:
    model = ScriptedChatModel()
    analyst = LLMAnalyst(model)
    for _ in range(2):
        read(analyst, Bill())
        profile(analyst, Bill())
    assert model.requests[:2] == model.requests[2:]


def test_its_origin_names_the_model_and_the_versions_of_the_prompts() -> None:
    assert LLMAnalyst(ScriptedChatModel(name="m")).origin == Origin("llm/m", "2.2")


# Long pages

WORDS = {"en": "a word about the garden by the river ", "zh": "我喜欢河边的花园和我的狗，"}
MARK = re.compile(r"\[… ([\d,]+) characters left out …\]")


def tokens(request: ChatRequest) -> float:
    return sum(estimate_tokens(each.content) for each in request.messages)


def check_all_there(request: ChatRequest, texts: Sequence[str]) -> None:
    """Every utterance is shown whole, or its beginning with a mark that tells exactly what is missing."""
    record = request.messages[-1].content.rpartition("<conversation>")[2]
    lines = [line.partition(": ")[2] for line in record.splitlines() if ": " in line]
    assert len(lines) == len(texts)
    for line, text in zip(lines, texts, strict=True):
        mark = MARK.search(line)
        shown = line[: mark.start() - 1] if mark else line
        assert text.startswith(shown)
        assert len(shown) + (int(mark.group(1).replace(",", "")) if mark else 0) == len(text)
        assert len(shown) >= min(len(text), 40)


@pytest.mark.parametrize("language", WORDS)
@pytest.mark.parametrize("context_tokens", [4_000, 16_000, 128_000])
def test_a_page_of_a_megabyte_fits_the_context_and_says_what_is_left_out(language: str, context_tokens: int) -> None:
    long = WORDS[language] * (1_000_000 // len(WORDS[language].encode()))
    said = pages([(long, "Short."), ("Short too.", long), ("Also short.", "")])
    model = ScriptedChatModel()
    analyst = LLMAnalyst(model, context_tokens=context_tokens)
    shown = batch(said, known=[entry(1, "Has a garden by the river")])
    check_reading(shown, analyst.read(shown, Bill()))
    material = Material(said, shown.related, Profile())
    check_profiling(material, analyst.profile(material, Bill()))
    assert len(model.requests) == 2
    for request in model.requests:
        assert tokens(request) <= context_tokens * (1 - REPLY_SHARE)
        check_all_there(request, [long, "Short.", "Short too.", long, "Also short."])


@pytest.mark.parametrize("language", WORDS)
def test_fifty_long_pages_fit_the_usual_context(language: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    long = WORDS[language] * 400
    said = pages([(long, long)] * 50)
    model = ScriptedChatModel()
    LLMAnalyst(model).profile(Material(said, (), Profile()), Bill())
    assert tokens(model.requests[0]) <= 16_000 * (1 - REPLY_SHARE)
    check_all_there(model.requests[0], [long] * 100)
    assert "are shown to the LLM with utterances of at most" in caplog.text
    assert "leaves too little" not in caplog.text


def test_what_fits_is_shown_whole() -> None:
    model = ScriptedChatModel()
    LLMAnalyst(model).read(batch(pages([("x" * 8_000, "y" * 8_000)])), Bill())
    assert "x" * 8_000 in model.requests[0].messages[1].content
    assert not MARK.search(model.requests[0].messages[1].content)


def test_a_prompt_that_can_not_be_made_to_fit_is_told(caplog: pytest.LogCaptureFixture) -> None:
    said = pages([(WORDS["zh"] * 400, WORDS["zh"] * 400)] * 50)
    LLMAnalyst(ScriptedChatModel(), context_tokens=4_000).profile(Material(said, (), Profile()), Bill())
    assert "leaves too little of llm_context_tokens" in caplog.text


# Answers


@pytest.mark.parametrize("stream", [False, True])
def test_an_answer_comes_without_its_tag_and_with_its_sources(stream: bool) -> None:
    model, bill = ScriptedChatModel(["In Ghent, you said. <sources>3, 99</sources>"]), Bill()
    reply = LLMAnalyst(model).answer(ask(stream), bill)
    assert model.requests == []
    said = list(reply.pieces)
    assert "".join(said) == "In Ghent, you said."
    assert reply.sources() == ("p003",)
    assert len(said) == (4 if stream else 1)
    assert (bill.calls, reply.origin) == (1, None)
    assert [(each.role, each.content) for each in model.requests[0].messages] == [
        ("system", "<memory>"),
        ("user", "Where does Nora live?"),
    ]
    assert model.requests[0].schema is None


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("said", ["<sources>1</sources>", " \n ", "\0", "\ud83d <sources/>"])
def test_an_answer_that_says_nothing_is_none(said: str, stream: bool) -> None:
    reply = LLMAnalyst(ScriptedChatModel([said])).answer(ask(stream), Bill())
    with pytest.raises(InvalidReplyError):
        list(reply.pieces)


@settings(max_examples=80)
@given(st.text(st.characters()), st.booleans())
def test_an_answer_can_always_be_stored(said: str, stream: bool) -> None:
    text = "".join(LLMAnalyst(ScriptedChatModel([f"Yes {said}"])).answer(ask(stream), Bill()).pieces)
    text.encode()
    assert "\0" not in text
    assert text.startswith("Yes")


# The fallback


class Clock(SimpleNamespace):
    """The time module of the fallback."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(fallback_analyst, "time", made)
    return made


class Other(ScriptedAnalyst):
    @property
    def origin(self) -> Origin:
        return Origin("other", "7")


AWAY = AnalystUnavailableError("away")
JUNK = InvalidReplyError("junk")


TRAITS = Profiling((Trait("big five", "openness", "high", "Says so.", ("p001",)),))


def stand(first: Any, second: Any = None) -> FallbackAnalyst:
    return FallbackAnalyst(first, second or Other(), pause_seconds=10, longest_pause_seconds=35)


@pytest.mark.parametrize("error", [AWAY, JUNK])
def test_while_the_analyst_fails_the_other_works_and_signs(clock: Clock, error: AnalystError) -> None:
    for name, reply in (("readings", Reading((), (), ())), ("profilings", Profiling()), ("answers", "mine")):
        script: dict[str, Any] = {name: [error, reply]}
        first = ScriptedAnalyst(**script)
        both = stand(first)
        ask_for: Callable[[], Any] = {
            "readings": lambda both=both: both.read(BATCH, Bill()),
            "profilings": lambda both=both: both.profile(MATERIAL, Bill()),
            "answers": lambda both=both: both.answer(ask(stream=True), Bill()),
        }[name]
        assert both.origin == Origin("scripted", "1")
        assert ask_for().origin == Origin("other", "7")
        clock.now += 10
        assert ask_for().origin is None
        assert len(first.calls) == 2


def test_the_pause_doubles_up_to_its_bound_and_ends_with_a_success(clock: Clock) -> None:
    first = ScriptedAnalyst(profilings=[*[AWAY] * 5, Profiling(), AWAY, Profiling()])
    both = stand(first)

    def asked() -> bool:
        before = len(first.calls)
        both.profile(MATERIAL, Bill())
        return len(first.calls) > before

    for pause in (10, 20, 35, 35, 35):
        assert asked()
        clock.now += pause - 0.1
        assert not asked()
        clock.now += 0.1
    assert asked()
    assert asked(), "after a success there is no pause"
    clock.now += 10
    assert asked(), "and the next one is short again"


def test_a_used_up_budget_is_no_failure(clock: Clock) -> None:
    first = ScriptedAnalyst(profilings=[BudgetExceededError("used up"), TRAITS])
    both = stand(first)
    assert both.profile(MATERIAL, Bill()).origin == Origin("other", "7")
    assert both.profile(MATERIAL, Bill()) == TRAITS
    assert clock.now == 1_000


def breaking(*said: str, error: AnalystError) -> SimpleNamespace:
    def pieces() -> Iterator[str]:
        yield from said
        raise error

    return SimpleNamespace(
        answer=lambda _request, _meter: Reply(pieces(), lambda: ("p1",)), origin=Origin("broken", "1")
    )


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize("said", [(), ("",), (" ", "\n")])
def test_who_fails_before_a_word_is_replaced(said: tuple[str, ...]) -> None:
    reply = stand(breaking(*said, error=AWAY), Other(answers=["theirs"])).answer(ask(stream=True), Bill())
    assert ("".join(reply.pieces), reply.origin) == ("theirs", Origin("other", "7"))


@pytest.mark.usefixtures("clock")
def test_who_fails_in_the_middle_is_not_replaced() -> None:
    other = Other(answers=["theirs"])
    reply = stand(breaking("mine", " is", error=AWAY), other).answer(ask(stream=True), Bill())
    said = []
    with pytest.raises(AnalystUnavailableError):
        for piece in reply.pieces:
            said.append(piece)  # noqa: PERF402  (what came before the error stays)
    assert said == ["mine", " is"]
    assert (other.calls, reply.origin) == ([], None)


@pytest.mark.usefixtures("clock")
def test_fallback_answer_is_complete_and_keeps_its_sources() -> None:
    analyst = LLMAnalyst(ScriptedChatModel(["  In Ghent. <sources>3</sources>"]))
    reply = stand(analyst).answer(ask(stream=True), Bill())
    assert "".join(reply.pieces) == "  In Ghent."
    assert reply.sources() == ("p003",)


@pytest.mark.usefixtures("clock")
def test_other_errors_do_not_use_the_fallback() -> None:
    with pytest.raises(ZeroDivisionError):
        stand(ScriptedAnalyst(profilings=[ZeroDivisionError()])).profile(MATERIAL, Bill())


@pytest.mark.parametrize("said", [ENGLISH, CHINESE])
def test_the_double_of_an_llm_keeps_the_contract(said: tuple[tuple[str, str], ...]) -> None:
    analyst = LLMAnalyst(ScriptedChatModel(reply=lambda each: ok_reply([(m.role, m.content) for m in each.messages])))
    material = Material(pages(said), (), Profile())
    check_reading(batch(pages(said)), analyst.read(batch(pages(said)), Bill()))
    check_profiling(material, analyst.profile(material, Bill()))


def test_an_llm_does_not_read_immediately_and_the_fallback_does_as_its_primary() -> None:
    analyst = LLMAnalyst(ScriptedChatModel())
    assert not reads_immediately(analyst)
    assert not reads_immediately(stand(analyst))
    assert reads_immediately(stand(ScriptedAnalyst(reads_immediately=True)))


def test_dropped_parts_are_logged_without_their_text(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    odd: dict[str, Any] = {**READ, "facts": [*READ["facts"], {"text": SECRET, "pages": [99]}]}
    analyst = LLMAnalyst(ScriptedChatModel([json.dumps(odd), json.dumps({"traits": [{"trait": SECRET}]})]))
    assert read(analyst, Bill()).dropped
    assert profile(analyst, Bill()) == Profiling()
    assert "read: parts of a reply are not used: replaces: a number that was not shown (1); facts:" in caplog.text
    assert "profile: parts of a reply are not used: traits:" in caplog.text
    assert SECRET not in caplog.text
