-- Authentication: access tokens, keys of hospital systems, rate limits and verification codes.

-- Access tokens, stored as hashes only.
CREATE TABLE tokens (
    token_hash  BINARY(32) PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    principal   VARBINARY(160) NOT NULL,  -- who the token authenticates: user:12 or session:abc
    role        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- at sign-in; the present role of staff is in staff
    platform    INT NOT NULL,
    is_limited  BOOLEAN NOT NULL DEFAULT 0,  -- whether the session may only confirm an identity or set up a second factor
    key_id      BIGINT NULL,  -- internal key that issued the token, NULL after a sign-in
    device      VARCHAR(255) NOT NULL DEFAULT '',  -- User-Agent of the sign-in
    address     VARBINARY(64) NOT NULL DEFAULT '',  -- IP address of the sign-in
    created_at  BIGINT NOT NULL,
    last_used_at  BIGINT NOT NULL DEFAULT 0,  -- within a minute; sessions of staff end if they are not used
    expires_at  BIGINT NOT NULL,
    revoked_at  BIGINT NULL,
    KEY by_key (key_id),
    KEY by_principal (tenant_id, principal),
    KEY by_expiry (expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- API keys of a hospital's own systems, stored as hashes only. Two may be valid at once, for rotation.
CREATE TABLE internal_keys (
    key_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    key_hash    BINARY(32) NOT NULL,
    tenant_id   BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    revoked_at  BIGINT NULL,
    UNIQUE KEY key_hash (key_hash),
    KEY by_tenant (tenant_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Failed attempts to guess a password, a code or a visit card; those to guess one SMS code are counted in codes too. Stored
-- in MySQL so that flushing Redis does not reset the counters.
CREATE TABLE attempts (
    tenant_id       BIGINT NOT NULL,
    subject         VARBINARY(255) NOT NULL,  -- what is counted: KIND:PHONE:NETWORK and parts of it (the phone's blind index, in hex), or verify:USER_ID
    failures        INT NOT NULL,
    last_failed_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, subject),
    KEY by_last_failure (last_failed_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Networks from which somebody has proven to have a phone and what belongs to it: signed in, or entered a code by SMS.
-- Limits that strangers can exhaust do not apply there. At most 20 for a phone (identity/known_networks.py).
CREATE TABLE known_networks (
    tenant_id    BIGINT NOT NULL,
    kind         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- patient or staff
    phone_blind  BINARY(32) NOT NULL,  -- blind index of the phone
    network      VARBINARY(64) NOT NULL,  -- an IPv4 address, or the /64 of an IPv6 address
    known_until  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, kind, phone_blind, network),
    KEY by_end (known_until)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Quotas that come back continuously (identity/quotas.py).
CREATE TABLE quotas (
    tenant_id  BIGINT NOT NULL,  -- 0 for what all hospitals share
    subject    VARBINARY(255) NOT NULL,
    full_at    BIGINT NOT NULL,  -- when all that was used will have come back
    PRIMARY KEY (tenant_id, subject),
    KEY by_end (full_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Verification codes, stored as keyed hashes: the latest one for each subject, purpose and network, and earlier ones until
-- the SMS provider has accepted it. Used codes stay until they have expired. The subject is the blind index of a phone, or
-- a keyed hash of what is verified by a code to a phone that only the job determines (identity/sms_codes.py).
CREATE TABLE codes (
    tenant_id   BIGINT NOT NULL,
    subject     BINARY(32) NOT NULL,
    purpose     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    request_id  BIGINT NOT NULL,  -- of code_requests
    network     VARBINARY(64) NOT NULL,  -- which requested it
    code_hash   BINARY(32) NOT NULL,
    attempts    INT NOT NULL DEFAULT 0,  -- how often a code from this network was compared with this one
    other_attempts  INT NOT NULL DEFAULT 0,  -- the same from all other networks together
    is_used     BOOLEAN NOT NULL DEFAULT 0,
    expires_at  BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, subject, purpose, request_id),
    KEY by_expiry (expires_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Accepted requests for a verification code; the limits of sending codes count these rows. Those that are charged have sent
-- an SMS, or will.
CREATE TABLE code_requests (
    request_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id     BIGINT NOT NULL,
    subject       BINARY(32) NOT NULL,  -- as codes.subject
    purpose       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    network       VARBINARY(64) NOT NULL,  -- as known_networks.network
    phone_blind   BINARY(32) NULL,  -- blind index of the phone; NULL until a job has determined it, and if it has none
    budget        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- of the hospital: identity/code_store.py, Budget
    is_charged    BOOLEAN NOT NULL,  -- whether the budget has been charged
    requested_at  BIGINT NOT NULL,
    KEY by_subject (tenant_id, subject, requested_at),
    KEY by_phone (tenant_id, phone_blind, requested_at),
    KEY by_tenant (tenant_id, is_charged, requested_at, budget),
    KEY by_age (requested_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;

-- Audit log of what staff, owners of files and a hospital's own systems did. Rows are only added. Reading and changing
-- patient files is in patient_access.
CREATE TABLE audit_log (
    entry_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id  BIGINT NOT NULL,
    actor      VARBINARY(160) NOT NULL,  -- principal, '' for a job
    key_id     BIGINT NULL,  -- internal key that acted for the principal, or issued the token
    action     VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- see audit/audit_log.py
    subject    VARBINARY(160) NOT NULL,  -- what it was done to: patient:7, user:12, message:…
    reason     VARCHAR(255) NOT NULL DEFAULT '',
    detail     VARCHAR(1000) NOT NULL DEFAULT '',  -- JSON; contains no names, phones or document numbers
    address    VARBINARY(64) NOT NULL DEFAULT '',  -- IP address of the request, '' for a job
    at         BIGINT NOT NULL,
    KEY by_tenant (tenant_id, entry_id),
    KEY by_subject (tenant_id, subject, entry_id),
    KEY by_actor (tenant_id, actor, entry_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_520_ci;
