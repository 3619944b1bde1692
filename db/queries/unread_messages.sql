-- name: unread messages from one sender in a conversation, oldest first
-- params: ?1 conversation id, ?2 sender user id

SELECT id, kind, body, attachments, created_at
FROM messages
WHERE conversation_id = ?1 AND sender_user_id = ?2 AND read_at IS NULL
ORDER BY created_at;
