-- Site messages (站内消息): a text is stored once for all its recipients.
CREATE TABLE site_messages (
    message_id       BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id        BIGINT NOT NULL,
    sender           VARBINARY(160) NOT NULL,  -- user:12, service (the hospital's own system) or system (this backend)
    doctor_id        BIGINT NULL,  -- the doctor who wrote it, NULL for one in the hospital's name
    idempotency_key  VARBINARY(128) NULL,  -- unique for a sender
    text             VARCHAR(4000) NOT NULL,
    recipients       INT NOT NULL,  -- their number
    sent_at          BIGINT NOT NULL,
    UNIQUE KEY idempotency_key (tenant_id, sender, idempotency_key)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- One row for each recipient of a message. The index by_state also serves unread counts.
CREATE TABLE site_deliveries (
    tenant_id   BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,
    message_id  BIGINT NOT NULL,
    is_read     TINYINT NOT NULL DEFAULT 0,  -- 0 or 1
    read_at     BIGINT NULL,  -- when it was first read
    PRIMARY KEY (tenant_id, user_id, message_id),
    KEY by_state (tenant_id, user_id, is_read, message_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
