"""Updates the memory in the background (§3.3): policies as pure functions, and the updater that applies them."""
