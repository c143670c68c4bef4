-- Shared by scripts that compare the version of a conversation's recent-message cache.
--
-- KEYS of every script of this cache: 1 state (hash), 2 messages (sorted set: record by seq), 3 write intents (sorted
-- set: name by second). The state's fields: server, epoch, revision, first_seq (the seq from which the cache was
-- filled), tenant_id, last_seq, changes, verified_at (ms: the last comparison with MySQL), and of each participant
-- read_seq:…, uncounted_after_read:…, hidden_seq:… and verified_at:…
--
-- A version is the server, the epoch (a nonce, set when there is no state) and the revision (incremented by every
-- write), so that no version ever returns: neither after a flush nor with an older replica.
local version_parts = redis.call('HMGET', KEYS[1], 'epoch', 'revision')
local version = version_parts[1] and server .. version_parts[1] .. '.' .. (version_parts[2] or 0)
