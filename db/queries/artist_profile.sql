-- name: public profile of an artist, with its owner
-- params: ?1 slug

SELECT a.id, a.slug, a.stage_name, a.bio, a.primary_genre, a.city, a.social_links, a.rating_average, a.follower_count, u.avatar_url, u.last_login_at
FROM artists AS a
JOIN users AS u ON u.id = a.user_id
WHERE a.slug = ?1 AND a.is_public = 1;
