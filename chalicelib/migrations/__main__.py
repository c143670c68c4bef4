"""python -m chalicelib.migrations: migrate, and print the files that had something to do."""

import sys

from chalicelib.migrations import migrate

sys.stdout.writelines(f"{name}\n" for name in migrate())
