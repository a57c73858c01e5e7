"""Headless Chromium through the WebDriver protocol (https://www.w3.org/TR/webdriver2/)."""
import base64
import json
import re
import subprocess
import urllib.error
import urllib.request

ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"Tab": "\ue004", "Enter": "\ue007", "Escape": "\ue00c", "End": "\ue010", "Home": "\ue011", "PageDown": "\ue00f",
        "ArrowLeft": "\ue012", "ArrowUp": "\ue013", "ArrowRight": "\ue014", "ArrowDown": "\ue015", "Control": "\ue009"}


class Browser:
    """One session; files that pages save go to the folder `downloads`."""

    def __init__(self, downloads):
        # Ends with the process; the port is a free one that it chooses.
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, text=True)
        for line in self.driver.stdout:
            if port := re.search(r"started successfully on port (\d+)", line):
                break
        else:
            raise RuntimeError("chromedriver did not start")
        self.address = f"http://127.0.0.1:{port.group(1)}/session"
        options = {"args": ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--force-device-scale-factor=1",
                            "--window-size=1200,900"]}
        answer = self.call("", {"capabilities": {"alwaysMatch": {
            "browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}}})
        self.address += "/" + answer["sessionId"]
        self.call("/timeouts", {"script": 120000})  # machines that build at the same time are slow
        self.chromium("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(downloads))
        self.chromium("Browser.grantPermissions", permissions=["clipboardReadWrite", "clipboardSanitizedWrite"])

    def close(self):
        self.call("", method="DELETE")
        self.driver.terminate()
        self.driver.wait()
        self.driver.stdout.close()

    def call(self, path, body=None, method=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.address + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as response:
                return json.load(response)["value"]
        except urllib.error.HTTPError as error:
            raise AssertionError(json.load(error)["value"]["message"]) from None

    def chromium(self, command, **parameters):
        """A command of the browser's own protocol."""
        return self.call("/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path):
        self.call("/url", {"url": path.as_uri()})

    def run(self, script, *arguments):
        return self.call("/execute/sync", {"script": script, "args": arguments})

    def wait(self, script, *arguments):
        """Runs an asynchronous function's body."""
        code = "const done = arguments[arguments.length - 1]; (async (...args) => {" + script + "})(...arguments).then(done)"
        return self.call("/execute/async", {"script": code, "args": arguments})

    def enter(self, selector):
        """Goes into a frame, or out of all of them."""
        self.call("/frame", {"id": None if selector is None else self.find(selector)})

    def find(self, selector):
        return self.call("/element", {"using": "css selector", "value": selector})

    def text(self, selector):
        return self.run("return document.querySelector(arguments[0])?.textContent", selector)

    def texts(self, selector):
        return self.run("return [...document.querySelectorAll(arguments[0])].map((e) => e.textContent)", selector)

    def style(self, selector, name):
        return self.run("return getComputedStyle(document.querySelector(arguments[0]))[arguments[1]]", selector, name)

    def click(self, selector):
        self.call(f"/element/{self.find(selector)[ELEMENT]}/click", {})

    def hover(self, selector):
        move = {"type": "pointerMove", "origin": self.find(selector), "x": 0, "y": 0, "duration": 0}
        self.call("/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": [move]}]})

    def press(self, *keys):
        """Keys one after the other; "Control+End" holds the first."""
        actions = []
        for key in keys:
            names = [KEYS.get(name, name) for name in key.split("+")]
            actions += [{"type": "keyDown", "value": name} for name in names]
            actions += [{"type": "keyUp", "value": name} for name in reversed(names)]
        self.call("/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def complaints(self):
        """What was written to the console since it was last asked."""
        return [entry["message"] for entry in self.call("/se/log", {"type": "browser"})]

    def picture(self):
        return base64.b64decode(self.call("/screenshot"))
