"""The metadata room."""
