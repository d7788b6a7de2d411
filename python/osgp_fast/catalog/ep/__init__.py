"""Extended procedures (EPnn), one module per procedure."""
