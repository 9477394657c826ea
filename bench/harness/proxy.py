"""Passes requests on to the emulators after a set delay, and keeps when each began and ended.

Requests that are under way at the same time are one round trip. How many round trips come one after the
other follows from the times: a request is one more than the deepest that had ended when it began.
"""

import asyncio
import threading
import time
import urllib.parse
from dataclasses import dataclass, field

# What S3's REST requests ask for, by method and query.
S3_OPERATIONS = {
    "publicAccessBlock": "PublicAccessBlock",
    "policyStatus": "BucketPolicyStatus",
    "policy": "BucketPolicy",
    "acl": "BucketAcl",
    "tagging": "BucketTagging",
    "website": "BucketWebsite",
    "location": "BucketLocation",
    "versioning": "BucketVersioning",
    "logging": "BucketLogging",
    "notification": "BucketNotification",
    "lifecycle": "BucketLifecycle",
    "replication": "BucketReplication",
}


@dataclass
class Request:
    operation: str
    began: float
    ended: float = 0.0
    # How many round trips there were up to and with this one.
    depth: int = 0


@dataclass
class Log:
    requests: list = field(default_factory=list)

    def clear(self):
        self.requests = []

    def ordered(self):
        """The requests as they began, each with its depth."""
        done = []
        for request in sorted(self.requests, key=lambda one: one.began):
            before = [one.depth for one in done if one.ended and one.ended <= request.began]
            request.depth = 1 + max(before, default=0)
            done.append(request)
        return done


def operation(method, target, headers, body):
    if "x-amz-target" in headers:
        return headers["x-amz-target"].split(".")[-1]
    if "x-www-form-urlencoded" in headers.get("content-type", ""):
        form = urllib.parse.parse_qs(body.decode("utf-8", "replace"))
        return form.get("Action", ["?"])[0]
    path, _, query = target.partition("?")
    if "/v20180820/" in path:
        return {"GET": "Get", "PUT": "Put"}.get(method, method) + path.rsplit("/", 1)[-1]
    query = urllib.parse.parse_qs(query, keep_blank_values=True)
    for key, name in S3_OPERATIONS.items():
        if key in query:
            return method.capitalize() + name
    return f"{method} {path}"


async def read_message(reader):
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {}
    for line in lines:
        if ":" in line:
            key, value = line.split(":", 1)
            headers[key.strip().lower()] = value.strip()
    body = b""
    if "chunked" in headers.get("transfer-encoding", ""):
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            body += await reader.readexactly(size)
            await reader.readexactly(2)
            if size == 0:
                break
    elif "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    return first, headers, body


def head_of(first, headers, body):
    lines = [first] + [f"{key}: {value}" for key, value in headers.items()]
    lines.append(f"content-length: {len(body)}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Proxy:
    """Listens on a free port for each emulator."""

    def __init__(self, delay):
        self.delay = delay
        self.log = Log()
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()

    def to(self, url):
        """The address at which the emulator at `url` is found through this proxy."""
        target = urllib.parse.urlsplit(url)

        async def listen():
            async def serve(reader, writer):
                await self.serve(reader, writer, target.hostname, target.port)

            server = await asyncio.start_server(serve, "127.0.0.1", 0)
            return server.sockets[0].getsockname()[1]

        port = asyncio.run_coroutine_threadsafe(listen(), self.loop).result()
        return f"http://127.0.0.1:{port}"

    async def serve(self, reader, writer, host, port):
        try:
            while True:
                first, headers, body = await read_message(reader)
                method, target, version = first.split(" ", 2)
                if target.startswith("http://"):
                    # As a client asks a proxy.
                    parts = urllib.parse.urlsplit(target)
                    target = parts.path + (f"?{parts.query}" if parts.query else "")
                    first = f"{method} {target} {version}"
                request = Request(operation(method, target, headers, body), time.monotonic())
                self.log.requests.append(request)
                if headers.get("expect", "").lower() == "100-continue":
                    del headers["expect"]
                await asyncio.sleep(self.delay)
                answer = await self.ask(host, port, first, headers, body, method)
                request.ended = time.monotonic()
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def ask(self, host, port, first, headers, body, method):
        reader, writer = await asyncio.open_connection(host, port)
        headers = {
            key: value
            for key, value in headers.items()
            if key not in ("connection", "transfer-encoding", "content-length")
        }
        headers["connection"] = "close"
        writer.write(head_of(first, headers, body) + body)
        await writer.drain()
        raw = await reader.readuntil(b"\r\n\r\n")
        status, *lines = raw.decode("latin-1").split("\r\n")
        answered = {}
        for line in lines:
            if ":" in line:
                key, value = line.split(":", 1)
                answered[key.strip().lower()] = value.strip()
        rest = b"" if method == "HEAD" else await reader.read()
        writer.close()
        if "chunked" in answered.get("transfer-encoding", ""):
            rest = unchunked(rest)
        length = answered.get("content-length", "0") if method == "HEAD" else str(len(rest))
        answered = {
            key: value
            for key, value in answered.items()
            if key not in ("connection", "transfer-encoding", "content-length")
        }
        lines = [status] + [f"{key}: {value}" for key, value in answered.items()]
        lines.append(f"content-length: {length}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1") + rest


def unchunked(raw):
    body = b""
    while raw:
        size, _, raw = raw.partition(b"\r\n")
        size = int(size.split(b";")[0], 16)
        if size == 0:
            break
        body += raw[:size]
        raw = raw[size + 2 :]
    return body
