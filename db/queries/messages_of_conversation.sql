-- name: messages of a conversation, newest first
-- params: ?1 conversation id, ?2 created_at of the oldest message seen

SELECT m.id, m.sender_user_id, u.display_name AS sender_name, m.kind, m.body, m.attachments, m.read_at, m.edited_at, m.created_at
FROM messages AS m
JOIN users AS u ON u.id = m.sender_user_id
WHERE m.conversation_id = ?1 AND m.created_at < ?2
ORDER BY m.created_at DESC
LIMIT 50;
