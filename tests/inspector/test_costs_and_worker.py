"""Tests of the costs view and the worker view."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Playwright, expect

from tests.inspector.conftest import Api, Server, Visitor, user_path
from tests.inspector.server import POISON, Kind
from tests.inspector.story import Story


@pytest.fixture
def with_llm(serve: Callable[[Kind], Server]) -> Server:
    return serve("llm")


@pytest.fixture
def llm_api(playwright: Playwright, with_llm: Server) -> Iterator[Api]:
    context = playwright.request.new_context(base_url=with_llm.address)
    yield Api(context)
    context.dispose()


def test_costs_are_empty_without_llm(visit: Visitor) -> None:
    page = visit().go("costs")
    expect(page.get_by_text("No LLM was called for this memory")).to_be_visible()
    expect(page.get_by_text("This server has no LLM")).to_be_visible()


def test_costs_are_summed(visit: Visitor, with_llm: Server, llm_api: Api, story: Story) -> None:
    costs = llm_api.get(f"{user_path(story.user_id)}/costs", assistant_id=story.assistant_id)["costs"]
    assert {"read", "profile"} <= {each["purpose"] for each in costs}
    tab = visit(with_llm)
    page = tab.go("costs")
    figures = page.locator(".figure")
    for place, name in enumerate(("calls", "failed_calls", "prompt_tokens", "completion_tokens")):
        expect(figures.nth(place).locator("strong")).to_have_text(f"{sum(each[name] for each in costs):,}")
    expect(page.locator(".accounts tbody tr")).to_have_count(len(costs))
    table = page.locator(".plot table")
    expect(table.locator("tbody tr")).to_have_count(len({each["day"] for each in costs}))
    expect(table.locator("thead")).to_contain_text("read")
    page.get_by_role("group", name="By").get_by_role("button", name="Model").click()
    expect(table.locator("thead")).to_contain_text("fake")
    tab.shoot("costs")


def test_idle_worker_shows_no_due_work(visit: Visitor, story: Story) -> None:
    tab = visit()
    page = tab.go("worker")
    expect(page.get_by_role("heading", name="No work is due")).to_be_visible()
    expect(page.locator(".figure", has_text="pages due").locator("strong")).to_have_text("0")
    expect(page.locator(".workload")).to_contain_text("Analyst: local")
    expect(page.locator(".figure").filter(has_text=re.compile(r"^\d+pages$"))).to_have_text(f"{len(story.drafts)}pages")


def test_worker_view_shows_live_events_and_runs_due_work(visit: Visitor, api: Api, story: Story, new_user: str) -> None:
    tab = visit()
    page = tab.go("worker", user_id=new_user)
    expect(page.get_by_text("No events since this view was opened.")).to_be_visible()
    expect(page.get_by_label("Live events: live")).to_be_visible()
    for index in range(9):
        api.post(
            f"{user_path(new_user)}/pages", {"user_input": f"I own {index} parrots."}, assistant_id=story.assistant_id
        )
    feed = page.get_by_role("log")
    expect(feed).to_contain_text("Page no. 9 was added")
    expect(feed).to_contain_text("Page no. 2 left short-term memory")
    expect(page.get_by_role("heading", name="No work is due")).to_be_visible()
    expect(page.locator(".figure", has_text="pages due").locator("strong")).to_have_text("0")
    expect(feed).to_contain_text("A segment of")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".toast")).to_have_text("All due work is done.")
    tab.shoot("worker")


def test_worker_view_shows_pages_that_are_collected_for_an_llm(
    visit: Visitor, with_llm: Server, llm_api: Api, story: Story, new_user: str
) -> None:
    page = visit(with_llm).go("worker", user_id=new_user)
    for index in range(2):
        llm_api.post(
            f"{user_path(new_user)}/pages", {"user_input": f"I own {index} parrots."}, assistant_id=story.assistant_id
        )
    expect(page.get_by_role("heading", name="Due pages are collected until a batch is full")).to_be_visible()
    expect(page.locator(".figure", has_text="pages due").locator("strong")).to_have_text("2")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".toast")).to_have_text("All due work is done.")
    expect(page.get_by_role("heading", name="No work is due")).to_be_visible()


def test_worker_view_shows_failures_and_the_next_retry(
    visit: Visitor, with_llm: Server, llm_api: Api, story: Story, new_user: str
) -> None:
    path = user_path(new_user)
    for index in range(20):
        llm_api.post(f"{path}/pages", {"user_input": f"{POISON} {index}"}, assistant_id=story.assistant_id)
    tab = visit(with_llm)
    page = tab.go("worker", user_id=new_user)
    expect(page.get_by_role("heading", name="The analyst reported an error")).to_be_visible()
    trouble = page.locator(".workload .trouble")
    expect(trouble).to_contain_text(re.compile(r"\d consecutive failures?, next retry in \d+ (minutes|hours?|seconds)"))
    expect(trouble).to_contain_text(re.compile("Last error: .+"))
    tab.shoot("worker-failing")
    page.get_by_role("button", name="Run now").click()
    expect(page.locator(".toast.bad")).to_contain_text("The request failed")
    expect(page.get_by_role("button", name="Run now")).to_be_enabled()
    assert {each.split(" ")[0] for each in tab.refusals} <= {"502", "503"}
    tab.refusals.clear()
