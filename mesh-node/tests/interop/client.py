"""Calls an agent with jsonrpcclient and httpx. Usage: client.py HOST:PORT"""

import sys

import httpx
from jsonrpcclient import Error, Ok, notification, parse, request

URL = f"http://{sys.argv[1]}/rpc"


def post(body) -> httpx.Response:
    return httpx.post(URL, json=body, timeout=30)


def call(method: str, params: dict | None = None):
    return parse(post(request(method, params=params)).json())


info = call("info")
assert isinstance(info, Ok) and {"agent", "cpu", "mem"} <= info.result.keys(), info

work = call("work", {"text": "from Python"})
assert isinstance(work, Ok) and work.result["result"] == "Processed: from Python", work

delegate = call("delegate", {"text": "passed on"})
assert isinstance(delegate, Ok), delegate
assert delegate.result["peer_result"]["result"] == "Processed: passed on", delegate
assert delegate.result["delegated_to"]["agent"] != info.result["agent"], delegate

batch = [request("info"), notification("info"), request("work", params={"text": "b"}), request("no")]
answers = {answer.id: answer for answer in parse(post(batch).json())}
assert len(answers) == 3, answers
assert answers[batch[2]["id"]].result["result"] == "Processed: b", answers
assert answers[batch[3]["id"]].code == -32601, answers

silent = post(notification("work", params={"text": "unheard"}))
assert (silent.status_code, silent.content) == (204, b""), silent

error = call("work", {"text": 7})
assert isinstance(error, Error) and error.code == -32602, error
print("ok")
