-- Undoes 0007: the index, then the column. DROP COLUMN edits users in place, so no row of users or of its children is touched.
-- A rebuild (copy, DROP TABLE users, rename) would fire ON DELETE CASCADE on D1, where foreign keys cannot be switched off.

DROP INDEX idx_users_clerk_id;

ALTER TABLE users DROP COLUMN clerk_id;
