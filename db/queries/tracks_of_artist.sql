-- name: published tracks of an artist, newest release first
-- params: ?1 artist id

SELECT id, title, slug, genre, bpm, duration_ms, price_cents, currency, cover_key, play_count, released_at
FROM tracks
WHERE artist_id = ?1 AND status = 'published'
ORDER BY released_at DESC
LIMIT 50;
