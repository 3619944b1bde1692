from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from d1ops.config.load import find_project, known_envs, load_settings
from d1ops.errors import ConfigError, ExitCode, UnknownEnv
from d1ops.ops.audit import read_ignores

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d1ops.config.model import Settings

TOP = "11111111-1111-1111-1111-111111111111"
STAGING = "22222222-2222-2222-2222-222222222222"
PREVIEW = "33333333-3333-3333-3333-333333333333"


def config(project: Path, env: str, text: str) -> Path:
    file = project / "config" / f"{env}.toml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text)
    return file


def wrangler(project: Path, table: Mapping[str, object], name: str = "wrangler.jsonc") -> Path:
    file = project / name
    file.write_text("// wrangler's file\n" * (name != "wrangler.json") + json.dumps(table))
    return file


def database(binding: str = "DB", **more: str) -> dict[str, object]:
    return {"d1_databases": [{"binding": binding, **more}]}


def refusal(
    project: Path, env: str, environ: Mapping[str, str] | None = None, *, database: str | None = None
) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_settings(project, env, environ or {}, database=database)
    assert caught.value.exit_code is ExitCode.USAGE
    return caught.value


# -- a file of ours --------------------------------------------------------------------------------------


def test_everything_has_a_default_but_the_kind(tmp_path: Path) -> None:
    file = config(tmp_path, "dev", '[database]\nkind = "sqlite"\n')
    settings = load_settings(tmp_path, "dev", {})
    assert settings.model_dump() == {
        "env": "dev",
        "project": tmp_path,
        "source": file,
        "protected": False,
        "state": ".d1ops",
        "token_command": (),
        "audit": {"ignore": ()},
        "prices": {
            "currency": "USD",
            "rows_read_per_million": 0.001,
            "rows_written_per_million": 1.0,
            "storage_gb_month": 0.75,
        },
        "database": {
            "kind": "sqlite",
            "path": ".d1ops/dev.sqlite",
            "account_id": None,
            "database_id": None,
            "database_name": None,
            "binding": None,
            "persist": ".wrangler/state",
            "node_modules": None,
            "wrangler": None,
            "wrangler_env": None,
        },
        "catalog": {
            "migrations": "db/migrations",
            "rollbacks": "db/rollbacks",
            "queries": "db/queries",
            "ledger": "d1_migrations",
        },
        "backup": {
            "max_bytes": 1_073_741_824,
            "recipients": (),
            "key_file": None,
            "copy_to": {"bucket": None, "endpoint": None, "region": "auto", "prefix": "d1ops"},
        },
    }
    assert settings.at(settings.state) == tmp_path / ".d1ops"
    assert settings.shown_source == "config/dev.toml"


def test_every_key_is_taken_as_it_is_written(tmp_path: Path) -> None:
    config(
        tmp_path,
        "eu",
        f"""
        protected = false
        state = "var/d1ops"
        token_command = ["op", "read", "op://ops/d1/token"]
        [database]
        kind = "cloudflare"
        account_id = "acc1"
        database_id = "{TOP}"
        database_name = "umbrella"
        [catalog]
        migrations = "m"
        rollbacks = "r"
        queries = "q"
        ledger = "ledger"
        [backup]
        max_bytes = 1
        """,
    )
    settings = load_settings(tmp_path, "eu", {"CLOUDFLARE_ACCOUNT_ID": "other"})
    assert not settings.protected
    assert settings.token_command == ("op", "read", "op://ops/d1/token")
    assert (settings.database.account_id, settings.database.database_id) == ("acc1", TOP)
    assert settings.catalog.model_dump() == {"migrations": "m", "rollbacks": "r", "queries": "q", "ledger": "ledger"}
    assert settings.backup.max_bytes == 1
    assert "op://" not in repr(settings)


def test_settings_are_frozen(tmp_path: Path) -> None:
    config(tmp_path, "dev", '[database]\nkind = "sqlite"\n')
    settings = load_settings(tmp_path, "dev", {})
    with pytest.raises(ValidationError, match="frozen"):
        settings.protected = True
    with pytest.raises(ValidationError, match="frozen"):
        settings.database.path = "x"


