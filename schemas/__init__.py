"""JSON Schemas (2020-12), one per kind of metadata document. Data only; see README.md in this folder."""
