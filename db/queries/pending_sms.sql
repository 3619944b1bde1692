-- name: text messages due to be sent, longest waiting first
-- params: ?1 now

SELECT id, recipient_phone, body, segments, attempts
FROM sms_delivery_queue
WHERE status = 'pending' AND scheduled_at <= ?1 AND (locked_until IS NULL OR locked_until < ?1)
ORDER BY scheduled_at
LIMIT 25;
