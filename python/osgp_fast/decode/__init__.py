"""The bulk entry points: from inputs of any kind to columns, as a `Result` that other libraries take without a copy."""

from __future__ import annotations

from .entry import decode, decode_load_profile
from .job import Job
from .rejects import Rejects
from .result import Images, Result
from .schema import Field, Schema

__all__ = ["Field", "Images", "Job", "Rejects", "Result", "Schema", "decode", "decode_load_profile"]
