-- name: inbox of a user with unread counts, last changed first
-- params: ?1 user id, ?2 updated_at of the last conversation seen

SELECT c.id, c.subject, c.last_message_preview, c.updated_at AS updated_at, u.id AS other_user_id, u.display_name AS other_name,
  (SELECT count(*) FROM messages AS m WHERE m.conversation_id = c.id AND m.sender_user_id = u.id AND m.read_at IS NULL) AS unread
FROM conversations AS c
JOIN users AS u ON u.id = c.participant_2_user_id
WHERE c.participant_1_user_id = ?1 AND c.participant_1_archived = 0 AND c.updated_at < ?2
UNION ALL
SELECT c.id, c.subject, c.last_message_preview, c.updated_at AS updated_at, u.id, u.display_name,
  (SELECT count(*) FROM messages AS m WHERE m.conversation_id = c.id AND m.sender_user_id = u.id AND m.read_at IS NULL)
FROM conversations AS c
JOIN users AS u ON u.id = c.participant_1_user_id
WHERE c.participant_2_user_id = ?1 AND c.participant_2_archived = 0 AND c.updated_at < ?2
ORDER BY updated_at DESC
LIMIT 30;
