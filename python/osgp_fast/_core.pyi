"""The compiled part: signatures of the Rust extension. Nothing but `_impl.py` imports it."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal, Protocol, Self, TypeAlias, TypedDict, final, type_check_only

from .security.messages import Answer
from .security.tls import Event

__all__ = [
    "Batch",
    "BatchStream",
    "ColumnsBatch",
    "ColumnsStream",
    "FileSink",
    "ImageReader",
    "MepExchange",
    "TlsClient",
    "TlsOpener",
    "TlsServer",
    "__version__",
    "columns_batch",
    "crc16",
    "decode_files",
    "decode_images",
    "decode_meter",
    "decode_table",
    "encode_packet",
    "mask_secrets",
    "masked_head",
    "mep_refusal",
    "mep_scan",
    "open_stream",
    "osgp_digest",
    "parse_packets",
    "ppp_decode",
    "ppp_encode",
    "rc4",
    "read_images",
    "read_log",
    "scan_capture",
    "scan_packets",
    "slip_decode",
    "slip_encode",
    "stream_schema",
    "summarize",
    "tls_message",
    "tls_parse_request",
    "verify_digest",
    "write_images",
]

__version__: str

class _ArrowStream(Protocol):
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...

class _ArrowArray(Protocol):
    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...

class _ArrowSchema(Protocol):
    def __arrow_c_schema__(self) -> object: ...

# ---- bulk: files in, columns out (rust/py/src/bulk.rs) ----------------------------------------------------------------

_ImageTuple: TypeAlias = tuple[int, int, bytes, int | None, bool | None, bytes | None, int, str, int | None]
"""table, offset, data, read_at (microseconds UTC), whole, ped, session, input, position: `image.TableImage` without the meter."""

_RejectTuple: TypeAlias = tuple[str | None, int | None, str, str, str, str, int | None, int, bytes, int | None]
"""The fields of `reject.Reject` in their order: ``Reject(*row)``."""

@type_check_only
class Summary(TypedDict):
    """What a pass did."""

    rows: dict[str, int]
    """Rows of every kind asked for."""
    meters: int
    """Meters seen, with or without rows."""
    bytes_read: int
    """Bytes of table images decoded."""
    time_spans: dict[str, tuple[int, int]]
    """Earliest and latest time, microseconds UTC, of ``load_profile`` (interval_end) and ``events`` (time) if there are any."""
    channels: list[tuple[int, int, int | None, str | None, str | None, int]]
    """data_set, channel, source, quantity, unit, rows: the kinds of channel in ``load_profile`` (long shape), sorted; at most 1,024."""
    rejects: dict[str, int]
    """Rejects by code."""
    skipped: dict[str, int]
    """What was only counted: ``notes`` (files that are no tables: .DS_Store, .txt), ``tables_without_decoder``,
    ``noise_bytes``, ``repeated_packets``, ``mep_messages`` (for which no key was given)."""
    assumed: list[str]
    """Meters decoded with the guides' defaults (``assume_defaults``), the first 1,000."""
    files: list[str]
    """The files written, rejects last; empty for a stream."""

def decode_files(
    inputs: Sequence[str],
    kinds: Sequence[str],
    out: str,
    directory: bool,
    format: str,
    *,
    split: int | None = None,
    jobs: int = 1,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
    meter: str | None = None,
    tz: str | None = None,
    wrap: str | None = None,
    keys: Sequence[bytes] | None = None,
    tmp: str | None = None,
    skip_unreadable: bool = False,
    progress: Callable[[int, int, int], object] | None = None,
) -> Summary:
    """Decode inputs into files, whole or not at all.

    ``directory``: write ``out/KIND.SUFFIX`` and ``out/rejects.SUFFIX`` (the directory is made if missing); else ``out`` is
    the file of the one kind and the rejects go to its stem + ``.rejects.`` + suffix. ``format``: parquet, arrow, csv, jsonl.
    ``split``: a new file ``KIND-0001.SUFFIX`` after about that many bytes. ``progress(bytes_done, bytes_total, meters_done)`` is
    called about ten times a second from the calling thread; what it raises stops the run.

    Raises: InputError before any work; OSError (writing); UsageError; KeyboardInterrupt; RuntimeError (a bug of ours). Nothing is
    left behind then.
    """