@pytest.mark.parametrize(
    ("kind", "said", "protected"),
    [
        ("sqlite", "", False),
        ("workerd", "", False),
        ("cloudflare", "", True),
        ("cloudflare", "protected = false", False),
        ("sqlite", "protected = true", True),
    ],
)
def test_a_remote_target_is_protected_unless_the_file_says_otherwise(
    tmp_path: Path, kind: str, said: str, *, protected: bool
) -> None:
    name = 'database_name = "x"' if kind == "cloudflare" else ""
    config(tmp_path, "x", f'{said}\n[database]\nkind = "{kind}"\n{name}\n')
    assert load_settings(tmp_path, "x", {}).protected is protected


@pytest.mark.parametrize(
    ("kind", "key", "kinds"),
    [
        ("sqlite", "database_id", 'kind = "workerd" or kind = "cloudflare"'),
        ("sqlite", "account_id", 'kind = "cloudflare"'),
        ("sqlite", "wrangler", 'kind = "workerd" or kind = "cloudflare"'),
        ("workerd", "account_id", 'kind = "cloudflare"'),
        ("workerd", "path", 'kind = "sqlite"'),
        ("cloudflare", "path", 'kind = "sqlite"'),
        ("workerd", "database_name", 'kind = "cloudflare"'),
        ("cloudflare", "binding", 'kind = "workerd"'),
        ("cloudflare", "persist", 'kind = "workerd"'),
    ],
)
def test_a_key_of_another_kind_is_refused(tmp_path: Path, kind: str, key: str, kinds: str) -> None:
    file = config(tmp_path, "dev", f'[database]\nkind = "{kind}"\n{key} = "x"\n')
    error = refusal(tmp_path, "dev")
    assert error.message == f'config/dev.toml: database.{key} means nothing with kind = "{kind}"'
    assert (error.file, error.key) == (file, f"database.{key}")
    assert error.hint == f"remove it, or {kinds}"


def test_a_name_is_no_uuid(tmp_path: Path) -> None:
    file = config(tmp_path, "staging", '[database]\nkind = "cloudflare"\ndatabase_id = "umbrella"\n')
    error = refusal(tmp_path, "staging")
    assert error.message == "config/staging.toml: database.database_id is not a uuid: 'umbrella'"
    assert (error.file, error.key) == (file, "database.database_id")
    assert error.hint == "database_name, which is looked up, or the uuid that npx wrangler d1 list shows"


def test_a_remote_target_without_a_name_is_refused(tmp_path: Path) -> None:
    file = config(tmp_path, "staging", '[database]\nkind = "cloudflare"\n')
    error = refusal(tmp_path, "staging")
    assert error.message == (
        "config/staging.toml: the database has no id, and there is no wrangler file to take one from"
    )
    assert (error.file, error.key) == (file, "database.database_id")
    assert error.hint == "database_id or database_name under [database]"


@pytest.mark.parametrize(
    ("more", "local_id"), [("", "dev"), ('binding = "DB"', "DB"), (f'database_id = "{TOP}"\nbinding = "DB"', TOP)]
)
def test_workerd_needs_no_wrangler_file(tmp_path: Path, more: str, local_id: str) -> None:
    config(tmp_path, "dev", f'[database]\nkind = "workerd"\n{more}\n')
    assert load_settings(tmp_path, "dev", {}).database.database_id == local_id


# -- the names of envs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("env", ["../dev", "dev/../dev", "", "dev.toml", "dév", "dev\n", "C:dev", " dev"])
def test_the_name_of_an_env_is_never_a_path(tmp_path: Path, env: str) -> None:
    config(tmp_path, "dev", '[database]\nkind = "sqlite"\n')
    (tmp_path / "dev.toml").write_text('[database]\nkind = "sqlite"\n')
    error = refusal(tmp_path, env)
    assert error.message == f"{env!r} cannot be the name of an environment"
    assert (error.key, error.hint) == ("env", "letters, digits, _ and -")


