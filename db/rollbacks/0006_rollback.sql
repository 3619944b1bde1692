-- Undoes 0006: queues, delivery logs and the unsubscribe list go.
-- Without that list people who opted out would be written to again: stop the senders first.

DROP TABLE unsubscribe_list;

DROP TABLE sms_delivery_log;

DROP TABLE email_delivery_log;

DROP TABLE sms_delivery_queue;

DROP TABLE email_delivery_queue;
