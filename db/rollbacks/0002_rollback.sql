-- Undoes 0002: tracks, gigs, applications and saved gigs go. Children before parents.

DROP TABLE gig_favorites;

DROP TABLE gig_applications;

DROP TABLE gigs;

DROP TABLE tracks;
