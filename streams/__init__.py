"""The shared words: stream model, ids, state table, events, and the Redis store that keeps them."""
