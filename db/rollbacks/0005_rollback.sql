-- Undoes 0005: figures, AI usage, lists, broadcasts, journal and goals go. List members before lists.

DROP TABLE goals;

DROP TABLE journal_entries;

DROP TABLE broadcast_messages;

DROP TABLE contact_list_members;

DROP TABLE contact_lists;

DROP TABLE violet_usage;

DROP TABLE daily_metrics;