def test_an_unknown_env_lists_the_known_ones(tmp_path: Path) -> None:
    for env in ("production", "dev", "staging"):
        config(tmp_path, env, '[database]\nkind = "sqlite"\n')
    (tmp_path / "config" / "notes.toml").write_text("title = 'not ours'\n")
    with pytest.raises(UnknownEnv) as caught:
        load_settings(tmp_path, "stagin", {})
    assert caught.value.known == ("dev", "production", "staging") == known_envs(tmp_path)
    assert caught.value.message == "no environment is named 'stagin'; known: dev, production, staging"
    assert caught.value.hint == "--env staging"
    assert refusal(tmp_path, "prod").hint == "--env production"
    assert refusal(tmp_path, "qa").hint == (
        'write config/qa.toml: [database] with kind = "sqlite", "workerd" or "cloudflare"'
    )


def test_a_project_with_nothing_knows_no_env(tmp_path: Path) -> None:
    error = refusal(tmp_path, "dev")
    assert error.message == "no environment is named 'dev'; known: none"
    assert known_envs(tmp_path) == ()


# -- the project root ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["wrangler.json", "wrangler.jsonc", "wrangler.toml", "config/any.toml"])
def test_the_root_is_the_nearest_folder_with_a_configuration(tmp_path: Path, name: str) -> None:
    deep = tmp_path / "app" / "src" / "deep"
    deep.mkdir(parents=True)
    (tmp_path / "wrangler.toml").touch()
    marker = tmp_path / "app" / name
    marker.parent.mkdir(exist_ok=True)
    marker.write_text('[database]\nkind = "sqlite"\n' if name.startswith("config") else "")
    assert find_project(deep) == tmp_path / "app"
    assert find_project(tmp_path) == tmp_path


def test_the_configuration_of_another_tool_is_no_root(tmp_path: Path) -> None:
    config(tmp_path, "dev", "protected = false\n")
    config_of_hugo = tmp_path / "site" / "config" / "hugo.toml"
    config_of_hugo.parent.mkdir(parents=True)
    config_of_hugo.write_text("title = 'a site'\n")
    assert find_project(config_of_hugo.parent) == tmp_path


def test_a_file_that_cannot_be_read_still_marks_the_root(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "dev.toml").symlink_to("/proc/self/mem")
    assert find_project(tmp_path / "config") == tmp_path
    error = refusal(tmp_path, "dev")
    assert error.message == "config/dev.toml: cannot be read: Input/output error"


