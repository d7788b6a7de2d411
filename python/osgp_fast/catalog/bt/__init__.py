"""Basic tables (BTnn), one module per table."""