def summarize(
    inputs: Sequence[str],
    kinds: Sequence[str],
    *,
    first: int = 5,
    jobs: int = 1,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
    meter: str | None = None,
    tz: str | None = None,
    wrap: str | None = None,
    keys: Sequence[bytes] | None = None,
    tmp: str | None = None,
    skip_unreadable: bool = False,
    progress: Callable[[int, int, int], object] | None = None,
) -> tuple[Summary, dict[str, dict[str, list[Any]]], list[_RejectTuple]]:
    """`decode_files` without files: the summary, the ``first`` rows of every kind (as `Batch.columns` gives them) and the first
    1,000 rejects.

    Raises: InputError; KeyboardInterrupt.
    """

def open_stream(
    inputs: Sequence[str],
    kind: str,
    *,
    jobs: int = 1,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
    meter: str | None = None,
    tz: str | None = None,
    wrap: str | None = None,
    keys: Sequence[bytes] | None = None,
    tmp: str | None = None,
    skip_unreadable: bool = False,
    fail_on_reject: bool = False,
    plain: bool = False,
) -> BatchStream:
    """One pass over the inputs as a stream of record batches. ``fail_on_reject``: the stream ends with an error at the first
    reject, which is then the first of `BatchStream.take_rejects`. ``plain``: plain strings instead of dictionaries.

    Raises: InputError.
    """

def decode_images(
    images: _ArrowStream | _ArrowArray,
    kind: str,
    *,
    jobs: int = 1,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
    fail_on_reject: bool = False,
    plain: bool = True,
) -> BatchStream:
    """The same from Arrow table images in memory (columns meter, table, data; offset, read_at, whole, ped).

    Raises: InputError where columns are missing or of a wrong type.
    """

def stream_schema(kind: str, *, shape: str = "long", delta: bool = False, plain: bool = False) -> _ArrowSchema:
    """The schema of a kind (``rejects`` too) without decoding anything."""

@final
class BatchStream:
    """A running pass: a stream of record batches that can be consumed once. Dropping it stops its threads."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...
    def __iter__(self) -> BatchStream: ...
    def __next__(self) -> Batch:
        """The next batch, for consumers that go batch by batch. Ctrl-C is noticed."""
    def take_rejects(self) -> list[_RejectTuple]:
        """The rejects so far, each given once. All of them are there when the stream is at its end."""
    def summary(self) -> Summary:
        """What the pass did so far."""
    def close(self) -> None:
        """Stop it. The stream then ends with an error if somebody still reads it."""

@final
class Batch:
    """A record batch: ``__arrow_c_array__`` for other libraries, `columns` for none."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...
    @property
    def num_rows(self) -> int: ...
    def columns(self, limit: int | None = None) -> dict[str, list[Any]]:
        """The first ``limit`` rows as Python objects: times are integers (microseconds), lists are lists."""

def read_images(
    inputs: Sequence[str],
    *,
    meter: str | None = None,
    tz: str | None = None,
    wrap: str | None = None,
    keys: Sequence[bytes] | None = None,
    tmp: str | None = None,
    skip_unreadable: bool = False,
) -> ImageReader:
    """The compiled readers alone: every meter with its table images, in the order of `decode_files`.

    Raises: InputError.
    """

@final
class ImageReader:
    """Iterates over ``(meter, images)``."""

    def __iter__(self) -> ImageReader: ...
    def __next__(self) -> tuple[str, list[_ImageTuple]]: ...
    def take_rejects(self) -> list[_RejectTuple]:
        """The rejects of reading so far, each given once."""
    @property
    def bytes_done(self) -> int: ...
    @property
    def bytes_total(self) -> int: ...
    @property
    def notes_skipped(self) -> int: ...
    @property
    def noise_bytes(self) -> int: ...
    @property
    def repeated_packets(self) -> int: ...

@final
class FileSink:
    """The compiled writers alone. Files are written beside their places and renamed by `finish`, rejects last."""

    def __new__(
        cls,
        out: str,
        directory: bool,
        format: str,
        kinds: Sequence[str],
        *,
        split: int | None = None,
        shape: str = "long",
        delta: bool = False,
    ) -> Self: ...
    def write(self, kind: str, batch: _ArrowStream | _ArrowArray) -> None:
        """Append batches to a kind (or ``rejects``). Columns are taken by position; dictionaries become plain strings."""
    def finish(self) -> list[str]:
        """Close, rename, and say the files, rejects last."""
    def abort(self) -> None:
        """Remove what was written so far. Also done when it is dropped unfinished."""

# ---- columns made in Python (rust/py/src/columns.rs) ------------------------------------------------------------------

