"""A server process and plain HTTP clients of it, which do what well-behaved libraries would not."""
import http.client
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time


def request_bytes(method, path, host, body=None, headers=None):
    """A request; `body` is bytes, or something that becomes JSON."""
    fields = {"Host": host}
    if body is not None:
        if not isinstance(body, bytes):
            body = json.dumps(body).encode()
            fields["Content-Type"] = "application/json"
        fields["Content-Length"] = str(len(body))
    fields.update(headers or {})
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items()), "", ""]
    return "\r\n".join(lines).encode() + (body or b"")


class Answer:
    def __init__(self, response):
        self.status, self.headers = response.status, response.headers
        self.text = response.read().decode()

    @property
    def json(self):
        return json.loads(self.text)


def answer_of(client, keep=False, head=False):
    """The answer that arrives at a socket, which is closed unless `keep`."""
    client.settimeout(20)
    response = http.client.HTTPResponse(client, method="HEAD" if head else None)
    response.begin()
    answer = Answer(response)
    response.close()
    if not keep:
        client.close()
    return answer


class Server:
    def __init__(self, command, environment=None):
        self.errors = tempfile.TemporaryFile("w+")
        self.process = subprocess.Popen([str(word) for word in command], stdout=subprocess.PIPE, stderr=self.errors, text=True,
                                        env=os.environ | (environment or {}))
        self.url = self.process.stdout.readline().strip()
        if not self.url:
            raise RuntimeError(f"the server did not start: {self.wait()}")
        self.host = self.url.removeprefix("http://").rstrip("/")
        self.port = int(self.host.rpartition(":")[2])
        self.call("GET", "/api/model")  # after this all threads have started
        self.wait_until(lambda: self.descriptors("socket") <= 1, "the first connection is closed")
        self.idle_descriptors, self.idle_threads = self.descriptors(), self.threads()

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=30)

    def call(self, method, path, body=None, headers=None, patience=0):
        """One request on a connection of its own; tried again for `patience` seconds while there is none for it."""
        until = time.monotonic() + patience
        while True:
            client = self.connect()
            client.sendall(request_bytes(method, path, self.host, body, headers))
            answer = answer_of(client, head=method == "HEAD")
            if answer.status != 503 or time.monotonic() > until:
                return answer
            time.sleep(0.1)

    def get(self, path):
        answer = self.call("GET", path)
        assert answer.status == 200, (path, answer.status, answer.text)
        return answer.json

    def wait_for(self, job, seconds=120):
        """The state of a job when it is over."""
        until = time.monotonic() + seconds
        while (state := self.get(f"/api/jobs/{job}"))["status"] in ("queued", "running"):
            assert time.monotonic() < until, state
            time.sleep(0.02)
        return state

    def descriptors(self, kind=""):
        """Open files, or those whose kind, such as "socket", is named."""
        found = 0
        for entry in os.scandir(f"/proc/{self.process.pid}/fd"):
            try:
                found += os.readlink(entry.path).startswith(kind)
            except FileNotFoundError:  # closed since
                pass
        return found

    def threads(self):
        return len(os.listdir(f"/proc/{self.process.pid}/task"))

    def wait_until(self, condition, what, seconds=20):
        until = time.monotonic() + seconds
        while not condition():
            assert time.monotonic() < until, f"not in time: {what}"
            time.sleep(0.02)

    def wait_until_idle(self, case):
        """Until all connections are closed; then nothing is open that was not at first."""
        self.wait_until(lambda: self.descriptors() <= self.idle_descriptors, "all connections are closed")
        case.assertEqual((self.descriptors(), self.threads()), (self.idle_descriptors, self.idle_threads))

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.wait()

    def wait(self):
        """Exit status and what was said on standard error."""
        status = self.process.wait(timeout=60)
        self.errors.seek(0)
        return status, self.errors.read()

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()


class Event:
    def __init__(self, block):
        fields = dict(line.split(": ", 1) for line in block.decode().splitlines() if not line.startswith(":"))
        self.id, self.name, self.data = int(fields["id"]), fields["event"], json.loads(fields["data"])


class Events:
    """What happens to a job, as it is told to one who listens."""

    def __init__(self, server, job, after=None):
        self.client = server.connect()
        self.client.settimeout(60)
        headers = {"Last-Event-ID": str(after)} if after is not None else {}
        self.client.sendall(request_bytes("GET", f"/api/jobs/{job}/events", server.host, headers=headers))
        self.received = b""
        while b"\r\n\r\n" not in self.received:
            self.more()
        head, self.received = self.received.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 200 ") and b"text/event-stream" in head, head

    def more(self):
        data = self.client.recv(65536)
        self.received += data
        return data != b""

    def next(self):
        """The next event, or None at the end."""
        while True:
            while b"\n\n" not in self.received:
                if not self.more():
                    self.close()
                    return None
            block, self.received = self.received.split(b"\n\n", 1)
            if b"event: " in block:
                return Event(block)

    def all(self):
        events = []
        while (event := self.next()) is not None:
            events.append(event)
        return events

    def bytes(self):
        while self.more():
            pass
        self.close()
        return self.received

    def close(self):
        self.client.close()
