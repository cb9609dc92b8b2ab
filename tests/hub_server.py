"""The part of the Hugging Face Hub's HTTP protocol that `huggingface_hub` uses here, so that the real client meets it.

Two servers, as on the Hub: one answers the API under the address of `HF_ENDPOINT`, the other stands for the store
where large files lie (LFS), which never gets to see a token. `HubServer.faults` says what goes wrong. The Hub's other
path to large files, Xet, is not here: clients must run with `HF_HUB_DISABLE_XET=1`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

OWNER, TOKEN, READER = "atelier", "hf_WriteTokenOfTheTests", "hf_ReadTokenOfTheTests"
LFS_ENDINGS = (".safetensors", ".parquet", ".bin", ".pt")
PAGE = 2  # repositories on one page of a listing


@dataclass
class Request:
    """What was asked of one of the two servers."""

    server: str
    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


@dataclass
class Fault:
    """What goes wrong with the requests whose method and path a pattern finds, as `GET /store/abc`.

    Args:
        pattern: Regular expression.
        status: To answer with.
        headers: To answer with.
        times: So many times; for ever if left out.
        cut: Bytes of the body after which the connection is closed.
        reset: Whether a cut is a reset rather than an orderly close.
        silent: Seconds to wait before the connection is closed without an answer.
        body: To answer with in place of the right one, of the same length or not.
    """

    pattern: str
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    times: int = 1_000_000
    cut: int | None = None
    reset: bool = False
    silent: float = 0
    body: Callable[[bytes], bytes] | None = None


@dataclass
class Repository:
    private: bool
    commits: list[tuple[str, str, dict[str, bytes]]]  # oid, message, files
    tags: dict[str, str] = field(default_factory=dict)

    def resolve(self, revision: str) -> tuple[str, dict[str, bytes]] | None:
        wanted = self.tags.get(revision, revision)
        for oid, _, files in reversed(self.commits):
            if wanted in ("main", oid):
                return oid, files
        return None


class HubServer:
    """A Hub with one owner, `atelier`, whose token may write, and another token that may only read.

    Args:
        port: Of the API; a free one if left out.
    """

    def __init__(self, port: int = 0) -> None:
        self.repositories: dict[str, Repository] = {}
        self.store: dict[str, bytes] = {}
        self.faults: list[Fault] = []
        self.requests: list[Request] = []
        self.api = _serve(self, _Api, port)
        self.large = _serve(self, _Store, 0)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.api.server_port}"

    @property
    def store_address(self) -> str:
        return f"http://127.0.0.1:{self.large.server_port}"

    def environment(self, home: Path) -> dict[str, str]:
        """What a process needs to talk to this Hub, with a cache and a login of its own under `home`."""
        return {"HF_ENDPOINT": self.address, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "NO_PROXY": "127.0.0.1"}

    def close(self) -> None:
        for server in (self.api, self.large):
            server.shutdown()
            server.server_close()

    def create(self, name: str, private: bool = False) -> Repository:
        first = hashlib.sha1(f"{name}, first".encode()).hexdigest()
        self.repositories[name] = Repository(private, [(first, "initial commit", {".gitattributes": b"*.x lfs\n"})])
        return self.repositories[name]

    def publish(self, name: str, folder: Path) -> str:
        """Puts the files of a folder into a repository, which is made if there is none."""
        if name not in self.repositories:
            self.create(name)
        return self.commit(name, {path.name: path.read_bytes() for path in folder.iterdir()})

    def commit(self, name: str, files: dict[str, bytes | None], message: str = "by the test") -> str:
        """Writes a commit as if somebody had pushed it; None deletes a file."""
        commits = self.repositories[name].commits
        merged = {**commits[-1][2], **files}
        whole = {path: content for path, content in sorted(merged.items()) if content is not None}
        self.store.update({_sha256(content): content for path, content in whole.items() if is_large(path)})
        oid = hashlib.sha1(f"{name} {len(commits)} {message}".encode()).hexdigest()
        commits.append((oid, message, whole))
        return oid

    def head(self, name: str) -> str:
        return self.repositories[name].commits[-1][0]

    def asked(self, pattern: str) -> list[Request]:
        return [request for request in self.requests if re.search(pattern, f"{request.method} {request.path}")]

    def next_fault(self, asked: str) -> Fault | None:
        for fault in self.faults:
            if fault.times and re.search(fault.pattern, asked):
                fault.times -= 1
                return fault
        return None


@contextmanager
def running_hub() -> Iterator[HubServer]:
    hub = HubServer()
    try:
        yield hub
    finally:
        hub.close()


def is_large(path: str) -> bool:
    return path.endswith(LFS_ENDINGS)


def _serve(hub: HubServer, handler: type[_Handler], port: int) -> ThreadingHTTPServer:
    own = type(handler.__name__, (handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", port), own)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    return server


class _Handler(BaseHTTPRequestHandler):
    hub: HubServer
    server_name = ""
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def handle(self) -> None:
        with suppress(ConnectionError, TimeoutError):  # the client has gone
            super().handle()

    def do_GET(self) -> None:
        self._handle()

    do_HEAD = do_POST = do_PUT = do_GET

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        request = Request(self.server_name, self.command, self.path, dict(self.headers.items()), body)
        self.hub.requests.append(request)
        self.fault = self.hub.next_fault(f"{self.command} {self.path}")
        if self.fault and self.fault.silent:
            time.sleep(self.fault.silent)
            self.close_connection = True
        elif self.fault and self.fault.status:
            self.answer(self.fault.status, {"error": "made by the test"}, self.fault.headers)
        else:
            self.route(urlsplit(self.path).path, parse_qs(urlsplit(self.path).query), body)

    def route(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        raise NotImplementedError

    def refuse(self, status: int, code: str, message: str, **headers: str) -> None:
        self.answer(status, {"error": message}, {"X-Error-Code": code, "X-Error-Message": message, **headers})

    def answer(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        if self.fault and self.fault.body and isinstance(content, bytes):
            content = self.fault.body(content)
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        given = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
        for name, value in given.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if self.fault and self.fault.cut is not None:
            self.wfile.write(data[: self.fault.cut])
            self.wfile.flush()
            self.close_connection = True
            if self.fault.reset:  # closing with data unsent and no lingering is a reset
                time.sleep(0.2)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                self.connection.close()
            return
        self.wfile.write(data)


class _Store(_Handler):
    """Where large files lie; like the Hub's, it takes no token, only the addresses that the API gives out."""

    server_name = "store"

    def route(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        oid = path.removeprefix("/store/")
        if self.command == "PUT":
            if _sha256(body) != oid:
                return self.answer(400, {"error": "another content than was announced"})
            self.hub.store[oid] = body
            return self.answer(200, b"", {"ETag": oid})
        content = self.hub.store.get(oid)
        if content is None:
            return self.answer(404, {"error": "no such object"})
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and int(wanted[1]) < len(content):
            start = int(wanted[1])
            return self.answer(
                206, content[start:], {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            )
        return self.answer(200, content)


class _Api(_Handler):
    server_name = "api"

    @property
    def token(self) -> str:
        return self.headers.get("Authorization", "").removeprefix("Bearer ")

    def route(self, path: str, query: dict[str, list[str]], body: bytes) -> None:
        if self.token and self.token not in (TOKEN, READER):
            return self.refuse(401, "", "Invalid credentials in Authorization header")
        if path == "/api/whoami-v2":
            if not self.token:
                return self.refuse(401, "", "Invalid username or password.")
            return self.answer(200, {"type": "user", "name": OWNER, "orgs": [{"name": "school", "type": "org"}]})
        if path == "/api/validate-yaml":
            return self.answer(200, {"errors": [], "warnings": []})
        if path == "/api/repos/create":
            return self._create(json.loads(body))
        if path == "/api/models":
            return self._list(query)
        if found := re.fullmatch(r"/(.+)\.git/info/lfs/objects/(batch|verify)", path):
            return self._with_repository(found[1], lambda _: self._lfs(found[2], json.loads(body)), write=True)
        if found := re.fullmatch(r"/((?:datasets/)?[^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            return self._with_repository(found[1], lambda repository: self._resolve(repository, found[2], found[3]))
        if found := re.fullmatch(
            r"/api/(?:models/|(datasets/))([^/]+/[^/]+)(?:/(revision|tree|paths-info|preupload|commit)/([^/]+)(/.*)?)?",
            path,
        ):
            name, action, revision = (found[1] or "") + found[2], found[3] or "revision", unquote(found[4] or "main")
            action = action.replace("-", "_")
            if found[5]:
                query["below"] = [unquote(found[5]).strip("/")]
            return self._with_repository(
                name,
                lambda repository: getattr(self, f"_{action}")(name, repository, revision, query, body),
                write=action in ("preupload", "commit"),
            )
        return self.answer(404, {"error": f"this Hub knows no {path}"})

    def _with_repository(self, name: str, then: Callable[[Repository], None], write: bool = False) -> None:
        repository = self.hub.repositories.get(name)
        if repository is None or (repository.private and not self.token):
            if self.token:
                return self.refuse(404, "RepoNotFound", "Repository not found")
            return self.refuse(401, "RepoNotFound", "Invalid username or password.")
        if write and self.token != TOKEN:
            return self.refuse(403, "", "You don't have the required permissions")
        return then(repository)

    def _create(self, wanted: dict[str, Any]) -> None:
        name = f"{wanted.get('organization') or OWNER}/{wanted['name']}"
        if self.token != TOKEN or name.split("/", maxsplit=1)[0] not in (OWNER, "school"):
            return self.refuse(403 if self.token else 401, "", "You don't have the rights to create a model there")
        address = f"{self.hub.address}/{name}"
        if name in self.hub.repositories:
            return self.answer(409, {"error": "You already created this model repo", "url": address})
        self.hub.create(name, private=wanted.get("visibility") == "private" or bool(wanted.get("private")))
        return self.answer(200, {"url": address, "name": name})

    def _list(self, query: dict[str, list[str]]) -> None:
        author, search = query.get("author", [""])[0], query.get("search", [""])[0]
        names = sorted(
            name
            for name, repository in self.hub.repositories.items()
            if name.startswith(f"{author}/") and search in name and (self.token or not repository.private)
        )
        size = min(PAGE, int(query.get("limit", [str(PAGE)])[0]))
        start = int(query.get("cursor", ["0"])[0])
        link = f"{self.hub.address}/api/models?author={author}&search={search}&cursor={start + size}"
        more = {"Link": f'<{link}>; rel="next"'} if start + size < len(names) and "limit" not in query else {}
        self.answer(200, [{"id": name, "modelId": name, "tags": []} for name in names[start : start + size]], more)

    def _revision(
        self, name: str, repository: Repository, revision: str, query: dict[str, list[str]], _: bytes
    ) -> None:
        found = repository.resolve(revision)
        if found is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        oid, files = found
        siblings = [
            {
                "rfilename": path,
                **({"size": len(content), "blobId": _git_oid(path, content)} if "blobs" in query else {}),
            }
            for path, content in files.items()
        ]
        return self.answer(
            200,
            {"id": name, "modelId": name, "sha": oid, "private": repository.private, "tags": [], "siblings": siblings},
        )

    def _tree(self, name: str, repository: Repository, revision: str, query: dict[str, list[str]], _: bytes) -> None:
        found = repository.resolve(revision)
        if found is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        below = f"{query['below'][0]}/" if "below" in query else ""
        entries: list[dict[str, Any]] = []
        folders = set()
        for path, content in found[1].items():
            if not path.startswith(below):
                continue
            if query.get("recursive") == ["false"] and "/" in path.removeprefix(below):
                folders.add(below + path.removeprefix(below).partition("/")[0])
                continue
            entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": _git_oid(path, content)}
            if is_large(path):
                entry["lfs"] = {"oid": _sha256(content), "size": len(content), "pointerSize": len(_pointer(content))}
            entries.append(entry)
        entries += [{"type": "directory", "path": path, "size": 0, "oid": _sha256(b"")} for path in sorted(folders)]
        if below and not entries:
            return self.refuse(404, "EntryNotFound", "Entry not found")
        return self.answer(200, entries)

    def _preupload(
        self, name: str, repository: Repository, revision: str, query: dict[str, list[str]], body: bytes
    ) -> None:
        have = repository.commits[-1][2]
        files = []
        for file in json.loads(body)["files"]:
            path = file["path"]
            there = have.get(path)
            oid = None if there is None else _sha256(there) if is_large(path) else _git_oid(path, there)
            mode = "lfs" if is_large(path) else "regular"
            files.append({"path": path, "uploadMode": mode, "shouldIgnore": False, "oid": oid})
        return self.answer(200, {"files": files})

    def _lfs(self, action: str, wanted: dict[str, Any]) -> None:
        if action == "verify":
            there = wanted["oid"] in self.hub.store
            return self.answer(200 if there else 404, {} if there else {"error": "not there"})
        objects = []
        for item in wanted["objects"]:
            entry: dict[str, Any] = {"oid": item["oid"], "size": item["size"]}
            if item["oid"] not in self.hub.store:
                verify = f"{self.hub.address}/{urlsplit(self.path).path[1:].removesuffix('batch')}verify"
                upload = f"{self.hub.store_address}/store/{item['oid']}"
                entry["actions"] = {"upload": {"href": upload}, "verify": {"href": verify}}
            objects.append(entry)
        return self.answer(200, {"transfer": "basic", "objects": objects})

    def _commit(
        self, name: str, repository: Repository, revision: str, query: dict[str, list[str]], body: bytes
    ) -> None:
        files: dict[str, bytes | None] = {}
        message = ""
        for line in body.splitlines():
            item = json.loads(line)
            key, value = item["key"], item["value"]
            if key == "header":
                message = value["summary"]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif key == "lfsFile":
                if value["oid"] not in self.hub.store:
                    return self.answer(400, {"error": "a large file was never uploaded"})
                files[value["path"]] = self.hub.store[value["oid"]]
            elif key == "deletedFile":
                files[value["path"]] = None
        oid = self.hub.commit(name, files, message)
        return self.answer(
            200, {"success": True, "commitOid": oid, "commitUrl": f"{self.hub.address}/{name}/commit/{oid}"}
        )

    def _resolve(self, repository: Repository, revision: str, path: str) -> None:
        found = repository.resolve(unquote(revision))
        if found is None:
            return self.refuse(404, "RevisionNotFound", "Invalid rev id")
        oid, files = found
        content = files.get(unquote(path))
        if content is None:
            return self.refuse(404, "EntryNotFound", "Entry not found", **{"X-Repo-Commit": oid})
        headers = {"X-Repo-Commit": oid, "ETag": f'"{_git_oid(path, content)}"'}
        if is_large(path):
            sha256 = _sha256(content)
            headers |= {
                "X-Linked-Etag": f'"{sha256}"',
                "X-Linked-Size": str(len(content)),
                "Location": f"{self.hub.store_address}/store/{sha256}",
            }
            return self.answer(302, b"", headers)
        return self.answer(200, content, headers)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pointer(content: bytes) -> bytes:
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{_sha256(content)}\nsize {len(content)}\n".encode()


def _git_oid(path: str, content: bytes) -> str:
    data = _pointer(content) if is_large(path) else content
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
