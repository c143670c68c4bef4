"""bin/mutate: a sample of small changes to the code, each run against the tests that cover it.

A change is a mutant; a test that fails kills it. A survivor shows behaviour that no test observes, or a change that
cannot be observed. `mutants` finds all mutants, `sql` those inside SQL, `coverage` records which test runs which line,
`plugin` is the part inside pytest, `run` tests a mutant in a copy of the repository, `command` samples and reports.
"""