def test_without_any_configuration_there_is_no_root(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_project(tmp_path)
    assert str(tmp_path) in caught.value.message
    assert caught.value.hint is not None
    assert caught.value.hint.startswith("--project DIR")


# -- wrangler's file alone -------------------------------------------------------------------------------


def only_wrangler(project: Path, name: str = "wrangler.jsonc") -> Path:
    return wrangler(
        project,
        {
            "name": "worker",
            "account_id": "acc1",
            **database(database_name="umbrella", database_id=TOP, preview_database_id=PREVIEW),
            "env": {"staging": {**database(database_name="umbrella-staging", database_id=STAGING)}},
        },
        name,
    )


def test_dev_is_the_local_state_of_wrangler_dev(tmp_path: Path) -> None:
    file = only_wrangler(tmp_path)
    settings = load_settings(tmp_path, "dev", {})
    assert (settings.source, settings.protected) == (file, False)
    assert settings.database.model_dump(exclude_none=True) == {
        "kind": "workerd",
        "database_id": PREVIEW,
        "database_name": "umbrella",
        "binding": "DB",
        "persist": ".wrangler/state",
    }
    assert known_envs(tmp_path) == ("dev", "staging")


def test_env_dev_of_the_file_goes_before_its_top_level(tmp_path: Path) -> None:
    wrangler(tmp_path, {**database(database_id=TOP), "env": {"dev": database("LOCAL")}})
    settings = load_settings(tmp_path, "dev", {})
    assert (settings.database.database_id, settings.database.binding) == ("LOCAL", "LOCAL")


def test_any_other_env_is_remote_and_protected(tmp_path: Path) -> None:
    only_wrangler(tmp_path)
    settings = load_settings(tmp_path, "staging", {})
    assert settings.protected
    assert settings.database.model_dump(exclude_none=True, exclude={"persist"}) == {
        "kind": "cloudflare",
        "account_id": "acc1",
        "database_id": STAGING,
        "database_name": "umbrella-staging",
        "binding": "DB",
    }


def test_the_three_files_say_the_same(tmp_path: Path) -> None:
    toml = f"""
    account_id = "acc1"
    [[d1_databases]]
    binding = "DB"
    database_name = "umbrella"
    database_id = "{TOP}"
    preview_database_id = "{PREVIEW}"
    [[env.staging.d1_databases]]
    binding = "DB"
    database_name = "umbrella-staging"
    database_id = "{STAGING}"
    """
    seen = []
    for name in ("wrangler.json", "wrangler.jsonc", "wrangler.toml"):
        project = tmp_path / name.replace(".", "-")
        project.mkdir()
        if name == "wrangler.toml":
            (project / name).write_text(toml)
        else:
            only_wrangler(project, name)
        seen.append([load_settings(project, env, {}).database for env in ("dev", "staging")])
    assert seen[0] == seen[1] == seen[2]


def test_wrangler_json_is_read_before_the_others(tmp_path: Path) -> None:
    wrangler(tmp_path, database("THIRD"), "wrangler.jsonc")
    file = wrangler(tmp_path, database("FIRST"), "wrangler.json")
    (tmp_path / "wrangler.toml").write_text("not read = ")
    settings = load_settings(tmp_path, "dev", {})
    assert (settings.source, settings.database.binding) == (file, "FIRST")


def test_an_env_that_wrangler_does_not_have_is_never_its_top_level(tmp_path: Path) -> None:
    only_wrangler(tmp_path)
    with pytest.raises(UnknownEnv) as caught:
        load_settings(tmp_path, "production", {})
    assert caught.value.known == ("dev", "staging")
    assert caught.value.hint == (
        "if the top-level database of wrangler.jsonc is meant, write config/production.toml:\n"
        '  [database]\n  kind = "cloudflare"\n  wrangler = "DB"'
    )
    assert refusal(tmp_path, "stagign").hint == "--env staging"


@given(env=st.from_regex(r"[A-Za-z0-9_-]{1,12}", fullmatch=True).filter(lambda env: env not in ("dev", "staging")))
def test_no_mistyped_env_ever_reaches_a_database(tmp_path_factory: pytest.TempPathFactory, env: str) -> None:
    project = tmp_path_factory.mktemp("project")
    only_wrangler(project)
    with pytest.raises(UnknownEnv):
        load_settings(project, env, {"CLOUDFLARE_ENV": "staging"})


def test_what_the_hint_says_works_and_leaves_the_other_envs_alone(tmp_path: Path) -> None:
    only_wrangler(tmp_path)
    (tmp_path / "migrations").mkdir()
    before = [load_settings(tmp_path, env, {}) for env in ("dev", "staging")]
    hint = refusal(tmp_path, "production").hint
    assert hint is not None
    config(tmp_path, "production", hint.split("\n", 1)[1])
    settings = load_settings(tmp_path, "production", {})
    assert (settings.database.database_id, settings.database.database_name) == (TOP, "umbrella")
    assert settings.protected
    assert settings.catalog.migrations == "migrations"
    assert [load_settings(tmp_path, env, {}) for env in ("dev", "staging")] == before
    assert known_envs(tmp_path) == ("dev", "production", "staging")


def test_several_databases_ask_for_one(tmp_path: Path) -> None:
    file = wrangler(
        tmp_path,
        {
            "env": {
                "staging": {
                    "d1_databases": [
                        {"binding": "DB", "database_name": "umbrella", "database_id": TOP},
                        {"binding": "LOGS", "database_name": "logs", "database_id": STAGING},
                        {"binding": "OLD", "database_name": "logs", "database_id": PREVIEW},
                    ]
                }
            }
        },
    )
    key = "env.staging.d1_databases"
    error = refusal(tmp_path, "staging")
    assert error.message == f"wrangler.jsonc: {key} names 3 databases: DB (umbrella), LOGS (logs), OLD (logs)"
    assert (error.file, error.key, error.hint) == (file, key, "--database DB")

    def chosen(database: str) -> str | None:
        return load_settings(tmp_path, "staging", {}, database=database).database.database_id

    assert [chosen(name) for name in ("DB", "umbrella", "LOGS", "OLD")] == [TOP, TOP, STAGING, PREVIEW]
    error = refusal(tmp_path, "staging", database="logs")
    assert error.message == f"wrangler.jsonc: {key} names 2 databases 'logs'"
    assert error.hint == "choose by binding: DB, LOGS, OLD"
    error = refusal(tmp_path, "staging", database="LOG")
    assert error.message == (
        f"wrangler.jsonc: {key} has no database 'LOG'; it has DB (umbrella), LOGS (logs), OLD (logs)"
    )
    assert error.hint == "--database LOGS"


def test_databases_are_not_inherited(tmp_path: Path) -> None:
    file = wrangler(tmp_path, {**database(database_id=TOP), "env": {"staging": {}}})
    error = refusal(tmp_path, "staging")
    assert error.message == (
        "wrangler.jsonc: env.staging.d1_databases names no database; wrangler does not inherit those of its top level"
    )
    assert (error.file, error.key) == (file, "env.staging.d1_databases")


@pytest.mark.parametrize(
    ("entry", "key", "words"),
    [
        ({}, "env.staging.d1_databases[0].binding", "is missing"),
        ({"binding": 1}, "env.staging.d1_databases[0].binding", "should be a string"),
        ({"binding": "DB"}, "env.staging.d1_databases[0].database_id", None),
        ({"binding": "DB", "database_id": ""}, "env.staging.d1_databases[0].database_id", None),
        ({"binding": "DB", "database_id": "<your id>"}, "env.staging.d1_databases[0].database_id", None),
        (
            {"binding": "DB", "database_id": TOP, "migrations_table": "_cf_m"},
            "env.staging.d1_databases[0].migrations_table",
            "begins with _cf_, sqlite_ or d1ops_, which are reserved",
        ),
        (
            {"binding": "DB", "database_id": TOP, "migrations_pattern": "migrations/**/*.sql"},
            "env.staging.d1_databases[0].migrations_pattern",
            None,
        ),
    ],
)
def test_a_database_that_cannot_be_used_is_named(
    tmp_path: Path, entry: dict[str, object], key: str, words: str | None
) -> None:
    file = wrangler(tmp_path, {"env": {"staging": {"d1_databases": [entry]}}})
    error = refusal(tmp_path, "staging")
    assert (error.file, error.key) == (file, key)
    assert error.message.startswith(f"wrangler.jsonc: {key.rpartition('.')[0] if words is None else f'{key} {words}'}")
    assert words is not None or error.hint is not None


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    file = wrangler(tmp_path, {"d1_databases": "DB"})
    error = refusal(tmp_path, "dev")
    assert error.message == "wrangler.jsonc: d1_databases should be a list"
    assert (error.file, error.key) == (file, "d1_databases")


# -- ids from wrangler's file, for a file of ours --------------------------------------------------------


def both(project: Path, env: str, lines: str, kind: str = "cloudflare") -> Path:
    only_wrangler(project)
    return config(project, env, f'[database]\nkind = "{kind}"\n{lines}\n')


def target(settings: Settings) -> tuple[str | None, str | None]:
    return settings.database.database_id, settings.database.database_name


@pytest.mark.parametrize(
    ("env", "lines", "found"),
    [
        ("staging", "", STAGING),
        ("staging", 'wrangler = "DB"\nwrangler_env = "staging"', STAGING),
        ("staging", 'wrangler = "DB"\nwrangler_env = ""', TOP),
        ("staging", 'wrangler = "umbrella"', TOP),
        ("live", 'wrangler = "DB"', TOP),
        ("live", 'wrangler_env = ""', TOP),
        ("live", 'wrangler_env = "staging"', STAGING),
        ("live", 'wrangler = "umbrella-staging"\nwrangler_env = "staging"', STAGING),
    ],
)
def test_ids_come_from_the_section_that_is_meant(tmp_path: Path, env: str, lines: str, found: str) -> None:
    both(tmp_path, env, lines)
    settings = load_settings(tmp_path, env, {})
    assert settings.database.database_id == found
    assert settings.database.account_id == "acc1"


@pytest.mark.parametrize(
    ("env", "lines", "local_id"),
    [
        ("dev", "", PREVIEW),
        ("staging", "", STAGING),
        ("dev", 'wrangler = "DB"', PREVIEW),
        ("dev", 'wrangler_env = "staging"', STAGING),
        ("dev", 'binding = "DB"', PREVIEW),
        ("staging", 'binding = "DB"', STAGING),
        ("staging", 'binding = "DB"\nwrangler_env = ""', PREVIEW),
        ("dev", 'database_id = "mine"', "mine"),
        ("dev", 'database_id = "mine"\nbinding = "DB"', "mine"),
    ],
)
def test_workerd_shares_the_local_id(tmp_path: Path, env: str, lines: str, local_id: str) -> None:
    both(tmp_path, env, lines, "workerd")
    assert load_settings(tmp_path, env, {}).database.database_id == local_id


@pytest.mark.parametrize(
    ("env", "lines", "wanted", "key", "message", "hint"),
    [
        (
            "live",
            "",
            None,
            "database.database_id",
            "the database has no id, and wrangler.jsonc has no env.live to take one from",
            'wrangler = "DB" for the top-level database of wrangler.jsonc',
        ),
        (
            "staging",
            'wrangler = "DB"',
            None,
            "database.wrangler",
            "database.wrangler names the top level of wrangler.jsonc, which has 'DB' in env.staging too",
            'wrangler_env = "staging", or wrangler_env = "" for the top level',
        ),
        (
            "live",
            'wrangler_env = "stagin"',
            None,
            "database.wrangler_env",
            "wrangler.jsonc has no environment 'stagin'; it has staging",
            'wrangler_env = "staging"',
        ),
        (
            "live",
            'wrangler_env = "xyz"',
            None,
            "database.wrangler_env",
            "wrangler.jsonc has no environment 'xyz'; it has staging",
            'wrangler_env = "" is its top level',
        ),
        (
            "staging",
            f'wrangler = "DB"\ndatabase_id = "{TOP}"',
            None,
            "database.wrangler",
            "database.database_id and database.wrangler name the database twice",
            "keep one of them",
        ),
        (
            "staging",
            'database_name = "umbrella"',
            "DB",
            "database.database_name",
            "the database is named by database.database_name; --database chooses among those of wrangler's file",
            "leave --database out",
        ),
    ],
)
def test_a_database_is_named_once_and_never_guessed(
    tmp_path: Path, env: str, lines: str, wanted: str | None, key: str, message: str, hint: str
) -> None:
    file = both(tmp_path, env, lines)
    error = refusal(tmp_path, env, database=wanted)
    assert error.message == f"config/{env}.toml: {message}"
    assert (error.file, error.key, error.hint) == (file, key, hint)


def test_a_binding_that_wrangler_does_not_have_is_refused(tmp_path: Path) -> None:
    both(tmp_path, "dev", 'binding = "BD"', "workerd")
    assert refusal(tmp_path, "dev").message == "wrangler.jsonc: d1_databases has no database 'BD'; it has DB (umbrella)"
    both(tmp_path, "dev", 'binding = "DB"\nwrangler = "DB"', "workerd")
    assert refusal(tmp_path, "dev").message == (
        "config/dev.toml: database.binding and database.wrangler name the database twice"
    )


def test_database_chooses_in_the_section_of_the_env(tmp_path: Path) -> None:
    both(tmp_path, "staging", "")
    assert load_settings(tmp_path, "staging", {}, database="umbrella-staging").database.database_id == STAGING
    assert refusal(tmp_path, "staging", database="umbrella").key == "env.staging.d1_databases"


def test_without_a_top_level_database_the_hint_is_an_id(tmp_path: Path) -> None:
    wrangler(tmp_path, {"env": {}})
    config(tmp_path, "live", '[database]\nkind = "cloudflare"\n')
    assert refusal(tmp_path, "live").hint == "database_id or database_name under [database]"


def test_a_sqlite_file_is_not_chosen_by_database(tmp_path: Path) -> None:
    config(tmp_path, "dev", '[database]\nkind = "sqlite"\n')
    assert refusal(tmp_path, "dev", database="DB").key == "database.kind"


def test_a_name_without_an_id_is_left_to_be_looked_up(tmp_path: Path) -> None:
    wrangler(tmp_path, {"env": {"staging": database(database_name="umbrella")}})
    assert target(load_settings(tmp_path, "staging", {})) == (None, "umbrella")


# -- the account -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "variable", "of_env", "of_top", "account"),
    [
        ("own", "var", "env", "top", "own"),
        (None, "var", "env", "top", "var"),
        (None, " ", "env", "top", "env"),
        (None, None, None, "top", "top"),
        (None, None, None, None, None),
    ],
)
def test_the_account_comes_from_the_nearest_place(
    tmp_path: Path,
    own: str | None,
    variable: str | None,
    of_env: str | None,
    of_top: str | None,
    account: str | None,
) -> None:
    section = {**database(database_id=STAGING), **({"account_id": of_env} if of_env else {})}
    wrangler(tmp_path, {"env": {"staging": section}, **({"account_id": of_top} if of_top else {})})
    environ = {"CLOUDFLARE_ACCOUNT_ID": variable} if variable is not None else {}
    if own is None:
        assert load_settings(tmp_path, "staging", environ).database.account_id == account
    line = f'account_id = "{own}"' if own else ""
    config(tmp_path, "staging", f'[database]\nkind = "cloudflare"\n{line}\n')
    assert load_settings(tmp_path, "staging", environ).database.account_id == account


