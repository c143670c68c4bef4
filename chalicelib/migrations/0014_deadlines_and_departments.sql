-- Until when a booking is to be paid, by the rules it was made under: what a hospital demands later is for later ones.
-- NULL: it is not released.
ALTER TABLE bookings
    ADD COLUMN pay_by BIGINT NULL AFTER charge,
    DROP KEY unpaid,
    ADD KEY unpaid (status, charge, pay_by);

UPDATE bookings b JOIN booking_rules r ON r.tenant_id = b.tenant_id
SET b.pay_by = b.created_at + r.pay_minutes * 60000000
WHERE b.status = 0 AND b.charge = 1 AND b.fee > 0 AND r.pay_minutes > 0;

-- What a department shows to patients.
ALTER TABLE departments
    ADD COLUMN introduction VARCHAR(4000) NOT NULL DEFAULT '',
    ADD COLUMN photo_key VARBINARY(255) NOT NULL DEFAULT '';
