"""An agent after the demo's README: info, work and delegate at /rpc, a heartbeat to the registry.

Usage: agent_node.py NAME PORT REGISTRY

The environment's WORK_S says how long `work` takes, in seconds.
"""

import asyncio
import os
import sys
import time
from contextlib import asynccontextmanager

import httpx
import psutil
import uvicorn
from fastapi import FastAPI, Request

NAME, PORT, REGISTRY = sys.argv[1], int(sys.argv[2]), sys.argv[3]
URL = f"127.0.0.1:{PORT}"
HEARTBEAT_S = 1.0
WORK_S = float(os.environ.get("WORK_S", "0.05"))


def elapsed_ms(start: float) -> float:
    return round((time.perf_counter() - start) * 1000, 1)


async def rpc(client: httpx.AsyncClient, url: str, method: str, params: dict) -> dict:
    call = {"jsonrpc": "2.0", "method": method, "params": params, "id": "1"}
    answer = (await client.post(f"http://{url}/rpc", json=call)).json()
    if "error" in answer:
        raise RuntimeError(answer["error"]["message"])
    return answer["result"]


async def info(_: dict) -> dict:
    return {"agent": NAME, "cpu": psutil.cpu_percent(), "mem": psutil.virtual_memory().percent}


async def work(params: dict) -> dict:
    start = time.perf_counter()
    await asyncio.sleep(WORK_S)
    result = f"Processed: {params['text']}"
    return {"agent": NAME, "result": result, "rpc_latency_ms": elapsed_ms(start)}


async def ask(client: httpx.AsyncClient, url: str) -> dict:
    start = time.perf_counter()
    load = await rpc(client, url, "info", {})
    fields = {field: load[field] for field in ("agent", "cpu", "mem")}
    return fields | {"latency_ms": elapsed_ms(start), "url": url}


async def delegate(params: dict) -> dict:
    start = time.perf_counter()
    async with httpx.AsyncClient(timeout=10) as client:
        listed = (await client.get(f"http://{REGISTRY}/services")).json()
        peers = [agent["url"] for name, agent in listed.items() if name != NAME]
        asked = await asyncio.gather(*(ask(client, url) for url in peers), return_exceptions=True)
        loads = [load for load in asked if isinstance(load, dict)]
        if not loads:
            raise RuntimeError("no peers available")
        best = min(loads, key=lambda load: (load["cpu"], load["latency_ms"]))
        result = await rpc(client, best["url"], "work", params)
    return {"delegated_to": best, "peer_result": result, "rpc_latency_ms": elapsed_ms(start)}


async def heartbeat() -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        while True:
            try:
                await client.post(f"http://{REGISTRY}/register", json={"name": NAME, "url": URL})
            except httpx.HTTPError as error:
                print(f"no registry: {error}", flush=True)
            await asyncio.sleep(HEARTBEAT_S)


@asynccontextmanager
async def lifespan(_: FastAPI):
    beating = asyncio.create_task(heartbeat())
    yield
    beating.cancel()


app = FastAPI(lifespan=lifespan)
METHODS = {"info": info, "work": work, "delegate": delegate}


@app.post("/rpc")
async def answer(request: Request) -> dict:
    call = await request.json()
    envelope = {"jsonrpc": "2.0", "id": call.get("id")}
    method = METHODS.get(call.get("method"))
    if method is None:
        return envelope | {"error": {"code": -32601, "message": "Method not found"}}
    try:
        return envelope | {"result": await method(call.get("params") or {})}
    except Exception as error:  # whatever it is, the caller is told
        return envelope | {"error": {"code": -32000, "message": str(error)}}


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="warning")
