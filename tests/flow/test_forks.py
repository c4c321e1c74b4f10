"""Forked children get an error from objects of the parent and exit; the parent continues."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORKED = """
import multiprocessing, os, sys, threading
from memoryos import MemoryEngine, Config, Memoryos
from memoryos.errors import MemoryOSError
from memoryos.testing import HashEmbedder

place, way = sys.argv[1:]
embedder = None if way == "default embedder" else HashEmbedder()
memory = Memoryos("tom", database_url=place, embedder=embedder)
memory.add_memory("I live in Oslo.", "Nice.")
memory.recall("Oslo")
if way == "default embedder":
    memory.flush()
stop = threading.Event()

def write():
    while not stop.is_set():
        memory.add_memory("meanwhile")

def use_all():
    calls = [
        lambda: memory.add_memory("from the child"),
        lambda: memory.recall("Oslo"),
        lambda: memory.get_response("Where do I live?"),
        lambda: list(memory.pages()),
        lambda: memory.flush(),
        lambda: memory.forget(everything=True),
        lambda: memory.engine.store.verify(),
        lambda: memory.engine.memory("eve").add_memory("from the child"),
    ]
    for call in calls:
        try:
            call()
        except MemoryOSError as error:
            assert "forked" in str(error), error
        else:
            raise AssertionError("the child used what its parent opened")
    memory.close()
    with Memoryos("eve", database_url=place, embedder=HashEmbedder()) as own:
        own.add_memory("from the child's own")

if way == "multiprocessing":
    child = multiprocessing.get_context("fork").Process(target=use_all)
    child.start()
    child.join(120)
    assert child.exitcode == 0, child.exitcode
else:
    writer = threading.Thread(target=write, daemon=True)
    if way == "while writing":
        writer.start()
    for _ in range(3):
        child = os.fork()
        if child == 0:
            use_all()
            sys.exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    stop.set()
    if way == "while writing":
        writer.join(60)
memory.add_memory("from the parent")
assert memory.engine.store.verify() == []
assert [page.user_text for page in memory.pages()][-1] == "from the parent"
assert len([page for page in memory.pages() if "child" in page.user_text]) == 0
memory.close()
print("well")
"""


@pytest.mark.parametrize("way", ["fork", "multiprocessing", "while writing", "default embedder"])
def test_forked_child_gets_an_error_and_the_parent_continues(place: str, way: str) -> None:
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, place, way]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.stdout.strip() == "well", done.stderr[-2_000:]
