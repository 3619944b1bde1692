-- Undoes 0009: the index, then its columns, newest first. DROP COLUMN edits artists in place, so no row of another table is lost.

DROP INDEX idx_artists_onboarding;

ALTER TABLE artists DROP COLUMN onboarding_completed_at;

ALTER TABLE artists DROP COLUMN onboarding_answers;

ALTER TABLE artists DROP COLUMN onboarding_pricing_completed;

ALTER TABLE artists DROP COLUMN onboarding_media_completed;

ALTER TABLE artists DROP COLUMN onboarding_links_completed;

ALTER TABLE artists DROP COLUMN onboarding_identity_completed;

ALTER TABLE artists DROP COLUMN onboarding_step;
