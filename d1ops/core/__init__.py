"""The pure core: scripts and rows in, plans and findings out. Nothing here reaches a network, a file or a clock."""
