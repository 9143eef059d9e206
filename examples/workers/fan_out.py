"""Splits a job at its semicolons, has peers do the parts side by side, and joins their answers.

    mesh agent -- python3 fan_out.py
"""

import json
import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

job = json.load(sys.stdin)


def delegate(text):
    # With its depth a job can't go in circles, and with its time no part outlives the whole.
    params = {name: job[name] for name in ("depth", "request", "timeout_ms")}
    call = {"jsonrpc": "2.0", "id": 1, "method": "delegate", "params": {**params, "text": text}}
    headers = {"content-type": "application/json"}
    request = urllib.request.Request(job["agent_url"], json.dumps(call).encode(), headers)
    answer = json.load(urllib.request.urlopen(request))
    if "error" in answer:
        sys.exit(answer["error"]["message"])
    return answer["result"]["peer_result"]["result"]


with ThreadPoolExecutor() as pool:
    print(json.dumps(list(pool.map(delegate, job["text"].split(";")))))