@pytest.mark.parametrize(
    ("lines", "account"),
    [
        ("", "env"),
        ('wrangler_env = ""', "top"),
        ('wrangler = "TOP"', "top"),
        ('wrangler_env = "other"', "other"),
        ('database_name = "x"', "env"),
    ],
)
def test_the_account_is_that_of_the_section_that_names_the_database(tmp_path: Path, lines: str, account: str) -> None:
    wrangler(
        tmp_path,
        {
            "account_id": "top",
            **database("TOP", database_name="same"),
            "env": {
                "staging": {"account_id": "env", **database(database_name="same")},
                "other": {"account_id": "other", **database(database_name="same")},
            },
        },
    )
    config(tmp_path, "staging", f'[database]\nkind = "cloudflare"\n{lines}\n')
    assert load_settings(tmp_path, "staging", {}).database.account_id == account


def test_an_account_that_would_change_a_url_is_refused(tmp_path: Path) -> None:
    config(tmp_path, "staging", '[database]\nkind = "cloudflare"\ndatabase_name = "x"\n')
    error = refusal(tmp_path, "staging", {"CLOUDFLARE_ACCOUNT_ID": "../user"})
    assert error.message == "CLOUDFLARE_ACCOUNT_ID holds a character that an account id does not have"
    assert (error.key, error.hint) == ("CLOUDFLARE_ACCOUNT_ID", "npx wrangler whoami shows the id")


