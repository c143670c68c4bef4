"""Run the chalice command with our local server: python -m devstack.apigateway.chalice_command ARGUMENTS."""

import sys

from chalice.cli import cli

from devstack.apigateway.server import patch_chalice_local

if __name__ == "__main__":
    arguments = sys.argv[1:]
    # The auto-reloader of `chalice local` starts its worker by running sys.argv.
    sys.argv = [sys.executable, "-m", "devstack.apigateway.chalice_command", *arguments]
    patch_chalice_local()
    sys.exit(cli(args=arguments, prog_name="chalice", obj={}))
