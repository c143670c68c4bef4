-- What identity/cleanup.py finds its rows by.
ALTER TABLE tokens ADD KEY expired (expires_at);
ALTER TABLE attempts ADD KEY old (since);
