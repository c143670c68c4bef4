-- Tenants, and the people in them. Instants are UTC microseconds; birthdays and dates are civil, never converted.
-- Every table carries tenant_id, and no query joins across tenants, so that a tenant can move to another database.

CREATE TABLE tenants (
    tenant_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    name         VARCHAR(64) NOT NULL,
    external_id  VARBINARY(64) NULL,  -- what the hospital's own systems call it (entId)
    created_at   BIGINT NOT NULL,
    UNIQUE KEY external_id (external_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A visitor without a token belongs to the tenant whose host was asked.
CREATE TABLE tenant_hosts (
    host       VARBINARY(255) PRIMARY KEY,
    tenant_id  BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- One number space: a user_id names one person, patient or staff.
CREATE TABLE people (
    user_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    kind        VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- patient or staff
    created_at  BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE accounts (
    user_id        BIGINT PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    phone          CHAR(11) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_hash  VARBINARY(255) NOT NULL,
    photo_key      VARBINARY(255) NOT NULL DEFAULT '',  -- the avatar's object
    created_at     BIGINT NOT NULL,
    UNIQUE KEY phone (tenant_id, phone)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- 就诊人: the people an account asks and books for, itself among them.
CREATE TABLE members (
    member_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id     BIGINT NOT NULL,
    user_id       BIGINT NOT NULL,
    name          VARCHAR(64) NOT NULL,
    gender        TINYINT NOT NULL DEFAULT 0,  -- 0 unknown, 1 male, 2 female, 9 unspecified
    birthday      DATE NULL,
    phone         VARCHAR(20) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    cont_relation TINYINT NOT NULL DEFAULT 1,  -- 1 self, 2 spouse, 3 parent, 4 child, 5 other kin, 9 other
    is_default    TINYINT NOT NULL DEFAULT 0,
    created_at    BIGINT NOT NULL,
    KEY account (user_id, member_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE departments (
    dept_id     BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    name        VARCHAR(64) NOT NULL,
    sort        INT NOT NULL DEFAULT 0,
    created_at  BIGINT NOT NULL,
    UNIQUE KEY name (tenant_id, name)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE staff (
    user_id        BIGINT PRIMARY KEY,
    tenant_id      BIGINT NOT NULL,
    role           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- doctor, service_staff or admin
    phone          CHAR(11) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    password_hash  VARBINARY(255) NOT NULL,
    name           VARCHAR(64) NOT NULL,
    disabled_at    BIGINT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE KEY phone (tenant_id, phone)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What a doctor shows to patients; one row for each member of staff whose role is doctor.
CREATE TABLE doctors (
    user_id       BIGINT PRIMARY KEY,
    tenant_id     BIGINT NOT NULL,
    dept_id       BIGINT NULL,
    duty_code     VARCHAR(1) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- 0-4, '' unknown
    photo_key     VARBINARY(255) NOT NULL DEFAULT '',
    expert        VARCHAR(255) NOT NULL DEFAULT '',
    introduction  TEXT NOT NULL,
    sort          INT NOT NULL DEFAULT 0,
    KEY listed (tenant_id, sort, user_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
