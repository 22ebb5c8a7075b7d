"""The exercises, a module a notebook."""
