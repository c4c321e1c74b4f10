"""The inspector: a web page that shows the memory and explains recalls, built on the REST API."""
