"""Tests of the static files: headers, vendored code, and forbidden code."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from memoryos.doors.http.app import build_app
from memoryos.doors.http.settings import ServerSettings
from memoryos.engine import MemoryEngine

STATIC = Path(__file__).parents[2] / "src" / "memoryos" / "doors" / "inspector" / "static"
VENDORED = json.loads((STATIC / "vendor" / "VENDORED.json").read_text("utf-8"))
OURS = sorted(each for each in STATIC.rglob("*") if each.suffix in {".js", ".html"} and "vendor" not in each.parts)
PATHS = sorted(str(each.relative_to(STATIC)) for each in STATIC.rglob("*") if each.is_file())
LOCAL = "http://127.0.0.1"


@pytest.fixture
def client(engine: MemoryEngine) -> TestClient:
    return TestClient(build_app(engine, ServerSettings()), base_url=LOCAL)


@pytest.mark.parametrize("path", ["/", *(f"/inspector/{each}" for each in PATHS)])
def test_files_are_cached_by_etag(client: TestClient, path: str) -> None:
    first = client.get(path)
    assert first.status_code == 200
    assert first.headers["x-content-type-options"] == "nosniff"
    assert first.headers["referrer-policy"] == "no-referrer"
    assert first.headers["cache-control"] == "no-cache"
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}'):
        again = client.get(path, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert client.get(path, headers={"If-None-Match": '"other"'}).content == first.content


def test_files_have_the_correct_media_types(client: TestClient) -> None:
    kinds = {"/": "text/html", "/inspector/app.js": "text/javascript", "/inspector/style.css": "text/css"}
    for path, kind in kinds.items():
        assert client.get(path).headers["content-type"].startswith(kind)


def test_content_security_policy_allows_only_the_own_server(client: TestClient) -> None:
    policy = dict(each.split(" ", 1) for each in client.get("/").headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    assert policy["script-src"] == policy["style-src"] == policy["connect-src"] == "'self'"
    assert policy["img-src"] == "'self' data:"
    assert policy["require-trusted-types-for"] == "'script'"
    assert policy["trusted-types"] == "'none'"


@pytest.mark.parametrize(
    "path",
    ["/inspector/", "/inspector/none.js", "/inspector/../pages.py", "/inspector/%2e%2e/pages.py", "/inspector/vendor"],
)
def test_unknown_paths_are_not_found(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_page_works_below_a_path_prefix(engine: MemoryEngine) -> None:
    below = TestClient(build_app(engine, ServerSettings()), base_url=LOCAL, root_path="/memory")
    assert b'src="inspector/app.js"' in below.get("/memory/").content
    assert below.get("/memory/inspector/app.js").status_code == 200
    assert str(below.get("/memory").url).endswith("/memory/")


def test_files_need_no_key_but_the_api_does(engine: MemoryEngine) -> None:
    client = TestClient(build_app(engine, ServerSettings(keys=True)), base_url=LOCAL)
    assert client.get("/").status_code == client.get("/inspector/app.js").status_code == 200
    assert client.get("/v1/setup").status_code == client.get("/v1/users").status_code == 401


def test_setup_route_returns_the_caller(engine: MemoryEngine) -> None:
    client = TestClient(build_app(engine, ServerSettings(keys=True)), base_url=LOCAL)
    for user_id in ("tom", None):
        key = engine.store.keys.create(user_id, engine.clock()).text
        setup: dict[str, Any] = client.get("/v1/setup", headers={"Authorization": f"Bearer {key}"}).json()
        assert setup["is_admin"] is (user_id is None)
        assert setup["user_id"] == (user_id or engine.config.user_id)
        assert setup["keys"] is True
        assert len(setup["dimensions"]) == 90
        assert setup["ranking"] == engine.config.ranking.model_dump()
        assert key not in json.dumps(setup)


def test_vendored_files_match_their_hashes() -> None:
    files = {each.name for each in (STATIC / "vendor").iterdir() if each.suffix in {".js", ".css"}}
    assert files == set(VENDORED)
    for name, record in VENDORED.items():
        assert hashlib.sha256((STATIC / "vendor" / name).read_bytes()).hexdigest() == record["sha256"], name
        assert re.fullmatch(r"\d+\.\d+\.\d+", record["version"])
        assert record["licence"]
    assert {"htm.LICENSE", "preact.LICENSE", "chart.LICENSE", "pico.LICENSE"} <= {
        each.name for each in (STATIC / "vendor").iterdir()
    }


@pytest.mark.parametrize("file", OURS, ids=lambda each: str(each.relative_to(STATIC)))
def test_scripts_do_not_create_markup_or_code_from_text(file: Path) -> None:
    text = file.read_text("utf-8")
    banned = r"innerHTML|outerHTML|insertAdjacentHTML|dangerouslySet|document\.write|\beval\(|new Function|srcdoc|javascript:"
    assert not re.search(banned, text)
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", text), "an address of elsewhere"
    assert not re.search(r"<(?:script|style)(?![^>]*\bsrc=)[^>]*>|\son\w+=\"|\sstyle=\"", text), "something inline"


@pytest.mark.parametrize("file", OURS, ids=lambda each: str(each.relative_to(STATIC)))
def test_all_texts_are_in_texts_js(file: Path) -> None:
    """Visible texts and texts for screen readers are defined in texts.js only."""
    if file.name in {"texts.js", "index.html"}:
        return
    text = re.sub(r"/\*.*?\*/|^\s*//.*$", "", file.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    templates = "\n".join(re.findall(r"html`.*`", text, flags=re.DOTALL))
    between = re.findall(r"(?<!=)>\s*([^<>`${}=;()]*[A-Za-z]{3,}[^<>`${}=;()]*)\s*<", templates)
    assert between == []
    assert not re.search(r"(?:aria-label|title|placeholder|alt)=\"[^\"]+\"", text)


@pytest.mark.parametrize("file", OURS, ids=lambda each: str(each.relative_to(STATIC)))
def test_modules_are_small_and_have_a_header_comment(file: Path) -> None:
    text = file.read_text("utf-8")
    limit = 700 if file.name == "texts.js" else 320
    assert len(text.splitlines()) <= limit
    if file.suffix == ".js":
        assert text.startswith(("/**", "//"))
