"""The protocol: one request in, one answer out. Which path means what, and who may ask for it."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from d1ops.core.values import Bookmark
from d1ops.emulator import dumps, graphql, identity, openapi, statements
from d1ops.emulator.storage import PREFIX as STORAGE
from d1ops.emulator.wire import Fields, Refused, Reply, envelope, invalid, success
from d1ops.errors import D1opsError, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from d1ops.emulator.registry import Hosted
    from d1ops.emulator.state import State
    from d1ops.emulator.wire import Request

BASE = "/client/v4"
LOCATIONS = ("wnam", "enam", "weur", "eeur", "apac", "oc")
JURISDICTIONS = ("eu", "fedramp", "us")
MODES = ("auto", "disabled")
DEFAULT_PAGE_SIZE = 10
"""What comes back without `per_page`, as a third party saw it."""
MAX_PAGE_SIZE = 10_000
NOT_KEPT = 7404
"""D1's own code and text for a bookmark that it does not have are not known."""


def answer(state: State, request: Request, *, stuck_export: bool = False) -> Reply:
    """Carry out a request. Never raises for what a request can hold."""
    try:
        if request.path.startswith(STORAGE):
            return state.storage.answer(request, state.registry)
        return _api(state, request, stuck_export=stuck_export)
    except Refused as refused:
        return refused.reply()


def _api(state: State, request: Request, *, stuck_export: bool) -> Reply:
    settings = state.settings
    path = request.path.removeprefix(BASE).strip("/")
    if not request.path.startswith(f"{BASE}/"):
        raise _no_route()
    if path == "openapi.json":
        _allow(request, "GET")
        return envelope(200, openapi.description(request.origin + BASE, settings))
    state.limit.check(identity.credential(request), settings.now())
    may_edit = identity.may_edit(settings, request)
    match path.split("/"):
        case ["graphql"]:
            _allow(request, "POST")
            return graphql.answer(state, request.json(), is_allowed=identity.may_analyse(settings, request))
        case ["accounts"]:
            _allow(request, "GET")
            return identity.accounts(settings)
        case ["memberships"]:
            _allow(request, "GET")
            return identity.memberships(settings)
        case ["user"]:
            _allow(request, "GET")
            return identity.user()
        case ["user", "tokens", "verify"]:
            _allow(request, "GET")
            return identity.verify()
        case ["accounts", account, *rest]:
            identity.refuse_other_accounts(settings, account)
            return _account(state, request, rest, may_edit=may_edit, stuck_export=stuck_export)
    raise _no_route()


def _account(state: State, request: Request, rest: list[str], *, may_edit: bool, stuck_export: bool) -> Reply:
    match rest:
        case []:
            _allow(request, "GET")
            return success(identity.account(state.settings))
        case ["tokens", "verify"]:
            _allow(request, "GET")
            return identity.verify()
        case ["d1", "database"]:
            _allow(request, "GET", "POST")
            if request.method == "GET":
                return _list(state, request.query)
            identity.refuse_readers(may_edit=may_edit)
            return _create(state, request)
        case ["d1", "database", key]:
            return _database(state, request, key, may_edit=may_edit)
        case ["d1", "database", key, "query" | "raw" as form]:
            _allow(request, "POST")
            hosted = state.registry.by_id(key)
            read = statements.read(request.json(), state.settings.splitter)
            return statements.answer(statements.run(state, hosted, read, may_edit=may_edit), form)
        case ["d1", "database", key, "export" | "import" as kind]:
            _allow(request, "POST")
            identity.refuse_readers(may_edit=may_edit)
            hosted = state.registry.by_id(key)
            if kind == "export":
                return dumps.export(state, hosted, request, stuck=stuck_export)
            return dumps.import_(state, hosted, request)
        case ["d1", "database", key, "time_travel", "bookmark"]:
            _allow(request, "GET")
            return _bookmark(state, state.registry.by_id(key), request.query)
        case ["d1", "database", key, "time_travel", "restore"]:
            _allow(request, "POST")
            identity.refuse_readers(may_edit=may_edit)
            return _restore(state, state.registry.by_id(key), request.query)
    raise _no_route()


def _no_route() -> Refused:
    return Refused(404, 7000, "No route for that URI")


def _allow(request: Request, *methods: str) -> None:
    if request.method not in methods:
        allowed = {"allow": ", ".join(methods)}
        raise Refused(405, 7001, f"Method {request.method} not available for that URI.", allowed)


# -- databases -------------------------------------------------------------------------------------------------------


def _database(state: State, request: Request, key: str, *, may_edit: bool) -> Reply:
    _allow(request, "GET", "PUT", "PATCH", "DELETE")
    if request.method == "GET":
        facts = state.registry.find(key).describe()
        wanted = request.query["fields"].split(",") if "fields" in request.query else list(facts)
        if not set(wanted) <= set(facts):
            raise invalid([("fields", "Invalid enum value")])
        return success({name: facts[name] for name in wanted})
    identity.refuse_readers(may_edit=may_edit)
    hosted = state.registry.find(key)
    if request.method == "DELETE":
        state.registry.delete(hosted)
        return success(None)
    body = Fields(request.json())
    must = request.method == "PUT"
    if must and "read_replication" not in body.values:
        body.problems.append(("read_replication", "Required"))
    mode = _mode(body, required=must)
    body.check()
    if mode is not None:
        state.registry.update(hosted, replication=mode)
    return success(hosted.describe())


def _mode(body: Fields, *, required: bool) -> str | None:
    if body.values.get("read_replication") is None:
        return None
    return body.object("read_replication").choice("mode", MODES, required=required)


def _list(state: State, query: Mapping[str, str]) -> Reply:
    page, size = _number(query, "page", 1), _number(query, "per_page", DEFAULT_PAGE_SIZE)
    found = [hosted for hosted in state.registry.all() if query.get("name", "") in hosted.record.name]
    size = min(size, MAX_PAGE_SIZE)
    shown = found[(page - 1) * size : page * size]
    info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(found)}
    return success([facts for hosted in shown for facts in _listed(hosted)], result_info=info)


def _listed(hosted: Hosted) -> Iterator[dict[str, object]]:
    with suppress(Refused):  # It was deleted meanwhile.
        facts = hosted.describe()
        yield {name: facts[name] for name in facts if name not in ("running_in_region", "read_replication")}


def _number(query: Mapping[str, str], name: str, default: int) -> int:
    text = query.get(name, str(default))
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and int(text) > 0):
        raise invalid([(name, "Expected a positive number")])
    return int(text)


def _create(state: State, request: Request) -> Reply:
    body = Fields(request.json())
    name = body.text("name", required=True)
    jurisdiction = body.choice("jurisdiction", JURISDICTIONS)
    location = body.choice("primary_location_hint", LOCATIONS)
    mode = _mode(body, required=True)
    body.check()
    hosted = state.registry.create(
        name or "", jurisdiction=jurisdiction, location=location, replication=mode or "disabled"
    )
    return success({**hosted.describe(), "created_in_region": hosted.describe()["running_in_region"]})


# -- Time Travel -----------------------------------------------------------------------------------------------------


def _bookmark(state: State, hosted: Hosted, query: Mapping[str, str]) -> Reply:
    with hosted.held():
        state.refuse_while_busy(hosted)
        return success({"bookmark": _wanted(hosted, query)})


def _restore(state: State, hosted: Hosted, query: Mapping[str, str]) -> Reply:
    given = [name for name in ("bookmark", "timestamp") if name in query]
    if len(given) != 1:
        raise invalid([("bookmark", "Exactly one of bookmark and timestamp is required")])
    with hosted.held():
        state.refuse_while_busy(hosted)
        to = Bookmark(query["bookmark"]) if "bookmark" in query else _wanted(hosted, query)
        try:
            restored = hosted.travel.restore(to)
        except D1opsError as error:
            raise _not_kept(error) from None
    undo = restored.undo
    return success({"bookmark": restored.bookmark, "previous_bookmark": undo, "message": restored.message})


def _wanted(hosted: Hosted, query: Mapping[str, str]) -> Bookmark:
    if "timestamp" not in query:
        return hosted.travel.present()
    try:
        when = datetime.fromisoformat(query["timestamp"])
        when = (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        raise invalid([("timestamp", "Invalid datetime")]) from None
    try:
        return hosted.travel.at(when)
    except D1opsError as error:
        raise _not_kept(error) from None


def _not_kept(error: D1opsError) -> Refused:
    if isinstance(error, NotFound):
        return Refused(404, NOT_KEPT, error.text)
    return statements.refusal(error)
