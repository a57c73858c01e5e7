"""Programs that answer one JSON request per line."""
import json
import os
import subprocess

from bench import environment


class RequestFailed(Exception):
    """The worker answered that it cannot do what was asked."""


class Worker:
    """A child process; ends with the `with` block."""

    def __init__(self, words, variables=None):
        self.words = [str(word) for word in words]
        self.process = subprocess.Popen(self.words, env=os.environ | (variables or {}), stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    def __enter__(self):
        return self

    def __exit__(self, failure, *_):
        if failure:
            self.process.kill()
            self.process.communicate()
            return
        self.process.communicate()
        if self.process.returncode != 0:
            environment.die(self.words[0], f"ended with status {self.process.returncode}", "see what it says above")

    def ask(self, request):
        self.process.stdin.write(json.dumps(request, ensure_ascii=False) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            environment.die(self.words[0], "ended before it answered", "see what it says above")
        reply = json.loads(line)
        if "error" in reply:
            raise RequestFailed(reply["error"])
        return reply
