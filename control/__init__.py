"""The control plane: REST API, events, webhooks, console."""
