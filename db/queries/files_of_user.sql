-- name: files of a user with their folders, last changed first
-- params: ?1 user id

SELECT f.id, f.name, f.kind, f.mime_type, f.size_bytes, f.updated_at, d.id AS folder_id, d.name AS folder_name
FROM files AS f
LEFT JOIN folders AS d ON d.id = f.folder_id
WHERE f.user_id = ?1
ORDER BY f.updated_at DESC
LIMIT 100;
