"""usage: load_test.py SERVE_STUB [options of unittest]

The server's own code under load: the stub's jobs only sleep, and it is built with sanitizers, so that a leak, a data race
or a use after free ends it with an error.
"""
import json
import pathlib
import signal
import socket
import sys
import threading
import time
import unittest

sys.dont_write_bytecode = True

from client import Events, Server, answer_of, request_bytes  # noqa: E402

STUB = pathlib.Path(sys.argv.pop(1)).absolute() if len(sys.argv) > 1 else None

MAX_BODY, CONNECTIONS, TIMEOUT_MS, WAITING = 4096, 64, 1000, 4


class Load(unittest.TestCase):
    def setUp(self):
        self.server = Server([STUB, str(MAX_BODY), str(CONNECTIONS), str(TIMEOUT_MS), str(WAITING)])
        self.addCleanup(self.server.kill)

    def tearDown(self):
        # The end of every test: the next request works, nothing is left open, and the sanitizers have nothing to say.
        state = self.run_job(steps=1, milliseconds=0, text="still fine")
        self.assertEqual(self.server.get(state["result"]["json"]), "still fine")
        self.server.wait_until_idle(self)
        status, errors = self.server.stop()
        self.assertEqual((status, errors), (0, ""))

    def submit(self, **request):
        return self.server.call("POST", "/api/jobs", request)

    def run_job(self, **request):
        for _ in range(200):
            answer = self.submit(**request)
            if answer.status == 202:
                break
            self.assertEqual(answer.status, 503, answer.text)
            time.sleep(0.05)
        return self.server.wait_for(answer.json["id"])

    def test_two_hundred_at_once(self):
        """Most are queued or told to come back."""
        answers = []

        def client():
            try:
                answers.append(self.submit(steps=2, milliseconds=5, text="x"))
            except OSError as error:
                answers.append(error)

        threads = [threading.Thread(target=client) for _ in range(200)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        statuses = [getattr(answer, "status", answer) for answer in answers]
        self.assertEqual(set(statuses), {202, 503})
        for answer in answers:
            if answer.status == 503:
                self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
                self.assertIn("try again in", answer.json["error"]["message"])
        accepted = [answer.json["id"] for answer in answers if answer.status == 202]
        self.assertGreaterEqual(len(accepted), WAITING)
        self.server.wait_for(accepted[-1])

    def test_two_hundred_connections_that_say_nothing(self):
        """Those beyond the limit are let go, and all of them after the time that a request may take."""
        sockets = [self.server.connect() for _ in range(200)]
        self.assertEqual(self.server.call("GET", "/api/model", patience=20).status, 200)
        self.assertLess(self.server.descriptors(), CONNECTIONS + 64 + 20)
        for open_socket in sockets:
            open_socket.settimeout(20)
            self.assertEqual(open_socket.recv(1), b"")
            open_socket.close()

    def test_busy_connections_are_told_so(self):
        holders = [self.server.connect() for _ in range(CONNECTIONS)]
        time.sleep(0.2)
        answer = self.server.call("GET", "/api/model")
        self.assertEqual((answer.status, answer.headers["Retry-After"]), (503, "1"))
        self.assertIn("as many connections as it takes", answer.json["error"]["message"])
        for holder in holders:
            holder.close()

    def test_slow_clients(self):
        """A client that keeps sending a little is late all the same."""
        whole = request_bytes("POST", "/api/jobs", self.server.host, {"steps": 1, "milliseconds": 0, "text": "y" * 500})
        for part in (whole[:60], whole[:-300]):  # in the headers, in the body
            with self.server.connect() as slow:
                slow.sendall(part)
                began = time.monotonic()
                try:
                    for byte in whole[len(part):]:
                        slow.sendall(bytes([byte]))
                        time.sleep(0.05)
                        if time.monotonic() - began > 1.2 * TIMEOUT_MS / 1000:
                            break
                except OSError:
                    pass
                answer = answer_of(slow)
                self.assertEqual(answer.status, 408)
                self.assertIn("longer than 1.00 s to arrive", answer.json["error"]["message"])
                self.assertLess(time.monotonic() - began, 3 * TIMEOUT_MS / 1000)

    def test_aborted_requests(self):
        whole = request_bytes("POST", "/api/jobs", self.server.host, {"steps": 1, "milliseconds": 0, "text": "z" * 500})
        for end in range(1, len(whole), 40):
            with self.server.connect() as aborted:
                aborted.sendall(whole[:end])
                if end % 80 == 1:  # with a reset in place of a farewell
                    aborted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")

    def test_answers_that_nobody_takes(self):
        state = self.run_job(steps=1, milliseconds=0, bytes=20_000_000)
        for _ in range(5):
            with self.server.connect() as lazy:
                lazy.sendall(request_bytes("GET", state["result"]["html"], self.server.host))
                lazy.recv(1000)

    def test_malformed_requests(self):
        job = b'{"steps": 1, "milliseconds": 0}'
        head = b"POST /api/jobs HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        get = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
        for request, status, text in (
                (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, "the request is no HTTP"),
                (b"GET / HTTP/9.9\r\n\r\n", 400, "the request is no HTTP"),
                (b"get\r\n\r\n", 400, "the request is no HTTP"),
                (get + b"X: " + b"a" * 40000 + b"\r\n\r\n", 431, "the headers have more than 16384 bytes"),
                (get + b"Host: evil.example\r\n\r\n", 400, "two Host headers"),
                (b"GET / HTTP/1.1\r\n\r\n", 403, "the request is for host ''"),
                (head + b"Content-Length: 5000\r\n\r\n" + b" " * 5000, 413, "more than 4096 bytes"),
                (head + b"Content-Length: 99999999999999999999\r\n\r\n", 400, "the request is no HTTP"),
                (head + b"Content-Length: -1\r\n\r\n", 400, "the request is no HTTP"),
                (head + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b" " * 4096 + b"\r\n1000\r\n" + b" " * 4096, 413,
                 "more than 4096 bytes"),
                (head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400, "the request is no HTTP"),
                (head + b"Content-Length: 0\r\n\r\n", 400, "body: no valid JSON"),
                (head + b"Content-Length: 3\r\n\r\n{\"a", 400, "body: no valid JSON"),
                (head + b"Content-Length: 2\r\n\r\n\"\xff", 400, "body: no valid JSON"),
                (head + b"Content-Length: 4000\r\n\r\n" + b"[" * 4000, 400, "more than 64 deep"),
                (head + b"Content-Length: 14\r\n\r\n{\"a\":1,\"a\":2} ", 400, "key 'a' is given twice"),
                (head + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(job) + job, 202, "queued"),
                (head + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n" % len(job) + job + b"\r\n0\r\n\r\n", 202, "queued"),
        ):
            with self.subTest(request=request[:100]), self.server.connect() as client:
                client.sendall(request)
                answer = answer_of(client)
                self.assertEqual(answer.status, status, answer.text)
                self.assertIn(text, answer.text)

    def test_requests_one_after_the_other_on_one_connection(self):
        with self.server.connect() as client:
            for path, status in (("/api/model", 200), ("/nowhere", 404), ("/api/model", 200)):
                client.sendall(request_bytes("GET", path, self.server.host))
                self.assertEqual(answer_of(client, keep=True).status, status)
            # Two at once are answered in their order.
            client.sendall(request_bytes("HEAD", "/api/model", self.server.host) + request_bytes("GET", "/nowhere", self.server.host))
            received = b""
            while not received.endswith(b"}}"):
                received += client.recv(65536)
            self.assertEqual([line for line in received.split(b"\r\n") if line.startswith((b"HTTP/1.1 ", b"{"))][:2],
                             [b"HTTP/1.1 200 OK", b"HTTP/1.1 404 Not Found"])

    def test_queue_order(self):
        ids = [self.submit(steps=20, milliseconds=10).json["id"] for _ in range(WAITING)]
        self.assertEqual(self.server.get(f"/api/jobs/{ids[3]}")["place"], 3)
        listener = Events(self.server, ids[3])
        self.server.call("DELETE", f"/api/jobs/{ids[1]}")
        for job in ids:
            self.server.wait_for(job)
        events = listener.all()
        self.assertEqual([event.data["place"] for event in events if event.name == "queued"], [3, 2, 1, 0])
        self.assertEqual([event.name for event in events][-1], "result")
        self.assertEqual([self.server.get(f"/api/jobs/{job}")["status"] for job in ids], ["done", "cancelled", "done", "done"])

    def test_events_are_heard_again_from_where_they_were_lost(self):
        job = self.submit(steps=60, milliseconds=10).json["id"]
        first = Events(self.server, job)
        heard = [first.next() for _ in range(4)]
        first.close()
        self.assertEqual([event.name for event in heard[:2]], ["queued", "phase"])
        rest = Events(self.server, job, after=heard[-1].id).all()
        self.assertGreater(rest[0].id, heard[-1].id)
        self.assertEqual(rest[-1].name, "result")
        self.assertEqual([event.id for event in rest], sorted({event.id for event in rest}))
        # Who has heard the end is told not to come back.
        answer = self.server.call("GET", f"/api/jobs/{job}/events", headers={"Last-Event-ID": str(rest[-1].id)})
        self.assertEqual((answer.status, answer.text), (204, ""))
        # Progress that is over is not told again.
        again = Events(self.server, job).all()
        self.assertEqual([event.name for event in again], ["queued", "phase", "progress", "result"])
        self.assertEqual(again[2].data, {"phase": "sleeping", "done": 60, "total": 60})

    def test_signs_of_life(self):
        self.submit(steps=1, milliseconds=600)
        job = self.submit(steps=1, milliseconds=0).json["id"]
        self.assertIn(b": still here\n\n", Events(self.server, job).bytes())

    def test_listeners_that_go_away(self):
        job = self.submit(steps=100, milliseconds=10).json["id"]
        listeners = [Events(self.server, job) for _ in range(CONNECTIONS // 2)]
        refused = self.server.call("GET", f"/api/jobs/{job}/events")
        self.assertEqual(refused.status, 503)
        self.assertIn("as many clients follow events", refused.json["error"]["message"])
        for listener in listeners:
            listener.close()
        self.server.wait_until(lambda: self.server.descriptors() <= self.server.idle_descriptors, "listeners are gone")
        self.assertEqual(self.server.wait_for(job)["status"], "done")  # the job goes on without them

    def test_cancelling(self):
        job = self.submit(steps=1000, milliseconds=5).json["id"]
        listener = Events(self.server, job)
        while listener.next().name != "progress":
            pass
        self.assertEqual(self.server.call("DELETE", f"/api/jobs/{job}").json["stopping"], True)
        last = listener.all()[-1]
        self.assertEqual((last.name, last.data["error"]["message"]), ("cancelled", "the job was cancelled"))
        state = self.server.get(f"/api/jobs/{job}")
        self.assertEqual(state["status"], "cancelled")
        self.assertEqual(self.server.call("DELETE", f"/api/jobs/{job}").json, state)
        answer = self.server.call("GET", f"/api/jobs/{job}/result.json")
        self.assertEqual((answer.status, answer.json["error"]["message"]), (409, "the job has no result: it is cancelled"))

    def test_failing_jobs(self):
        state = self.run_job(steps=1, milliseconds=0, fail="input", text="a \"text\" of <b>whence</b>")
        self.assertEqual(state["error"], {"status": 422, "place": "", "message": "a \"text\" of <b>whence</b>"})
        state = self.run_job(steps=1, milliseconds=0, fail="unknown")
        self.assertEqual(state["error"]["message"], "defect in whence, please report it: an exception of unknown type")
        state = self.run_job(steps=1000, milliseconds=10)
        self.assertIn("longer than the 3 s that this server gives one", state["error"]["message"])

    def test_old_jobs_are_forgotten(self):
        jobs = [self.run_job(steps=1, milliseconds=0)["id"] for _ in range(10)]
        self.assertEqual([self.server.call("GET", f"/api/jobs/{job}").status for job in jobs], [404] * 2 + [200] * 8)
        self.assertIn("forgotten after a while", self.server.call("GET", f"/api/jobs/{jobs[0]}").json["error"]["message"])

    def test_other_sites_are_refused(self):
        own = {"Content-Type": "application/json"}
        for headers, status, place in (
                ({"Host": "localhost:9", **own}, 202, None),
                ({"Host": "[::1]:9", **own}, 202, None),
                ({"Host": "KNOWN.example:80", **own}, 202, None),
                ({"Host": "evil.example", **own}, 403, "Host"),
                ({"Host": "127.0.0.1.evil.example", **own}, 403, "Host"),
                ({"Host": "localhost", "Origin": "http://localhost", **own}, 202, None),
                ({"Host": "localhost", "Origin": "http://localhost:1", **own}, 403, "Origin"),
                ({"Host": "localhost", "Origin": "https://localhost", **own}, 403, "Origin"),
                ({"Host": "localhost", "Origin": "null", **own}, 403, "Origin"),
                ({"Sec-Fetch-Site": "cross-site", **own}, 403, "Sec-Fetch-Site"),
                ({"Sec-Fetch-Site": "same-site", **own}, 403, "Sec-Fetch-Site"),
                ({"Sec-Fetch-Site": "same-origin", **own}, 202, None),
                ({"Content-Type": "text/plain"}, 415, "Content-Type"),
                ({"Content-Type": "application/json; charset=utf-8"}, 202, None),
                ({}, 415, "Content-Type"),
        ):
            with self.subTest(headers=headers):
                answer = self.server.call("POST", "/api/jobs", b'{"steps": 0, "milliseconds": 0}', headers=headers)
                self.assertEqual(answer.status, status, answer.text)
                self.assertNotIn("Access-Control-Allow-Origin", answer.headers)
                if place:
                    self.assertEqual(answer.json["error"]["place"], place)
                else:
                    self.server.wait_for(answer.json["id"])
        # A link on another site may open the page, which does nothing by itself.
        self.assertEqual(self.server.call("GET", "/", headers={"Sec-Fetch-Site": "cross-site"}).status, 200)


class Stopping(unittest.TestCase):
    def setUp(self):
        self.server = Server([STUB])
        self.addCleanup(self.server.kill)

    def submit(self, steps):
        return self.server.call("POST", "/api/jobs", {"steps": steps, "milliseconds": 10}).json["id"]

    def test_idle(self):
        for stop in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(stop=stop):
                server = Server([STUB])
                self.addCleanup(server.kill)
                self.assertEqual(server.stop(stop), (0, ""))

    def test_work_is_finished_and_new_work_refused(self):
        running, waiting = self.submit(80), self.submit(1)
        listener, other = Events(self.server, running), Events(self.server, waiting)
        self.server.process.send_signal(signal.SIGTERM)
        self.server.wait_until(lambda: self.server.get(f"/api/jobs/{waiting}")["status"] == "cancelled", "the queue is drained")
        refused = self.server.call("POST", "/api/jobs", {"steps": 1, "milliseconds": 1})
        self.assertEqual((refused.status, refused.json["error"]["message"]), (503, "the server stops and takes no more jobs"))
        self.assertIn("the server stops", other.all()[-1].data["error"]["message"])
        end = listener.all()[-1]
        self.assertEqual(end.name, "result")
        self.assertEqual(self.server.get(end.data["json"]), "")
        self.assertEqual(self.server.wait(), (0, "finishing the job at work; interrupt again to stop it\n"))

    def test_a_second_signal_stops_work(self):
        listener = Events(self.server, self.submit(250))
        self.server.process.send_signal(signal.SIGINT)
        time.sleep(0.2)
        self.server.process.send_signal(signal.SIGINT)
        self.assertEqual(listener.all()[-1].name, "cancelled")
        status, errors = self.server.wait()
        self.assertEqual((status, errors.splitlines()[-1]), (0, "stopping the job at work"))

    def test_with_clients_that_wait(self):
        listener = Events(self.server, self.submit(1000))
        idle = [self.server.connect() for _ in range(20)]
        half = self.server.connect()
        half.sendall(b"POST /api/jobs HT")
        self.server.process.send_signal(signal.SIGTERM)
        time.sleep(0.1)
        self.server.process.send_signal(signal.SIGTERM)
        self.assertEqual(self.server.wait()[0], 0)
        self.assertEqual(listener.all()[-1].name, "cancelled")
        for client in [*idle, half]:
            client.close()


if __name__ == "__main__":
    unittest.main()