def test_a_local_env_has_no_account(tmp_path: Path) -> None:
    only_wrangler(tmp_path)
    assert load_settings(tmp_path, "dev", {"CLOUDFLARE_ACCOUNT_ID": "a"}).database.account_id is None


# -- the folders -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folders", "entry", "expected"),
    [
        ([], {}, ("migrations", "rollbacks", "db/queries", "d1_migrations")),
        (["db/migrations", "db/rollbacks"], {}, ("db/migrations", "db/rollbacks", "db/queries", "d1_migrations")),
        (["migrations", "db/migrations"], {}, ("migrations", "rollbacks", "db/queries", "d1_migrations")),
        (["rollbacks", "db/rollbacks", "queries"], {}, ("migrations", "rollbacks", "queries", "d1_migrations")),
        (
            ["sql/m/rollbacks"],
            {"migrations_dir": "sql/m", "migrations_table": "applied", "migrations_pattern": "sql/m/*.sql"},
            ("sql/m", "sql/m/rollbacks", "db/queries", "applied"),
        ),
    ],
)
def test_the_folders_of_a_wrangler_project_are_found(
    tmp_path: Path, folders: list[str], entry: dict[str, str], expected: tuple[str, ...]
) -> None:
    wrangler(tmp_path, database(**entry))
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True)
    catalog = load_settings(tmp_path, "dev", {}).catalog
    assert (catalog.migrations, catalog.rollbacks, catalog.queries, catalog.ledger) == expected


