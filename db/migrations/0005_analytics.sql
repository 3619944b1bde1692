-- Figures of an artist by day, use of Violet (the AI assistant), mailing lists, broadcasts, journal and goals.
-- A broadcast goes to several lists, so it names them in a JSON array.

CREATE TABLE daily_metrics (
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  metric_date TEXT NOT NULL CHECK (metric_date GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  profile_views INTEGER NOT NULL DEFAULT 0 CHECK (profile_views >= 0),
  track_plays INTEGER NOT NULL DEFAULT 0 CHECK (track_plays >= 0),
  listening_seconds REAL NOT NULL DEFAULT 0.0 CHECK (listening_seconds >= 0.0),
  new_followers INTEGER NOT NULL DEFAULT 0 CHECK (new_followers >= 0),
  gigs_completed INTEGER NOT NULL DEFAULT 0 CHECK (gigs_completed >= 0),
  revenue_cents INTEGER NOT NULL DEFAULT 0,
  sources TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(sources)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  PRIMARY KEY (artist_id, metric_date)
) STRICT;

CREATE TABLE violet_usage (
  id TEXT PRIMARY KEY NOT NULL,
  user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  feature TEXT NOT NULL CHECK (feature IN ('bio', 'pitch', 'reply', 'caption', 'plan')),
  model TEXT NOT NULL,
  prompt_tokens INTEGER NOT NULL DEFAULT 0 CHECK (prompt_tokens >= 0),
  completion_tokens INTEGER NOT NULL DEFAULT 0 CHECK (completion_tokens >= 0),
  cost_microusd INTEGER NOT NULL DEFAULT 0 CHECK (cost_microusd >= 0),
  latency_ms INTEGER CHECK (latency_ms >= 0),
  request TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(request)),
  outcome TEXT NOT NULL DEFAULT 'ok' CHECK (outcome IN ('ok', 'refused', 'error')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

CREATE TABLE contact_lists (
  id TEXT PRIMARY KEY NOT NULL,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND 120),
  description TEXT,
  filters TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(filters)),
  is_default INTEGER NOT NULL DEFAULT 0 CHECK (is_default IN (0, 1)),
  member_count INTEGER NOT NULL DEFAULT 0 CHECK (member_count >= 0),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (artist_id, name)
);

CREATE TABLE contact_list_members (
  id TEXT PRIMARY KEY NOT NULL,
  list_id TEXT NOT NULL REFERENCES contact_lists (id) ON DELETE CASCADE,
  email TEXT COLLATE NOCASE,
  phone TEXT,
  name TEXT,
  custom_fields TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(custom_fields)),
  source TEXT NOT NULL DEFAULT 'manual' CHECK (source IN ('manual', 'import', 'signup_form', 'purchase')),
  consented_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (list_id, email),
  UNIQUE (list_id, phone),
  CHECK (email IS NOT NULL OR phone IS NOT NULL)
);

CREATE TABLE broadcast_messages (
  id TEXT PRIMARY KEY NOT NULL,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
  subject TEXT,
  body TEXT NOT NULL,
  list_ids TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(list_ids)),
  status TEXT NOT NULL DEFAULT 'draft' CHECK (status IN ('draft', 'scheduled', 'sending', 'sent', 'cancelled')),
  recipient_count INTEGER NOT NULL DEFAULT 0 CHECK (recipient_count >= 0),
  scheduled_at TEXT,
  sent_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  CHECK (channel <> 'email' OR subject IS NOT NULL)
);

CREATE TABLE journal_entries (
  id TEXT PRIMARY KEY NOT NULL,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  title TEXT,
  blocks TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(blocks)),
  mood TEXT CHECK (mood IN ('great', 'good', 'neutral', 'low', 'bad')),
  is_private INTEGER NOT NULL DEFAULT 1 CHECK (is_private IN (0, 1)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE TABLE goals (
  id TEXT PRIMARY KEY NOT NULL,
  artist_id TEXT NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  title TEXT NOT NULL CHECK (length(title) BETWEEN 1 AND 200),
  metric TEXT NOT NULL CHECK (metric IN ('followers', 'plays', 'gigs', 'revenue', 'releases', 'custom')),
  target_value REAL NOT NULL CHECK (target_value > 0.0),
  current_value REAL NOT NULL DEFAULT 0.0,
  unit TEXT,
  status TEXT NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'reached', 'missed', 'dropped')),
  due_date TEXT CHECK (due_date GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]'),
  reached_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
