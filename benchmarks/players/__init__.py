"""Real players on the ladder: joining late, switching renditions, seeking back, returning to live (docs/players.md)."""
