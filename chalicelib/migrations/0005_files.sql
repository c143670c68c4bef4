-- Uploads and the files they become. A row without object_key waits for its upload; a day later it goes.
-- What was uploaded is copied when it is confirmed, because its form can be posted again for a while.
CREATE TABLE files (
    file_id       BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id     BIGINT NOT NULL,
    uploader      VARBINARY(160) NOT NULL,  -- the principal who asked for the form
    place         VARBINARY(64) NOT NULL,  -- what it is for: a conversation's public id
    extension     VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    smallest      BIGINT NOT NULL,  -- bytes that the form allows
    largest       BIGINT NOT NULL,
    upload_key    VARBINARY(255) NOT NULL,
    object_key    VARBINARY(255) NULL,  -- the copy that links point to; NULL until confirmed
    size          BIGINT NULL,
    created_at    BIGINT NOT NULL,
    confirmed_at  BIGINT NULL,
    swept_at      BIGINT NULL,  -- when the uploaded object went
    UNIQUE KEY upload_key (upload_key),
    KEY unswept (swept_at, created_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
