-- What patients can book: a half-day of a doctor, or of a department's general clinic, in numbered slots.
-- A stopped one is live no more, so that another may take its place; it is never deleted.
CREATE TABLE schedules (
    schedule_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id    BIGINT NOT NULL,
    dept_id      BIGINT NOT NULL,
    doctor_id    BIGINT NULL,  -- NULL: the general clinic of the department
    clinic_id    BIGINT NULL,  -- the department again where there is no doctor, for its unique key
    day          DATE NOT NULL,
    half         VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- AM or PM
    type         TINYINT NOT NULL,  -- 0 ordinary, 1 expert
    fee          INT NOT NULL,  -- fen
    area         VARCHAR(64) NOT NULL,  -- where to wait
    begins       TIME NOT NULL,
    ends         TIME NOT NULL,
    slots        SMALLINT NOT NULL,
    pattern_id   BIGINT NULL,  -- what made it; NULL: made by hand
    live         TINYINT NULL DEFAULT 1,  -- NULL once stopped
    stopped_at   BIGINT NULL,
    stopped_by   BIGINT NULL,
    created_by   BIGINT NOT NULL,
    created_at   BIGINT NOT NULL,
    UNIQUE KEY doctors_half_day (tenant_id, doctor_id, day, half, live),
    UNIQUE KEY clinics_half_day (tenant_id, clinic_id, day, half, live),
    UNIQUE KEY patterns_day (pattern_id, day),  -- a day that was stopped or changed is not made again
    KEY offered (tenant_id, dept_id, day)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Schedules that come back each week; some weeks of them are made ahead.
CREATE TABLE schedule_patterns (
    pattern_id  BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id   BIGINT NOT NULL,
    dept_id     BIGINT NOT NULL,
    doctor_id   BIGINT NULL,
    clinic_id   BIGINT NULL,
    weekday     TINYINT NOT NULL,  -- 1 Monday to 7 Sunday
    half        VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    type        TINYINT NOT NULL,
    fee         INT NOT NULL,
    area        VARCHAR(64) NOT NULL,
    begins      TIME NOT NULL,
    ends        TIME NOT NULL,
    slots       SMALLINT NOT NULL,
    live        TINYINT NULL DEFAULT 1,  -- NULL once ended
    created_by  BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    UNIQUE KEY doctors_half_day (tenant_id, doctor_id, weekday, half, live),
    UNIQUE KEY clinics_half_day (tenant_id, clinic_id, weekday, half, live)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- A row sells a slot: the unique keys, and nothing else, keep it from being sold twice. live is NULL once cancelled.
-- What the patient was told when booking (fee, time, area) stays, whatever becomes of the schedule.
CREATE TABLE bookings (
    book_id        BIGINT PRIMARY KEY AUTO_INCREMENT,
    tenant_id      BIGINT NOT NULL,
    schedule_id    BIGINT NOT NULL,
    serial_no      SMALLINT NOT NULL,
    user_id        BIGINT NOT NULL,  -- the account that booked
    member_id      BIGINT NOT NULL,
    pati_id        BIGINT NOT NULL,  -- the person, through whichever account
    dept_id        BIGINT NOT NULL,
    doctor_id      BIGINT NULL,
    day            DATE NOT NULL,
    half           VARCHAR(2) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,
    slot_time      TIME NOT NULL,
    type           TINYINT NOT NULL,
    fee            INT NOT NULL,  -- fen
    area           VARCHAR(64) NOT NULL,
    book_code      CHAR(14) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- date and six digits
    status         TINYINT NOT NULL DEFAULT 0,  -- 0 booked, 1 cancelled, 2 registered, 3 missed
    charge         TINYINT NOT NULL DEFAULT 1,  -- 1 unpaid, 2 paid
    live           TINYINT NULL DEFAULT 1,
    cancelled_for  VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT '',  -- patient, stopped, unpaid
    changed_by     BIGINT NULL,  -- who cancelled or registered it, NULL for a job
    changed_at     BIGINT NOT NULL,
    reminded_at    BIGINT NULL,
    created_at     BIGINT NOT NULL,
    UNIQUE KEY slot (schedule_id, serial_no, live),
    UNIQUE KEY persons_half_day (tenant_id, pati_id, day, half, live),
    UNIQUE KEY persons_doctor (tenant_id, pati_id, doctor_id, day, live),
    UNIQUE KEY book_code (tenant_id, book_code),
    KEY of_account (tenant_id, user_id, book_id),
    KEY of_person (tenant_id, pati_id, status, day),
    KEY of_day (tenant_id, day, doctor_id),
    KEY due (status, day),
    KEY unpaid (tenant_id, status, charge, created_at)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- Paid bookings that were cancelled: the money is to go back.
CREATE TABLE refunds_due (
    book_id     BIGINT PRIMARY KEY,
    tenant_id   BIGINT NOT NULL,
    fee         INT NOT NULL,  -- fen
    reason      VARCHAR(16) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,  -- what it was cancelled for
    created_at  BIGINT NOT NULL,
    KEY listed (tenant_id, book_id)
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;

-- What a hospital decides about booking; one that has no row has the defaults of booking/schedules/rules.py.
CREATE TABLE booking_rules (
    tenant_id       BIGINT PRIMARY KEY,
    days_ahead      SMALLINT NOT NULL,
    cancel_minutes  INT NOT NULL,
    daily_limit     SMALLINT NOT NULL,
    pay_minutes     INT NOT NULL,
    missed_limit    SMALLINT NOT NULL,
    weeks_ahead     SMALLINT NOT NULL,
    changed_by      BIGINT NOT NULL,
    changed_at      BIGINT NOT NULL
) CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;
