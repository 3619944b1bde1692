-- name: published reviews of an artist with reviewer and gig, newest first
-- params: ?1 artist id

SELECT r.id, r.rating, r.title, r.body, r.reply, r.created_at, coalesce(u.display_name, r.reviewer_name) AS reviewer, g.title AS gig_title
FROM reviews AS r
LEFT JOIN users AS u ON u.id = r.reviewer_user_id
LEFT JOIN gigs AS g ON g.id = r.gig_id
WHERE r.artist_id = ?1 AND r.status = 'published'
ORDER BY r.created_at DESC
LIMIT 20;
