-- Indexes for the frequent queries (db/queries), most of which also serve a foreign key.
-- Only columns of 0001 to 0006 are indexed here, so that each later migration can be rolled back alone.

CREATE INDEX idx_artists_public_genre_updated_at ON artists (primary_genre, updated_at DESC) WHERE is_public = 1;

CREATE INDEX idx_artist_followers_artist_id_created_at ON artist_followers (artist_id, created_at DESC);

CREATE INDEX idx_tracks_published_artist_id_released_at ON tracks (artist_id, released_at DESC) WHERE status = 'published';

CREATE INDEX idx_gigs_organizer_user_id_updated_at ON gigs (organizer_user_id, updated_at DESC);

CREATE INDEX idx_gigs_open_city_starts_at ON gigs (city, starts_at) WHERE status = 'open';

CREATE INDEX idx_gig_applications_artist_id_updated_at ON gig_applications (artist_id, updated_at DESC);

CREATE INDEX idx_conversations_participant_1_updated_at ON conversations (participant_1_user_id, updated_at DESC);

CREATE INDEX idx_conversations_participant_2_updated_at ON conversations (participant_2_user_id, updated_at DESC);

CREATE INDEX idx_messages_conversation_id_created_at ON messages (conversation_id, created_at DESC);

CREATE INDEX idx_messages_unread ON messages (conversation_id, sender_user_id, created_at) WHERE read_at IS NULL;

CREATE INDEX idx_messages_sender_user_id ON messages (sender_user_id);

CREATE INDEX idx_files_user_id_updated_at ON files (user_id, updated_at DESC);

CREATE INDEX idx_files_folder_id ON files (folder_id);

CREATE INDEX idx_reviews_artist_id_status_created_at ON reviews (artist_id, status, created_at DESC);

CREATE INDEX idx_timeline_entries_artist_id_entry_date ON timeline_entries (artist_id, entry_date DESC);

CREATE INDEX idx_violet_usage_user_id_created_at ON violet_usage (user_id, created_at);

CREATE INDEX idx_broadcast_messages_artist_id_updated_at ON broadcast_messages (artist_id, updated_at DESC);

CREATE INDEX idx_journal_entries_artist_id_updated_at ON journal_entries (artist_id, updated_at DESC);

CREATE INDEX idx_goals_artist_id_status_due_date ON goals (artist_id, status, due_date);

CREATE INDEX idx_email_delivery_queue_pending ON email_delivery_queue (scheduled_at) WHERE status = 'pending';

CREATE INDEX idx_sms_delivery_queue_pending ON sms_delivery_queue (scheduled_at) WHERE status = 'pending';

CREATE INDEX idx_email_delivery_log_event_created_at ON email_delivery_log (event, created_at);
