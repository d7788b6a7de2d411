"""Explanations: every byte of a table image, a packet or a captured session, named. For people, and never with a secret."""

from __future__ import annotations

from .capture import explain_capture
from .changes import Pair, explain_change
from .table import Line, explain_image, explain_parameters, known

__all__ = ["Line", "Pair", "explain_capture", "explain_change", "explain_image", "explain_parameters", "known"]
