-- Sign-in moves to Clerk: each user gets a Clerk id when they next sign in, unique once it is there.

ALTER TABLE users ADD COLUMN clerk_id TEXT;

CREATE UNIQUE INDEX idx_users_clerk_id ON users (clerk_id) WHERE clerk_id IS NOT NULL;
