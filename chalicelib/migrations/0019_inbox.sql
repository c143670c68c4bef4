-- Site messages (站内消息): a text once, however many it is for.
CREATE TABLE site_messages (
    message_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    sender      VARBINARY(160) NOT NULL,  -- user:12, service (the hospital's own system) or system (ourselves)
    retry_key   VARBINARY(128) NULL,  -- what the sender names it by, so that it is sent once
    text        VARCHAR(4000) NOT NULL,
    receivers   INT NOT NULL,  -- how many it is for
    sent_at     BIGINT NOT NULL,
    UNIQUE KEY resend (tenant_id, sender, retry_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A row for each of those a message is for: the only place where they are found. by_state also counts the unread.
CREATE TABLE site_deliveries (
    tenant_id   BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,
    message_id  BIGINT NOT NULL,
    is_read     TINYINT NOT NULL DEFAULT 0,
    read_at     BIGINT NULL,  -- for the first time
    PRIMARY KEY (tenant_id, user_id, message_id),
    KEY by_state (tenant_id, user_id, is_read, message_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
