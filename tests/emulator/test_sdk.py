"""Cloudflare's Python SDK against the emulator, with strict validation of every answer: every D1 method that it has."""

from __future__ import annotations

import hashlib
import inspect
from typing import TYPE_CHECKING

import httpx
import pytest
from cloudflare import Cloudflare, NotFoundError
from cloudflare.resources.d1.database import DatabaseResource
from cloudflare.resources.d1.database.time_travel import TimeTravelResource

from d1ops.emulator import Emulator, EngineName
from tests.emulator.conftest import TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

SCRIPT = "CREATE TABLE t(a INTEGER PRIMARY KEY, b);\nINSERT INTO t VALUES(1, 'x'), (2, X'00ff');\n"

COVERED = {"create", "list", "get", "update", "edit", "delete", "query", "raw", "export", "import_", "time_travel"}
COVERED_TIME_TRAVEL = {"get_bookmark", "restore"}


@pytest.fixture(scope="module")
def finished(engine: EngineName) -> Iterator[Emulator]:
    """An emulator whose exports and imports are done at once: the SDK knows no status of one that still runs."""
    with Emulator(settings(engine=engine, active_polls=0)) as server:
        yield server


@pytest.fixture
def sdk(finished: Emulator) -> Iterator[Cloudflare]:
    with Cloudflare(
        api_token=TOKEN, base_url=finished.base_url, max_retries=0, _strict_response_validation=True
    ) as sdk:
        yield sdk


@pytest.fixture
def account(finished: Emulator) -> str:
    return finished.settings.account_id


def test_every_method_of_the_sdk_is_covered_here() -> None:
    def methods(resource: type) -> set[str]:
        own = {name for name, _ in inspect.getmembers(resource) if not name.startswith("_")}
        return own - {"with_raw_response", "with_streaming_response"}

    assert methods(DatabaseResource) == COVERED
    assert methods(TimeTravelResource) == COVERED_TIME_TRAVEL


def test_databases(sdk: Cloudflare, account: str) -> None:
    database = sdk.d1.database
    made = database.create(account_id=account, name="sdk", jurisdiction="eu", read_replication={"mode": "auto"})
    assert (made.name, made.jurisdiction, made.version) == ("sdk", "eu", "production")
    assert made.uuid is not None
    assert [each.uuid for each in database.list(account_id=account, name="sdk")] == [made.uuid]
    for number in range(12):
        database.create(account_id=account, name=f"page-{number}", primary_location_hint="apac")
    assert len(list(database.list(account_id=account, per_page=5))) == 13
    got = database.get("sdk", account_id=account)
    assert got.read_replication is not None
    assert (got.uuid, got.read_replication.mode) == (made.uuid, "auto")
    few = database.get(made.uuid, account_id=account, fields=["uuid", "file_size"])
    assert few.to_dict().keys() == {"uuid", "file_size"}
    changed = database.update(made.uuid, account_id=account, read_replication={"mode": "disabled"})
    assert changed.read_replication is not None
    assert changed.read_replication.mode == "disabled"
    edited = database.edit(made.uuid, account_id=account, read_replication={"mode": "auto"})
    assert edited.read_replication is not None
    assert edited.read_replication.mode == "auto"
    database.delete(made.uuid, account_id=account)
    with pytest.raises(NotFoundError, match="7404"):
        database.get(made.uuid, account_id=account)


def test_statements(sdk: Cloudflare, finished: Emulator, account: str) -> None:
    id_ = finished.create_database("sdk-statements")
    query, raw = sdk.d1.database.query, sdk.d1.database.raw
    assert [each.success for each in query(id_, account_id=account, sql=SCRIPT)] == [True, True]
    (answer,) = query(id_, account_id=account, sql="SELECT * FROM t WHERE a = ?", params=["2"])
    assert answer.results == [{"a": 2, "b": [0, 255]}]
    assert answer.meta is not None
    assert (answer.meta.rows_read, answer.meta.changed_db, answer.meta.served_by_region) == (1, False, "WEUR")
    one, two = raw(id_, account_id=account, batch=[{"sql": "SELECT a, a FROM t"}, {"sql": "DELETE FROM t"}])
    assert one.results is not None
    assert two.meta is not None
    assert (one.results.columns, one.results.rows, two.meta.changes) == (["a", "a"], [[1, 1], [2, 2]], 2)


def test_export_and_import(sdk: Cloudflare, finished: Emulator, account: str) -> None:
    id_ = finished.create_database("sdk-dumps")
    etag = hashlib.md5(SCRIPT.encode()).hexdigest()
    asked = sdk.d1.database.import_(id_, account_id=account, action="init", etag=etag)
    assert asked is not None
    assert asked.upload_url is not None
    assert asked.filename is not None
    stored = httpx.put(asked.upload_url, content=SCRIPT.encode())
    assert (stored.status_code, stored.headers["etag"]) == (200, f'"{etag}"')
    done = sdk.d1.database.import_(id_, account_id=account, action="ingest", etag=etag, filename=asked.filename)
    assert done is not None
    assert done.result is not None
    assert (done.status, done.result.num_queries) == ("complete", 2)
    late = sdk.d1.database.import_(id_, account_id=account, action="poll", current_bookmark=str(done.at_bookmark))
    assert late is not None
    assert (late.success, late.error) == (False, "Not currently importing anything.")

    dump = sdk.d1.database.export(id_, account_id=account, output_format="polling", dump_options={"tables": ["t"]})
    assert dump is not None
    assert dump.result is not None
    assert dump.result.signed_url is not None
    text = httpx.get(dump.result.signed_url).text
    assert text.splitlines()[-1] == """INSERT INTO "t" ("a","b") VALUES(2,X'00ff');"""


def test_time_travel(sdk: Cloudflare, finished: Emulator, account: str) -> None:
    id_ = finished.create_database("sdk-times")
    travel = sdk.d1.database.time_travel
    list(sdk.d1.database.query(id_, account_id=account, sql="CREATE TABLE t(a)"))
    before = travel.get_bookmark(id_, account_id=account).bookmark
    moment = finished.settings.now()
    list(sdk.d1.database.query(id_, account_id=account, sql="DROP TABLE t"))
    assert before is not None
    assert travel.get_bookmark(id_, account_id=account, timestamp=moment).bookmark == before
    done = travel.restore(id_, account_id=account, bookmark=before)
    assert done.previous_bookmark is not None
    assert done.bookmark is not None
    assert before < done.previous_bookmark < done.bookmark
    again = travel.restore(id_, account_id=account, timestamp=moment)
    assert again.previous_bookmark == done.bookmark
    (answer,) = sdk.d1.database.query(id_, account_id=account, sql="SELECT count(*) AS n FROM t")
    assert answer.results == [{"n": 0}]
