-- Reference data that the application reads and nobody edits by hand: genres, tags and settings, with their rows.
-- Every value is written out, so that two replays of this file give the same rows.

CREATE TABLE genres (
  id TEXT PRIMARY KEY NOT NULL,
  slug TEXT NOT NULL UNIQUE,
  name TEXT NOT NULL UNIQUE,
  family TEXT NOT NULL,
  sort_order INTEGER NOT NULL UNIQUE,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1))
);

CREATE TABLE tags (
  id TEXT PRIMARY KEY NOT NULL,
  category TEXT NOT NULL CHECK (category IN ('mood', 'instrument', 'occasion', 'era')),
  slug TEXT NOT NULL,
  name TEXT NOT NULL,
  is_active INTEGER NOT NULL DEFAULT 1 CHECK (is_active IN (0, 1)),
  UNIQUE (category, slug)
);

CREATE TABLE system_config (
  key TEXT PRIMARY KEY NOT NULL,
  value TEXT NOT NULL CHECK (json_valid(value)),
  description TEXT NOT NULL,
  is_public INTEGER NOT NULL DEFAULT 0 CHECK (is_public IN (0, 1)),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

INSERT INTO genres (id, slug, name, family, sort_order) VALUES
  ('genre_pop', 'pop', 'Pop', 'pop', 10),
  ('genre_indie_pop', 'indie-pop', 'Indie Pop', 'pop', 20),
  ('genre_k_pop', 'k-pop', 'K-Pop', 'pop', 30),
  ('genre_rock', 'rock', 'Rock', 'rock', 40),
  ('genre_alternative', 'alternative', 'Alternative', 'rock', 50),
  ('genre_punk', 'punk', 'Punk', 'rock', 60),
  ('genre_metal', 'metal', 'Metal', 'rock', 70),
  ('genre_hip_hop', 'hip-hop', 'Hip-Hop', 'urban', 80),
  ('genre_rnb', 'r-and-b', 'R&B', 'urban', 90),
  ('genre_soul', 'soul', 'Soul', 'urban', 100),
  ('genre_funk', 'funk', 'Funk', 'urban', 110),
  ('genre_house', 'house', 'House', 'electronic', 120),
  ('genre_techno', 'techno', 'Techno', 'electronic', 130),
  ('genre_drum_and_bass', 'drum-and-bass', 'Drum & Bass', 'electronic', 140),
  ('genre_ambient', 'ambient', 'Ambient', 'electronic', 150),
  ('genre_jazz', 'jazz', 'Jazz', 'jazz', 160),
  ('genre_blues', 'blues', 'Blues', 'jazz', 170),
  ('genre_classical', 'classical', 'Classical', 'classical', 180),
  ('genre_folk', 'folk', 'Folk', 'roots', 190),
  ('genre_country', 'country', 'Country', 'roots', 200),
  ('genre_reggae', 'reggae', 'Reggae', 'world', 210),
  ('genre_latin', 'latin', 'Latin', 'world', 220),
  ('genre_afrobeats', 'afrobeats', 'Afrobeats', 'world', 230),
  ('genre_gospel', 'gospel', 'Gospel', 'world', 240);

INSERT INTO tags (id, category, slug, name) VALUES
  ('tag_mood_chill', 'mood', 'chill', 'Chill'),
  ('tag_mood_dark', 'mood', 'dark', 'Dark'),
  ('tag_mood_dreamy', 'mood', 'dreamy', 'Dreamy'),
  ('tag_mood_energetic', 'mood', 'energetic', 'Energetic'),
  ('tag_mood_romantic', 'mood', 'romantic', 'Romantic'),
  ('tag_mood_uplifting', 'mood', 'uplifting', 'Uplifting'),
  ('tag_instrument_acoustic_guitar', 'instrument', 'acoustic-guitar', 'Acoustic guitar'),
  ('tag_instrument_drums', 'instrument', 'drums', 'Drums'),
  ('tag_instrument_electric_guitar', 'instrument', 'electric-guitar', 'Electric guitar'),
  ('tag_instrument_piano', 'instrument', 'piano', 'Piano'),
  ('tag_instrument_saxophone', 'instrument', 'saxophone', 'Saxophone'),
  ('tag_instrument_synth', 'instrument', 'synth', 'Synth'),
  ('tag_instrument_vocals', 'instrument', 'vocals', 'Vocals'),
  ('tag_occasion_club', 'occasion', 'club', 'Club night'),
  ('tag_occasion_corporate', 'occasion', 'corporate', 'Corporate event'),
  ('tag_occasion_festival', 'occasion', 'festival', 'Festival'),
  ('tag_occasion_wedding', 'occasion', 'wedding', 'Wedding'),
  ('tag_era_80s', 'era', '80s', '1980s'),
  ('tag_era_90s', 'era', '90s', '1990s'),
  ('tag_era_2000s', 'era', '2000s', '2000s');

INSERT INTO system_config (key, value, description, is_public, updated_at) VALUES
  ('booking.platform_fee_percent', '7.5', 'Share of a booking that the platform keeps', 1, '2026-01-15T09:00:00Z'),
  ('booking.supported_currencies', '["USD","EUR","GBP","CAD","AUD"]', 'Currencies a gig may be paid in', 1, '2026-01-15T09:00:00Z'),
  ('email.batch_size', '100', 'Emails taken from the queue in one run', 0, '2026-01-15T09:00:00Z'),
  ('email.sender', '{"name":"Umbrella","address":"hello@umbrella.example"}', 'From line of every email', 0, '2026-01-15T09:00:00Z'),
  ('feature.violet_enabled', 'true', 'Whether Violet, the AI assistant, is on', 1, '2026-01-15T09:00:00Z'),
  ('maintenance.mode', 'false', 'Whether the site shows only the maintenance page', 1, '2026-01-15T09:00:00Z'),
  ('sms.batch_size', '25', 'Text messages taken from the queue in one run', 0, '2026-01-15T09:00:00Z'),
  ('storage.quota_bytes', '{"free":5368709120,"pro":53687091200,"label":536870912000}', 'Storage of each plan', 1, '2026-01-15T09:00:00Z'),
  ('upload.max_file_bytes', '524288000', 'Largest single upload', 1, '2026-01-15T09:00:00Z'),
  ('violet.monthly_token_limit', '{"free":50000,"pro":500000,"label":2000000}', 'Tokens of Violet a month, by plan', 0, '2026-01-15T09:00:00Z');
