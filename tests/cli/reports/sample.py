"""Findings for tests: one of every state and severity, with names that no format may trip over."""

from __future__ import annotations

from dataclasses import replace

from d1ops.cli.reports.build import rule_texts
from d1ops.cli.reports.model import Findings, Item, Link, Relations, State
from d1ops.core.audit.finding import Severity

HOSTILE = "</script><img src=x onerror=\"document.title='pwned'\">' & `a|b` \\ %0A::error::x \x1b[31m\x00 {{7*7}}"
"""What a table, a query or a message may hold."""


def item(number: int = 1, **more: object) -> Item:
    base = Item(
        key=f"full-scan users query q{number} in db/queries/q.sql",
        rule="full-scan",
        severity=Severity.WARNING,
        message=f"'q{number}' reads every row of users",
        remedy="index the columns that it compares",
        about=f"q{number}",
        table="users",
        path="db/queries/q.sql",
        line=number,
        plan=("SCAN users", "  USE TEMP B-TREE FOR ORDER BY"),
    )
    return replace(base, **more)  # type: ignore[arg-type]  # the caller names fields


FINDINGS = Findings(
    name="audit",
    category="audit/staging",
    title="Index audit of umbrella",
    items=(
        item(
            key="foreign-key-without-index reviews (user_id) -> users",
            rule="foreign-key-without-index",
            severity=Severity.ERROR,
            about="reviews (user_id)",
            table="reviews",
            path="db/migrations/0004 files,é.sql",
            line=12,
            fix_sql="CREATE INDEX i ON reviews (user_id);",
            plan=(),
        ),
        item(1, plan_after=("SEARCH users USING INDEX i (a=?)",)),
        item(10, severity=Severity.INFO),
        item(2, severity=Severity.INFO, rule="temp-b-tree", path=None, line=None),
        item(3, state=State.KNOWN),
        item(4, state=State.IGNORED, reason="few | rows"),
    ),
    rules=rule_texts(),
    facts=(("env", "staging"),),
    figures=(("foreign keys indexed", "1 of 2"),),
    relations=Relations(
        ("users", "reviews", "folders", "loose"),
        (
            Link("reviews", ("user_id",), "users", ("id",), "CASCADE", is_indexed=False),
            Link("folders", ("parent_id",), "folders", ("id",), "NO ACTION", is_indexed=True),
            Link("reviews", ("gone_id",), "gone", (), "NO ACTION", is_indexed=True),
        ),
    ),
    has_baseline=True,
    made_at="2026-11-22T12:00:00Z",
    tool_version="1.2.3",
)

HOSTILE_FINDINGS = replace(
    FINDINGS,
    title=f"Audit {HOSTILE}",
    items=tuple(
        item(
            number,
            key=HOSTILE,
            severity=severity,
            message=HOSTILE,
            remedy=HOSTILE,
            about=HOSTILE,
            table=HOSTILE,
            path=f"db/{HOSTILE}.sql",
            fix_sql=f"CREATE INDEX {HOSTILE};\n````",
            plan=(HOSTILE,),
            plan_after=(HOSTILE,),
            state=state,
            reason=HOSTILE,
        )
        for number, (severity, state) in enumerate(zip(Severity, State, strict=True), 1)
    ),
    relations=Relations((HOSTILE,), (Link(HOSTILE, (HOSTILE,), HOSTILE, (HOSTILE,), HOSTILE, is_indexed=False),)),
    facts=((HOSTILE, HOSTILE),),
    figures=((HOSTILE, HOSTILE),),
)

EMPTY = replace(FINDINGS, items=(), has_baseline=False)
