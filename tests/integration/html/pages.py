"""What the tests of pages share; the program is the first argument of the script that imports this."""
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import unittest

from browser import Browser

WHENCE = pathlib.Path(sys.argv.pop(1)).absolute() if len(sys.argv) > 1 else None

HOSTILE = ["</script><script>window.hurt = 1</script>", "<img src=x onerror='window.hurt = 1'>", "\"'`", "<!--", "a\x1b[31m\x00",
           "\u202edesrever\u202c", "{{data}}", "&amp;", "=1+1"]
# As pages show them.
SHOWN = [*HOSTILE[:4], "a\\x1b[31m\\x00", "\\u202edesrever\\u202c", *HOSTILE[6:]]


def float32(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def view(result, page, renderer, *options):
    subprocess.run([WHENCE, "view", result, "--quiet", "--renderer", renderer, "-o", page, *options], check=True)


class PageTest(unittest.TestCase):
    """Pages in one browser."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.path = pathlib.Path(cls.folder.name)
        cls.browser = Browser(cls.path)
        cls.addClassCleanup(cls.browser.close)

    def tearDown(self):
        self.assertEqual(self.browser.complaints(), [])
        self.assertIsNone(self.browser.run("return window.hurt ?? null"))
        self.assertEqual(self.browser.run("return performance.getEntriesByType('resource').map((e) => e.name)"), [])

    def saved(self, name):
        """The bytes of a file that the page saves; it appears under its name when it is whole."""
        file = self.path / name
        for _ in range(200):
            if file.exists():
                break
            time.sleep(0.05)
        data = file.read_bytes()
        file.unlink()
        return data

    def busy_seconds(self):
        metrics = self.browser.chromium("Performance.getMetrics")["metrics"]
        return next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration")
