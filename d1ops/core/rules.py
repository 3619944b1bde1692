"""What D1 accepts: limits, pragmas, functions and modules, as data.

Sources: D1 documentation (platform/limits); workerd's `src/workerd/util/sqlite.c++` (the authorizer and
`setupSecurity`), which is the best public model of the service; values marked so were seen on
workerd 1.20261117.1. Where the real service differs, the target's own answer decides.
"""

from __future__ import annotations

MAX_STATEMENT_BYTES = 100_000
MAX_SCRIPT_BYTES = 1_000_000
"""A request body limit of 1 MB is reported for D1's API; a script beyond it is refused before it is sent."""
MAX_PARAMETERS = 100
MAX_COLUMNS = 100
MAX_EXPRESSION_DEPTH = 100
MAX_COMPOUND_TERMS = 5
MAX_VDBE_OPS = 250_000
"""25,000 in workerd's source of August 2026; workerd 1.20261117.1 ran a program of 99,810 steps. A statement of
`MAX_STATEMENT_BYTES` stays below this."""
MAX_FUNCTION_ARGUMENTS = 127
MAX_PATTERN_BYTES = 50
MAX_TRIGGER_DEPTH = 10
MAX_VALUE_BYTES = 4 * 1024 * 1024
"""Documented as 2,000,000; the engine's limit was 4 MiB in August 2026."""
MAX_REQUEST_SECONDS = 30

TRANSACTION_VERBS = frozenset(("BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"))

TRANSACTION_TEXT = (
    "To execute a transaction, please use the state.storage.transaction() or state.storage.transactionSync() "
    "APIs instead of the SQL BEGIN TRANSACTION or SAVEPOINT statements. The JavaScript API is safer because "
    "it will automatically roll back on exceptions, and because it interacts correctly with Durable Objects' "
    "automatic atomic write coalescing."
)

PRAGMAS_WITHOUT_ARGUMENT = frozenset(("data_version", "page_size"))
PRAGMAS_BOOLEAN = frozenset(
    (
        "case_sensitive_like",
        "foreign_keys",
        "defer_foreign_keys",
        "ignore_check_constraints",
        "legacy_alter_table",
        "recursive_triggers",
        "reverse_unordered_selects",
    )
)
PRAGMAS_OF_A_NAME = frozenset(
    ("table_info", "table_xinfo", "index_info", "index_xinfo", "index_list", "foreign_key_list")
)
PRAGMAS_OPTIONAL_NAME = frozenset(("foreign_key_check", "quick_check", "table_list"))
PRAGMAS_OPTIONAL_NUMBER = frozenset(("optimize",))

MODULES = frozenset(("fts5", "fts5vocab", "rtree", "rtree_i32"))

FUNCTIONS = frozenset(
    [
        "abs",
        "changes",
        "char",
        "coalesce",
        "concat",
        "concat_ws",
        "format",
        "glob",
        "hex",
        "ifnull",
        "iif",
        "instr",
        "last_insert_rowid",
        "length",
        "like",
        "likelihood",
        "likely",
        "lower",
        "ltrim",
        "max",
        "min",
        "nullif",
        "octet_length",
        "printf",
        "quote",
        "random",
        "randomblob",
        "replace",
        "round",
        "rtrim",
        "sign",
        "substr",
        "substring",
        "total_changes",
        "trim",
        "typeof",
        "unhex",
        "unicode",
        "unlikely",
        "upper",
        "zeroblob",
        "date",
        "time",
        "datetime",
        "julianday",
        "unixepoch",
        "strftime",
        "timediff",
        "current_date",
        "current_time",
        "current_timestamp",
        "avg",
        "count",
        "group_concat",
        "string_agg",
        "sum",
        "total",
        "row_number",
        "rank",
        "dense_rank",
        "percent_rank",
        "cume_dist",
        "ntile",
        "lag",
        "lead",
        "first_value",
        "last_value",
        "nth_value",
        "acos",
        "acosh",
        "asin",
        "asinh",
        "atan",
        "atan2",
        "atanh",
        "ceil",
        "cos",
        "cosh",
        "degrees",
        "exp",
        "floor",
        "ln",
        "log",
        "log2",
        "mod",
        "pi",
        "pow",
        "radians",
        "sin",
        "sinh",
        "sqrt",
        "tan",
        "tanh",
        "trunc",
        "json",
        "jsonb",
        "json_array",
        "jsonb_array",
        "json_array_length",
        "json_extract",
        "jsonb_extract",
        "->",
        "->>",
        "json_insert",
        "jsonb_insert",
        "json_object",
        "jsonb_object",
        "json_patch",
        "jsonb_patch",
        "json_remove",
        "jsonb_remove",
        "json_replace",
        "jsonb_replace",
        "json_set",
        "jsonb_set",
        "json_type",
        "json_valid",
        "json_quote",
        "json_group_array",
        "jsonb_group_array",
        "json_group_object",
        "jsonb_group_object",
        "json_each",
        "json_tree",
        "match",
        "highlight",
        "bm25",
        "snippet",
        "rtreecheck",
        "sqlite_rename_column",
        "sqlite_rename_table",
        "sqlite_rename_test",
        "sqlite_rename_quotefix",
        "sqlite_drop_column",
    ]
)

LACKING_FUNCTIONS = frozenset(
    [
        "fts3_tokenizer",
        "geopoly_area",
        "geopoly_bbox",
        "geopoly_blob",
        "geopoly_ccw",
        "geopoly_contains_point",
        "geopoly_debug",
        "geopoly_group_bbox",
        "geopoly_json",
        "geopoly_overlap",
        "geopoly_regular",
        "geopoly_svg",
        "geopoly_within",
        "geopoly_xform",
        "matchinfo",
        "median",
        "offsets",
        "optimize",
        "percentile",
        "percentile_cont",
        "percentile_disc",
    ]
)
"""What apsw's SQLite is built with and D1's is not (workerd 1.20261117.1: `no such function`)."""

RESERVED_PREFIX = "_cf_"
"""Names that begin so, in any case, belong to Cloudflare."""

OWN_PREFIX = "d1ops_"
"""Tables that begin so are this tool's own bookkeeping on the target and no part of the schema it compares."""


def is_reserved(name: str) -> bool:
    """Return whether a name belongs to SQLite or to Cloudflare: never read as the user's, never touched."""
    lowered = name.lower()
    return lowered.startswith(("sqlite_", RESERVED_PREFIX))
