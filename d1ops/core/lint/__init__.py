"""Lint of migrations and rollback scripts: what is dangerous or misleading in a script before anybody runs it.

`files` looks at the names of the files, `subject` runs every script on an empty database and notes what each statement
does, `rules` (one a file) turn that into findings, `ignores` leaves out what a comment beside the statement excuses.
"""
