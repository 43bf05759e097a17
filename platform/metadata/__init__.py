"""Metadata: documents in, one immutable registry snapshot out. See README.md in this folder."""
