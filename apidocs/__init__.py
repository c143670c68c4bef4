"""Generate the API documentation, docs/openapi.json and docs/errors.md, from routes and models.

`python -m apidocs` writes both files; `python -m apidocs --check` reports stale ones. The package is not deployed.
"""
