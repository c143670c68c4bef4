"""Migrate the database and print the names of the files that were run: python -m chalicelib.migrations."""

import sys

from chalicelib.migrations import migrate

sys.stdout.writelines(f"{name}\n" for name in migrate())
