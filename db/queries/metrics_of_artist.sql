-- name: daily figures of an artist over a period
-- params: ?1 artist id, ?2 first day, ?3 last day

SELECT metric_date, profile_views, track_plays, listening_seconds, new_followers, gigs_completed, revenue_cents
FROM daily_metrics
WHERE artist_id = ?1 AND metric_date BETWEEN ?2 AND ?3
ORDER BY metric_date;
