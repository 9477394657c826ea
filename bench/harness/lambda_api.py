"""The runtime API that AWS Lambda serves to a function's process, for one process,
<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>."""

import json
import queue
import socket
import subprocess
import threading
import time
import uuid

INVOCATION_SECONDS = 150
PATIENCE_SECONDS = 180


class Function:
    """A fresh process. `ready` is how long it took from its start to its first question for an event."""

    def __init__(self, command, environment, folder=None, log=None):
        self.server = socket.create_server(("127.0.0.1", 0))
        self.events, self.answers = queue.Queue(), queue.Queue()
        self.asked = threading.Event()
        port = self.server.getsockname()[1]
        threading.Thread(target=self.listen, daemon=True).start()
        env = {**environment, "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{port}"}
        started = time.monotonic()
        self.process = subprocess.Popen(
            command, env=env, cwd=folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        if not self.asked.wait(PATIENCE_SECONDS):
            raise SystemExit(f"{command[0]} did not ask for an event in {PATIENCE_SECONDS} s")
        self.ready = self.ready_at - started

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.server.close()

    def memory(self):
        """The most resident memory so far, in bytes."""
        with open(f"/proc/{self.process.pid}/status") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024

    def answer(self, event):
        """Answers an event: what it answered, and after how long."""
        began = time.monotonic()
        self.events.put(event)
        kind, body, at = self.answers.get(timeout=PATIENCE_SECONDS)
        if kind != "response":
            raise SystemExit(f"{self.process.args[0]} answered with an error: {body}")
        return body, at - began

    def listen(self):
        while True:
            try:
                connection, _ = self.server.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.talk, args=(connection,), daemon=True).start()

    def talk(self, connection):
        try:
            self.serve(connection)
        except ConnectionError:
            # The process was ended, as each is.
            pass

    def serve(self, connection):
        buffer = b""
        with connection:
            while True:
                while b"\r\n\r\n" not in buffer:
                    more = connection.recv(65536)
                    if not more:
                        return
                    buffer += more
                now = time.monotonic()
                head, buffer = buffer.split(b"\r\n\r\n", 1)
                lines = head.decode("latin-1").split("\r\n")
                path = lines[0].split(" ")[1]
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                body, buffer = read_body(connection, headers, buffer)
                if path.endswith("/invocation/next"):
                    if not self.asked.is_set():
                        self.ready_at = now
                        self.asked.set()
                    connection.sendall(self.next())
                    continue
                kind = "response" if path.endswith("/response") else "error"
                self.answers.put((kind, body.decode("utf-8", "replace"), time.monotonic()))
                connection.sendall(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n")

    def next(self):
        event = json.dumps(self.events.get()).encode()
        deadline = int((time.time() + INVOCATION_SECONDS) * 1000)
        head = [
            "HTTP/1.1 200 OK",
            "content-type: application/json",
            f"content-length: {len(event)}",
            f"lambda-runtime-aws-request-id: {uuid.uuid4()}",
            f"lambda-runtime-deadline-ms: {deadline}",
            "lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:111122223333:function:bench",
            "lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0",
        ]
        return ("\r\n".join(head) + "\r\n\r\n").encode() + event


def read_body(connection, headers, buffer):
    if "chunked" in headers.get("transfer-encoding", ""):
        body = b""
        while True:
            while b"\r\n" not in buffer:
                buffer += connection.recv(65536)
            size, buffer = buffer.split(b"\r\n", 1)
            size = int(size, 16)
            while len(buffer) < size + 2:
                buffer += connection.recv(65536)
            body, buffer = body + buffer[:size], buffer[size + 2 :]
            if size == 0:
                return body, buffer
    length = int(headers.get("content-length", 0))
    while len(buffer) < length:
        buffer += connection.recv(65536)
    return buffer[:length], buffer[length:]
