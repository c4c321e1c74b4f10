"""API keys: only hashes of secrets are stored, and revoked keys stay revoked."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from memoryos.errors import NotFoundError
from memoryos.storage.api_keys import is_secret_of, key_id_of
from memoryos.storage.store import Store
from memoryos.testing import FixedClock

NOW = FixedClock()()


@pytest.fixture
def store(place: str) -> Iterator[Store]:
    with Store(place) as opened:
        yield opened


def test_key_is_found_by_id_and_verified_by_secret(store: Store) -> None:
    made = store.keys.create("tom", NOW, name="phone", expires_at=NOW + timedelta(days=1))
    key_id = key_id_of(made.text)
    assert key_id == made.key.key_id
    assert store.keys.find(made.key.key_id) == made.key
    assert is_secret_of(made.key, made.text)
    assert (made.key.is_admin, made.key.user_id, made.key.name) == (False, "tom", "phone")
    assert store.keys.create(None, NOW).key.is_admin
    assert store.keys.find("another") is None


@pytest.mark.kinds("sqlite")
def test_secrets_are_random_and_never_stored(store: Store, tmp_path: Path) -> None:
    made = [store.keys.create("tom", NOW) for _ in range(20)]
    secrets = {each.text.split("_", 2)[2] for each in made}
    assert len(secrets) == 20
    assert {len(each) for each in secrets} == {43}, "256 bits"
    written = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert made[0].key.key_id.encode() in written
    for each in made:
        secret = each.text.split("_", 2)[2]
        assert secret.encode() not in written
        assert each.key.secret_hash == hashlib.sha256(secret.encode()).hexdigest()
        assert secret not in repr(each)
        assert each.key.secret_hash not in repr(each.key)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text[:-1], lambda text: text + "x", lambda text: text.replace("mos_", "sk_"), lambda _: "",
        lambda text: text[:-1] + ("A" if text[-1] != "A" else "B"), lambda text: text.upper(), lambda text: f" {text}",
        lambda text: text + "\n", lambda text: text.replace("_", "-"), lambda text: text[:-2] + "é" * 2, lambda _: "mos__",
    ],
)  # fmt: skip
def test_malformed_keys_are_rejected(store: Store, change: object) -> None:
    made = store.keys.create("tom", NOW)
    assert not is_secret_of(made.key, change(made.text))  # type: ignore[operator]


def test_secret_of_one_key_does_not_match_another_key(store: Store) -> None:
    one, other = store.keys.create("tom", NOW), store.keys.create("ann", NOW)
    mixed = f"mos_{other.key.key_id}_{one.text.split('_', 2)[2]}"
    assert key_id_of(mixed) == other.key.key_id
    assert not is_secret_of(other.key, mixed)


def test_secrets_are_compared_in_constant_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    compare = hmac.compare_digest

    def noted(one: str, other: str) -> bool:
        seen.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", noted)
    made = store.keys.create("tom", NOW)
    assert is_secret_of(made.key, made.text)
    assert not is_secret_of(replace(made.key, secret_hash="0" * 64), made.text)
    assert seen == [(64, 64), (64, 64)]


def test_key_expires_and_keeps_its_first_revocation_time(store: Store) -> None:
    day = timedelta(days=1)
    made = store.keys.create("tom", NOW, expires_at=NOW + day).key
    assert made.is_valid(NOW + day - timedelta(microseconds=1))
    assert not made.is_valid(NOW + day)
    assert store.keys.any_valid(NOW)
    assert not store.keys.any_valid(NOW + day)
    endless = store.keys.create(None, NOW).key
    assert store.keys.any_valid(NOW + day)
    assert store.keys.revoke(endless.key_id, NOW + day).revoked_at == NOW + day
    assert store.keys.revoke(endless.key_id, NOW + 2 * day).revoked_at == NOW + day
    assert not store.keys.any_valid(NOW + day)
    assert [each.key_id for each in store.keys.all()] == [made.key_id, endless.key_id]
    with pytest.raises(NotFoundError):
        store.keys.revoke("another", NOW)


def test_key_remains_after_forgetting_the_memories_of_its_user(make_engine: object) -> None:
    engine = make_engine()  # type: ignore[operator]
    made = engine.store.keys.create("tom", NOW)
    memory = engine.memory("tom")
    memory.add_memory("I have a cat.")
    memory.forget(everything=True)
    assert engine.store.keys.find(made.key.key_id) == made.key
    assert engine.store.verify() == []


@pytest.mark.kinds("sqlite")
def test_export_contains_no_keys_and_backup_contains_all(make_engine: object, tmp_path: Path) -> None:
    engine = make_engine()  # type: ignore[operator]
    made = engine.store.keys.create("tom", NOW)
    engine.memory("tom").add_memory("I have a cat.")
    engine.export(tmp_path / "export.jsonl")
    text = (tmp_path / "export.jsonl").read_text("utf-8")
    assert made.key.key_id not in text
    assert made.key.secret_hash not in text
    engine.store.back_up(tmp_path / "copy.db")
    with Store(tmp_path / "copy.db") as copy:
        assert copy.keys.all() == [made.key]


def test_get_returns_several_keys_and_any_includes_revoked_ones(store: Store) -> None:
    assert not store.keys.any()
    made = [store.keys.create("tom", NOW).key for _ in range(3)]
    revoked = store.keys.revoke(made[0].key_id, NOW)
    asked = [each.key_id for each in made] + [f"unknown {number}" for number in range(1_200)]
    assert sorted(store.keys.get(asked), key=lambda key: key.key_id) == [revoked, *made[1:]]
    assert store.keys.get([]) == []
    for each in made:
        store.keys.revoke(each.key_id, NOW)
    assert not store.keys.any_valid(NOW)
    assert store.keys.any()