def columns_batch(
    kind: str, columns: dict[str, Any], *, shape: str = "long", delta: bool = False, plain: bool = False
) -> ColumnsBatch:
    """A record batch of a kind (or ``rejects``) from Python columns: sequences of equal length, times as integers
    (microseconds), None for null.

    Raises: ValueError, TypeError, OverflowError for columns that do not fit the kind.
    """

def write_images(path: str, format: str, columns: dict[str, Any]) -> None:
    """Write table images to one file (parquet, arrow), whole or not at all; their columns as `columns_batch` takes them."""

@final
class ColumnsBatch:
    """A record batch made from Python columns."""

    def __arrow_c_array__(self, requested_schema: object | None = None) -> tuple[object, object]: ...
    def __arrow_c_schema__(self) -> object: ...

@final
class ColumnsStream:
    """A stream over an iterator of Python columns (`columns_batch`); it is consumed once."""

    def __new__(
        cls,
        kind: str,
        columns: Iterator[dict[str, Any]],
        *,
        shape: str = "long",
        delta: bool = False,
        plain: bool = False,
    ) -> Self: ...
    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object: ...
    def __arrow_c_schema__(self) -> object: ...

# ---- one meter in memory (rust/py/src/meter.rs) -----------------------------------------------------------------------

def decode_meter(
    label: str,
    images: Sequence[_ImageTuple],
    kind: str,
    *,
    shape: str = "long",
    delta: bool = False,
    assume_defaults: bool = False,
) -> tuple[list[dict[str, list[Any]]], list[_RejectTuple]]:
    """The rows of one kind of one meter's images, a dict of columns per batch (times are integers, microseconds), and rejects.

    Raises: UsageError for a kind or shape that does not exist.
    """

# ---- one table in memory (rust/py/src/tables.rs) -----------------------------------------------------------------------

def decode_table(
    number: int, data: bytes, tables: dict[int, bytes], /
) -> tuple[dict[str, Any], int, bytes, tuple[str, int] | None, str | None]:
    """The tree of a table, where its description ends, the bytes behind it, the path and offset of the first field that is
    not all there, and the table that was missed: `codec.Decoded` without the name. ``tables`` are others of the same meter
    by number. How a table is laid out is remembered for the next one with the same dimensions.

    Raises: KeyError for a number that the catalogue does not have.
    """

# ---- wire formats (rust/py/src/wire.rs): the twins of `osgp_fast.wire`, `text_log` and `scan` -------------------------

def crc16(data: bytes) -> int:
    """CRC-16/IBM-SDLC."""

def scan_packets(data: bytes) -> dict[str, bytes]:
    """The C12.18 packets of a stream as columns: ``position`` and ``data_offset`` (uint64), ``data_len`` (uint16), all in the
    machine's byte order, and ``identity``, ``control``, ``sequence`` (uint8)."""

def parse_packets(chunks: Sequence[bytes]) -> list[tuple[str, int, bytes]]:
    """What the incremental parser says of these chunks: packet (its data), ack, nak or noise (its bytes), and where."""

def encode_packet(identity: int, control: int, sequence: int, data: bytes) -> bytes:
    """One packet. Raises: ValueError for more data than a packet holds."""

def ppp_encode(payload: bytes) -> bytes:
    """One RFC 1662 frame."""

def ppp_decode(data: bytes) -> list[tuple[int, str | None, bytes]]:
    """The frames of a stuffed stream: position, problem or None, bytes."""

def slip_encode(payload: bytes) -> bytes:
    """One SLIP frame."""

def slip_decode(data: bytes) -> list[tuple[int, bytes | None]]:
    """The frames of a stuffed stream: position and payload, or None for an escape that does not exist."""

def mep_scan(data: bytes) -> list[tuple[int, int]]:
    """Where MEP messages stand in noise: start and end."""

def mask_secrets(data: bytes) -> bytes:
    """The bytes with the payloads of security and logon packets masked, damaged ones too."""

def masked_head(data: bytes, size: int) -> bytes:
    """The first bytes of a file that was not recognised, secrets masked."""

def read_log(data: bytes) -> list[tuple[bytes, list[tuple[int, int, int | None, bool | None]]]]:
    """The three streams of a text log (sent, received, unknown): bytes, and per chunk its position in the stream and in the
    file, its time in microseconds, and whether that is UTC."""

def scan_capture(
    data: bytes,
    stem: str,
    input: str,
    meter: str | None = None,
    wrap: str | None = None,
    tz_offset: int = 0,
    keys: Sequence[bytes] | None = None,
) -> dict[str, Any] | None:
    """The sessions, images, rejects and counts of a capture; None if it is none. ``keys``: of the MEP port."""

