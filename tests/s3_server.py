"""A small S3 server in memory, as far as pyarrow asks: objects, ranges, lists, copies and uploads in pieces."""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

from pyarrow import fs

BUCKET = "bucket"


class Store:
    """The objects of a bucket, with the time of each; every request sees all that were answered before."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.objects: dict[str, tuple[bytes, datetime]] = {}
        self.uploads: dict[str, dict[int, bytes]] = {}

    def put(self, key: str, data: bytes) -> None:
        with self.lock:
            self.objects[key] = data, datetime.now(UTC)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    store: Store

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._get()

    def do_GET(self) -> None:
        _, key, query = self._asked()
        self._get() if key else self._list(query)

    def do_PUT(self) -> None:
        _, key, query = self._asked()
        data = self._body()
        if "uploadId" in query:
            self.store.uploads[query["uploadId"]][int(query["partNumber"])] = data
        elif source := self.headers.get("x-amz-copy-source"):
            found = self.store.objects.get(unquote(source).lstrip("/").partition("/")[2])
            if found is None:
                return self._missing()
            self.store.put(key, found[0])
            return self._answer(200, b"<CopyObjectResult><ETag>&quot;0&quot;</ETag></CopyObjectResult>")
        elif key:
            self.store.put(key, data)
        return self._answer(200, headers={"ETag": '"0"'})

    def do_POST(self) -> None:
        _, key, query = self._asked()
        data = self._body()
        if "delete" in query:
            for each in re.findall(rb"<Key>(.*?)</Key>", data):
                self.store.objects.pop(each.decode(), None)
            return self._answer(200, b"<DeleteResult></DeleteResult>")
        if "uploads" in query:
            upload = uuid.uuid4().hex
            self.store.uploads[upload] = {}
            content = f"<Key>{escape(key)}</Key><UploadId>{upload}</UploadId>"
            return self._answer(200, _xml("InitiateMultipartUploadResult", f"<Bucket>{BUCKET}</Bucket>{content}"))
        pieces = self.store.uploads.pop(query["uploadId"])
        self.store.put(key, b"".join(pieces[number] for number in sorted(pieces)))
        return self._answer(200, _xml("CompleteMultipartUploadResult", f"<Key>{escape(key)}</Key><ETag>0</ETag>"))

    def do_DELETE(self) -> None:
        _, key, query = self._asked()
        if "uploadId" in query:
            self.store.uploads.pop(query["uploadId"], None)
        else:
            self.store.objects.pop(key, None)
        self._answer(204)

    def _asked(self) -> tuple[str, str, dict[str, str]]:
        parts = urlsplit(self.path)
        bucket, _, key = unquote(parts.path).lstrip("/").partition("/")
        query = parse_qs(parts.query, keep_blank_values=True)
        return bucket, key, {name: values[0] for name, values in query.items()}

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b"".join(iter(self._chunk, b""))
        else:
            data = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if "aws-chunked" not in self.headers.get("Content-Encoding", ""):
            return data
        content = b""
        while length := int(data.partition(b"\r\n")[0].partition(b";")[0], 16):  # each piece has its size before it
            rest = data.partition(b"\r\n")[2]
            content, data = content + rest[:length], rest[length + 2 :]
        return content

    def _chunk(self) -> bytes:
        data = self.rfile.read(int(self.rfile.readline(), 16))
        self.rfile.readline()
        return data

    def _get(self) -> None:
        _, key, _ = self._asked()
        if not key:
            return self._answer(200)
        found = self.store.objects.get(key)
        if found is None:
            return self._missing()
        data, at = found
        headers = {"ETag": '"0"', "Last-Modified": format_datetime(at, usegmt=True), "Accept-Ranges": "bytes"}
        if asked := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", "")):
            first, last = int(asked[1]), min(int(asked[2] or len(data) - 1), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            return self._answer(206, data[first : last + 1], headers)
        return self._answer(200, data, headers)

    def _list(self, query: dict[str, str]) -> None:
        prefix, mark = query.get("prefix", ""), query.get("delimiter", "")
        with self.store.lock:
            objects = dict(self.store.objects)
        content, folders = "", set()
        for key in sorted(objects):
            if not key.startswith(prefix):
                continue
            rest = key[len(prefix) :]
            if mark and mark in rest:
                folders.add(prefix + rest.partition(mark)[0] + mark)
                continue
            data, at = objects[key]
            content += (
                f"<Contents><Key>{escape(key)}</Key><Size>{len(data)}</Size><ETag>0</ETag>"
                f"<LastModified>{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z</LastModified></Contents>"
            )
        content += "".join(f"<CommonPrefixes><Prefix>{escape(each)}</Prefix></CommonPrefixes>" for each in folders)
        self._answer(200, _xml("ListBucketResult", f"<Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{content}"))

    def _missing(self) -> None:
        self._answer(404, b"" if self.command == "HEAD" else _xml("Error", "<Code>NoSuchKey</Code>"))

    def _answer(self, status: int, data: bytes = b"", headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if data and not (headers or {}).get("Accept-Ranges"):
            self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        """A client that is killed is no error."""


@contextmanager
def running_s3() -> Iterator[int]:
    """Serves an empty bucket; gives the port."""
    handler = type("Handler", (_Handler,), {"store": Store()})
    server = _Server(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def s3_client(port: int) -> fs.FileSystem:
    """The file system of the bucket that `running_s3` serves."""
    return fs.S3FileSystem(
        access_key="me",
        secret_key="secret",
        region="us-east-1",
        scheme="http",
        endpoint_override=f"127.0.0.1:{port}",
        allow_delayed_open=True,  # a file is one PUT
    )


def _xml(name: str, content: str) -> bytes:
    return f'<?xml version="1.0" encoding="UTF-8"?><{name}>{content}</{name}>'.encode()
