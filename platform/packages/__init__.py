"""Packages: checking, planning, applying, exporting and rolling back metadata. See README.md in this folder."""
