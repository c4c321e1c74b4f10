"""Many scopes and huge scopes."""
