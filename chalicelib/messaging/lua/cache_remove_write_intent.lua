-- Remove the intent of a writer that committed nothing.
-- ARGV: 1 name of the intent.
remove_intent(ARGV[1])
