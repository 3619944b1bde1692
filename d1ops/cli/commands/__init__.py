"""The verbs. Each module declares its commands on the app that it is given."""
