"""Captures and dumps made safe to share: who and whose a meter is becomes made up, what it measured stays.

Replaced, by values of the same form: passwords and user names of a log-on, serial numbers, identifiers of devices, keys,
texts of the owner, and the same values wherever else they stand as text. CRCs, checksums and check sequences are redone,
so that the result decodes and explains as before.

Pure functions over bytes: files are the business of whoever calls.
"""

from .capture import scrub_capture
from .names import Names
from .tables import holds_key, scrub_image

__all__ = ["Names", "holds_key", "scrub_capture", "scrub_image", "scrub_tables"]


def scrub_tables(tables: dict[str, bytes], names: Names, numbers: dict[str, int]) -> dict[str, bytes]:
    """The tables of one meter, by names that mean their ``numbers`` on the wire."""
    from ..image import PENDING, table_name

    others = {table_name(numbers[name]): data for name, data in tables.items() if not numbers[name] & PENDING}
    return {name: scrub_image(names, numbers[name], data, others) for name, data in tables.items()}
