-- A hospital's WeChat official account. Its secret is sealed (crypto/field_encryption.py).
CREATE TABLE bas_tenant_wechat_mp (
    tenant_id      BIGINT PRIMARY KEY,
    app_id         VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    secret_sealed  VARBINARY(512) NOT NULL,
    auth_url       VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- where the hospital's pages are
    changed_by     BIGINT NOT NULL,
    changed_at     BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- By what template of the account each kind of message is sent. A kind without a row is not sent.
CREATE TABLE bas_tenant_wechat_template (
    tenant_id       BIGINT NOT NULL,
    wech_temp_type  TINYINT NOT NULL,  -- 0-6, as document 003 has them
    wech_temp_id    VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_by      BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, wech_temp_type)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Files by which WeChat sees that a domain is the hospital's: MP_verify_….txt, served at its root.
CREATE TABLE bas_tenant_wechat_webauth (
    tenant_id    BIGINT NOT NULL,
    file_name    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    content      VARBINARY(1024) NOT NULL,
    uploaded_by  BIGINT NOT NULL,
    uploaded_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, file_name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What a hospital tells everybody who books.
CREATE TABLE service_info (
    tenant_id    BIGINT PRIMARY KEY,
    appo_notice  VARCHAR(2000) NOT NULL,
    phone        VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    changed_by   BIGINT NOT NULL,
    changed_at   BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Sign-ins at WeChat that were begun: each is good for one answer, for the session that began it.
CREATE TABLE wechat_states (
    state_hash  BINARY(32) PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    token_hash  BINARY(32) NOT NULL,
    app_id      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    expires_at  BIGINT NOT NULL,
    KEY expired (expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Who somebody is at WeChat: known for a session, which names the account.
CREATE TABLE wechat_openids (
    token_hash  BINARY(32) PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,
    app_id      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    openid      VARBINARY(128) NOT NULL,
    bound_at    BIGINT NOT NULL,
    KEY of_account (tenant_id, user_id, bound_at),
    KEY of_person (tenant_id, openid)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
