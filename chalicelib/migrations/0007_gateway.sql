-- What the IM gateway needs of the log. Its conversations are of two kinds: `client`, made by a participant and open
-- to whoever knows the id, and `service`, made by a hospital's own system and open to those whom it seats.
ALTER TABLE conversations
    ADD COLUMN creator VARBINARY(160) NOT NULL DEFAULT '',  -- the participant who made it, '' for the hospital itself
    ADD COLUMN retry_key VARBINARY(128) NULL,               -- making it again under this key makes no second one
    ADD COLUMN made_of BINARY(32) NULL,                     -- a digest of what was asked for under that key
    ADD UNIQUE KEY resend (tenant_id, creator, retry_key);

ALTER TABLE participants
    ADD COLUMN kicked_at BIGINT NULL;  -- was put out, and comes back only where the hospital seats them again

ALTER TABLE messages
    ADD COLUMN status TINYINT UNSIGNED NOT NULL DEFAULT 0;  -- the clients' own, kept and returned
