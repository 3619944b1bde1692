-- name: followers of an artist, newest first
-- params: ?1 artist id, ?2 created_at of the last follower seen

SELECT u.id, u.display_name, u.avatar_url, f.created_at
FROM artist_followers AS f
JOIN users AS u ON u.id = f.follower_user_id
WHERE f.artist_id = ?1 AND f.created_at < ?2
ORDER BY f.created_at DESC
LIMIT 50;
