"""Writes ``store_659.sql`` and ``store_659.jsonl`` beside this file: one store of release 659c0c2, twice.

Run it with the code of that release: ``PYTHONPATH=<checkout>/src python tests/storage/data/make_store_659.py``. The
result is the same each time. The SQL contains no vectors, and its INSERT statements are valid for PostgreSQL too.
"""

from __future__ import annotations

import json
import re
import sqlite3
import tempfile
from contextlib import closing
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from memoryos import identifiers
from memoryos.analysts.llm import LLMAnalyst
from memoryos.analysts.local import LocalAnalyst
from memoryos.config import Config
from memoryos.engine import MemoryEngine
from memoryos.testing import FixedClock, HashEmbedder, ScriptedChatModel, ok_reply

HERE = Path(__file__).parent
START = datetime(2026, 2, 2, 9, tzinfo=timezone.utc)
LOCAL_PAGES = (
    ("My name is Tom and I live in Utrecht.", "Nice to meet you, Tom!"),
    ("I work as a nurse.", "That is hard work."),
    ("I really love painting and I go to parties every weekend.", "I recommend the museum of modern art."),
    ("I'm allergic to peanuts.", "I will remember that."),
    ("Ik woon in Rotterdam sinds vorige week.", "Wat leuk!"),
    ("Ik werk als verpleegkundige.", "Mooi beroep."),
    ("我住在北京。", "好的。"),
    ("私は大阪に住んでいます。", "わかりました。"),
    ("Eu moro em Lisboa.", "Que bom!"),
    ("Tôi sống ở Hà Nội.", "Vâng."),
    ("My sister Nora lives in Porto.", "Porto is lovely."),
    ("I moved to Berlin and I live in Berlin now.", "Welcome to Berlin."),
)
LLM_PAGES = (
    "My favourite colour is blue.",
    "I was born on 3 May 1990.",
    "I'm allergic to nuts and to cats.",
    "My dog Rex is three years old.",
    "Rex died yesterday.",
    "My codeword is Zuvalka.",
    "My favourite colour is green now.",
    "I speak Dutch and English.",
    "I play the violin on Mondays.",
    "I drive a red Volvo.",
    "I drive a blue Saab now.",
)
ATTRIBUTES: dict[str, tuple[tuple[str, str], ...]] = {
    LLM_PAGES[0]: (("favourite colour", "blue"),),
    LLM_PAGES[1]: (("date of birth", "1990-05-03"), ("birth_year", "1990")),
    LLM_PAGES[2]: (("allergies", "nuts and cats"), ("allergy", "nuts")),
    LLM_PAGES[5]: (("codeword", "Zuvalka"),),
    LLM_PAGES[6]: (("favourite colour", "green"),),
    LLM_PAGES[7]: (("languages", "Dutch and English"),),
}
"""The attributes that the LLM learns from each page."""
FACTS: dict[str, tuple[tuple[str, str, str], ...]] = {
    LLM_PAGES[2]: (("user", "Is allergic to nuts and cats", ""),),
    LLM_PAGES[3]: (("user", "Has a dog named Rex", ""),),
    LLM_PAGES[4]: (("user", "The dog Rex died", "Has a dog named Rex"),),
    LLM_PAGES[5]: (("user", "The codeword is Zuvalka", ""), ("assistant", "Promised to keep a codeword", "")),
    LLM_PAGES[8]: (("user", "Plays the violin on Mondays", ""), ("assistant", "Recommended a violin teacher", "")),
    LLM_PAGES[9]: (("user", "Drives a red Volvo", ""),),
    LLM_PAGES[10]: (("user", "Drives a blue Saab", "Drives a red Volvo"),),
}
"""The facts that the LLM learns from each page: subject, text, and the text of the known fact that it replaces."""


def main() -> None:
    """Creates the store and writes both files."""
    _number_ids()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "memoryos.db"
        export = HERE / "store_659.jsonl"
        export.unlink(missing_ok=True)
        _fill(Path(folder), export)
        (HERE / "store_659.sql").write_text(_dump(file), encoding="utf-8")


def _number_ids() -> None:
    """Makes ids predictable: UUIDv7 texts that count up."""
    numbers = count(1)
    vars(identifiers)["uuid7"] = lambda: UUID(int=(0x0190_0000_0000_7000 << 64) | (0b10 << 62) | next(numbers))


