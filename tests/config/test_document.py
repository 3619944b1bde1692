from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

import json5
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.config.document import Document, dotted, nearest
from d1ops.config.model import EnvFile
from d1ops.config.wrangler import WranglerTable
from d1ops.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from pathlib import Path

VALID = {
    "": ["protected", "state", "token_command", "database", "catalog", "backup", "audit", "prices"],
    "database": [
        "kind", "path", "account_id", "database_id", "database_name", "binding", "persist", "node_modules",
        "wrangler", "wrangler_env",
    ],
    "catalog": ["migrations", "rollbacks", "queries", "ledger"],
    "backup": ["max_bytes", "recipients", "key_file", "copy"],
    "backup.copy": ["bucket", "endpoint", "region", "prefix"],
    "audit": ["ignore"],
    "audit.ignore": ["rule", "reason", "table", "index", "query", "columns"],
}  # fmt: skip
IGNORE = '[database]\nkind = "sqlite"\n[[audit.ignore]]\nrule = "full-scan"\nreason = "few rows"\n'
KNOWN = sorted({key for keys in VALID.values() for key in keys})


def document(tmp_path: Path, text: str | bytes, name: str = "dev.toml") -> Document:
    path = tmp_path / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return Document(path, f"config/{name}")


def refusal(given: Document) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        given.read(EnvFile if given.path.suffix == ".toml" else WranglerTable)
    assert caught.value.file == given.path
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("protected = \n", "config/dev.toml:1:13: Invalid value"),
        ("\nprotected false\n", "config/dev.toml:2:11: Expected '=' after a key in a key/value pair"),
        ('[database]\nkind = "sqlite"\nkind = "workerd"\n', "config/dev.toml:3:17: Cannot overwrite a value"),
        ("\r\n\r\nx", "config/dev.toml:3:2: Expected '=' after a key in a key/value pair"),
        ('a = """\n\n  ', "config/dev.toml:3:3: Unterminated string"),
    ],
)
def test_bad_toml_is_placed(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(document(tmp_path, text)).message == message


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{\n  "env": 1,\n  "x" 2\n}', 'config/wrangler.jsonc:3:7: Unexpected "2"'),
        ('{ // comment\n  "env": {},\n', "config/wrangler.jsonc:3:1: Unexpected end of input"),
        ("", "config/wrangler.jsonc:1:1: Empty strings are not legal JSON5"),
        ("[1, 2]", "config/wrangler.jsonc: must hold an object"),
    ],
)
def test_bad_json_is_placed(tmp_path: Path, text: str, message: str) -> None:
    assert refusal(document(tmp_path, text, "wrangler.jsonc")).message == message


@pytest.mark.parametrize(("name", "text"), [("dev.toml", "a = {}"), ("wrangler.jsonc", '{{"a": {}}}')])
def test_a_number_without_end_is_refused(tmp_path: Path, name: str, text: str) -> None:
    error = refusal(document(tmp_path, text.format("1" * 5000), name))
    assert "Exceeds the limit" in error.message


@given(st.text(max_size=60).map(lambda text: text.lstrip("\ufeff")))
def test_whatever_a_parser_says_the_place_lies_in_the_text(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    tmp_path = tmp_path_factory.mktemp("document")
    for name, parse in (("dev.toml", tomllib.loads), ("wrangler.jsonc", json5.loads)):
        try:
            parse(text)
        except ValueError:
            pass
        else:
            continue
        error = refusal(document(tmp_path, text, name))
        _, line, column, _ = error.message.split(":", 3)
        lines = text.split("\n")
        assert 1 <= int(line) <= len(lines)
        assert 1 <= int(column) <= len(lines[int(line) - 1]) + 1


def test_bytes_that_are_not_utf8_are_named(tmp_path: Path) -> None:
    error = refusal(document(tmp_path, b'state = "caf\xe9"\n'))
    assert error.message == "config/dev.toml: byte 12 is not UTF-8"
    assert error.hint == "save it as UTF-8"


def test_a_byte_order_mark_and_windows_line_ends_are_read(tmp_path: Path) -> None:
    given = document(tmp_path, '\ufeff[database]\r\nkind = "sqlite"\r\n')
    assert given.read(EnvFile).database.kind == "sqlite"


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / "dev.toml").mkdir()
    error = refusal(Document(tmp_path / "dev.toml", "config/dev.toml"))
    assert error.message == "config/dev.toml: cannot be read: Is a directory"


def test_nesting_without_end_is_refused(tmp_path: Path) -> None:
    error = refusal(document(tmp_path, f"a = {'[' * 100_000}"))
    assert error.message == "config/dev.toml: nested too deeply"


@pytest.mark.parametrize(
    ("text", "key", "words"),
    [
        ("protected = true\n", "database", "is missing"),
        ('protected = "yes"\n[database]\nkind = "sqlite"\n', "protected", "should be true or false"),
        ("[database]\n", "database.kind", "is missing"),
        ('[database]\nkind = "mysql"\n', "database.kind", "should be 'sqlite', 'workerd' or 'cloudflare'"),
        ('[database]\nkind = "sqlite"\npath = 3\n', "database.path", "should be a string"),
        ('[database]\nkind = "sqlite"\npath = ""\n', "database.path", "is empty"),
        (
            '[database]\nkind = "sqlite"\npath = "a\\u0000b"\n',
            "database.path",
            "holds a character that it may not hold",
        ),
        (
            '[database]\nkind = "cloudflare"\naccount_id = "../x"\n',
            "database.account_id",
            "holds a character that it may not hold",
        ),
        ('database = "x"\n', "database", "should be a table"),
        (
            'token_command = "op read x"\n[database]\nkind = "sqlite"\n',
            "token_command",
            "should be a list",
        ),
        (
            'token_command = ["op", 1]\n[database]\nkind = "sqlite"\n',
            "token_command[1]",
            "should be a string",
        ),
        (
            '[database]\nkind = "sqlite"\n[backup]\nmax_bytes = 1.5\n',
            "backup.max_bytes",
            "should be a whole number",
        ),
        (
            '[database]\nkind = "sqlite"\n[backup]\nmax_bytes = 0\n',
            "backup.max_bytes",
            "should be greater than 0",
        ),
        (
            '[database]\nkind = "sqlite"\n[catalog]\nledger = "_CF_x"\n',
            "catalog.ledger",
            "begins with _cf_, sqlite_ or d1ops_, which are reserved",
        ),
    ],
)
def test_a_wrong_value_is_named_by_file_and_key(tmp_path: Path, text: str, key: str, words: str) -> None:
    error = refusal(document(tmp_path, text))
    assert error.key == key
    assert error.message == f"config/dev.toml: {key} {words}"