# ---- the security of the MEP port (rust/py/src/security.rs): the twins of `osgp_fast.security` ------------------------
#
# Keys are bytes here: 6 to 20, of which the first 16 are used; SecurityError "security.key_length" for others.

def osgp_digest(key: bytes, message: bytes, *, request: bytes = ...) -> bytes:
    """The OSGP digest of a message, or of a response to a request (`security.digest.digest`)."""

def verify_digest(key: bytes, message: bytes, given: bytes, *, request: bytes = ...) -> bool:
    """Whether a digest is the one of the message, compared in constant time."""

def rc4(key: bytes, data: bytes) -> bytes:
    """RC4 from its first byte on. ``key``: 1 to 256 bytes, else ValueError."""

def mep_refusal() -> bytes:
    """What a meter says to a request that none of its keys signs (`security.messages.refusal`)."""

def tls_message(code: int, records: bytes) -> bytes:
    """TLS records in a MEP message, with its length field. Raises: LocalProtocolError "security.too_long"."""

def tls_parse_request(body: bytes) -> tuple[int, bytes] | None:
    """Code and records of a request without its length field; None if it is none of TLS."""

@final
class MepExchange:
    """One request and what may be said to it under digest and RC4 (`security.messages.Exchange`)."""

    @staticmethod
    def request(key: bytes, body: bytes, sequence: int, *, encrypt: bool = False) -> MepExchange:
        """Make a request. Raises: LocalProtocolError "security.too_long", "security.empty"; OverflowError."""
    @staticmethod
    def open(keys: list[bytes], body: bytes) -> MepExchange:
        """Read a request without its length field. Raises: SecurityError "security.too_short", "security.bad_digest"."""
    @property
    def message(self) -> bytes:
        """The request as it is sent, with its length field."""
    @property
    def body(self) -> bytes:
        """Code and arguments, in clear."""
    @property
    def sequence(self) -> int:
        """The sequence number."""
    @property
    def encrypted(self) -> bool:
        """Whether the request was enciphered, and so will be the answer."""
    @property
    def which(self) -> int:
        """Which of the keys it was made with."""
    def respond(self, body: bytes) -> bytes:
        """The answer as the meter sends it. Raises: LocalProtocolError "security.too_long", "security.empty"."""
    def read(self, body: bytes) -> Answer:
        """Read the answer without its length field. Raises: SecurityError "security.too_short", "security.bad_digest"."""

@final
class TlsClient:
    """The MEP device's side of a TLS session (`security.tls.TlsClient`)."""

    def __new__(cls, identity: bytes, key: bytes, random: bytes) -> Self:
        """``random``: 32 fresh bytes. Raises: LocalProtocolError "tls.random", "tls.identity_length"."""
    @property
    def status(self) -> Literal["handshake", "open", "closed", "failed"]:
        """Where the session stands."""
    def start(self) -> bytes:
        """The ClientHello that begins the session; the same each time."""
    def feed(self, data: bytes) -> tuple[bytes, list[Event]]:
        """Take what was received, in any chunks; give what to send and what happened."""
    def send(self, data: bytes) -> bytes:
        """Application data as one record. Raises: LocalProtocolError "tls.not_open", "tls.too_long"."""
    def close(self) -> bytes:
        """Say that nothing follows; empty if the session is over already."""

@final
class TlsServer:
    """The meter's side of a TLS session (`security.tls.TlsServer`)."""

    def __new__(cls, keys: dict[int, bytes], random: bytes, *, session_id: bytes = ...) -> Self:
        """``keys`` by key id; ``random``: 32 fresh bytes. Raises: LocalProtocolError "tls.random", "tls.session_id"."""
    @property
    def status(self) -> Literal["handshake", "open", "closed", "failed"]:
        """Where the session stands."""
    def feed(self, data: bytes) -> tuple[bytes, list[Event]]:
        """Take what was received, in any chunks; give what to send and what happened."""
    def send(self, data: bytes) -> bytes:
        """Application data as one record. Raises: LocalProtocolError "tls.not_open", "tls.too_long"."""
    def close(self) -> bytes:
        """Say that nothing follows; empty if the session is over already."""

@final
class TlsOpener:
    """Reads a recorded TLS session with one of these keys (`security.tls.TlsOpener`)."""

    def __new__(cls, keys: list[bytes]) -> Self: ...
    def client(self, data: bytes) -> list[Event]:
        """Take some bytes that the client sent."""
    def server(self, data: bytes) -> list[Event]:
        """Take some bytes that the server sent."""
