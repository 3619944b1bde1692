-- The one foreign key that 0011 left without an index: deleting a user read every review.

CREATE INDEX idx_reviews_reviewer_user_id ON reviews (reviewer_user_id);
