"""Settings of the store: the embedding model is recorded once and replaced only on request."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from threading import Barrier, Thread

import numpy as np
import pytest
from click.testing import CliRunner

from memoryos.doors.cli import cli
from memoryos.model import PageDraft, Scope
from memoryos.storage.lease import Lease
from memoryos.storage.store import Store
from memoryos.storage.vector_table import UtteranceVectors
from memoryos.testing import FixedClock

NOW = FixedClock()()


def test_a_new_store_has_no_recorded_model(place: str) -> None:
    with Store(place) as store:
        assert store.settings.embedding_model() is None
        assert store.settings.model_of_vectors() is None


def test_the_first_recorded_model_is_kept_until_it_is_replaced(place: str) -> None:
    with Store(place) as store:
        assert store.settings.record_embedding_model("first") == "first"
        assert store.settings.record_embedding_model("second") == "first"
    with Store(place) as store:
        assert store.settings.embedding_model() == "first"
        store.settings.replace_embedding_model("third")
        assert store.settings.embedding_model() == "third"


def test_concurrent_openings_agree_on_one_model(place: str) -> None:
    names = [f"model {number}" for number in range(6)]
    recorded: list[str] = []
    barrier = Barrier(len(names))
    with Store(place) as store:

        def record(name: str) -> None:
            barrier.wait()
            recorded.append(store.settings.record_embedding_model(name))

        threads = [Thread(target=record, args=(name,)) for name in names]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert len(recorded) == len(names)
        assert set(recorded) == {store.settings.embedding_model()}


def test_the_model_of_stored_vectors_is_found(place: str) -> None:
    with Store(place) as store:
        scope_id = store.scopes.open(Scope("u", "a"), NOW)
        (page,) = store.log.append(scope_id, [PageDraft(NOW, "I bake bread.", "")], NOW)
        lease = Lease(scope_id, "worker", NOW + timedelta(hours=1))
        assert store.scopes.claim(lease, NOW)
        rows = [UtteranceVectors(page.page_id, page.seq, "user", np.ones((1, 4), np.float32))]
        store.vectors.save_pages(lease, "some model", [page.page_id], rows)
        assert store.settings.model_of_vectors() == "some model"


@pytest.mark.kinds("sqlite")
def test_migrate_copies_the_recorded_model(tmp_path: Path) -> None:
    files = [tmp_path / name for name in ("old.db", "new.db")]
    with Store(files[0]) as store:
        store.settings.record_embedding_model("multilingual-e5-small")
    done = CliRunner().invoke(cli, ["migrate", *map(str, files)])
    assert done.exit_code == 0, done.output
    with Store(files[1]) as store:
        assert store.settings.embedding_model() == "multilingual-e5-small"
