-- WeChat official accounts: configuration, and the openids of users.
-- Document 003 prescribes the names bas_tenant_wechat_mp, bas_tenant_wechat_template and bas_tenant_wechat_webauth.

-- A hospital's official account.
CREATE TABLE bas_tenant_wechat_mp (
    tenant_id      BIGINT PRIMARY KEY,
    app_id         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    secret_sealed  VARBINARY(512) NOT NULL,  -- encrypted
    auth_url       VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- base URL of the hospital's pages
    changed_by     BIGINT NOT NULL,  -- user_id
    changed_at     BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The account's message template for each kind of message. A kind without a row is not sent.
CREATE TABLE bas_tenant_wechat_template (
    tenant_id       BIGINT NOT NULL,
    wech_temp_type  TINYINT NOT NULL,  -- the kind: 0-6, defined in document 003
    wech_temp_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_by      BIGINT NOT NULL,  -- user_id
    changed_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, wech_temp_type)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Domain verification files (MP_verify_….txt), served at the root of the hospital's domain.
CREATE TABLE bas_tenant_wechat_webauth (
    tenant_id    BIGINT NOT NULL,
    file_name    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    content      VARBINARY(1024) NOT NULL,
    uploaded_by  BIGINT NOT NULL,  -- user_id
    uploaded_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, file_name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- How WeChat calls us when something happens at the account: the values that the admin enters at WeChat, too. Until WeChat
-- has called with them, they count as not set up.
CREATE TABLE wechat_callback_settings (
    tenant_id     BIGINT PRIMARY KEY,
    token_sealed  VARBINARY(512) NOT NULL,  -- encrypted
    key_sealed    VARBINARY(512) NULL,  -- EncodingAESKey, encrypted; NULL for plain mode
    verified_at   BIGINT NULL,  -- when WeChat first called with these values
    changed_by    BIGINT NOT NULL,  -- user_id
    changed_at    BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Calls of WeChat that have taken effect, so that neither its repetitions nor a replay by others does again.
CREATE TABLE wechat_callbacks (
    tenant_id     BIGINT NOT NULL,
    content_hash  BINARY(32) NOT NULL,  -- of the message
    nonce_hash    BINARY(32) NOT NULL,  -- of timestamp and nonce: in plain mode they are all that WeChat signs
    received_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, content_hash),
    UNIQUE KEY nonce (tenant_id, nonce_hash),
    KEY by_age (received_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- What became of messages, by the number that WeChat gave them. Its report may come before we have stored the number.
CREATE TABLE wechat_receipts (
    tenant_id        BIGINT NOT NULL,
    msg_id           BIGINT NOT NULL,
    notification_id  BIGINT NULL,  -- NULL for what another system sent, or until it is stored
    succeeded        BOOLEAN NULL,  -- NULL until WeChat reports it
    created_at       BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, msg_id),
    KEY by_age (created_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The account's subscription template for each kind of message, which is used while the user has a credit for it.
CREATE TABLE wechat_subscription_templates (
    tenant_id       BIGINT NOT NULL,
    wech_temp_type  TINYINT NOT NULL,  -- the kind, as in bas_tenant_wechat_template
    wech_temp_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_by      BIGINT NOT NULL,  -- user_id
    changed_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, wech_temp_type)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Consents of users to one subscription message each.
CREATE TABLE wechat_subscription_credits (
    tenant_id    BIGINT NOT NULL,
    openid       VARBINARY(128) NOT NULL,
    template_id  VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    credits      INT NOT NULL,
    changed_at   BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, openid, template_id),
    KEY by_age (changed_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Messages for which a credit was used: WeChat may have accepted them. It does not recognize a repeated one itself.
CREATE TABLE wechat_subscription_uses (
    tenant_id    BIGINT NOT NULL,
    message_key  VARBINARY(160) NOT NULL,
    used_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, message_key),
    KEY by_age (used_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- OAuth `state` values. Each can be used once, by the session that requested it.
CREATE TABLE wechat_states (
    state_hash  BINARY(32) PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    token_hash  BINARY(32) NOT NULL,  -- the session
    app_id      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expires_at  BIGINT NOT NULL,
    KEY by_expiry (expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- The openid bound to a session, and through the session to an account.
CREATE TABLE wechat_openids (
    token_hash  BINARY(32) PRIMARY KEY,  -- the session
    tenant_id   BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,
    app_id      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    openid      VARBINARY(128) NOT NULL,
    key_id      BIGINT NULL,  -- the internal key that has begun the session; the row is deleted with its revocation
    bound_at    BIGINT NOT NULL,
    unfollowed_at  BIGINT NULL,  -- when WeChat reported that the user does not follow the account any more
    KEY by_account (tenant_id, user_id, bound_at),
    KEY by_openid (tenant_id, openid),
    KEY by_key (key_id),
    KEY by_age (bound_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
