-- The conversation log, shared by all chat protocols.

-- The gateway's conversations are of two kinds: `client`, created by a participant and open to everyone who knows the
-- id, and `service`, created by a hospital's own system and open only to the participants that it adds.
CREATE TABLE conversations (
    conversation_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    public_id        VARBINARY(64) NOT NULL,  -- session_no, session_id, conversation_id or sessionId in the API
    kind             VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    type             TINYINT NOT NULL DEFAULT 0,  -- the gateway's conversation_type, 0-15
    last_seq         BIGINT NOT NULL DEFAULT 0,  -- seq of the newest message
    last_tick        BIGINT NOT NULL DEFAULT 0,  -- tick of the newest message; message ids sort in the order of seq
    prev_tick        BIGINT NOT NULL DEFAULT 0,  -- tick of the message before
    changes          BIGINT NOT NULL DEFAULT 0,  -- number of changes to stored messages, such as withdrawals
    tag              INT NOT NULL,  -- the part of message ids that identifies the conversation
    creator          VARBINARY(160) NOT NULL DEFAULT '',  -- principal that created it, '' for the hospital's system
    idempotency_key  VARBINARY(128) NULL,  -- client's key of the request that created it
    request_digest   BINARY(32) NULL,  -- SHA-256 of that request, to detect a key that is reused for another one
    archived_at      BIGINT NULL,
    is_large         TINYINT NOT NULL DEFAULT 0,  -- 1: an outbox job notifies the participants and updates their copies
    created_at       BIGINT NOT NULL,
    UNIQUE KEY public_id (public_id),
    UNIQUE KEY idempotency_key (tenant_id, creator, idempotency_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- A participant's unread count is newest_seq - read_seq - own_after_read - withdrawn_after_read. newest_seq, active_tick and
-- archived are copies of what the conversation's row has, so that lists are read from one index, however long they are: the
-- packet that writes a message updates them, in a large conversation its job (messaging/listings.py).
CREATE TABLE participants (
    conversation_id  BIGINT NOT NULL,
    principal        VARBINARY(160) NOT NULL,
    tenant_id        BIGINT NOT NULL,
    read_seq         BIGINT NOT NULL DEFAULT 0,  -- messages up to this seq are read
    own_after_read   BIGINT NOT NULL DEFAULT 0,  -- number of the participant's own messages after read_seq
    withdrawn_after_read  BIGINT NOT NULL DEFAULT 0,  -- number of others' withdrawn messages after read_seq
    hidden_seq       BIGINT NOT NULL DEFAULT 0,  -- the participant's list omits the conversation while last_seq is at most this; -1 initially, if it shows empty ones
    newest_seq       BIGINT NOT NULL DEFAULT 0,  -- seq of the newest message
    active_tick      BIGINT NOT NULL DEFAULT 0,  -- its tick, or the first one of the moment when the conversation was created
    archived         TINYINT NOT NULL DEFAULT 0,  -- 1: the conversation is archived
    peer_id          BIGINT NULL,  -- user_id of the other person in a conversation of two
    joined_at        BIGINT NOT NULL,
    left_at          BIGINT NULL,
    removed_at       BIGINT NULL,  -- removed by another; can return only if the hospital's system adds them again
    unread           BIGINT AS (GREATEST(newest_seq - read_seq - own_after_read - withdrawn_after_read, 0)) STORED,
    -- The part of the participant's list, by list_states: 0 read, 1 unread, 2 and 3 the same but archived. NULL: not listed.
    list_state       TINYINT AS (
        IF(left_at IS NULL AND (hidden_seq = 0 OR newest_seq > hidden_seq),
           2 * archived + (newest_seq > read_seq + own_after_read + withdrawn_after_read), NULL)
    ) STORED,
    PRIMARY KEY (conversation_id, principal),
    KEY by_principal (tenant_id, principal, left_at, conversation_id),
    KEY by_activity (tenant_id, principal, list_state, active_tick, conversation_id),
    KEY by_peer (tenant_id, principal, peer_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- seq numbers a conversation's messages from 1 without gaps. The message id in all protocols is (tick, tag).
-- The idempotency key is unique for a sender and endpoint, in all conversations: a repeated request stores no second row.
CREATE TABLE messages (
    conversation_id  BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    tenant_id        BIGINT NOT NULL,
    tick             BIGINT NOT NULL,
    tag              INT NOT NULL,
    sender           VARBINARY(160) NOT NULL,  -- principal
    endpoint         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    idempotency_key  VARBINARY(128) NULL,
    type             SMALLINT NOT NULL,  -- 0 text, 1 image; other values are defined by clients
    content          VARCHAR(4000) NOT NULL,
    object_key       VARBINARY(255) NOT NULL DEFAULT '',  -- S3 key of the picture; links are signed when it is read
    status           TINYINT UNSIGNED NOT NULL DEFAULT 0,  -- defined by clients, returned unchanged
    extra            VARCHAR(4000) NOT NULL DEFAULT '',  -- messagecenter fields (title, link, business object), returned unchanged
    sent_at          BIGINT NOT NULL,
    withdrawn_at     BIGINT NULL,  -- the content is kept for audit and no longer returned
    PRIMARY KEY (conversation_id, seq),
    CONSTRAINT seq_is_positive CHECK (seq > 0),
    UNIQUE KEY message_id (tick, tag),
    UNIQUE KEY idempotency_key (tenant_id, sender, endpoint, idempotency_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Who has withdrawn a message, and why. A table of its own, because messages are many and withdrawals few.
CREATE TABLE withdrawals (
    withdrawal_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    conversation_id  BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    withdrawn_by     VARBINARY(160) NOT NULL,  -- principal
    reason           VARCHAR(255) NOT NULL,  -- '' if none was given
    at               BIGINT NOT NULL,
    UNIQUE KEY message (conversation_id, seq),
    KEY by_tenant (tenant_id, withdrawal_id),
    KEY by_person (tenant_id, withdrawn_by, withdrawal_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Open WebSocket connections. Rows of connections that closed without notice are deleted when a push fails or with age.
CREATE TABLE sockets (
    connection_id  VARBINARY(64) PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    principal      VARBINARY(160) NOT NULL,
    token_hash     BINARY(32) NOT NULL,
    events         TINYINT NOT NULL,  -- 1: receives events other than messages, too
    opened_at      BIGINT NOT NULL,
    KEY by_principal (tenant_id, principal),
    KEY by_age (opened_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
