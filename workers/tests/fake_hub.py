"""A hub on this machine, with the few endpoints that huggingface_hub and datasets ask: FOLDER holds
models/OWNER/NAME/REVISION/... and datasets/OWNER/NAME/REVISION/..., where a revision is a branch or a tag.

    python workers/tests/fake_hub.py FOLDER      (says its address on stdout, and serves until its stdin ends)
"""

import hashlib
import json
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

_API = re.compile(r"/api/(models|datasets)/([^/]+/[^/]+)(?:/(revision|tree|paths-info)/([^/]+))?(?:/(.*))?")
_FILE = re.compile(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)")


def commit_of(folder: Path) -> str:
    """What stands for the commit of a revision: 40 hex digits of its content."""
    files = [(str(file.relative_to(folder)), _etag(file)) for file in _files(folder)]
    return hashlib.sha1(json.dumps([folder.parent.name, files]).encode()).hexdigest()


def _files(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _etag(file: Path) -> str:
    return hashlib.sha1(file.read_bytes()).hexdigest()


class _Hub(BaseHTTPRequestHandler):
    root: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"])) or "{}"))

    def log_message(self, *_: Any) -> None:
        pass

    def _answer(self, sent: dict[str, Any] | None = None) -> None:
        self.asked.append(f"{self.command} {self.path}")
        path = unquote(urlsplit(self.path).path)
        if found := _API.fullmatch(path):
            kind, name, what, revision, below = found.groups()
            if (folder := self._revision(kind, name, revision or "main")) is None:
                return
            files = [_entry(file, folder) for file in _files(folder)]
            if what == "tree":
                self._tree(
                    folder / (below or ""), folder, recursive="recursive=true" in urlsplit(self.path).query.lower()
                )
            elif what == "paths-info":
                self._json([file for file in files if file["path"] in (sent or {}).get("paths", [])])
            else:
                siblings = [{"rfilename": file["path"], "size": file["size"]} for file in files]
                self._json({"id": name, "sha": commit_of(folder), "siblings": siblings, "tags": [], "private": False})
        elif found := _FILE.fullmatch(path):
            datasets, name, revision, below = found.groups()
            if (folder := self._revision("datasets" if datasets else "models", name, revision)) is None:
                return
            file = folder / below
            if not file.is_file():
                return self._refuse("EntryNotFound", commit_of(folder))
            self._send(200, file.read_bytes(), {"ETag": f'"{_etag(file)}"', "X-Repo-Commit": commit_of(folder)})
        else:
            self._refuse("RepoNotFound")

    def _tree(self, below: Path, folder: Path, *, recursive: bool) -> None:
        if not below.is_dir():
            return self._refuse("EntryNotFound")
        self._json([_entry(each, folder) for each in sorted(below.rglob("*") if recursive else below.iterdir())])

    def _revision(self, kind: str, name: str, revision: str) -> Path | None:
        """None: it has been answered that there is none."""
        repo = self.root / kind / name
        if not repo.is_dir():
            return self._refuse("RepoNotFound")
        for folder in repo.iterdir():
            if revision in (folder.name, commit_of(folder)):
                return folder
        return self._refuse("RevisionNotFound")

    def _refuse(self, code: str, commit: str | None = None) -> None:
        self._send(404, b"", {"X-Error-Code": code, **({"X-Repo-Commit": commit} if commit else {})})

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)


def _entry(file: Path, folder: Path) -> dict[str, Any]:
    if file.is_dir():
        return {"type": "directory", "path": str(file.relative_to(folder)), "oid": "0" * 40}
    return {"type": "file", "path": str(file.relative_to(folder)), "size": file.stat().st_size, "oid": _etag(file)}


@contextmanager
def serving(root: Path) -> Iterator[tuple[str, list[str]]]:
    """(its address, what it has been asked)."""
    asked: list[str] = []
    handler = type("Hub", (_Hub,), {"root": root, "asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", asked
        finally:
            server.shutdown()


if __name__ == "__main__":
    with serving(Path(sys.argv[1])) as (address, _):
        print(address, flush=True)
        sys.stdin.read()
