-- Undoes 0001: every account and artist profile goes. Children before parents.

DROP TABLE artist_followers;

DROP TABLE artists;

DROP TABLE users;
