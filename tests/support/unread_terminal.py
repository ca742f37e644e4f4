"""Runs a program on a terminal that nobody reads, ends it with SIGTERM once it cannot draw any further, and prints how it ended
and whether the modes of the terminal are those of before: `unread_terminal.py PROGRAM ARGUMENT...`
"""
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time

DEADLINE = time.monotonic() + 60

master, slave = pty.openpty()
# So large that one picture is more than a terminal takes without being read.
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 200, 500, 0, 0))
before = termios.tcgetattr(slave)


def own_terminal():
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def unread():
    waiting = bytearray(4)
    fcntl.ioctl(master, termios.FIONREAD, waiting)
    return struct.unpack("i", waiting)[0]


program = subprocess.Popen(sys.argv[1:], stdin=slave, stdout=slave, stderr=slave, preexec_fn=own_terminal,
                           env={**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"})
still, last = 0, -1
while still < 10:
    assert time.monotonic() < DEADLINE and program.poll() is None, "it never drew more than it could"
    select.select([], [], [], 0.1)
    now = unread()
    still = still + 1 if now == last and now > 3000 else 0
    last = now
os.kill(program.pid, signal.SIGTERM)
try:
    code = program.wait(DEADLINE - time.monotonic())
except subprocess.TimeoutExpired:
    program.kill()
    code = "never"
print(code, "as before" if termios.tcgetattr(slave) == before else "other modes")
