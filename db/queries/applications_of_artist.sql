-- name: applications of an artist with their gigs, last changed first
-- params: ?1 artist id

SELECT a.id, a.status, a.proposed_rate_cents, a.updated_at, g.id AS gig_id, g.title, g.city, g.starts_at
FROM gig_applications AS a
JOIN gigs AS g ON g.id = a.gig_id
WHERE a.artist_id = ?1
ORDER BY a.updated_at DESC
LIMIT 50;
