-- name: user of a Clerk session
-- params: ?1 Clerk id

SELECT id, email, display_name, role, status
FROM users
WHERE clerk_id = ?1;
