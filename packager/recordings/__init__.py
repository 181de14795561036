"""Recordings: what lies in their directories, and how it is played, live and afterwards."""
