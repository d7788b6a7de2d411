"""Extended tables (ETnn), one module per table."""
