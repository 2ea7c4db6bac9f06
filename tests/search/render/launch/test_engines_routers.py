"""The routers themselves: their own parsers on the router's script of every number of instances, and one request
through a running router to servers that only say what they were asked. Slow and optional as ``test_engines_own``;
``SERVEFRONT_ROUTERS`` names the interpreter of an environment that has both (scripts/engines)."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from stubs import bash
from test_engines_own import interpreter
from test_split_launch import outcome_of

from search.render.launch.split import split_files

pytestmark = pytest.mark.slow

BEHIND = {"vllm": 0, "sglang": 2}  # words of a call before the router's own: python3 -m sglang_router.launch_router
RATIOS = [(1, 1), (1, 3), (4, 1), (7, 5)]
# What each must refuse, or the check would prove nothing.
WRONG = {
    "vllm": (["--pd-disaggregation"], ["--worker-startup-timeout-secs", "soon"], ["--policy", "best"]),
    "sglang": (["--vllm-pd-disaggregation"], ["--prefill", "http://a:1", "port"], ["--policy", "best"]),
}


def router_of(engine: str, x: int = 1, y: int = 1) -> str:
    found = outcome_of(f"engine={engine}")
    best = replace(found.split.best, x=np.array([x]), y=np.array([y]))
    return split_files(replace(found, split=replace(found.split, best=best)))["split.router.sh"]


def ask(repo: Path, cases: list[dict]) -> dict[str, dict]:
    result = subprocess.run(
        [interpreter("routers"), str(repo / "scripts" / "engines" / "routers_take.py")],
        input="\n".join(json.dumps(case) for case in cases), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    answers = [json.loads(line) for line in result.stdout.splitlines() if line.startswith('{"id"')]
    assert len(answers) == len(cases), result.stderr[-2000:]
    return {answer["id"]: answer for answer in answers}


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_the_router_takes_every_number_of_instances(repo, tmp_path, capsys, engine):
    interpreter("routers")
    cases = []
    for x, y in RATIOS:
        _, calls = bash(tmp_path, text=router_of(engine, x, y), HOST="0.0.0.0")
        cases.append({"id": f"{x} {y}", "router": engine, "argv": calls[0][1][BEHIND[engine] :]})
    wrong = [{**cases[0], "id": str(words), "argv": [*cases[0]["argv"], *words]} for words in WRONG[engine]]
    answers = ask(repo, [*cases, *wrong])
    assert {name: a["error"] for name, a in answers.items() if name in {c["id"] for c in cases} and a["error"]} == {}
    for x, y in RATIOS:
        answer = answers[f"{x} {y}"]
        prefills, decodes = answer["prefill"], answer["decode"]
        assert (len({url for url, _ in prefills}), len(set(decodes)), answer["waits_s"]) == (x, y, 3600)
        assert all(url.startswith("http://127.0.0.1:") for url in [*decodes, *(url for url, _ in prefills)])
        assert all((port is None) is (engine == "vllm") for _, port in prefills)
    assert all(answers[case["id"]]["error"] is not None for case in wrong)
    with capsys.disabled():
        print(f"\nthe router of {engine} {answers[cases[0]['id']]['version']} takes {len(cases)} commands")


class Told(BaseHTTPRequestHandler):
    """Says what it was asked, as a server of its engine: ready, of a model, with an answer and where its cache is."""

    def do_GET(self) -> None:
        self.answer({"model_path": "m", "served_model_name": "m", "data": [{"id": "m"}], "dp_size": 1})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((self.path, body))
        self.answer({
            "id": "1", "object": "text_completion", "model": "m", "created": 1,
            "choices": [{"index": 0, "text": "yes", "finish_reason": "stop", "logprobs": None}],
            "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
            "kv_transfer_params": {"do_remote_prefill": True, "remote_engine_id": "e", "remote_block_ids": [[1]]},
        })  # fmt: skip

    def answer(self, content: dict) -> None:
        text = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def server():
    found = ThreadingHTTPServer(("127.0.0.1", 0), Told)
    found.asked = []
    thread = threading.Thread(target=found.serve_forever)
    thread.start()
    try:
        yield found
    finally:
        found.shutdown()
        thread.join()
        found.server_close()


def port_of(one: ThreadingHTTPServer) -> str:
    return str(one.server_address[1])


def free_port() -> str:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


def completed(port: str, process: subprocess.Popen) -> dict:
    """An answer through the router, once it is there."""
    body = json.dumps({"model": "m", "prompt": "is it?", "max_tokens": 7, "stream": False}).encode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/completions", body, {"Content-Type": "application/json"}
    )
    for _ in range(240):
        assert process.poll() is None, "the router ended"
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.loads(answer.read())
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.5)
    raise AssertionError("no answer in two minutes")


@pytest.mark.parametrize("engine", ["vllm", "sglang"])
def test_a_request_reaches_both_pools(tmp_path, engine):
    home = Path(interpreter("routers")).parent
    with server() as prefill, server() as decode:
        port = free_port()
        told = {
            "PREFILL": f"127.0.0.1:{port_of(prefill)}", "DECODE": f"127.0.0.1:{port_of(decode)}", "PORT": port,
            "PATH": f"{home}{os.pathsep}{os.environ['PATH']}",
        }  # fmt: skip
        script = tmp_path / "split.router.sh"
        script.write_text(router_of(engine))
        log = (tmp_path / "log").open("w")
        flags = ["--worker-startup-check-interval", "1", "--prometheus-port", free_port()]
        process = subprocess.Popen(
            ["bash", str(script), *flags], env={**os.environ, **told}, stdout=log, stderr=log, cwd=tmp_path
        )
        try:
            assert completed(port, process)["choices"][0]["text"] == "yes"
        except AssertionError as error:
            raise AssertionError((tmp_path / "log").read_text()[-3000:]) from error
        finally:
            process.terminate()
            process.wait(timeout=60)
            log.close()
    ((path, asked),), ((_, then),) = prefill.asked[-1:], decode.asked[-1:]
    assert path == "/v1/completions"
    assert asked["prompt"] == then["prompt"] == "is it?"
    assert then["max_tokens"] == 7
    if engine == "vllm":
        assert asked["kv_transfer_params"]["do_remote_decode"] is True
        assert then["kv_transfer_params"]["remote_engine_id"] == "e"
    else:
        assert asked["bootstrap_room"] == then["bootstrap_room"]
        assert asked["bootstrap_port"] == then["bootstrap_port"] == 8998
