-- name: gigs of an organizer, last changed first, with applications and favorites
-- params: ?1 user id

SELECT g.id, g.title, g.status, g.starts_at, g.updated_at,
  (SELECT count(*) FROM gig_applications AS a WHERE a.gig_id = g.id) AS applications,
  (SELECT count(*) FROM gig_favorites AS f WHERE f.gig_id = g.id) AS favorites
FROM gigs AS g
WHERE g.organizer_user_id = ?1
ORDER BY g.updated_at DESC
LIMIT 50;
