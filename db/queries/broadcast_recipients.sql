-- name: members of a contact list who have not unsubscribed from email
-- params: ?1 contact list id, ?2 email of the last member seen

SELECT m.id, m.email, m.name, m.custom_fields
FROM contact_list_members AS m
WHERE m.list_id = ?1 AND m.email > ?2
  AND NOT EXISTS (SELECT 1 FROM unsubscribe_list AS x WHERE x.channel = 'email' AND x.address = m.email)
ORDER BY m.email
LIMIT 500;
