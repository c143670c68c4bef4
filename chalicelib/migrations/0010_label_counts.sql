-- How many patients are under a label, kept with it: counting 100,000 of them each time takes too long.
ALTER TABLE adm_group_label ADD COLUMN person_number INT NOT NULL DEFAULT 0 AFTER name;

UPDATE adm_group_label l
SET l.person_number = (SELECT COUNT(*) FROM adm_pati_label_rela r WHERE r.label_id = l.label_id);
