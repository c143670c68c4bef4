"""What stands in for AWS on a developer's machine: environments, services, server. Never packaged to Lambda."""
