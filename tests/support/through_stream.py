#!/usr/bin/env python3
"""Starts the real client with its standard output going through `tailspan stream`, under the client's own process id.

usage: through_stream.py ARGUMENTS...      with CLIENT, TAILSPAN and STREAM_ARGUMENTS in the environment

So a driver that signals, kills or waits for the client does so to the client itself, as if nothing stood behind it.
"""
import os
import shlex
import sys

client, tailspan = os.environ["CLIENT"], os.environ["TAILSPAN"]
reading, writing = os.pipe()
if os.fork() == 0:
    os.dup2(reading, 0)
    os.close(writing)
    arguments = shlex.split(os.environ.get("STREAM_ARGUMENTS", ""))
    os.execv(tailspan, [tailspan, "stream", *arguments])
os.dup2(writing, 1)
os.close(reading)
os.close(writing)
os.execv(client, [client, *sys.argv[1:]])
