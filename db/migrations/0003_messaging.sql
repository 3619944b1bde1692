-- Direct messages. A pair of users has one conversation: the smaller user id is participant 1.

CREATE TABLE conversations (
  id TEXT PRIMARY KEY NOT NULL,
  participant_1_user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  participant_2_user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  subject TEXT,
  last_message_preview TEXT CHECK (length(last_message_preview) <= 200),
  participant_1_archived INTEGER NOT NULL DEFAULT 0 CHECK (participant_1_archived IN (0, 1)),
  participant_2_archived INTEGER NOT NULL DEFAULT 0 CHECK (participant_2_archived IN (0, 1)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (participant_1_user_id, participant_2_user_id),
  CHECK (participant_1_user_id < participant_2_user_id)
);

CREATE TABLE messages (
  id TEXT PRIMARY KEY NOT NULL,
  conversation_id TEXT NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
  sender_user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
  kind TEXT NOT NULL DEFAULT 'text' CHECK (kind IN ('text', 'offer', 'file', 'system')),
  body TEXT NOT NULL CHECK (length(body) <= 10000),
  attachments TEXT NOT NULL DEFAULT '[]' CHECK (json_valid(attachments)),
  read_at TEXT,
  edited_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);
