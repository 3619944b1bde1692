-- Undoes 0004: timeline, reviews, quotas, files and folders go (rows only, objects in R2 stay). Files before folders.

DROP TABLE timeline_entries;

DROP TABLE reviews;

DROP TABLE storage_quotas;

DROP TABLE files;

DROP TABLE folders;
