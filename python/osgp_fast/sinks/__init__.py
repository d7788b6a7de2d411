"""What can be written: CSV and JSON lines in plain Python, Parquet and Arrow IPC through the compiled part or pyarrow.

A `Sink` is one run's files: written beside their places and renamed at the end, rejects last, so that a run leaves all
of its files or none. Columns come as batches, each a dict from column name to a sequence of Python values.
"""

from __future__ import annotations

from .arrow import arrow_schema, columns_stream, from_batches
from .files import FORMATS, SUFFIXES, Sink, format_of, open_sink
from .images import ImageSink, open_image_sink

__all__ = [
    "FORMATS",
    "SUFFIXES",
    "ImageSink",
    "Sink",
    "arrow_schema",
    "columns_stream",
    "format_of",
    "from_batches",
    "open_image_sink",
    "open_sink",
]
