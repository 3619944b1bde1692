-- name: emails due to be sent, longest waiting first
-- params: ?1 now

SELECT id, recipient_email, recipient_name, subject, body_html, body_text, template_data, attempts
FROM email_delivery_queue
WHERE status = 'pending' AND scheduled_at <= ?1 AND (locked_until IS NULL OR locked_until < ?1)
ORDER BY scheduled_at
LIMIT 100;
