"""The schemas room."""
