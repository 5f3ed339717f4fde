"""One file and some fields of a multipart form, the file written to its place as it comes (python-multipart)."""

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import IO, TYPE_CHECKING

from fastapi.concurrency import run_in_threadpool
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from engage_pipeline.api.errors import FieldProblem, InvalidRequest, UnreadableBody, WrongMediaType

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_MOST_FIELD_BYTES = 65_536
_MOST_PARTS = 20
_WRITTEN_AT_ONCE = 1 << 18


class FormWithFile:
    """What came: the fields by name, the file's own name, its SHA-256 and its size."""

    def __init__(self, content_type: str, target: IO[bytes]) -> None:
        kind, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if kind != b"multipart/form-data" or not boundary:
            raise WrongMediaType("multipart/form-data with a part `file`")
        self.fields: dict[str, str] = {}
        self.file_name: str | None = None
        self.byte_count = 0
        self._digest = hashlib.sha256()
        self._target = target
        self._header, self._value = bytearray(), bytearray()
        self._disposition = b""
        self._name: str | None = None
        self._text = bytearray()
        self._is_file = False
        self._part_count = 0
        self._is_over = False
        callbacks: MultipartCallbacks = {
            "on_part_begin": self._begin,
            "on_header_field": lambda data, start, end: self._header.extend(data[start:end]),
            "on_header_value": lambda data, start, end: self._value.extend(data[start:end]),
            "on_header_end": self._end_header,
            "on_headers_finished": self._name_part,
            "on_part_data": self._take,
            "on_part_end": self._end_part,
            "on_end": self._end,
        }
        self._parser = MultipartParser(boundary, callbacks)

    @property
    def sha256(self) -> bytes:
        """Of the file's bytes."""
        return self._digest.digest()

    def write(self, data: bytes) -> None:
        """The next bytes of the body.

        Raises:
            UnreadableBody: they are no such form.
        """
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise UnreadableBody("it is no multipart form, or it ends too early") from error

    def finish(self) -> None:
        """The body has ended.

        Raises:
            UnreadableBody: the form has not.
            InvalidRequest: it has no file.
        """
        if not self._is_over:
            raise UnreadableBody("it is no multipart form, or it ends too early")
        if self.file_name is None:
            raise InvalidRequest([FieldProblem("file", "is needed", "send the lead file as the part `file`")])

    def _begin(self) -> None:
        self._part_count += 1
        if self._part_count > _MOST_PARTS:
            raise UnreadableBody(f"it has more than {_MOST_PARTS} parts")
        self._name, self._is_file, self._disposition = None, False, b""
        self._text.clear()

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = bytes(self._value)
        self._header.clear()
        self._value.clear()

    def _name_part(self) -> None:
        _, options = parse_options_header(self._disposition)
        self._name = options.get(b"name", b"").decode("utf-8", "replace")
        if self._name == "file":
            if self.file_name is not None:
                raise InvalidRequest([FieldProblem("file", "comes twice", "send one file a request")])
            self._is_file = True
            self.file_name = options.get(b"filename", b"").decode("utf-8", "replace")

    def _take(self, data: bytes, start: int, end: int) -> None:
        piece = data[start:end]
        if self._is_file:
            self._target.write(piece)
            self._digest.update(piece)
            self.byte_count += len(piece)
        else:
            self._text.extend(piece)
            if len(self._text) > _MOST_FIELD_BYTES:
                raise UnreadableBody("a field of the form is too long")

    def _end_part(self) -> None:
        if self._name and not self._is_file:
            try:
                self.fields[self._name] = self._text.decode()
            except UnicodeDecodeError as error:
                raise UnreadableBody("a field of the form is not UTF-8") from error

    def _end(self) -> None:
        self._is_over = True


async def receive_form(body: AsyncIterator[bytes], content_type: str, place: Path) -> FormWithFile:
    """Read a form to its end, the file into `place`.

    Raises:
        WrongMediaType, UnreadableBody, InvalidRequest: it is no such form.
    """
    with place.open("wb") as target:
        form = FormWithFile(content_type, target)
        waiting = bytearray()
        async for piece in body:
            waiting.extend(piece)
            if len(waiting) >= _WRITTEN_AT_ONCE:
                await run_in_threadpool(form.write, bytes(waiting))
                waiting.clear()
        await run_in_threadpool(form.write, bytes(waiting))
        form.finish()
    return form
