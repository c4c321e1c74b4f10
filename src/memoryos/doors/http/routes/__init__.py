"""The routes of the REST API, a room for each thing that is remembered."""
