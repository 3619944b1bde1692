"""What the runbook says whatever the migrations are: prose, the decision, and the rebuild of a parent table.

The SQL is run by the tests, so that what a person copies from here does what the text says.
"""

from __future__ import annotations

QUESTIONS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("broken", "Is something broken, and is the migration the reason?", (("no", "leave"), ("yes", "repair"))),
    (
        "repair",
        "Can a new migration or a deploy repair it in time?",
        (("yes", "forward"), ("no", "verdict")),
    ),
    (
        "verdict",
        "What does the matrix say of it?",
        (("safe", "reach"), ("reversible or lossy", "price"), ("irreversible or unproven", "damage")),
    ),
    ("price", "May what the matrix names be lost?", (("yes", "reach"), ("no", "save"))),
    ("reach", "Does the rollback hold alone?", (("alone", "rollback"), ("cascade only", "cascade"))),
    ("damage", "May every write since the migration be lost, in every table?", (("yes", "restore"), ("no", "copy"))),
)
"""The decision, as question, text and answers; an answer leads to another question or to an outcome."""

OUTCOMES: dict[str, str] = {
    "leave": "leave the database alone and look elsewhere",
    "forward": "fix forward: write the next migration, then d1ops migrate --env ENV",
    "save": "copy it into a table of its own with a new migration first, then ask again",
    "rollback": "d1ops rollback N --env ENV",
    "cascade": "read the sections of all later migrations, then d1ops rollback N --cascade --env ENV",
    "restore": "d1ops restore POINT --env ENV, with a bookmark from d1ops history",
    "copy": "d1ops restore BACKUP --into FILE, and bring the missing rows back with a new migration",
}

WRONG_REBUILD = """\
PRAGMA foreign_keys = OFF;                  -- accepted and ignored
PRAGMA defer_foreign_keys = ON;             -- delays the check, not ON DELETE CASCADE
CREATE TABLE users_new (id TEXT PRIMARY KEY, email TEXT);
INSERT INTO users_new (id, email) SELECT id, email FROM users;
DROP TABLE users;                           -- deletes all rows of what cascades from users
ALTER TABLE users_new RENAME TO users;
"""
"""The textbook rebuild of a parent table, for `users (id, email, clerk_id)`."""

SAFE_REBUILD = """\
CREATE TABLE users_new (id TEXT PRIMARY KEY, email TEXT);
INSERT INTO users_new (id, email) SELECT id, email FROM users;
CREATE TABLE artists_new (
  id TEXT PRIMARY KEY,
  user_id TEXT REFERENCES users_new (id) ON DELETE CASCADE
);
INSERT INTO artists_new (id, user_id) SELECT id, user_id FROM artists;
DROP TABLE artists;                         -- nothing refers to it: it is a leaf
DROP TABLE users;                           -- nothing refers to it any more
ALTER TABLE users_new RENAME TO users;      -- the reference in artists_new follows
ALTER TABLE artists_new RENAME TO artists;
"""
"""The same with the only child, `artists (id, user_id)`, moved over first."""

PHILOSOPHY = """\
## Fix forward first

A new migration that repairs takes nothing away, is reviewed and tested like any other, and leaves
the ledger in an order that everybody understands. Roll back when the migration itself is what
hurts, a repair would come too late, and the matrix says that you can afford what it takes.

What a rollback is:

- It runs `db/rollbacks/NNNN_rollback.sql` and takes the migration out of the ledger, in one batch
  that commits whole or not at all.
- It runs after a backup that was restored and compared, and after a rehearsal on that copy. What
  it would take is shown by name and counted on your rows before anything is sent.
- Afterwards the schema is as if the migration had never been applied. Rows of other tables stay.
- The migration is pending again: `d1ops migrate` applies it again, and so would the next
  `wrangler d1 migrations apply`. Remove or rename the file to keep it away.

What it is not:

- It does not go back in time. Rows written since stay, but for those that live in what it takes
  away.
- It does not bring back what the migration itself overwrote or deleted. That needs a backup.

A restore is the other thing. `d1ops restore` rewinds the whole database, every table and the
ledger with it, to a bookmark or to the moment of a backup: every write since then is gone,
whatever table it went to. D1 keeps bookmarks for 30 days on a paid plan and 7 on a free one. A
rollback is for a change of the schema that was wrong; a restore is for data that was damaged.
"""

LEGEND = """
- safe: no data is at stake
- reversible: the structure returns; the tables or rows that the migration made go, with all that
  was written to them since
- lossy: the structure returns; the values of the columns that it added go
- irreversible: the migration destroyed or overwrote rows or values; no script brings them back
- unproven: no script, or one that fails or does not bring everything back
- rows billed: rows that D1 reads and writes for the script itself; the backup before it reads every
  row of the database at least once
- alone: the script holds with every later migration applied
- cascade only: later migrations stand on it and are rolled back first
"""

NO_WAY_BACK = """
- UPDATE of rows that are there: the old values are gone. Write the new ones into a new column
  instead.
- DELETE and DROP TABLE of a table with rows: rename the table and drop it a release later.
- DROP COLUMN: the values go with it. Stop using it first, and drop it a release later.
- a rebuild of a table that others refer to: see [the trap](#the-trap-rebuilding-a-parent-table).
- what left the database: mail that was sent, money that was moved. Mark such a migration with
  `-- d1ops: irreversible REASON`, and d1ops refuses to roll it back.
"""

EMERGENCY = """\
## Emergency procedure

1. Stop what writes the schema: deploys, and CI jobs that run `d1ops migrate` or
   `wrangler d1 migrations apply`.
2. Look, which never writes: `d1ops status --env ENV`, then `d1ops history --env ENV`.
3. Decide with [the flowchart](#which-way-back). Read the section of the migration below, aloud, to
   a second person.
4. Run the commands of that section: `d1ops rehearse` changes nothing and says what would be lost,
   `d1ops rollback` does the same and then asks; a protected env asks for its name (`--confirm ENV`
   in CI). To say no is always safe.
5. Exit 5 is a refusal: nothing was changed. Read what it names. `--accept-loss` takes exactly the
   tables and columns that you write, so write only what you can explain.
6. Exit 3 or 4: nothing was changed. Exit 6: somebody must look. `d1ops status --env ENV` says what
   is applied, names what a lost answer or a crash left, and the one command that goes on. Never
   send anything again blindly.
7. Verify: the query of the section finds no row, `d1ops status` agrees, the application works.
8. If it made things worse: the line `undo` of the output is the command that takes it back, a
   restore of the moment before. It takes every write since then as well.
9. Keep the migration from coming back: remove or rename its file before the next deploy.
10. Write down what happened, with the backup id and the bookmark of `d1ops history --env ENV`.
"""

TRAP = """\
## The trap: rebuilding a parent table

D1 keeps foreign keys on. The textbook way to change a table, which works on plain SQLite, deletes
the children here, commits, and reports success:

```sql
{wrong}```

`ON DELETE SET NULL` is as bad and harder to see: every row count stays, every link is gone. d1ops
measures this on a copy of your rows and refuses it. The safe ways, in this order:

1. Do not rebuild: `ALTER TABLE ... DROP COLUMN`, `ADD COLUMN` and `RENAME COLUMN` edit the table
   in place and touch no other. Drop the indexes on a column before the column.
2. A table that nothing refers to may be rebuilt: create, copy, drop, rename. Create its indexes
   and triggers anew.
3. A parent that must be rebuilt takes its children along, so that nothing refers to the old one
   when it is dropped:

```sql
{safe}```
"""
