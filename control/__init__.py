"""The REST API: create, list and watch live streams."""
