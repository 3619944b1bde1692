-- One row for each run of a scheduled job, looked up by job, newest first.

CREATE TABLE cron_logs (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  job_name TEXT NOT NULL CHECK (length(job_name) BETWEEN 1 AND 80),
  cron_expression TEXT NOT NULL,
  status TEXT NOT NULL DEFAULT 'running' CHECK (status IN ('running', 'succeeded', 'failed', 'skipped')),
  items_processed INTEGER NOT NULL DEFAULT 0 CHECK (items_processed >= 0),
  error_message TEXT,
  details TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(details)),
  colo TEXT,
  duration_ms INTEGER CHECK (duration_ms >= 0),
  started_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
  finished_at TEXT
) STRICT;

CREATE INDEX idx_cron_logs_job_name_started_at ON cron_logs (job_name, started_at DESC);
