"""Tests of the import and export view."""

from __future__ import annotations

import json
import re
from pathlib import Path

from playwright.sync_api import Route, expect

from tests.inspector.conftest import Api, Visitor, user_path
from tests.inspector.story import Story


def lines(count: int) -> str:
    return "\n".join(
        json.dumps(
            {"user_text": f"I counted to {index}.", "assistant_text": "Well done.", "at": "2022-02-02T02:02:02Z"}
        )
        for index in range(count)
    )


def test_files_are_imported_in_sequence_with_results(
    visit: Visitor, api: Api, story: Story, new_user: str, tmp_path: Path
) -> None:
    good, bad, odd = (tmp_path / name for name in ("said.jsonl", "not-a-conversation.txt", "odd.json"))
    good.write_text(lines(25), "utf-8")
    bad.write_text("<script>alert(1)</script>", "utf-8")
    odd.write_text('[{"role": "user", "content": "Only this."}, {"role": "user", "content": 7}]', "utf-8")
    tab = visit()
    page = tab.go("transfer", user_id=new_user)
    page.get_by_label("Choose files", exact=True).last.set_input_files([good, bad, odd])
    read = page.locator(".job", has_text="said.jsonl was read.")
    expect(read).to_contain_text("25 pages added")
    expect(page.locator(".job", has_text="not-a-conversation.txt was not read.").get_by_role("alert")).to_be_visible()
    partly = page.locator(".job", has_text="odd.json was read.")
    expect(partly).to_contain_text("1 page added")
    expect(partly).to_contain_text("1 part could not be read")
    stats = api.get(f"{user_path(new_user)}/stats", assistant_id=story.assistant_id)
    assert stats["pages"] == 26
    assert [each.split(" ")[0] for each in tab.refusals] == ["422"]
    tab.refusals.clear()
    tab.shoot("transfer")


def test_upload_shows_progress_and_can_be_stopped(
    visit: Visitor, api: Api, story: Story, new_user: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.jsonl"
    file.write_text(lines(20_000), "utf-8")
    page = visit().go("transfer", user_id=new_user)
    slow = page.context.new_cdp_session(page)
    slow.send("Network.enable")
    slow.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 200_000},
    )
    page.get_by_label("Choose files", exact=True).last.set_input_files(file)
    bar = page.get_by_role("progressbar", name="Progress of long.jsonl")
    expect(page.locator(".job")).to_contain_text(re.compile(r"Uploading long\.jsonl: [1-9]\d? %"))
    assert 0 < float(bar.get_attribute("value") or 0) < 1
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".job")).to_contain_text("Stopped; nothing was imported.")
    assert api.get(f"{user_path(new_user)}/stats", assistant_id=story.assistant_id)["pages"] == 0


def test_file_can_be_dropped(visit: Visitor, new_user: str) -> None:
    page = visit().go("transfer", user_id=new_user)
    dropped = page.evaluate_handle(
        "text => { const data = new DataTransfer(); data.items.add(new File([text], 'dropped.jsonl')); return data; }",
        lines(3),
    )
    page.dispatch_event(".drop", "dragover", {"dataTransfer": dropped})
    expect(page.locator(".drop")).to_have_class(re.compile("over"))
    page.dispatch_event(".drop", "drop", {"dataTransfer": dropped})
    expect(page.locator(".job")).to_contain_text("3 pages added")


def test_export_is_saved_and_imported_elsewhere(
    visit: Visitor, api: Api, story: Story, new_user: str, tmp_path: Path
) -> None:
    page = visit().go("transfer")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save as a file").click()
    file = tmp_path / "memory.jsonl"
    download.value.save_as(file)
    assert download.value.suggested_filename == f"memory-{story.user_id}.jsonl"
    expect(page.get_by_text(re.compile(r"Saved: [\d,]+ kB\."))).to_be_visible()
    other = visit().go("transfer", user_id=new_user)
    other.get_by_label("Choose files", exact=True).last.set_input_files(file)
    expect(other.locator(".job")).to_contain_text(f"{len(story.drafts)} pages added")
    expect(other.locator(".job")).to_contain_text("including tiers")
    other.get_by_label("Choose files", exact=True).last.set_input_files(file)
    expect(other.locator(".job").last).to_contain_text(f"{len(story.drafts)} already known")
    stats = [api.get(f"{user_path(each)}/stats", assistant_id=story.assistant_id) for each in (story.user_id, new_user)]
    assert stats[0]["segments"] == stats[1]["segments"]


def test_unreachable_server_is_reported(visit: Visitor, new_user: str, tmp_path: Path) -> None:
    file = tmp_path / "said.jsonl"
    file.write_text(lines(2), "utf-8")
    page = visit().go("transfer", user_id=new_user)

    def refuse(route: Route) -> None:
        route.abort("connectionrefused")

    page.route("**/import*", refuse)
    page.get_by_label("Choose files", exact=True).last.set_input_files(file)
    expect(page.get_by_role("alert")).to_have_text("The server can't be reached.")
