"""What the benchmarks share: the corpus, the programs, one measured run."""
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BINARY = os.environ.get("TAILSPAN_BIN", str(ROOT / "target/release/tailspan"))
PEERS = {"aiburn": "0.4.5", "ccusage": "20.0.24"}


def environment(home):
    """Nothing of the user's own sessions or settings."""
    return {"HOME": str(home), "PATH": os.environ["PATH"]}


def corpus(home, files, mb, seed):
    """Session files with known totals below `home`, made unless they are there."""
    done = Path(home, f"made-{files}-{mb:g}-{seed}")
    if not done.exists():
        size = ["--files", str(files), "--mb", str(mb), "--seed", str(seed)]
        command = [sys.executable, str(ROOT / "benches/gen_corpus.py"), str(home), *size]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        done.touch()
    return Path(home)


def peers(folder):
    """Installs both peers below `folder`, from npm and PyPI, and gives their commands: the programs themselves, no
    shims. A peer that cannot be installed is named and left out."""
    folder = Path(folder)
    npm = ["npm", "install", "--silent", "--prefix", str(folder / "npm"), f"ccusage@{PEERS['ccusage']}"]
    venv = folder / "venv"
    pip = [str(venv / "bin/pip"), "install", "--quiet", f"aiburn=={PEERS['aiburn']}"]
    wanted = {
        "aiburn": ([[sys.executable, "-m", "venv", str(venv)], pip], [str(venv / "bin/aiburn")]),
        "ccusage": ([npm], [str(folder / "npm/node_modules/.bin/ccusage"), "daily", "--offline"]),
    }
    found = {}
    for name, (install, command) in wanted.items():
        try:
            if not Path(command[0]).exists():
                for step in install:
                    subprocess.run(step, check=True, stdout=subprocess.DEVNULL)
            found[name] = command
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"{name} is left out: {error}")
    return found


def measure(command, home):
    """CPU seconds, wall seconds and peak memory in MB of one run, its children included."""
    started = time.perf_counter()
    process = subprocess.Popen(command, env=environment(home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    if status != 0:
        sys.exit(f"{command[0]} failed with wait status {status}")
    return usage.ru_utime + usage.ru_stime, wall, usage.ru_maxrss / 1024


def check(home):
    """Ends the benchmark when the answer is wrong: a fast wrong answer is worth nothing."""
    answer = json.loads(subprocess.check_output([BINARY, "scan", "--format", "json"], env=environment(home)))
    truth = json.loads(Path(home, "truth.json").read_text())
    kinds = {"input": "input", "output": "output", "cache_read": "cread", "cache_write_5m": "cw5m", "cache_write_1h": "cw1h"}
    for dated, wanted in truth["by_model"].items():
        model = answer["models"][dated.rpartition("-")[0]]
        ours = {theirs: model["tokens"][own] for own, theirs in kinds.items()} | {"messages": model["messages"]}
        if ours != wanted:
            sys.exit(f"{dated}: tailspan says {ours}, the corpus holds {wanted}")


def quantiles(values):
    """Median, 99th percentile and maximum."""
    ordered = sorted(values)
    return statistics.median(ordered), ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], ordered[-1]
