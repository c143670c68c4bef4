-- A hospital's merchant accounts at WeChat Pay. One is in use; what was paid through another goes back through that one.
-- What WeChat must not lose to a stolen database is sealed (crypto/field_encryption.py).
CREATE TABLE wechat_merchants (
    tenant_id           BIGINT NOT NULL,
    mch_id              VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    in_use              TINYINT NULL,  -- 1 or NULL
    version             VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- v3 or v2
    sign_type           VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    key_sealed          VARBINARY(512) NOT NULL,
    serial              VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- of the merchant's own certificate
    private_key_sealed  VARBINARY(8192) NOT NULL,
    certificate         TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- the merchant's own: v2 wants it to refund
    public_keys         TEXT CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- JSON: WeChat's, by their serials
    changed_by          BIGINT NOT NULL,
    changed_at          BIGINT NOT NULL,
    PRIMARY KEY (tenant_id, mch_id),
    UNIQUE KEY used (tenant_id, in_use)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What a booking is charged (收费单), and how that is settled (结算单): by a payment, or, where there is no fee, by none.
CREATE TABLE charges (
    charge_id   BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    book_id     BIGINT NOT NULL,
    user_id     BIGINT NOT NULL,
    pati_id     BIGINT NOT NULL,
    fee         INT NOT NULL,  -- fen
    created_at  BIGINT NOT NULL,
    UNIQUE KEY of_booking (book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

CREATE TABLE settlements (
    settlement_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    charge_id      BIGINT NOT NULL,
    book_id        BIGINT NOT NULL,
    fee            INT NOT NULL,
    payment_id     BIGINT NULL,
    settled_at     BIGINT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE KEY of_charge (charge_id),
    UNIQUE KEY of_booking (book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- An order at WeChat Pay. A booking has one live one; another's money, should it come, goes back.
CREATE TABLE payments (
    payment_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id       BIGINT NOT NULL,
    settlement_id   BIGINT NOT NULL,
    book_id         BIGINT NOT NULL,
    user_id         BIGINT NOT NULL,
    out_trade_no    VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    app_id          VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    mch_id          VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    sign_type       VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    open_id         VARBINARY(128) NOT NULL,
    fee             INT NOT NULL,  -- fen
    state           VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'asked',  -- asked, paid, closed
    live            TINYINT NULL DEFAULT 1,  -- NULL once another took its place, and once closed
    prepay_id       VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    transaction_id  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- WeChat's number, once paid
    expires_at      BIGINT NOT NULL,
    paid_at         BIGINT NULL,
    check_at        BIGINT NOT NULL,  -- when to ask WeChat what has become of it, unless it says so before
    checks          INT NOT NULL DEFAULT 0,
    created_at      BIGINT NOT NULL,
    UNIQUE KEY out_trade_no (out_trade_no),
    UNIQUE KEY of_booking (book_id, live),
    KEY prepaid (tenant_id, user_id, prepay_id),
    KEY due (state, check_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Money on its way back: a payment whole, once.
CREATE TABLE refunds (
    refund_id      BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    payment_id     BIGINT NOT NULL,
    book_id        BIGINT NOT NULL,
    out_refund_no  VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    fee            INT NOT NULL,  -- fen
    reason         VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- patient, stopped, late, twice
    state          VARCHAR(8) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT 'due',  -- due, sent, done, stuck
    wechat_id      VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',
    error          VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- WeChat's last
    done_at        BIGINT NULL,
    check_at       BIGINT NOT NULL,
    checks         INT NOT NULL DEFAULT 0,
    created_at     BIGINT NOT NULL,
    UNIQUE KEY of_payment (payment_id),
    UNIQUE KEY out_refund_no (out_refund_no),
    KEY of_booking (book_id),
    KEY due (state, check_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What became of payments and refunds, in order. Rows are added, never changed.
CREATE TABLE payment_ledger (
    entry_id    BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    payment_id  BIGINT NOT NULL,
    refund_id   BIGINT NULL,
    became      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    told_by     VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- order, notice, query, close, refund, booking
    detail      VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- WeChat's number or error
    at          BIGINT NOT NULL,
    KEY of_payment (tenant_id, payment_id, entry_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
