"""What the bundle tells the people who call it: docs/openapi.json and docs/errors.md, made from routes and models.

`python -m apidocs` writes both; `python -m apidocs --check` says which one is stale. No Lambda carries this package.
"""
