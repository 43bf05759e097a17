"""The packages room."""
