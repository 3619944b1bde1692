-- name: bounced emails of a period
-- params: ?1 from, ?2 before

SELECT recipient_email, provider, provider_message_id, response, created_at
FROM email_delivery_log
WHERE event = 'bounced' AND created_at >= ?1 AND created_at < ?2
ORDER BY created_at;
