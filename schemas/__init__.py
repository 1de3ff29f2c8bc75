"""Descriptions that other programs read: REST (OpenAPI, JSON Schema), codes. See ORIGIN.md."""
