-- Undoes 0011: only indexes go, newest first. The frequent queries read whole tables again.

DROP INDEX idx_email_delivery_log_event_created_at;

DROP INDEX idx_sms_delivery_queue_pending;

DROP INDEX idx_email_delivery_queue_pending;

DROP INDEX idx_goals_artist_id_status_due_date;

DROP INDEX idx_journal_entries_artist_id_updated_at;

DROP INDEX idx_broadcast_messages_artist_id_updated_at;

DROP INDEX idx_violet_usage_user_id_created_at;

DROP INDEX idx_timeline_entries_artist_id_entry_date;

DROP INDEX idx_reviews_artist_id_status_created_at;

DROP INDEX idx_files_folder_id;

DROP INDEX idx_files_user_id_updated_at;

DROP INDEX idx_messages_sender_user_id;

DROP INDEX idx_messages_unread;

DROP INDEX idx_messages_conversation_id_created_at;

DROP INDEX idx_conversations_participant_2_updated_at;

DROP INDEX idx_conversations_participant_1_updated_at;

DROP INDEX idx_gig_applications_artist_id_updated_at;

DROP INDEX idx_gigs_open_city_starts_at;

DROP INDEX idx_gigs_organizer_user_id_updated_at;

DROP INDEX idx_tracks_published_artist_id_released_at;

DROP INDEX idx_artist_followers_artist_id_created_at;

DROP INDEX idx_artists_public_genre_updated_at;
