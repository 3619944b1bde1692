"""Databases behind one interface, `base.Database`: a SQLite file, workerd, and D1 over HTTP."""
