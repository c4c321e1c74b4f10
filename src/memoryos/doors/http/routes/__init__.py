"""The routes of the REST API. Each module contains the routes for one kind of data or task."""
