-- name: open gigs of a city between two times, soonest first
-- params: ?1 city, ?2 from, ?3 before

SELECT g.id, g.title, g.venue_name, g.genre, g.pay_min_cents, g.pay_max_cents, g.currency, g.starts_at, u.display_name AS organizer_name
FROM gigs AS g
JOIN users AS u ON u.id = g.organizer_user_id
WHERE g.city = ?1 AND g.status = 'open' AND g.starts_at >= ?2 AND g.starts_at < ?3
ORDER BY g.starts_at
LIMIT 50;
