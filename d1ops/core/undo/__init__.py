"""Scripts that take back what a migration did, and safe forms of scripts that would lose rows."""
