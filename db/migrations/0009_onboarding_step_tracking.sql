-- Where each artist stands in the onboarding, step by step. The index finds those who stopped half way.

ALTER TABLE artists ADD COLUMN onboarding_step INTEGER NOT NULL DEFAULT 1 CHECK (onboarding_step BETWEEN 1 AND 5);

ALTER TABLE artists ADD COLUMN onboarding_identity_completed INTEGER NOT NULL DEFAULT 0 CHECK (onboarding_identity_completed IN (0, 1));

ALTER TABLE artists ADD COLUMN onboarding_links_completed INTEGER NOT NULL DEFAULT 0 CHECK (onboarding_links_completed IN (0, 1));

ALTER TABLE artists ADD COLUMN onboarding_media_completed INTEGER NOT NULL DEFAULT 0 CHECK (onboarding_media_completed IN (0, 1));

ALTER TABLE artists ADD COLUMN onboarding_pricing_completed INTEGER NOT NULL DEFAULT 0 CHECK (onboarding_pricing_completed IN (0, 1));

ALTER TABLE artists ADD COLUMN onboarding_answers TEXT NOT NULL DEFAULT '{}' CHECK (json_valid(onboarding_answers));

ALTER TABLE artists ADD COLUMN onboarding_completed_at TEXT;

CREATE INDEX idx_artists_onboarding ON artists (onboarding_step, updated_at) WHERE onboarding_completed_at IS NULL;
