"""A registry after the demo's README: each agent's url and last heartbeat, by name.

Knows nothing of incarnations, epochs, indices or leases with a TTL of their own.
"""

import sys
import time

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

STALE_AFTER_S = 30.0

app = FastAPI()
agents: dict[str, dict] = {}


class Registration(BaseModel):
    name: str
    url: str


@app.post("/register")
async def register(registration: Registration) -> dict:
    agents[registration.name] = {"url": registration.url, "last_heartbeat": time.time()}
    return {"status": "ok"}


@app.get("/services")
async def services() -> dict:
    oldest = time.time() - STALE_AFTER_S
    for name in [name for name, agent in agents.items() if agent["last_heartbeat"] < oldest]:
        del agents[name]
    return agents


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
