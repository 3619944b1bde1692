-- Undoes 0010: the record of scheduled runs goes, its index with it.

DROP TABLE cron_logs;
