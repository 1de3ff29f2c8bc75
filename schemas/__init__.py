"""What other programs read: REST (OpenAPI, JSON Schema), codes, edXML. See ORIGIN.md."""
