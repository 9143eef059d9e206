"""A client of a mesh that knows nothing of it but HTTP, TLS and JSON-RPC.

Usage: client.py URL CA [CERT KEY], with an API key, if any, in the variable KEY. Prints the HTTP
status and the answer, or what went wrong.
"""

import json
import os
import ssl
import sys
import urllib.error
import urllib.request

url, ca, *own = sys.argv[1:]
context = ssl.create_default_context(cafile=ca)
if own:
    context.load_cert_chain(*own)
call = {"jsonrpc": "2.0", "id": 1, "method": "work", "params": {"text": "from Python"}}
headers = {"Content-Type": "application/json"}
if "KEY" in os.environ:
    headers["Authorization"] = f"Bearer {os.environ['KEY']}"
request = urllib.request.Request(url, json.dumps(call).encode(), headers)
opener = urllib.request.build_opener(
    urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
)
try:
    with opener.open(request, timeout=30) as answer:
        print(answer.status, json.load(answer)["result"]["result"])
except urllib.error.HTTPError as error:
    print(error.code, error.headers["WWW-Authenticate"])
except (OSError, ssl.SSLError) as error:
    print("failed", error)