def test_a_file_of_ours_goes_before_what_wrangler_says_of_the_folders(tmp_path: Path) -> None:
    entry = {"migrations_dir": "sql", "migrations_table": "applied", "migrations_pattern": "sql/*/*.sql"}
    wrangler(tmp_path, {"env": {"staging": database(database_id=STAGING, **entry)}})
    config(tmp_path, "staging", '[database]\nkind = "cloudflare"\n[catalog]\nmigrations = "m"\nledger = "mine"\n')
    catalog = load_settings(tmp_path, "staging", {}).catalog
    assert (catalog.migrations, catalog.rollbacks, catalog.ledger) == ("m", "rollbacks", "mine")


# -- the examples of this repository ---------------------------------------------------------------------


def test_the_sample_project_has_three_envs(pytestconfig: pytest.Config) -> None:
    project = pytestconfig.rootpath
    assert known_envs(project) == ("dev", "production", "staging")
    seen = {env: load_settings(project, env, {}) for env in known_envs(project)}
    assert {env: (settings.database.kind, settings.protected) for env, settings in seen.items()} == {
        "dev": ("sqlite", False),
        "staging": ("cloudflare", True),
        "production": ("cloudflare", True),
    }
    assert seen["dev"].database.path == ".d1ops/dev.sqlite"
    assert seen["staging"].database.database_name == "umbrella-staging"
    assert seen["production"].database.database_name == "umbrella-production"
    for settings in seen.values():
        assert settings.at(settings.catalog.migrations).is_dir()
        assert settings.at(settings.catalog.rollbacks).is_dir()
        assert settings.at(settings.catalog.queries).is_dir()


