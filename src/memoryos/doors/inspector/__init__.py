"""The inspector: a web page over the REST API that shows what is remembered, and why."""
