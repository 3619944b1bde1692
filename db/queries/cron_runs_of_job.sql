-- name: runs of a scheduled job, newest first
-- params: ?1 job name, ?2 since

SELECT id, status, items_processed, error_message, duration_ms, started_at, finished_at
FROM cron_logs
WHERE job_name = ?1 AND started_at >= ?2
ORDER BY started_at DESC
LIMIT 50;
