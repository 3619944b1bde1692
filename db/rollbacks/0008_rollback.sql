-- Undoes 0008: the reference tables and their rows go. Nothing references them.

DROP TABLE system_config;

DROP TABLE tags;

DROP TABLE genres;
