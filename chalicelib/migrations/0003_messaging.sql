-- The conversation log under every chat protocol.
CREATE TABLE conversations (
    conversation_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    public_id        VARBINARY(64) NOT NULL,  -- session_no, session_id, conversation_id, sessionId on the wire
    kind             VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- consult, desk, direct, group, client
    type             TINYINT NOT NULL DEFAULT 0,  -- the gateway's conversation_type, 0-15
    last_seq         BIGINT NOT NULL DEFAULT 0,
    last_tick        BIGINT NOT NULL DEFAULT 0,  -- of the newest message: ids sort in the order of seq
    prev_tick        BIGINT NOT NULL DEFAULT 0,  -- of the one before
    changes          BIGINT NOT NULL DEFAULT 0,  -- to messages that were there already
    tag              INT NOT NULL,  -- what the conversation gives to the ids of its messages
    archived_at      BIGINT NULL,
    created_at       BIGINT NOT NULL,
    UNIQUE KEY public_id (public_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE participants (
    conversation_id  BIGINT NOT NULL,
    principal        VARBINARY(160) NOT NULL,
    tenant_id        BIGINT NOT NULL,
    read_seq         BIGINT NOT NULL DEFAULT 0,  -- has read up to here
    own_since        BIGINT NOT NULL DEFAULT 0,  -- own messages after read_seq, which nobody has to read
    hidden_seq       BIGINT NOT NULL DEFAULT 0,  -- the entry is off this side's list until a later message
    joined_at        BIGINT NOT NULL,
    left_at          BIGINT NULL,
    PRIMARY KEY (conversation_id, principal),
    KEY joined (tenant_id, principal, conversation_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- seq has no gaps inside a conversation. (tick, tag) is the message id that all protocols show.
-- retry_key makes a resend harmless: one row for each (sender, endpoint, key), whatever conversation it names.
CREATE TABLE messages (
    conversation_id  BIGINT NOT NULL,
    seq              BIGINT NOT NULL,
    tenant_id        BIGINT NOT NULL,
    tick             BIGINT NOT NULL,
    tag              INT NOT NULL,
    sender           VARBINARY(160) NOT NULL,
    endpoint         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    retry_key        VARBINARY(128) NULL,
    type             SMALLINT NOT NULL,  -- 0 text, 1 image, others are the clients' own
    content          VARCHAR(4000) NOT NULL,
    object_key       VARBINARY(255) NOT NULL DEFAULT '',  -- the picture's object; links are signed when read
    sent_at          BIGINT NOT NULL,
    withdrawn_at     BIGINT NULL,  -- the text stays for audit, and is served to nobody
    PRIMARY KEY (conversation_id, seq),
    UNIQUE KEY message_id (tick, tag),
    UNIQUE KEY resend (tenant_id, sender, endpoint, retry_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
