-- Outgoing email and SMS: what is to be sent, what became of it, and who asked for no more.
-- No foreign keys here: recipients are copied by value, and the logs and opt-outs outlive the people who caused them.

CREATE TABLE email_delivery_queue (
  id TEXT PRIMARY KEY NOT NULL,
  broadcast_id TEXT,
  recipient_email TEXT NOT NULL COLLATE NOCASE,
  recipient_name TEXT,
  subject TEXT NOT NULL,
  body_html TEXT NOT NULL,
  body_text TEXT,
  template_data TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(template_data)),
  priority INTEGER NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 9),
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  max_attempts INTEGER NOT NULL DEFAULT 5 CHECK (max_attempts > 0),
  last_error TEXT,
  locked_until TEXT,
  scheduled_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  sent_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  CHECK (attempts <= max_attempts)
);

CREATE TABLE sms_delivery_queue (
  id TEXT PRIMARY KEY NOT NULL,
  broadcast_id TEXT,
  recipient_phone TEXT NOT NULL CHECK (recipient_phone GLOB '+[1-9]*'),
  body TEXT NOT NULL CHECK (length(body) <= 1600),
  segments INTEGER NOT NULL DEFAULT 1 CHECK (segments BETWEEN 1 AND 10),
  priority INTEGER NOT NULL DEFAULT 5 CHECK (priority BETWEEN 1 AND 9),
  status TEXT NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'sent', 'failed', 'cancelled')),
  attempts INTEGER NOT NULL DEFAULT 0 CHECK (attempts >= 0),
  max_attempts INTEGER NOT NULL DEFAULT 3 CHECK (max_attempts > 0),
  last_error TEXT,
  locked_until TEXT,
  scheduled_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  sent_at TEXT,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  updated_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  CHECK (attempts <= max_attempts)
);

CREATE TABLE email_delivery_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  queue_id TEXT NOT NULL,
  broadcast_id TEXT,
  recipient_email TEXT NOT NULL COLLATE NOCASE,
  provider TEXT NOT NULL DEFAULT 'resend',
  provider_message_id TEXT,
  event TEXT NOT NULL CHECK (event IN ('sent', 'delivered', 'opened', 'clicked', 'bounced', 'complained', 'failed')),
  response TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(response)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE TABLE sms_delivery_log (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  queue_id TEXT NOT NULL,
  broadcast_id TEXT,
  recipient_phone TEXT NOT NULL,
  provider TEXT NOT NULL DEFAULT 'twilio',
  provider_message_id TEXT,
  event TEXT NOT NULL CHECK (event IN ('sent', 'delivered', 'undelivered', 'failed')),
  cost_microusd INTEGER CHECK (cost_microusd >= 0),
  response TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(response)),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
);

CREATE TABLE unsubscribe_list (
  id TEXT PRIMARY KEY NOT NULL,
  channel TEXT NOT NULL CHECK (channel IN ('email', 'sms')),
  address TEXT NOT NULL COLLATE NOCASE,
  reason TEXT,
  source TEXT NOT NULL DEFAULT 'link' CHECK (source IN ('link', 'reply', 'complaint', 'admin')),
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  UNIQUE (channel, address)
);
