"""The loop of the drivers in Python: commands come as JSON lines on the
standard input, answers and events go as JSON lines to the standard output. The
protocol is described in the Go package wire."""

import json
import sys
import threading
import traceback

_lock = threading.Lock()
_out = sys.stdout
sys.stdout = sys.stderr  # what libraries print is no message


def write(message):
    with _lock:
        _out.write(json.dumps(message) + "\n")
        _out.flush()


def commands():
    """Yields the commands until the input ends."""
    for line in sys.stdin:
        yield json.loads(line)


def event(name, command):
    """A new event of the client about what the command names."""
    about = {k: command.get(k) for k in ("client", "group", "data_id", "service")}
    return {"event": name, **about}


def answer(command, values):
    write({"id": command["id"], "ok": True, **values})


def refuse(command):
    """Answers a command with the exception that is being handled."""
    traceback.print_exc()
    kind, value, _ = sys.exc_info()
    write({"id": command["id"], "ok": False, "error": f"{kind.__name__}: {value}"})
