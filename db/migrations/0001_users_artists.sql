-- Accounts, the artist profiles that belong to them, and who follows whom.
-- Everything else in the marketplace hangs from users or artists and goes with them.

CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL,
  email TEXT NOT NULL COLLATE NOCASE UNIQUE CHECK (length(email) BETWEEN 3 AND 320 AND instr(email, '@') > 1),
  email_verified INTEGER NOT NULL DEFAULT 0 CHECK (email_verified IN (0, 1)),
  phone TEXT CHECK (phone GLOB '+[1-9]*' AND length(phone) BETWEEN 8 AND 16),
  display_name TEXT NOT NULL CHECK (length(display_name) BETWEEN 1 AND 120),
  avatar_url TEXT,
  role TEXT NOT NULL DEFAULT 'fan' CHECK (role IN ('fan', 'artist', 'organizer', 'admin')),
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'suspended', 'deleted')),
  oauth_provider TEXT CHECK (oauth_provider IN ('google', 'apple', 'spotify')),
  oauth_subject TEXT,
  locale TEXT NOT NULL DEFAULT 'en',
  timezone TEXT NOT NULL DEFAULT 'UTC',
  notification_settings TEXT NOT NULL DEFAULT '{"email":true,"sms":false}' CHECK (json_valid(notification_settings)),
  last_login_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (oauth_provider, oauth_subject),
  CHECK ((oauth_provider IS NULL) = (oauth_subject IS NULL))
);

CREATE TABLE artists (
  id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL UNIQUE REFERENCES users (id) ON DELETE CASCADE,
  slug TEXT NOT NULL COLLATE NOCASE UNIQUE CHECK (length(slug) BETWEEN 2 AND 64),
  stage_name TEXT NOT NULL CHECK (length(stage_name) BETWEEN 1 AND 120),
  bio TEXT,
  primary_genre TEXT NOT NULL,
  genres TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(genres)),
  city TEXT,
  country_code TEXT CHECK (length(country_code) = 2),
  latitude REAL CHECK (latitude BETWEEN -90.0 AND 90.0),
  longitude REAL CHECK (longitude BETWEEN -180.0 AND 180.0),
  base_rate_cents INTEGER CHECK (base_rate_cents >= 0),
  currency TEXT NOT NULL DEFAULT 'USD' CHECK (length(currency) = 3),
  social_links TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(social_links)),
  is_public INTEGER NOT NULL DEFAULT 1 CHECK (is_public IN (0, 1)),
  is_verified INTEGER NOT NULL DEFAULT 0 CHECK (is_verified IN (0, 1)),
  follower_count INTEGER NOT NULL DEFAULT 0 CHECK (follower_count >= 0),
  rating_average REAL CHECK (rating_average BETWEEN 1.0 AND 5.0),
  rating_count INTEGER NOT NULL DEFAULT 0 CHECK (rating_count >= 0),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE TABLE artist_followers (
  id TEXT PRIMARY KEY NOT NULL,
  follower_user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  notify_new_tracks INTEGER NOT NULL DEFAULT 1 CHECK (notify_new_tracks IN (0, 1)),
  source TEXT NOT NULL DEFAULT 'profile' CHECK (source IN ('profile', 'search', 'gig', 'import')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (follower_user_id, artist_id)
);