def _fill(folder: Path, export: Path) -> None:
    clock = FixedClock(START)
    values: dict[str, Any] = {
        "data_storage_path": folder,
        "short_term_capacity": 1,
        "mid_term_heat_threshold": 0.0,
        "consolidation_batch": 1,
        "background": False,
    }

    def engine(analyst: Any, **given: Any) -> MemoryEngine:
        seams: dict[str, Any] = {"embedder": HashEmbedder(), "clock": clock, "analyst": analyst}
        return MemoryEngine(Config(**(values | given)), **seams)

    with engine(LocalAnalyst()) as opened:
        memory = opened.memory("tom", "helper")
        for user_text, assistant_text in LOCAL_PAGES:
            clock.advance(minutes=7)
            memory.add_memory(user_text, assistant_text, clock())
            memory.flush()
        other = opened.memory("ann", "helper")
        other.add_memory("My name is Ann and I live in Delft.", "Hello Ann.", clock())
        other.add_memory("I love rowing.", "Great.", clock())
        other.flush()
    with engine(LLMAnalyst(ScriptedChatModel(reply=_reply)), long_term_knowledge_capacity=9) as opened:
        memory = opened.memory("tom", "helper")
        for user_text in LLM_PAGES:
            clock.advance(hours=5)
            memory.add_memory(user_text, "I see.", clock())
            memory.flush()
        memory.add_memory("That is all for today.", "Goodbye.", clock())
        memory.flush()
        facts = {each.text: each for each in memory.knowledge(None)}
        memory.correct(facts["Plays the violin on Mondays"].knowledge_id, "Plays the cello on Fridays")
        memory.correct(facts["Werkt als verpleegkundige"].knowledge_id, "Werkt als arts")
        (secret,) = (each for each in memory.pages() if "codeword" in each.user_text)
        assert memory.profile.attribute("codeword") == "Zuvalka"
        memory.forget(knowledge_ids=[facts["Is allergic to nuts and cats"].knowledge_id])
        memory.forget(page_ids=[secret.page_id])
        advice = facts["Recommended a violin teacher"].knowledge_id
        opened.share_assistant_knowledge(memory, opened.memory("ann", "helper"), [advice])
        clock.advance(seconds=1)
        memory.flush()
        opened.export(export)


def _reply(request: Any) -> str:
    messages = [(each.role, each.content) for each in request.messages]
    system, prompt = messages[0][1], messages[-1][1]
    if '"knowledge"' not in system or '"chains"' in system:
        return ok_reply(messages)
    known = {text: int(number) for number, text in re.findall(r"^(\d+)\. \(\w+\) (.+)$", prompt, re.MULTILINE)}
    read = [
        (int(number), line)
        for number, said in re.findall(r"^(\d+)\. [^:\n]+: (.+)$", prompt, re.MULTILINE)
        for line in LLM_PAGES
        if said == line
    ]
    attributes = [
        {"name": name, "value": value, "pages": [number]}
        for number, line in read
        for name, value in ATTRIBUTES.get(line, ())
    ]
    facts = [
        {
            "about": about,
            "text": text,
            "since": "",
            "pages": [number],
            "replaces": [known[older]] if older in known else [],
        }
        for number, line in read
        for about, text, older in FACTS.get(line, ())
    ]
    return json.dumps({"attributes": attributes, "traits": [], "knowledge": facts, "drop": []}, ensure_ascii=False)


def _dump(file: Path) -> str:
    """Returns the store as SQL: the schema of SQLite, then one INSERT statement for each row."""
    with closing(sqlite3.connect(file)) as connection:
        schema = connection.execute(
            "SELECT name, type, sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid"
        ).fetchall()
        lines = [re.sub(r"\s+", " ", sql) + ";" for _, _, sql in schema]
        for table in (name for name, kind, _ in schema if kind == "table" and name != "vectors"):
            columns = [(row[1], row[2]) for row in connection.execute(f"PRAGMA table_info({table})")]
            names = ", ".join(name for name, _ in columns)
            for row in connection.execute(f"SELECT {names} FROM {table} ORDER BY rowid"):  # noqa: S608
                values = ", ".join(_literal(*each) for each in zip(columns, row, strict=True))
                lines.append(f"INSERT INTO {table} ({names}) VALUES ({values});")  # noqa: S608
    return "\n".join(lines) + "\n"


def _literal(column: tuple[str, str], value: object) -> str:
    name, kind = column
    if value is None or name == "embedded_with":
        return "NULL"
    if kind == "BOOLEAN":
        return "TRUE" if value else "FALSE"
    return str(value) if isinstance(value, (int, float)) else "'" + str(value).replace("'", "''") + "'"


if __name__ == "__main__":
    main()
