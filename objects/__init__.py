"""The objects room."""