@pytest.mark.parametrize(
    ("text", "key", "hint"),
    [
        ('protectd = true\n[database]\nkind = "sqlite"\n', "protectd", "protected"),
        ('[databse]\nkind = "sqlite"\n', "databse", "database"),
        ('[database]\nkind = "sqlite"\nfile = "x"\n', "database.file", None),
        ('[database]\nkind = "sqlite"\n[catalog]\nmigration = "m"\n', "catalog.migration", "catalog.migrations"),
        ('migrations = "m"\n[database]\nkind = "sqlite"\n', "migrations", "catalog.migrations"),
        ('[database]\nkind = "cloudflare"\nid = "x"\n', "database.id", None),
        ('[database]\nkind = "cloudflare"\naccount = "x"\n', "database.account", "database.account_id"),
        ('[database]\nkind = "sqlite"\n[env.dev]\n', "env", None),
        (f"{IGNORE}tabel = 't'\n", "audit.ignore[0].tabel", "audit.ignore.table"),
        ('env = "dev"\nproject = "/"\n[database]\nkind = "sqlite"\n', "env", None),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_name(tmp_path: Path, text: str, key: str, hint: str | None) -> None:
    error = refusal(document(tmp_path, text))
    assert error.message == f"config/dev.toml: {key} is not a key of this file"
    assert error.key == key
    assert error.hint is not None
    if hint is None:
        table = key.rpartition(".")[0]
        prefix = f"{table}." if table else ""
        assert error.hint == f"one of {', '.join(prefix + name for name in VALID[table])}"
    else:
        assert error.hint == hint


@given(
    table=st.sampled_from([table for table in VALID if "." not in table]),
    key=st.text(max_size=20).filter(lambda key: key not in KNOWN and "token" not in key.lower()),
    value=st.text("s3cret", min_size=7),
)
def test_no_unknown_key_gets_through_and_no_value_is_repeated(
    tmp_path_factory: pytest.TempPathFactory, table: str, key: str, value: str
) -> None:
    given = Document(tmp_path_factory.mktemp("keys") / "dev.toml", "config/dev.toml")
    content: dict[str, object] = {
        "database": {"kind": "sqlite"},
        "catalog": {},
        "backup": {"copy": {}},
        "audit": {},
    }
    inner: object = content
    for part in filter(None, table.split(".")):
        assert isinstance(inner, dict)
        inner = inner[part]
    assert isinstance(inner, dict)
    inner[key] = value
    with pytest.raises(ConfigError) as caught:
        given.fill(EnvFile, content)
    error = caught.value
    assert error.file == given.path
    assert error.key == dotted([*filter(None, table.split(".")), key])
    assert error.hint is not None
    assert any(name in error.hint for name in KNOWN)
    assert value not in error.message.replace(error.key, "")
    assert "\n" not in error.message


@pytest.mark.parametrize("key", ["token", "api_token", "CLOUDFLARE_API_TOKEN"])
def test_a_token_in_a_file_is_refused_without_showing_it(tmp_path: Path, key: str) -> None:
    error = refusal(document(tmp_path, f'{key} = "v1.0-secret"\n[database]\nkind = "sqlite"\n'))
    assert "secret" not in f"{error!r} {error} {error.hint}"
    assert error.hint == "CLOUDFLARE_API_TOKEN in the environment, or token_command; a token is never in a file"


@given(st.lists(st.one_of(st.integers(0, 99), st.text(max_size=5)), min_size=1).filter(lambda p: isinstance(p[0], str)))
def test_a_path_of_keys_is_one_line(path: list[str | int]) -> None:
    text = dotted(path)
    assert text.isprintable()
    assert all(part in text for part in path if isinstance(part, str) and part.isalnum() and part.isascii())


@given(st.sampled_from(KNOWN), st.data())
def test_a_name_that_lost_a_letter_is_recognised(name: str, data: st.DataObject) -> None:
    position = data.draw(st.integers(0, len(name) - 1))
    typed = name[:position] + name[position + 1 :]
    found = nearest(typed, {known: known for known in [name, "zzzzzzzz", "qqqqqqqq"]})
    assert found == name


def test_the_same_json_is_read_with_and_without_comments(tmp_path: Path) -> None:
    plain = {"account_id": "a", "d1_databases": [{"binding": "DB", "database_id": "x"}], "env": {"s": {}}}
    strict = document(tmp_path, json.dumps(plain), "wrangler.json").read(WranglerTable)
    loose = document(
        tmp_path,
        """{
          // who pays
          "account_id": "a",
          "d1_databases": [{ "binding": "DB", /* the id */ "database_id": "x", }],
          "env": { "s": {}, },
        }""",
        "wrangler.jsonc",
    ).read(WranglerTable)
    assert strict == loose
