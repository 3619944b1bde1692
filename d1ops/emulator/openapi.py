"""The emulator's own OpenAPI description, which it serves at `/client/v4/openapi.json` and is tested against.

It describes the emulator, in the shapes of Cloudflare's API reference; where that leaves a type open, the emulator's is
written here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import d1ops

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.emulator.settings import Settings

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NUMBER: Schema = {"type": "number"}
_UUID: Schema = {"type": "string", "format": "uuid"}
_BOOKMARK: Schema = {"type": "string", "pattern": "^[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}$"}
_MODE: Schema = {"enum": ["auto", "disabled"]}
_JURISDICTION: Schema = {"enum": ["eu", "fedramp", "us", None]}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _list(items: Schema, **more: Any) -> Schema:
    return {"type": "array", "items": items, **more}


def _object(required: Mapping[str, Schema], optional: Mapping[str, Schema] | None = None) -> Schema:
    return {"type": "object", "properties": {**required, **(optional or {})}, "required": list(required)}


_STATEMENT = _object({"sql": _TEXT}, {"params": _list(_ref("param"))})
_REPLICATION = _object({"mode": _MODE})
_DATABASE: dict[str, Schema] = {
    "uuid": _UUID,
    "name": _TEXT,
    "created_at": {"type": "string", "format": "date-time"},
    "version": _TEXT,
    "num_tables": _COUNT,
    "file_size": _COUNT,
    "running_in_region": _TEXT,
    "jurisdiction": _JURISDICTION,
    "read_replication": _REPLICATION,
}
_META = _object(
    {
        "served_by": _TEXT,
        "served_by_region": _TEXT,
        "served_by_colo": _TEXT,
        "served_by_primary": _FLAG,
        "timings": _object({"sql_duration_ms": _NUMBER}),
        "duration": _NUMBER,
        "changes": _COUNT,
        "last_row_id": {"type": "integer"},
        "changed_db": _FLAG,
        "size_after": _COUNT,
        "rows_read": _COUNT,
        "rows_written": _COUNT,
        "total_attempts": _COUNT,
    }
)
_CELL: Schema = {"oneOf": [{"type": ["string", "number", "null"]}, _list(_COUNT)]}
_DONE = _object({}, {"filename": _TEXT, "signed_url": _TEXT, "num_queries": _COUNT, "final_bookmark": _BOOKMARK})
_SCHEMAS: dict[str, Schema] = {
    "param": {
        "oneOf": [
            {"type": ["string", "number", "null"]},
            _list({"type": "integer", "minimum": 0, "maximum": 255}),
        ]
    },
    "statements": {"anyOf": [_STATEMENT, _object({"batch": _list(_STATEMENT, minItems=1)})]},
    "database": _object(_DATABASE),
    "meta": _META,
    "entry_of_query": _object({"results": _list({"type": "object"}), "success": _FLAG, "meta": _ref("meta")}),
    "entry_of_raw": _object(
        {
            "results": _object({"columns": _list(_TEXT), "rows": _list(_list(_CELL))}),
            "success": _FLAG,
            "meta": _ref("meta"),
        }
    ),
    "progress": _object(
        {"success": _FLAG},
        {
            "type": {"enum": ["export", "import"]},
            "at_bookmark": _BOOKMARK,
            "status": {"enum": ["active", "complete", "error"]},
            "messages": _list(_TEXT),
            "error": _TEXT,
            "filename": _TEXT,
            "upload_url": _TEXT,
            "result": _DONE,
        },
    ),
    "error": _object({"code": {"type": "integer"}, "message": _TEXT}),
    "failure": _object(
        {
            "success": {"const": False},
            "errors": _list(_ref("error"), minItems=1),
            "messages": _list(_TEXT),
            "result": {"type": "null"},
        }
    ),
}

_ID: Schema = {"name": "database", "in": "path", "required": True, "schema": _TEXT}
_FAILURE: Schema = {
    "description": "Why not.",
    "content": {"application/json": {"schema": _ref("failure")}},
}


def _envelope(result: Schema) -> Schema:
    schema = _object(
        {"success": {"const": True}, "errors": _list(_ref("error")), "messages": _list({}), "result": result},
        {"result_info": {"type": "object"}},
    )
    return {"description": "What was asked for.", "content": {"application/json": {"schema": schema}}}


def _query(name: str, schema: Schema) -> Schema:
    return {"name": name, "in": "query", "schema": schema}


def _operation(
    summary: str, result: Schema, *, body: Schema | None = None, query: tuple[Schema, ...] = (), status: str = "200"
) -> Schema:
    operation: Schema = {
        "summary": summary,
        "parameters": list(query),
        "responses": {status: _envelope(result), "4XX": _FAILURE},
    }
    if status != "200":
        operation["responses"]["200"] = _envelope(result)
    if body is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": body}}}
    return operation


def _at(*operations: tuple[str, Schema], database: bool) -> Schema:
    return {**dict(operations), **({"parameters": [_ID]} if database else {})}


def _paths(account: str) -> dict[str, Schema]:
    databases = f"/accounts/{account}/d1/database"
    one = f"{databases}/{{database}}"
    anything: Schema = {"type": ["object", "array", "null"]}
    return {
        "/accounts": _at(("get", _operation("The one account.", anything)), database=False),
        f"/accounts/{account}": _at(("get", _operation("The account.", anything)), database=False),
        "/memberships": _at(("get", _operation("The user's account.", anything)), database=False),
        "/user": _at(("get", _operation("The user.", anything)), database=False),
        "/user/tokens/verify": _at(("get", _operation("Whether the token is good.", anything)), database=False),
        databases: _at(
            (
                "get",
                _operation(
                    "List databases.",
                    _list({"type": "object"}),
                    query=(_query("name", _TEXT), _query("page", _POSITIVE), _query("per_page", _POSITIVE)),
                ),
            ),
            ("post", _operation("Create a database.", _ref("database"), body=_CREATE)),
            database=False,
        ),
        one: _at(
            ("get", _operation("Get a database.", {"type": "object"}, query=(_query("fields", _TEXT),))),
            (
                "put",
                _operation("Change a database.", _ref("database"), body=_object({"read_replication": _REPLICATION})),
            ),
            (
                "patch",
                _operation(
                    "Change a database.", _ref("database"), body=_object({}, {"read_replication": _REPLICATION})
                ),
            ),
            ("delete", _operation("Delete a database.", anything)),
            database=True,
        ),
        f"{one}/query": _at(
            ("post", _operation("Run statements.", _list(_ref("entry_of_query")), body=_ref("statements"))),
            database=True,
        ),
        f"{one}/raw": _at(
            ("post", _operation("Run statements.", _list(_ref("entry_of_raw")), body=_ref("statements"))),
            database=True,
        ),
        f"{one}/export": _at(
            ("post", _operation("Start or poll an export.", _ref("progress"), body=_EXPORT, status="202")),
            database=True,
        ),
        f"{one}/import": _at(
            ("post", _operation("Start or poll an import.", _ref("progress"), body=_IMPORT, status="202")),
            database=True,
        ),
        f"{one}/time_travel/bookmark": _at(
            (
                "get",
                _operation("Get a bookmark.", _object({"bookmark": _BOOKMARK}), query=(_query("timestamp", _MOMENT),)),
            ),
            database=True,
        ),
        f"{one}/time_travel/restore": _at(
            (
                "post",
                _operation(
                    "Rewind.",
                    _object({"bookmark": _BOOKMARK, "previous_bookmark": _BOOKMARK, "message": _TEXT}),
                    query=(_query("bookmark", _TEXT), _query("timestamp", _MOMENT)),
                ),
            ),
            database=True,
        ),
        "/graphql": {"post": _GRAPHQL},
    }


_POSITIVE: Schema = {"type": "integer", "minimum": 1, "maximum": 10_000}
_MOMENT: Schema = {"type": "string", "format": "date-time"}
_CREATE = _object(
    {"name": {"type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9_-]*$", "maxLength": 64}},
    {
        "jurisdiction": _JURISDICTION,
        "primary_location_hint": {"enum": ["wnam", "enam", "weur", "eeur", "apac", "oc"]},
        "read_replication": _REPLICATION,
    },
)
_EXPORT = _object(
    {"output_format": {"const": "polling"}},
    {
        "current_bookmark": _TEXT,
        "dump_options": _object(
            {},
            {
                "no_schema": _FLAG,
                "no_data": _FLAG,
                "tables": _list(_TEXT),
                "compatibility": {"enum": ["d1", "sqlite3_cli_only"]},
            },
        ),
    },
)
_ETAG: Schema = {"type": "string", "pattern": "^[0-9a-f]{32}$"}
_IMPORT: Schema = {
    "oneOf": [
        _object({"action": {"const": "init"}, "etag": _ETAG}),
        _object({"action": {"const": "ingest"}, "etag": _ETAG, "filename": _TEXT}),
        _object({"action": {"const": "poll"}, "current_bookmark": _TEXT}),
    ]
}
_GRAPHQL: Schema = {
    "summary": "Analytics.",
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": _object({"query": _TEXT}, {"variables": {"type": ["object", "null"]}})}
        },
    },
    "responses": {
        "200": {
            "description": "The data, or what is wrong with the query.",
            "content": {
                "application/json": {
                    "schema": _object({"data": {"type": ["object", "null"]}, "errors": {"type": ["array", "null"]}})
                }
            },
        },
        "4XX": _FAILURE,
    },
}


def description(base_url: str, settings: Settings) -> Schema:
    """Return the description of an emulator that is reached at `base_url`."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "d1ops emulator of Cloudflare D1", "version": d1ops.__version__},
        "servers": [{"url": base_url}],
        "security": [{"token": []}],
        "paths": _paths(settings.account_id),
        "components": {
            "schemas": _SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }
