#!/usr/bin/env python3
"""The hooks of docs/hooks.md with the real client: turns close at once, and a permission is seen within a second.

    CLAUDE_RIG=RIG CLAUDE_RIG_HOME=HOME benches/hooks_client.py [--program target/release/tailspan]

RIG is the folder of the rig that runs Claude Code against a made-up API on loopback (mock_api.py, scenario.py,
scenarios.py); HOME holds the client, `npm install --prefix HOME/app @anthropic-ai/claude-code@2.1.332`. Without one of
them, or without tmux, it says so and ends well. Prints what was seen and after how many milliseconds, and fails if
something is not seen, is seen late, or should not be.

The sidecar has `traces.settle = "1h"`, so a turn that closes does so by its hook. `--without-list` gives the client a
configuration folder whose list of processes the sidecar cannot read, so that hooks alone tell of permissions.
"""
import argparse
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

EVENTS = ["SessionStart", "UserPromptSubmit", "PermissionRequest", "Notification", "Stop", "SessionEnd"]
LATE_MS = 1000


def skip(why):
    print(f"skipped: {why}")
    sys.exit(0)


class Sidecar:
    def __init__(self, program, folder):
        self.state, settings = os.path.join(folder, "state"), os.path.join(folder, "settings.toml")
        with open(settings, "w") as file:
            file.write('[traces]\nsettle = "1h"\n')
        projects = os.path.join(folder, "config", "projects")
        os.makedirs(projects, exist_ok=True)
        command = [program, "run", "--projects", projects, "--state", self.state, "--config", settings, "--listen", "127.0.0.1:0"]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={"HOME": folder, "PATH": "/usr/bin:/bin"})
        for line in self.process.stderr:
            if "tailspan is running" in line:
                self.address = line.split("address=")[1].split()[0]
                break
        self.log = open(os.path.join(folder, "log"), "w")
        import threading
        threading.Thread(target=lambda: [self.log.write(line) for line in self.process.stderr], daemon=True).start()

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}", timeout=10) as answer:
            return answer.read().decode()

    def turns(self):
        lines = self.get("/metrics").splitlines()
        counts = [line for line in lines if line.startswith("tailspan_turn_duration_seconds_count")]
        return sum(int(float(line.split()[-1])) for line in counts)

    def waiting(self):
        sessions = json.loads(self.get("/api/v1/analytics/sessions?waiting=any"))["sessions"]
        waits = [session["waiting"] for session in sessions]
        return (waits[0]["for"], waits[0]["tool"]) if waits else None


def until(what, ask, within=20.0):
    """Milliseconds until `ask` says yes."""
    began = time.time()
    while not ask():
        if time.time() - began > within:
            sys.exit(f"not seen: {what}")
        time.sleep(0.01)
    return (time.time() - began) * 1000


def told(what, milliseconds, most=LATE_MS):
    print(f"{what:64}{milliseconds:8.0f} ms", flush=True)
    if milliseconds > most:
        sys.exit(f"late: {what}")


class Terminal:
    """The client in tmux."""

    def __init__(self, context, *arguments):
        self.name = f"tailspan-hooks-{os.getpid()}"
        key = "made-up-key"
        with open(os.path.join(context.config, ".claude.json"), "w") as file:
            json.dump({"hasCompletedOnboarding": True, "theme": "dark", "customApiKeyResponses": {"approved": [key], "rejected": []},
                       "projects": {context.cwd: {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}}}, file)
        environment = [f"{name}={value}" for name, value in context.env({"TERM": "screen-256color"}).items()]
        self.tmux("new-session", "-d", "-s", "one", "-x", "120", "-y", "40", "-c", context.cwd,
                  "env", "-i", *environment, context.opts.bin, *arguments)

    def tmux(self, *arguments):
        return subprocess.run(["tmux", "-L", self.name, *arguments], check=True, capture_output=True, text=True).stdout

    def screen(self):
        return self.tmux("capture-pane", "-p", "-t", "one")

    def type(self, text):
        self.tmux("send-keys", "-t", "one", "-l", text)
        time.sleep(0.4)
        self.key("Enter")

    def key(self, name):
        self.tmux("send-keys", "-t", "one", name)

    def pid(self):
        return int(self.tmux("list-panes", "-t", "one", "-F", "#{pane_pid}").strip())

    def end(self):
        subprocess.run(["tmux", "-L", self.name, "kill-server"], capture_output=True, check=False)


def script(parts, folder):
    T, U, tool, main_route = parts.T, parts.U, parts.tool, parts.main_route
    question = {"question": "Which one?", "header": "Pick", "multiSelect": False,
                "options": [{"label": "One", "description": "the first"}, {"label": "Two", "description": "the second"}]}
    return {"routes": [
        {"name": "title", "match": {"has_tools": False}, "turns": [T('{"title": "Hooks"}')], "repeat_last": True},
        main_route(T("Hello."), U(tool("Bash", command="touch made; sleep 4", description="long")), T("Done."),
                   U(tool("Write", file_path=f"{folder}/a.txt", content="a\n")),
                   U(tool("AskUserQuestion", questions=[question])), T("Thanks."),
                   U(tool("Bash", command="touch never", description="never")), T("Over."))]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="target/release/tailspan")
    parser.add_argument("--without-list", action="store_true")
    options = parser.parse_args()
    rig = os.environ.get("CLAUDE_RIG") or skip("CLAUDE_RIG does not name the folder of the rig")
    sys.path.insert(0, rig)
    try:
        scenario, parts = importlib.import_module("scenario"), importlib.import_module("scenarios")
    except ImportError as error:
        skip(f"{rig} is not the rig: {error}")
    if not os.path.exists(scenario.BIN):
        skip(f"there is no client at {scenario.BIN}")
    if not shutil.which("tmux"):
        skip("there is no tmux")
    folder, program = tempfile.mkdtemp(prefix="tailspan-hooks-"), os.path.abspath(options.program)
    sidecar = Sidecar(program, folder)
    given = argparse.Namespace(bin=scenario.BIN, config_dir=os.path.join(folder, "config"), corpus=os.path.join(folder, "corpus"), slow=0)
    context = scenario.Ctx("hooks_client", script(parts, folder), given)
    hook = {"type": "command", "command": f"{program} hook --state {sidecar.state}", "timeout": 5}
    with open(os.path.join(context.config, "settings.json"), "w") as file:
        json.dump({"hooks": {event: [{"hooks": [hook]}] for event in EVENTS}}, file)
    if options.without_list:
        # A file in the place of the folder: the client goes on without a list.
        with open(os.path.join(context.config, "sessions"), "w"):
            pass
    terminal = None
    try:
        context.claude("Say hello.", "--model", "claude-sonnet-4-5")
        told("-p: the turn has closed after the end of the process", until("the turn of -p", lambda: sidecar.turns() == 1))
        assert sidecar.waiting() is None, "nothing waits after the end"
        terminal = Terminal(context, "--model", "claude-sonnet-4-5")
        walk(sidecar, terminal, options.without_list)
    finally:
        if terminal:
            terminal.end()
        sidecar.process.send_signal(signal.SIGTERM)
        sidecar.process.wait()
        context.srv.shutdown()
    shutil.rmtree(folder)


def dialog(sidecar, terminal, text, wait):
    """Types a prompt, waits until the terminal asks, and tells how long after that the sidecar knows."""
    terminal.type(text)
    until("the dialog on the screen", lambda: "Esc to cancel" in terminal.screen())
    told(f"{wait[0]} ({wait[1]}): seen after it stands on the screen", until(str(wait), lambda: sidecar.waiting() == wait))
    # The client takes no key for an answer that comes right after the dialog.
    time.sleep(1)


def walk(sidecar, terminal, without_list):
    until("the terminal is ready", lambda: "? for shortcuts" in terminal.screen() or "Try " in terminal.screen(), 30)
    time.sleep(1)
    dialog(sidecar, terminal, "Run something long.", ("permission", "Bash"))
    terminal.key("Enter")
    if not without_list:
        told("it was allowed and runs: nothing waits", until("nothing waits", lambda: sidecar.waiting() is None))
    until("the answer on the screen", lambda: "Done." in terminal.screen())
    told("its turn has closed after the answer is on the screen", until("the turn", lambda: sidecar.turns() == 2))
    told("idle: seen after that", until("idle", lambda: sidecar.waiting() == ("idle", None)))
    dialog(sidecar, terminal, "Write a file.", ("permission", "Write"))
    terminal.key("Escape")
    told("it was refused: idle", until("idle", lambda: sidecar.waiting() == ("idle", None)), 2 * LATE_MS)
    dialog(sidecar, terminal, "Ask me.", ("question", "AskUserQuestion"))
    terminal.key("Enter")
    until("the answer on the screen", lambda: "Thanks." in terminal.screen())
    told("it was answered: idle", until("idle", lambda: sidecar.waiting() == ("idle", None)))
    dialog(sidecar, terminal, "Run once more.", ("permission", "Bash"))
    os.kill(terminal.pid(), signal.SIGKILL)
    if not without_list:
        told("the client was killed: nothing waits", until("nothing waits", lambda: sidecar.waiting() is None), 2 * LATE_MS)


if __name__ == "__main__":
    main()
