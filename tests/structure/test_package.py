"""Tests that the wheel contains all files and licences and works without a checkout."""

from __future__ import annotations

import email
import os
import re
import subprocess
import sys
import tarfile
import urllib.request
import zipfile
from pathlib import Path

import pytest
from hatchling.build import build_sdist, build_wheel

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
VENDOR = SOURCE / "memoryos/doors/inspector/static/vendor"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        return folder / build_wheel(str(folder))


def run(wheel: Path, folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """Starts the command line from the wheel, unpacked into the folder, without access to the checkout."""
    site = folder / "site"
    with zipfile.ZipFile(wheel) as packed:
        packed.extractall(site)  # noqa: S202  (a wheel of this project)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MEMORYOS_", "OPENAI_"))}
    where = "import memoryos, sys; assert memoryos.__file__.startswith(sys.argv.pop(1)), memoryos.__file__"
    entry = "from memoryos.doors.entry import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", f"{where}; {entry}", str(site), *arguments],
        cwd=folder, env=environment | {"PYTHONPATH": str(site)}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def test_wheel_contains_every_file_of_the_package(wheel: Path) -> None:
    files = {
        each.relative_to(SOURCE).as_posix()
        for each in (SOURCE / "memoryos").rglob("*")
        if each.is_file() and "__pycache__" not in each.parts
    }
    with zipfile.ZipFile(wheel) as packed:
        assert {each for each in packed.namelist() if ".dist-info/" not in each} == files
    for kind in ("py.typed", "traits90.json", "tokenizer.json", "index.html", "0001_first_schema.py", "demo_conversation.jsonl"):  # fmt: skip
        assert any(each.rpartition("/")[2] == kind for each in files), kind


def test_wheel_contains_and_declares_third_party_licences(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
        metadata = email.message_from_bytes(packed.read(next(each for each in names if each.endswith("/METADATA"))))
    licences = {each.partition("/licenses/")[2] for each in names if "/licenses/" in each}
    assert licences == set(metadata.get_all("License-File", []))
    vendored = {each.relative_to(ROOT).as_posix() for each in VENDOR.glob("*.LICENSE")}
    assert licences == {"LICENSE", "NOTICE"} | vendored
    assert len(vendored) == 4
    kinds = {"MIT" if "Permission is hereby granted" in each.read_text("utf-8") else "Apache-2.0" for each in VENDOR.glob("*.LICENSE")}  # fmt: skip
    assert set(metadata["License-Expression"].split(" AND ")) == kinds | {"Apache-2.0"}


def test_source_archive_contains_files_for_tests_and_documents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    with tarfile.open(tmp_path / build_sdist(str(tmp_path))) as packed:
        names = {each.partition("/")[2] for each in packed.getnames()}
    for name in ("LICENSE", "NOTICE", "README.md", "CHANGELOG.md", "SECURITY.md", "Makefile", "tests/conftest.py", "docs/index.md", "deploy/Dockerfile", "requirements/runtime.lock"):  # fmt: skip
        assert name in names, name
    assert not [each for each in names if re.search(r"(^|/)(\.venv|build|dist|__pycache__|memoryos_data)(/|$)", each)]


def test_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    out, errors = run(wheel, tmp_path, "demo").communicate(timeout=120)
    assert "8 of 8 questions found the expected answer" in out, errors


@pytest.mark.enable_socket
def test_server_and_inspector_run_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    process = run(wheel, tmp_path, "--data", "data", "serve", "--port", "0")
    try:
        assert process.stdout is not None
        address = process.stdout.readline().rpartition(" ")[2].strip()
        page = urllib.request.urlopen(f"{address}/", timeout=60).read().decode()  # noqa: S310  (a server of this test)
        files = re.findall(r'(?:href|src)="([^"]+)"', page)
        assert len(files) >= 5
        for name in files:
            assert urllib.request.urlopen(f"{address}/{name}", timeout=60).read(), name  # noqa: S310  (as above)
    finally:
        process.terminate()
        process.communicate(timeout=60)
