"""Which indexes would serve the workload, tried out rather than guessed.

`terms` asks SQLite's planner what a query compares and orders, `candidates` makes indexes of it, `scratch` runs queries
on rows with and without them, `choose` finds the smallest set that pays, `advise` says so, `heal` gives a target the
indexes of its migrations back, and `mend` writes the migration. Nothing here parses SQL, and nothing here touches a
target.
"""
