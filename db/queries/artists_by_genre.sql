-- name: public artists of a genre, last changed first
-- params: ?1 genre slug, ?2 updated_at of the last artist seen

SELECT id, slug, stage_name, city, rating_average, follower_count, updated_at
FROM artists
WHERE primary_genre = ?1 AND is_public = 1 AND updated_at < ?2
ORDER BY updated_at DESC
LIMIT 24;
