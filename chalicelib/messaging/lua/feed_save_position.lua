-- Save the cursor up to which a token has received events.
-- KEYS: 1 saved position of the token. ARGV: 1 cursor.
redis.call('SET', KEYS[1], ARGV[1], 'EX', TTL_SECONDS)
