-- An address from which a phone's owner has signed in has tries of its own, whatever strangers try (identity/attempts.py).
ALTER TABLE attempts ADD COLUMN known_until BIGINT NULL;
