-- What artists sell (tracks) and where they are hired (gigs, the applications to them, and saved gigs).
-- Money is in cents. Audio and covers are objects in R2, named here by their keys.

CREATE TABLE tracks (
  id TEXT PRIMARY KEY NOT NULL,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  title TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  slug TEXT NOT NULL,
  isrc TEXT UNIQUE CHECK (length(isrc) = 12),
  genre TEXT,
  bpm REAL CHECK (bpm > 0.0 AND bpm < 400.0),
  musical_key TEXT,
  duration_ms INTEGER NOT NULL CHECK (duration_ms > 0),
  loudness_lufs REAL,
  waveform BLOB,
  audio_key TEXT NOT NULL,
  cover_key TEXT,
  price_cents INTEGER NOT NULL DEFAULT 0 CHECK (price_cents >= 0),
  currency TEXT NOT NULL DEFAULT 'USD' CHECK (length(currency) = 3),
  is_explicit INTEGER NOT NULL DEFAULT 0 CHECK (is_explicit IN (0, 1)),
  status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'published', 'hidden')),
  play_count INTEGER NOT NULL DEFAULT 0 CHECK (play_count >= 0),
  metadata TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(metadata)),
  released_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (artist_id, slug),
  CHECK (status <> 'published' OR released_at IS NOT NULL)
);

CREATE TABLE gigs (
  id TEXT PRIMARY KEY NOT NULL,
  organizer_user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  title TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  description TEXT NOT NULL DEFAULT '',
  venue_name TEXT NOT NULL,
  address TEXT,
  city TEXT NOT NULL,
  country_code TEXT NOT NULL CHECK (length(country_code) = 2),
  genre TEXT,
  capacity INTEGER CHECK (capacity > 0),
  pay_min_cents INTEGER NOT NULL DEFAULT 0 CHECK (pay_min_cents >= 0),
  pay_max_cents INTEGER,
  currency TEXT NOT NULL DEFAULT 'USD' CHECK (length(currency) = 3),
  requirements TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(requirements)),
  status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'open', 'booked', 'completed', 'cancelled')),
  starts_at TEXT NOT NULL,
  ends_at TEXT,
  application_deadline TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  CHECK (pay_max_cents >= pay_min_cents),
  CHECK (ends_at > starts_at)
);

CREATE TABLE gig_applications (
  id TEXT PRIMARY KEY NOT NULL,
  gig_id TEXT NOT NULL REFERENCES gigs (id) ON DELETE CASCADE,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  message TEXT NOT NULL DEFAULT '',
  proposed_rate_cents INTEGER CHECK (proposed_rate_cents >= 0),
  attachments TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(attachments)),
  status TEXT NOT NULL DEFAULT 'submitted' CHECK (status IN ('submitted', 'shortlisted', 'accepted', 'declined', 'withdrawn')),
  decided_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (gig_id, artist_id)
);

CREATE TABLE gig_favorites (
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  gig_id TEXT NOT NULL REFERENCES gigs (id) ON DELETE CASCADE,
  note TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  PRIMARY KEY (user_id, gig_id)
) WITHOUT ROWID;

CREATE INDEX idx_gig_favorites_gig_id ON gig_favorites (gig_id);
