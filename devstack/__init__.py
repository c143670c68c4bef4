"""Development tools: Python environments, local services in place of AWS, the local server. Not packaged for Lambda."""
