"""Revocation data over HTTP: certificate lists (RFC 5280) and status answers (RFC 6960).

client      ports.RevocationSource: GET for a list, POST for an answer, within size and time
"""
