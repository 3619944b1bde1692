-- Undoes 0003: every conversation goes. Messages first, they reference conversations.

DROP TABLE messages;

DROP TABLE conversations;
