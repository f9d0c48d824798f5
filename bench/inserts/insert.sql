INSERT INTO inserts (client, payload) VALUES (:client_id, repeat('x', 200));
