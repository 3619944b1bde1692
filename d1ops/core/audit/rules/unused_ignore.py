"""An ignore of the configuration that no finding needs any more."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.sift import Ignore
    from d1ops.core.audit.subject import Subject

ID = "unused-ignore"


def find(_subject: Subject) -> Iterator[Finding]:
    """Find nothing in a schema: only the sifting of all findings knows which ignores were needed."""
    yield from ()


def finding(ignore: Ignore) -> Finding:
    """Return the finding about an ignore that fits no finding."""
    return Finding(
        rule=ID,
        severity=Severity.WARNING,
        table=ignore.table,
        columns=ignore.columns,
        index=ignore.index,
        query=ignore.query,
        others=(ignore.rule,),
        message=f"the ignore of {ignore.described} fits no finding",
        remedy="remove it: what it hid is mended, or has another name now",
        path=ignore.path,
        line=ignore.line,
    )


RULE = Rule(ID, "An ignore of the configuration fits no finding", Severity.WARNING, find)
