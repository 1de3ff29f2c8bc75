"""Agencies served by this same gateway: what one unit sends, another finds in its inbox."""
