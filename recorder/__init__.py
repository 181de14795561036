"""The recorder: a process that follows the journals of live sessions and keeps what they publish."""
