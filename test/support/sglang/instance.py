"""What an SGLang instance answers over HTTP: the bootstrap server, where ranks register, and the public port, which asks it."""

import json
import threading
import urllib.error
import urllib.parse
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, value):
        body = value.encode() if isinstance(value, str) else json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def question(self):
        """Path, and the rank where the query has one."""
        url = urllib.parse.urlsplit(self.path)
        rank = urllib.parse.parse_qs(url.query).get("rank", [None])[0]
        return url.path, None if rank is None else int(rank)


class Bootstrap(ThreadingHTTPServer):
    def __init__(self):
        super().__init__(("127.0.0.1", 0), BootstrapHandler)
        self.ranks = {}
        threading.Thread(target=self.serve_forever, daemon=True).start()


class BootstrapHandler(Handler):
    def do_PUT(self):
        data = json.loads(self.rfile.read(int(self.headers["content-length"])))
        try:
            rank = data["rank"] if "rank" in data else data["tp_rank"]
            info = data["transfer_engine_info"]
            self.server.ranks[rank] = (info["session_id"], info["weights_info_dict"])
        except KeyError as error:
            return self.answer(400, {"detail": str(error)})
        self.answer(200, "OK")

    def do_GET(self):
        path, rank = self.question()
        if path == "/health":
            return self.answer(200, "OK")
        info = self.server.ranks.get(rank)
        if info is None:
            return self.answer(404, {"detail": f"No transfer engine info for rank {rank}"})
        self.answer(200, {"rank": rank, "remote_instance_transfer_engine_info": list(info)})


class Public(ThreadingHTTPServer):
    def __init__(self, bootstrap):
        super().__init__(("127.0.0.1", 0), PublicHandler)
        self.bootstrap = bootstrap
        threading.Thread(target=self.serve_forever, daemon=True).start()


class PublicHandler(Handler):
    def do_GET(self):
        path, rank = self.question()
        if path not in ("/get_remote_instance_transfer_engine_info", "/remote_instance_transfer_engine_info"):
            return self.answer(404, {"detail": "Not Found"})
        if rank is None or rank < 0:
            return self.answer(400, {"error": {"message": "Missing or invalid rank parameter"}})
        try:
            self.answer(200, get_json(f"{self.server.bootstrap}/get_transfer_engine_info?rank={rank}"))
        except urllib.error.HTTPError:
            self.answer(400, {"error": {"message": f"Failed to get transfer engine info for rank {rank}"}})


def get_json(url):
    with urllib.request.urlopen(url, timeout=5) as response:
        return json.load(response)


def put_json(url, value):
    """Status and text of the answer."""
    request = urllib.request.Request(url, json.dumps(value).encode(), {"content-type": "application/json"}, method="PUT")
    try:
        with urllib.request.urlopen(request, timeout=5) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