# -- what the audit ignores ------------------------------------------------------------------------------


def test_ignores_are_read_with_their_reasons(tmp_path: Path) -> None:
    config(
        tmp_path,
        "dev",
        '[database]\nkind = "sqlite"\n[[audit.ignore]]\nrule = "full-scan"\nquery = "inbox"\nreason = "few rows"\n'
        '[[audit.ignore]]\nrule = "foreign-key-without-index"\ntable = "logs"\ncolumns = ["job_id"]\n'
        'reason = "never"\n',
    )
    first, second = load_settings(tmp_path, "dev", {}).audit.ignore
    assert (first.rule, first.query, first.table, first.reason) == ("full-scan", "inbox", None, "few rows")
    assert (second.table, second.columns) == ("logs", ("job_id",))


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ("full-scans", "full-scan"),
        ("foreign-key-no-index", "foreign-key-without-index"),
        ("unused-ignore", "unused-index"),
        ("x", None),
    ],
)
def test_an_ignore_of_an_unknown_rule_is_refused_by_the_audit_alone(
    tmp_path: Path, rule: str, hint: str | None
) -> None:
    config(tmp_path, "dev", f'[database]\nkind = "sqlite"\n[[audit.ignore]]\nrule = "{rule}"\nreason = "r"\n')
    settings = load_settings(tmp_path, "dev", {})
    with pytest.raises(ConfigError, match="is not a rule that can be ignored") as refused:
        read_ignores(settings)
    assert refused.value.key == "audit.ignore[0].rule"
    if hint is None:
        assert "full-scan" in (refused.value.hint or "")
    else:
        assert refused.value.hint == hint


def test_an_ignore_without_a_reason_is_refused(tmp_path: Path) -> None:
    config(tmp_path, "dev", '[database]\nkind = "sqlite"\n[[audit.ignore]]\nrule = "full-scan"\n')
    with pytest.raises(ConfigError, match=r"audit\.ignore\[0\]\.reason is missing"):
        load_settings(tmp_path, "dev", {})
