"""The index audit: what the target's schema and the frequent queries cost, as SQLite's own planner says.

`report.audit` takes a schema, its statistics and the queries and returns a `Report`. `subject` finds out the
facts once; every rule in `rules/` is a pure function from these facts to findings, one rule a file.
"""
