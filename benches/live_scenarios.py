#!/usr/bin/env python3
"""Adds scenarios to the driver of the recordings, for what it has none of on a stream: sub-agents that start sub-agents, and
`/clear` between two prompts of one process.

usage: live_scenarios.py RIG run NAME... [the options of RIG/scenario.py]
"""
import sys

sys.path.insert(0, sys.argv.pop(1))
import scenario as driver
from scenarios import SKIP, T, U, _sub, _umsg, main_route, scenario, text, tool, usage


def _agent(prompt, **options):
    return tool("Agent", description=f"Ask {prompt}", prompt=f"{prompt} please", subagent_type="general-purpose", **options)


def _nested(**options):
    return {"routes": [
        _sub("INNER-JOB", U(tool("Bash", command="echo inner; sleep 1", description="inner"), usage=usage(4, 31, cr=2000, c5=400)),
             T("Inner done.", usage=usage(4, 17, cr=2400, c5=50))),
        _sub("OUTER-JOB", U(text("I ask another one."), _agent("INNER-JOB", run_in_background=False), usage=usage(5, 61, cr=3000, c5=500)),
             T("Outer done.", usage=usage(5, 23, cr=3500, c5=60))),
        main_route(U(text("Delegating."), _agent("OUTER-JOB", **options), usage=usage(6, 120, cr=14000, c5=700)),
                   T("The agent has answered.", usage=usage(3, 22, cr=14700, c5=300)),
                   T("It has ended now.", usage=usage(3, 24, cr=15000, c5=200)))]}


@scenario(_nested(run_in_background=False))
def nested_agents(client):
    """A sub-agent in the foreground that starts a sub-agent itself."""
    client.claude("Ask an agent that asks an agent.", "--model", "claude-sonnet-4-5", *SKIP)


@scenario(_nested(run_in_background=True))
def nested_agents_background(client):
    """A sub-agent in the background that starts a sub-agent itself."""
    client.claude("Ask in the background an agent that asks an agent.", "--model", "claude-sonnet-4-5", *SKIP)


@scenario({"routes": [main_route(
    U(tool("Bash", command="echo one", description="one"), usage=usage(3, 12, cr=3000, c5=100)),
    T("Before the clear.", usage=usage(3, 11, cr=1000, c5=2000)), T("After the clear.", usage=usage(3, 13, cr=3100, c5=100)),
    T("After the second clear.", usage=usage(3, 15, cr=3200, c5=100)))]})
def clear_on_stdin(client):
    """`/clear` twice between three prompts of one process: three sessions on one standard output."""
    left = ["/clear", "Second prompt.", "/clear", "Third prompt."]

    def on_line(process, line):
        if line and line.get("type") == "result":
            if not left:
                process.stdin.close()
            while left:
                said = left.pop(0)
                process.stdin.write(_umsg(said).encode())
                process.stdin.flush()
                if said != "/clear":
                    break

    def feed(process):
        process.stdin.write(_umsg("First prompt.").encode())
        process.stdin.flush()
    client.claude("--input-format", "stream-json", "--model", "claude-sonnet-4-5", *SKIP, feeder=feed, on_line=on_line, timeout=40)


if __name__ == "__main__":
    driver.main()
