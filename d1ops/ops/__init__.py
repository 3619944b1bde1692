"""The use-cases: they glue the core to a database and return results; only `cli` parses and prints."""
