"""A worker that stays: it loads its model once, and then does one job per line.

    mesh agent --work stdio --workers 2 --ready-timeout 60s -- python3 stdio_worker.py
"""

import json
import sys

# Only answers may go to standard output. What a library prints goes to the agent's log instead.
answers, sys.stdout = sys.stdout, sys.stderr


def say(message):
    print(json.dumps(message), file=answers, flush=True)


def load_model():
    """Stands for what takes long to load. This one counts words."""
    return lambda text: {"words": len(text.split()), "longest": max(text.split(), key=len)}


model = load_model()
say({"ready": True})
for line in sys.stdin:
    job = json.loads(line)
    try:
        say({"id": job["id"], "result": model(job["text"])})
    except Exception as error:
        say({"id": job["id"], "error": f"{type(error).__name__}: {error}"})
