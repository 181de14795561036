"""Webhooks: signed deliveries of events to receivers of the customers' own."""
