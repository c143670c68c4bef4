"""Run the chalice command with our local server: python -m devstack.apigateway.chalice_command."""

import sys

from chalice.cli import main

from devstack.apigateway.server import patch_chalice_local

if __name__ == "__main__":
    patch_chalice_local()
    sys.exit(main())
