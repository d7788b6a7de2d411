"""What can be read: directories and archives of table files, tables of table images, captures, termineter's CSV.

Every reader answers the same question, "which bytes of which table of which meter", and puts what it finds into an
`Index`; nobody here knows what the bytes mean. The kind of an input is told by its content, not by its name (`sniff`).
"""

from __future__ import annotations

from .index import Counts, Index, InputOptions
from .inputs import check_inputs, open_inputs

__all__ = ["Counts", "Index", "InputOptions", "check_inputs", "open_inputs"]
