-- Undoes 0012: only the index goes. Deleting a user reads every review again.

DROP INDEX idx_reviews_reviewer_user_id;
