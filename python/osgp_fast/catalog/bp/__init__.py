"""Basic procedures (BPnn), one module per procedure."""
