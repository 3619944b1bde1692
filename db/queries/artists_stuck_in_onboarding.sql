-- name: artists who stopped at an onboarding step
-- params: ?1 step, ?2 not changed since

SELECT a.id, a.stage_name, a.updated_at, u.email
FROM artists AS a
JOIN users AS u ON u.id = a.user_id
WHERE a.onboarding_completed_at IS NULL AND a.onboarding_step = ?1 AND a.updated_at < ?2
ORDER BY a.updated_at
LIMIT 100;
