#!/usr/bin/env python3
"""Writes the Grafana dashboards beside this file, and what each panel shows into docs/dashboards.md.

    python3 dashboards/generate.py           writes them
    python3 dashboards/generate.py --check   says which are not current, exit 1 if any

What is in a dashboard stands here, how it is written in grafana.py. The JSON files are committed: who uses them needs
no Python.
"""

import pathlib
import sys

from grafana import (
    AGENTS, API_REASONS, BLUE, CHANGES, GAPS, GREEN, GREY, KINDS, MODELS, ORANGE, ORIGINS, OUTCOMES, PURPLE, QUANTILES,
    RED, RUNAWAYS, RUN_OUTCOMES, SCOPE, STATES, TEAL, TOOLS, YELLOW, analytics, answer_of, api, at_end, bargauge, column, columns, dashboard,
    drill,
    explore, fixed, heatmap, host, increase, increase_from_the_first, of_sidecars, or_none, or_zero, override, quantile, query, ranked, rate,
    ratio, series, shaped, source_variable, stat, steps, table, text_of, text_variable, timeseries, total, trace_of,
    used,
)

HERE = pathlib.Path(__file__).resolve().parent
JAEGER = source_variable("jaeger_datasource", "Jaeger data source", "jaeger")
INFINITY_SOURCE = source_variable("infinity_datasource", "Infinity data source", "yesoreyeram-infinity-datasource")
ADDRESS = text_variable("tailspan", "Address of the sidecar", "http://127.0.0.1:9719")
# What leads to one session and stands in several tables.
PAGE = "${tailspan:raw}/sessions/%s"
EVENT = "?from=${__data.fields.Event:raw}#event=${__data.fields.Event:raw}"
CHOICES = "".join("&${%s:queryparam}" % name for name in [
    "prometheus_datasource", "infinity_datasource", "jaeger_datasource", "tailspan", "job", "instance"])
TRACE_PAGE = {"title": "What happened in it", "url": "${tailspan:raw}/spans/${__data.fields.Trace:raw}", "targetBlank": True}
INSIGHTS = drill("Insights", "tailspan-insights")
WAITED_FOR = answer_of("What turns waited for (JSON)", "bottlenecks")
TO_CHANGE = answer_of("What to change (JSON)", "patterns")
OPENS_TRACE = " Points are exemplars: a click opens the trace of that very call."


def now(expression, legend="", **more):
    return query(expression, legend, instant=True, **more)


def cells(expression):
    return query(expression, instant=True, form="table")


def lively(factor, name, label):
    """The rate of a counter by a label, without the values of it that did not move in the chosen time."""
    return used(total(factor + rate(name), label), label, at_end(increase(name)))


# --- numbers that several dashboards show ---------------------------------------------------------------------------

SPENT = total(increase("cost_usd_total"))
# The same part of each of the last seven days, as far as there are any: fair at nine in the morning, too.
USUAL = "quantile(0.5, %s)" % " or ".join(
    'label_replace(%s, "day", "%d", "", "")' % (total(increase("cost_usd_total", offset="%dd" % day)), day)
    for day in range(1, 8))
CACHE_READ = increase("tokens_total", 'kind="cache_read"')
SENT = increase("tokens_total", 'kind!="output"')
CACHE_HITS = ratio(total(CACHE_READ), total(SENT))
FAILED = ratio(total(increase("tool_failures_total")), total(increase("tool_calls_total")))
# A model without a price is new as a rule.
UNPRICED = increase_from_the_first("unpriced_tokens_total")
# So is one behind a gateway.
WITHOUT_ID = increase_from_the_first("responses_without_identity_total")
# Days that the last week has samples of, at least one: an install of yesterday is not divided by seven. Asked of the
# counter itself, which a backfill has too. A day more than a week: where nothing happens, a backfill has a sample a day.
AGE = "(time() - min_over_time(timestamp(%s)[8d:1h])) / 86400" % series("cost_usd_total")
DAYS = "clamp(max(%s) or vector(1), 1, 7)" % AGE
DAILY = "sum(%s) / scalar(%s)" % (increase("cost_usd_total", over="7d"), DAYS)
DAYS_LEFT = "(days_in_month() - day_of_month() + 1 - (hour() * 60 + minute()) / 1440)"
PROJECTION = "%s + %s * scalar%s" % (SPENT, DAILY, DAYS_LEFT)


def spend_today():
    return stat(
        "Spend today", "List price of what was answered since midnight, all models and agents. If it surprises you, "
        "the Cost dashboard says where it went.", "currencyUSD", now(or_zero(SPENT)), decimals=2, colour=GREEN,
        time_from="now/d", nothing="$0.00", links=[drill("Cost", "tailspan-cost")])


def today_against_usual():
    return stat(
        "Today against the usual", "Spend today divided by the median of the same hours of the last 7 days. Above 2 "
        "it is worth a look at the models and projects below. Needs one day of history.", "percentunit",
        now("%s / (%s > 0)" % (SPENT, USUAL)), decimals=0, time_from="now/d", nothing="no usual yet",
        thresholds=steps((1.5, "yellow"), (2, "orange"), (4, "red")))


def active():
    return stat(
        "Active sessions", "Sessions with a row in the last 5 minutes.", "short",
        query(or_zero(total(series("sessions_active")))), colour=GREEN, spark=True, decimals=0, nothing="0",
        links=[drill("Sessions", "tailspan-sessions")])


HELD_UP = series("sessions_waiting", 'for!="idle"')


def waiting():
    return stat(
        "Waiting for somebody", "Sessions that stand still until somebody allows a tool or answers a question, and those "
        "whose open tool call takes far longer than that tool usually does. `tailspan report waiting` names them.", "short",
        query(or_zero(total(HELD_UP))), spark=True, decimals=0, nothing="0",
        thresholds=steps((1, "orange"), (5, "red")), links=[drill("Sessions", "tailspan-sessions")])


def runaways():
    return stat(
        "Running away", "Sessions that spend, call tools or fail far faster than they did, or than the configuration allows. The "
        "list of sessions says which, and since when.", "short", query(or_zero(total(series("sessions_runaway")))), spark=True,
        decimals=0, nothing="0", thresholds=steps((1, "red")), links=[drill("Sessions", "tailspan-sessions")])


def limits():
    """The limits of the account: a row of panels."""
    used, reset = largest("limit_used_ratio"), largest("limit_reset_timestamp_seconds")
    return [
        (12, table(
            "Limits of the account", "What is used of each window, as a status line told it last, when it begins anew, and when it will "
            "be full at the pace of now. Full is empty if that is not before it begins anew, or if nobody knows.", "short",
            [cells(used), cells("1000 * " + reset), cells("1000 * " + largest("limit_full_timestamp_seconds")),
             cells("time() - " + largest("limit_sample_timestamp_seconds"))],
            transformations=columns(("window", "Window"), ["Used", "Begins anew", "Full", "Told before"]),
            overrides=[column("Used", unit="percentunit", decimals=0), column("Begins anew", unit="dateTimeAsLocal"),
                       column("Full", unit="dateTimeAsLocal"), column("Told before", unit="s", decimals=0)],
            nothing="no status line has told")),
        (12, timeseries(
            "Limits over time", "What was used of each window. It falls when the window begins anew, and has a gap until somebody tells "
            "what is used of the new one.", "percentunit", query(used, "{{window}}"), thresholds=steps((1, "red")),
            nothing="no status line has told")),
    ]


def largest(name):
    """Several sidecars of one account tell the same."""
    return "max by (window) (%s)" % series(name)


def cache_hits():
    return stat(
        "Cache-hit ratio", "Share of the tokens sent to the model that its cache held. Usually above 90 %; a cached "
        "token costs a tenth or less. Long pauses, model changes and compactions lower it.", "percentunit", now(CACHE_HITS),
        decimals=1, nothing="no tokens yet", thresholds=steps((0.6, "yellow"), (0.8, "green"), first="red"))


def session_links(field="Session"):
    chosen = "${__data.fields.%s:raw}" % field
    return [
        {"title": "Show its turns", "url": "/d/tailspan-sessions?var-session=%s&${__url_time_range}%s" % (chosen, CHOICES)},
        {"title": "What happened, step by step", "url": PAGE % chosen, "targetBlank": True},
        {"title": "Trace of the whole session", "url": trace_of(field), "targetBlank": True},
    ]


def place_columns(prefix):
    """Where in history something is: the columns of an answer, and what they lead to."""
    return ([(prefix + "session", "Session", "string"), (prefix + "event", "Event", "number"),
             (prefix + "trace_id", "Trace", "string")],
            [column("Session", width=110, links=session_links()),
             column("Event", width=70, unit="short", decimals=0, links=[{
                 "title": "What happened here", "targetBlank": True,
                 "url": PAGE % "${__data.fields.Session:raw}" + EVENT}]),
             column("Trace", width=110, links=[
                 {"title": "Open the trace", "url": trace_of("Trace"), "targetBlank": True}, TRACE_PAGE])])


def budgets(links=()):
    limit, spent = total(series("budget_usd"), "budget"), total(series("budget_spent_usd"), "budget")
    money = {"unit": "currencyUSD", "decimals": 2}
    return table(
        "Budgets", "The budgets of the configuration ([[budgets]]): what may be spent in their month, week or day, what "
        "was, how much of it that is, and what is expected at its end. They are as they are now, whatever time is chosen.",
        "currencyUSD",
        [cells(limit), cells(spent), cells(ratio(spent, limit)), cells(total(series("budget_expected_usd"), "budget"))],
        transformations=columns(("budget", "Budget"), ["Limit", "Spent", "Used", "Expected"]),
        overrides=[column("Limit", **money), column("Spent", **money), column("Expected", **money),
                   column("Used", unit="percentunit", decimals=0)],
        nothing="no budget in the configuration", links=links)


def failed_share():
    return stat(
        "Failed tool calls", "Share of tool calls that failed, were refused or were interrupted. Some failing commands "
        "are normal work; above 15 % something is in the way: see Tools and bottlenecks.", "percentunit", now(FAILED),
        decimals=1, nothing="no calls yet", thresholds=steps((0.1, "yellow"), (0.2, "red")),
        links=[drill("Tools and bottlenecks", "tailspan-tools")])


# --- 1. Overview ----------------------------------------------------------------------------------------------------

def overview():
    tokens = [query(total("60 * " + rate("tokens_total"), "kind"), "{{kind}}"),
              query("%s / (%s > 0)" % (total(rate("tokens_total", 'kind="cache_read"')),
                                       total(rate("tokens_total", 'kind!="output"'))), "cache-hit ratio")]
    hit_line = override(
        "byName", "cache-hit ratio", color={"mode": "fixed", "fixedColor": GREY}, unit="percentunit", max=1,
        custom_axisPlacement="right", custom_lineWidth=2, custom_fillOpacity=0,
        custom_stacking={"mode": "none", "group": "B"}, custom_drawStyle="line")
    return dashboard(
        "tailspan-overview", "Claude Code / Overview",
        "What Claude Code does right now and today: spend against the usual, sessions, tokens, failures, what costs "
        "most. Every number leads to the dashboard that explains it.",
        [
            (4, [(4, spend_today()), (4, today_against_usual()), (3, active()), (3, waiting()), (3, runaways()), (4, cache_hits()),
                 (3, failed_share())]),
            (9, [
                (12, timeseries(
                    "Spend per hour by model", "Rate of spend, stacked. One tall block is one expensive model or one "
                    "busy hour; the colours are the same in every dashboard.", "currencyUSD",
                    query(total("3600 * " + rate("cost_usd_total"), "model"), "{{model}}"), stack=True,
                    interval="10m", overrides=fixed(MODELS), nothing="nothing spent yet",
                    links=[drill("Cost", "tailspan-cost")])),
                (12, timeseries(
                    "Tokens per minute by kind", "Stacked; the grey line on the right axis is the cache-hit ratio. "
                    "Green should be by far the largest: a rise of yellow and orange means that caches are written "
                    "again and again.", "short", tokens, stack=True, interval="10m",
                    overrides=[*fixed(KINDS), hit_line], nothing="no tokens yet")),
            ]),
            (8, [
                (8, timeseries(
                    "Sessions", "How many sessions are active, and how many wait for somebody: to allow a tool, to "
                    "answer, to write the next prompt (idle), or nobody knows for what.", "short",
                    [query(or_zero(total(series("sessions_active"))), "active"),
                     query(total(series("sessions_waiting"), "for"), "{{for}}")], overrides=fixed(STATES))),
                (8, timeseries(
                    "Turns per hour", "Prompts that reached the model, by who asked: a person, a program (sdk), the "
                    "client itself when a background task ended, or another session (teammate).", "short",
                    query(total("3600 * " + rate("turns_total"), "origin"), "{{origin}}"), stack=True, interval="10m",
                    overrides=fixed(ORIGINS))),
                (8, timeseries(
                    "Failures per hour", "Tool calls by outcome and failed API attempts. A band of API errors is an "
                    "outage or a limit; refused calls mean that permissions do not fit the work.", "short",
                    [query(total("3600 * " + rate("tool_failures_total"), "reason"), "{{reason}}"),
                     query("3600 * " + total(rate("api_errors_total")), "API errors")], stack=True, interval="10m",
                    overrides=fixed({**OUTCOMES, "API errors": PURPLE}),
                    links=[drill("Tools and bottlenecks", "tailspan-tools")])),
            ]),
            (7, limits()),
            (8, [
                (6, bargauge(
                    "Models by cost", "What each model cost in the chosen time.", "currencyUSD",
                    now("topk(8, %s > 0)" % total(increase("cost_usd_total"), "model"), "{{model}}"), decimals=2,
                    overrides=fixed(MODELS), nothing="nothing spent yet", links=[drill("Cost", "tailspan-cost"), INSIGHTS])),
                (6, bargauge(
                    "Projects by cost", "The dearest projects in the chosen time, by the folder that the session runs "
                    "in.", "currencyUSD",
                    now("topk(8, %s > 0)" % total(increase("project_cost_usd_total"), "project"), "{{project}}"),
                    decimals=2, nothing="nothing spent yet", links=[drill("Cost", "tailspan-cost")])),
                (6, bargauge(
                    "Tools by time", "Seconds that sessions spent in each tool, the wait for permission included. The "
                    "longest bar is the bottleneck.", "s",
                    now("topk(8, %s > 0)" % total(increase("tool_duration_seconds_sum"), "tool"), "{{tool}}"),
                    decimals=0, overrides=fixed(TOOLS), nothing="no calls yet",
                    links=[drill("Tools and bottlenecks", "tailspan-tools"), INSIGHTS])),
                (6, bargauge(
                    "Sub-agents by cost", "What sub-agents cost in the chosen time, by their type.", "currencyUSD",
                    now("topk(8, %s > 0)" % total(increase("subagent_cost_usd_total"), "agent_type"), "{{agent_type}}"),
                    decimals=2, nothing="no sub-agents yet")),
            ]),
            (4, [
                (6, stat("Sessions started", "Sessions that began in the chosen time.", "short",
                         now(or_zero(total(increase("sessions_started_total")))), decimals=0, nothing="0")),
                (6, stat("Lines changed", "Lines that tools added to files and removed from them in the chosen time.",
                         "short", now(total(increase("lines_changed_total"), "change"), "{{change}}"), decimals=0,
                         nothing="0", overrides=fixed(CHANGES))),
                (6, stat("Tokens without a price", "Tokens of models that the price list does not know, in the chosen "
                         "time: what all money here leaves out. Above 0, add a price in the configuration.", "short",
                         now(or_zero(total(UNPRICED))), decimals=0, nothing="0",
                         thresholds=steps((1, "orange")))),
                (6, stat("All of history", "List price of everything that the session files have ever shown, before "
                         "the first start too. On a new install this is the first number that means something.",
                         "currencyUSD", now(or_zero(total(series("lifetime_cost_usd")))), decimals=2, colour=GREY)),
            ]),
        ])


# --- 2. Cost --------------------------------------------------------------------------------------------------------

def cost():
    rolling = total(increase("cost_usd_total", over="1d"))
    money = {"unit": "currencyUSD", "decimals": 2}
    by_model = [
        cells(total(increase("cost_usd_total"), "model") + " > 0"),
        cells(total(increase("api_requests_total"), "model") + " > 0"),
        cells(total(increase("tokens_total"), "model") + " > 0"),
        cells(ratio("(%s > 0)" % total(increase("cost_usd_total"), "model"),
                    total(increase("api_requests_total"), "model"))),
        cells(ratio(total(CACHE_READ, "model"), total(SENT, "model"))),
    ]
    # The series of a workflow begin with its first run.
    runs = total(increase_from_the_first("workflow_runs_total"), "workflow")
    spent = total(increase_from_the_first("workflow_cost_usd_total"), "workflow")
    run_cost = ratio(total(increase("workflow_cost_usd_total", over="1d"), "workflow"),
                     total(increase("workflow_runs_total", over="1d"), "workflow"))
    by_workflow = [
        cells(runs + " > 0"),
        cells("(%s > 0) - %s" % (runs, total(increase_from_the_first("workflow_runs_total", 'outcome="success"'), "workflow"))),
        cells(spent + " > 0"),
        cells(ratio(spent, "(%s > 0)" % runs)),
        cells("quantile_over_time(0.5, (%s)[14d:1d])" % run_cost),
        cells("histogram_quantile(0.5, sum by (le, workflow) (%s)) >= 0" % increase_from_the_first("workflow_run_duration_seconds_bucket")),
        cells("time() - max by (workflow) (%s > 0)" % series("workflow_last_run_timestamp_seconds")),
    ]
    by_project = [
        cells(total(increase("project_cost_usd_total"), "project") + " > 0"),
        cells(total(increase("project_tokens_total"), "project") + " > 0"),
        cells("1e6 * " + ratio(total(increase("project_cost_usd_total"), "project"),
                               total(increase("project_tokens_total"), "project"))),
    ]
    return dashboard(
        "tailspan-cost", "Claude Code / Cost",
        "Where the money goes, whether the pace is usual, and what the month will cost. All prices are list prices of "
        "the API; a subscription bills otherwise.",
        [
            (4, [
                (4, spend_today()),
                (4, stat("Usual by this time", "Median of what the same hours of the last 7 days cost.", "currencyUSD",
                         now(USUAL), decimals=2, time_from="now/d", nothing="no usual yet", colour=GREY)),
                (4, today_against_usual()),
                (4, stat("This month so far", "Spend since the first of the month, as far back as Prometheus keeps "
                         "samples (15 days unless told otherwise).", "currencyUSD", now(or_zero(SPENT)), decimals=2,
                         time_from="now/M", nothing="$0.00", colour=GREEN)),
                (4, stat("Month-end projection", "Spend of this month so far, and for every day that is left (in UTC) "
                         "the average day of the last week. Set a budget against it, not against today.",
                         "currencyUSD", now(PROJECTION), decimals=2, time_from="now/M", nothing="nothing spent yet",
                         colour=ORANGE, links=[INSIGHTS, answer_of("Costs by day (JSON)", "costs", "group_by=day")])),
                (4, stat("Cost per turn", "Average list price of a prompt and all that it caused, sub-agents included, "
                         "in the chosen time.", "currencyUSD",
                         now(ratio(total(increase("turn_cost_usd_sum")), total(increase("turn_cost_usd_count")))),
                         decimals=3, nothing="no turns yet")),
            ]),
            (8, [
                (12, timeseries(
                    "Pace: the last 24 hours against the usual", "Spend of the 24 hours before each moment, and the "
                    "median of the same over the 7 days before. The distance of the lines is what is unusual.",
                    "currencyUSD",
                    [query(rolling, "last 24 hours"),
                     query("quantile_over_time(0.5, %s[7d:6h] offset 1d)" % rolling, "usual")],
                    interval="30m", overrides=fixed({"last 24 hours": GREEN, "usual": GREY}),
                    nothing="nothing spent yet")),
                (12, timeseries(
                    "Spend per day by model", "Each bar is the 24 hours before its time, which is midnight, in the last "
                    "14 days, whatever time is chosen above.", "currencyUSD",
                    query(total(increase("cost_usd_total", over="1d"), "model") + " > 0", "{{model}}"), stack=True,
                    interval="1d", time_from="14d", overrides=fixed(MODELS), nothing="no midnight yet")),
            ]),
            (8, [
                (12, timeseries(
                    "Spend per hour by project", "Rate of spend, stacked by project. A project that works while nobody "
                    "does is a loop or a schedule.", "currencyUSD",
                    query(lively("3600 * ", "project_cost_usd_total", "project"), "{{project}}"), stack=True,
                    interval="1h", nothing="no full hour yet")),
                (12, timeseries(
                    "Spend per hour by agent", "Main thread against sub-agents. Sub-agents that cost more than the "
                    "main thread deserve a cheaper model.", "currencyUSD",
                    query(total("3600 * " + rate("cost_usd_total"), "agent"), "{{agent}}"), stack=True, interval="1h",
                    overrides=fixed(AGENTS), nothing="no full hour yet")),
            ]),
            (8, [
                (14, table(
                    "Models", "What each model did and cost in the chosen time. A cost per request that grows means "
                    "growing contexts; a low cache-hit ratio makes every request dearer.", "short", by_model,
                    sort="Cost", transformations=columns(
                        ("model", "Model"), ["Cost", "Requests", "Tokens", "Cost per request", "Cache hits"]),
                    overrides=[column("Cost", **money), column("Requests", decimals=0), column("Tokens", decimals=1),
                               column("Cost per request", unit="currencyUSD", decimals=3),
                               column("Cache hits", unit="percentunit", decimals=1)], nothing="no requests yet",
                    links=[INSIGHTS, TO_CHANGE])),
                (10, table(
                    "Projects", "What each project cost in the chosen time. Dollars per million tokens tell how dear "
                    "its tokens are: many cache reads make it low, much output makes it high.", "short", by_project,
                    sort="Cost", transformations=columns(("project", "Project"), ["Cost", "Tokens", "USD per Mtok"]),
                    overrides=[column("Cost", **money), column("Tokens", decimals=1), column("USD per Mtok", **money)],
                    nothing="nothing spent yet")),
            ]),
            (8, [
                (8, bargauge(
                    "Sub-agents by cost", "What each type of sub-agent cost in the chosen time.", "currencyUSD",
                    now(ranked(total(increase("subagent_cost_usd_total"), "agent_type") + " > 0"), "{{agent_type}}"),
                    decimals=2, nothing="no sub-agents yet")),
                (8, timeseries(
                    "Cost of a turn", "What a prompt and all that it caused costs: half of the turns cost less than "
                    "the median." + OPENS_TRACE, "currencyUSD",
                    [query(quantile(0.5, "turn_cost_usd"), "median", exemplar=True),
                     query(quantile(0.9, "turn_cost_usd"), "p90", exemplar=True)], interval="2h",
                    overrides=fixed(QUANTILES), nothing="not enough turns yet")),
                (8, heatmap(
                    "Turns by cost", "How many turns ended in each class of cost. A bright upper row is where the "
                    "money is.", "currencyUSD",
                    query(total(increase("turn_cost_usd_bucket", over="$__interval"), "le"), "{{le}}", form="heatmap"),
                    interval="2h", nothing="not enough turns yet")),
            ]),
            (8, [
                (16, table(
                    "Workflows", "Runs of claude -p whose streams were passed on (tailspan stream --workflow) and that ended in "
                    "the chosen time. Cost per run against the usual, the median of the days of two weeks, says which became "
                    "dear; half of the runs are shorter than the usual time; a last run that is older than its schedule did not start.", "short", by_workflow, sort="Cost",
                    transformations=columns(("workflow", "Workflow"), [
                        "Runs", "No success", "Cost", "Cost per run", "Usual per run", "Usual time", "Last run"]),
                    overrides=[column("Runs", decimals=0), column("No success", decimals=0), column("Cost", **money),
                               column("Cost per run", unit="currencyUSD", decimals=3),
                               column("Usual per run", unit="currencyUSD", decimals=3),
                               column("Usual time", unit="s", decimals=0), column("Last run", unit="s", decimals=0)],
                    nothing="no runs yet",
                    links=[answer_of("Workflows (JSON)", "workflows"), answer_of("Runs (JSON)", "runs")])),
                (8, timeseries(
                    "Runs by outcome", "Runs that ended, by how they did. error_during_execution has a spent budget in it; "
                    "killed ended without a word.", "short",
                    query(total(increase_from_the_first("workflow_runs_total", over="$__interval"), "outcome") + " > 0", "{{outcome}}"),
                    stack=True, decimals=0, interval="1h", overrides=fixed(RUN_OUTCOMES), nothing="no runs yet")),
            ]),
            (6, [
                (24, budgets([INSIGHTS])),
            ]),
            (5, [
                (6, bargauge("Tokens without a price", "Tokens of models that the price list does not know, in the "
                             "chosen time. Money in all panels leaves them out: add a price in the configuration.",
                             "short", now(ranked(total(UNPRICED, "model") + " > 0"), "{{model}}"), decimals=0,
                             nothing="none")),
                (6, bargauge("Responses with gaps", "Responses in the chosen time that tell too little. missing and "
                             "not_a_number: no row tells what they used, or not in numbers; their tokens and cost are "
                             "in no figure. no id: by model, those without an id that the API gave them, as gateways "
                             "write them; a copy of one is harder to tell from another. implausible cost: figures of "
                             "the client that none can mean, left out of the two beside.", "short",
                             [now(total(increase("unreadable_usage_total"), "reason") + " > 0", "{{reason}}"),
                              now("%s > 0" % total(increase("implausible_figures_total")), "implausible cost"),
                              now(ranked(total(WITHOUT_ID, "model") + " > 0"), "no id: {{model}}")], decimals=0,
                             overrides=fixed(GAPS), nothing="none")),
                (6, stat("The client's own figure", "Sum of the last figure that the client wrote into each session, over "
                         "all history, without sessions that were killed; and what its figures say beyond what its "
                         "session files show: permission checks, titles, summaries, which cannot be split by model.",
                         "currencyUSD",
                         [now(or_zero(total(series("client_reported_cost_usd"))), "client"),
                          now(or_zero(total(series("unattributed_cost_usd"))), "not in the session files")], decimals=2,
                         colour=GREY, overrides=fixed({"not in the session files": PURPLE}))),
                (6, stat("All of history", "List price of everything that the session files have ever shown, and its "
                         "tokens.", "currencyUSD",
                         [now(or_zero(total(series("lifetime_cost_usd"))), "cost"),
                          now(or_zero(total(series("lifetime_tokens"))), "tokens")], decimals=2, colour=GREY,
                         overrides=[override("byName", "tokens", unit="short", decimals=1)])),
            ]),
        ], since="now-7d", refresh="5m", variables=[ADDRESS])


# --- 3. Tools and bottlenecks ---------------------------------------------------------------------------------------

def tools():
    in_range = "histogram_quantile(%s, sum by (le) (%s))"
    per_tool = "histogram_quantile(%s, sum by (le, tool) (%s))"
    buckets = increase("tool_duration_seconds_bucket")
    calls, failures = increase("tool_calls_total"), increase("tool_failures_total")
    listed = [
        cells(total(increase("tool_duration_seconds_sum"), "tool") + " > 0"),
        cells(total(calls, "tool") + " > 0"),
        cells(ratio(total(failures, "tool"), total(calls, "tool"))),
        cells(per_tool % (0.5, buckets) + " >= 0"),
        cells(per_tool % (0.95, buckets) + " >= 0"),
    ]
    refused = [
        cells(total(increase("tool_failures_total", 'reason="%s"' % reason), "tool") + " > 0") for reason in OUTCOMES]
    traces = explore('"queryType":"search","service":"claude-code","operation":"execute_tool '
                     '${__data.fields.Tool:raw}"')
    find = {"title": "Traces with ${__value.text}", "url": traces, "targetBlank": True}

    def seconds(name, metric, about, bounds):
        return stat(name, about, "s", now(in_range % (0.95, increase(metric + "_bucket")) + " >= 0"), decimals=1,
                    nothing="nothing yet", thresholds=steps(*bounds))

    return dashboard(
        "tailspan-tools", "Claude Code / Tools and bottlenecks",
        "What sessions wait for: model calls, tools, people. Slow ends, failures with their reasons, and the traces "
        "behind them.",
        [
            (4, [
                (4, stat("Tool calls", "Distinct tool calls in the chosen time.", "short",
                         now(or_zero(total(calls))), decimals=0, nothing="0")),
                (4, failed_share()),
                (4, waiting()),
                (4, seconds("Tool call, p95", "tool_duration_seconds", "19 of 20 tool calls were faster, in the chosen "
                            "time. Includes the wait for permission.", ((30, "yellow"), (120, "red")))),
                (4, seconds("Model call, p95", "api_request_duration_seconds", "19 of 20 model calls were faster, "
                            "retries included, in the chosen time.", ((30, "yellow"), (90, "red")))),
                (4, seconds("Turn, p95", "turn_duration_seconds", "19 of 20 prompts were done sooner, in the chosen "
                            "time.", ((600, "yellow"), (1800, "red")))),
            ]),
            (8, [
                (8, timeseries(
                    "Duration of tool calls", "From the call to its result, the wait for permission included." +
                    OPENS_TRACE, "s",
                    [query(quantile(0.5, "tool_duration_seconds"), "median", exemplar=True),
                     query(quantile(0.95, "tool_duration_seconds"), "p95", exemplar=True)], interval="10m",
                    overrides=fixed(QUANTILES), log=True, nothing="no calls yet")),
                (8, timeseries(
                    "Duration of model calls, p95", "From the request to the last row of its response, retries "
                    "included, by model." + OPENS_TRACE, "s",
                    query(quantile(0.95, "api_request_duration_seconds", by="model"), "{{model}}",
                          exemplar=True), interval="10m", overrides=fixed(MODELS), nothing="no requests yet")),
                (8, timeseries(
                    "Duration of turns", "From a prompt to the last thing that it caused." + OPENS_TRACE, "s",
                    [query(quantile(0.5, "turn_duration_seconds"), "median", exemplar=True),
                     query(quantile(0.95, "turn_duration_seconds"), "p95", exemplar=True)], interval="10m",
                    overrides=fixed(QUANTILES), log=True, nothing="no turns yet")),
            ]),
            (8, [
                (8, timeseries(
                    "Time to the first chunk", "From the request to the first piece of its response, retries not "
                    "included, by model. Only of runs whose stream is passed on, with partial messages." + OPENS_TRACE,
                    "s", query(quantile(0.95, "time_to_first_chunk_seconds", by="model"), "{{model}}", exemplar=True),
                    interval="10m", overrides=fixed(MODELS), nothing="no streams with partial messages")),
                (8, timeseries(
                    "Waits for an answer", "How long a call waited until a person or a program answered whether it may "
                    "run. Only where a stream shows exactly that: refused calls, questions, edits of files." +
                    OPENS_TRACE, "s",
                    [query(quantile(0.5, "permission_wait_seconds"), "median", exemplar=True),
                     query(quantile(0.95, "permission_wait_seconds"), "p95", exemplar=True)], interval="10m",
                    overrides=fixed(QUANTILES), log=True, nothing="nobody was asked")),
                (8, timeseries(
                    "Waits for an answer per hour, by tool", "Seconds per hour that calls stood still for an answer. "
                    "Say in the first prompt, or in rules, what a session may do by itself.", "s",
                    query(lively("3600 * ", "permission_wait_seconds_sum", "tool"), "{{tool}}"), stack=True,
                    interval="10m", overrides=fixed(TOOLS), nothing="nobody was asked")),
            ]),
            (9, [
                (14, table(
                    "Slowest tools", "Where sessions spend their time in tools, longest first. A long p95 beside a "
                    "short median is a few calls that hang or wait for somebody. The name leads to its traces, except for mcp "
                    "and other, which are many tools.", "s",
                    listed, sort="Total time", transformations=columns(
                        ("tool", "Tool"), ["Total time", "Calls", "Failed", "Median", "p95"]),
                    overrides=[column("Tool", links=[find]), column("Calls", unit="short", decimals=0),
                               column("Failed", unit="percentunit", decimals=1), column("Median", decimals=1),
                               column("p95", decimals=1), column("Total time", decimals=0)], nothing="no calls yet",
                    links=[INSIGHTS, answer_of("Tools, with what held turns up (JSON)", "tools/usage",
                                               "sort=critical_path")])),
                (10, heatmap(
                    "Tool calls by duration", "How many calls took how long. Two bands are two kinds of work; a band "
                    "that climbs is something that gets slower.", "s",
                    query(total(increase("tool_duration_seconds_bucket", over="$__interval"), "le"), "{{le}}",
                          form="heatmap"), interval="30m", nothing="no calls yet")),
            ]),
            (8, [
                (8, timeseries(
                    "p95 by tool", "19 of 20 calls of each tool were faster. Compare tools here before you tune "
                    "one.", "s",
                    query(quantile(0.95, "tool_duration_seconds", by="tool"), "{{tool}}", exemplar=True),
                    interval="30m", overrides=fixed(TOOLS), log=True, nothing="no calls yet")),
                (8, timeseries(
                    "Calls per minute by tool", "How often each tool is called.", "short",
                    query(lively("60 * ", "tool_calls_total", "tool"), "{{tool}}"), stack=True,
                    interval="10m", overrides=fixed(TOOLS), nothing="no calls yet")),
                (8, timeseries(
                    "Where the time goes", "Hours spent per hour: 2 means that on average two model calls, or two "
                    "tools, ran at the same time. If tools are far above model calls, a faster model does not help.",
                    "short",
                    [query(total(rate("api_request_duration_seconds_sum")), "model calls"),
                     query(total(rate("tool_duration_seconds_sum")), "tools")], interval="10m",
                    overrides=fixed({"model calls": PURPLE, "tools": ORANGE}), nothing="no calls yet",
                    links=[INSIGHTS, WAITED_FOR])),
            ]),
            (8, [
                (8, timeseries(
                    "Failures per hour by reason", "error: the tool said so. denied: a rule or a person refused it. "
                    "interrupted: somebody stopped it. Many refusals call for permission rules.", "short",
                    query(total("3600 * " + rate("tool_failures_total"), "reason"), "{{reason}}"), stack=True,
                    interval="10m", overrides=fixed(OUTCOMES))),
                (8, table(
                    "Failures by tool", "Failed calls in the chosen time, by tool and reason, most errors first. The "
                    "name leads to traces with that tool.", "short", refused, sort="Errors",
                    transformations=columns(("tool", "Tool"), ["Errors", "Denied", "Interrupted"]), decimals=0,
                    overrides=[column("Tool", links=[find])], nothing="no failures")),
                (8, timeseries(
                    "API errors per hour by reason", "Failed attempts, retried ones included. overloaded and "
                    "server_error pass by themselves; rate_limit means too much at once; authentication needs you.",
                    "short", query(lively("3600 * ", "api_errors_total", "reason"), "{{reason}}"), stack=True,
                    interval="10m", overrides=fixed(API_REASONS), nothing="none")),
            ]),
        ], variables=[JAEGER, ADDRESS])


# --- 4. Sessions ----------------------------------------------------------------------------------------------------

SESSION_COLUMNS = [
    ("project", "Project", "string"), ("title", "Title", "string"), ("started_at", "Started", "timestamp"),
    ("ended_at", "Last row", "timestamp"), ("turns", "Turns", "number"), ("messages", "Messages", "number"),
    ("subagents", "Sub-agents", "number"), ("tokens.output", "Output tokens", "number"), ("cost_usd", "Cost", "number"),
    ("unattributed_usd", "Not in the file", "number"), ("git_branch", "Branch", "string"), ("id", "Session", "string"),
]
TURN_COLUMNS = [
    ("index", "Turn", "number"), ("started_at", "Started", "timestamp"), ("origin", "Asked by", "string"),
    ("duration_seconds", "Duration", "number"), ("end", "End", "string"), ("messages", "Messages", "number"),
    ("tool_calls", "Tool calls", "number"), ("cost_usd", "Cost", "number"),
    ("subagents_cost_usd", "Sub-agents", "number"), ("trace_id", "Trace", "string"),
]
STEP_COLUMNS = [
    ("name", "Tool", "string"), ("duration_seconds", "Duration", "number"), ("outcome", "Outcome", "string"),
    ("turn", "Turn", "number"), ("agent", "Sub-agent", "string"), ("ended_at", "Ended", "timestamp"),
    ("event", "Event", "number"),
]


def sessions():
    list_path = "/api/v1/analytics/sessions?since=${__from:date:iso}&until=${__to:date:iso}"
    one_path = "/api/v1/analytics/sessions/${session}"
    chosen = {
        **source_variable("session", "Session", ""), "type": "query", "refresh": 2,
        "datasource": {"type": "yesoreyeram-infinity-datasource", "uid": "${infinity_datasource}"},
        "definition": "the latest 200 sessions",
        "query": {"queryType": "infinity", "query": "", "infinityQuery": {
            "refId": "variable",
            **api("/api/v1/analytics/sessions?limit=200", "sessions",
                  [("id", "__text", "string"), ("id", "__value", "string")])}},
    }
    del chosen["query"]["infinityQuery"]["datasource"]
    money = {"unit": "currencyUSD", "decimals": 3}
    # An empty cell would look like a fault of the table.
    untitled = [{"type": "special", "options": {"match": match, "result": {"text": "no title", "index": index}}}
                for index, match in enumerate(["null", "empty"])]
    times = [column("Started", unit="dateTimeAsLocal", width=160), column("Last row", unit="dateTimeAsLocal", width=160),
             column("Ended", unit="dateTimeAsLocal", width=160)]
    return dashboard(
        "tailspan-sessions", "Claude Code / Sessions",
        "Which sessions there were, what each consisted of, and the way from a row to its replay and its trace. Tables "
        "ask the sidecar itself through the Infinity data source, so they hold history from before the first start.",
        [
            (4, [
                (4, active()), (4, waiting()),
                (4, stat("Started, chosen instances", "Sessions that began in the chosen time, as Prometheus knows them: "
                         "of every chosen instance, after its first start or in a backfill.", "short",
                         now(or_zero(total(increase("sessions_started_total")))), decimals=0, nothing="0")),
                (4, stat("In the tables, one sidecar", "Sessions with a row in the chosen time, as the one sidecar of the "
                         "tables below knows them: also those that began earlier, and history. If this fails, see the "
                         "Infinity data source: its URL is the sidecar's.", "short",
                         api(list_path + "&limit=1", "", [("total", "Sessions", "number")]), decimals=0, nothing="0")),
                (4, stat("Cost per session", "Spend in the chosen time divided by the sessions that began in it.",
                         "currencyUSD", now(ratio(SPENT, total(increase("sessions_started_total")))), decimals=2,
                         nothing="no sessions yet", colour=GREEN)),
                (4, stat("Turns per session", "Prompts in the chosen time divided by the sessions that began in it.",
                         "short", now(ratio(total(increase("turns_total")), total(increase("sessions_started_total")))),
                         decimals=1, nothing="no sessions yet")),
            ]),
            (10, [
                (24, table(
                    "Sessions", "The dearest 200 sessions of the chosen time. A click on a session shows its turns "
                    "below, its page, or its trace; click a column to sort. A title stands only where the client or "
                    "somebody has given one, which newer clients do.", "short",
                    api(list_path + "&sort=cost&limit=200", "sessions", SESSION_COLUMNS), sort="Cost",
                    transformations=shaped(SESSION_COLUMNS, "Cost", "Not in the file"), overrides=[
                        *times, column("Cost", **money), column("Not in the file", **money),
                        column("Title", mappings=untitled), column("Output tokens", decimals=1), column("Session", width=310, links=session_links())],
                    nothing="no sessions in this time", links=[INSIGHTS])),
            ]),
            (9, [
                (14, table(
                    "Turns of the chosen session", "Each prompt of the session chosen above: how long it took, how it "
                    "ended, what it cost. A trace id opens the trace, or the page of what happened.", "short",
                    api(one_path, or_none("turns"), TURN_COLUMNS),
                    transformations=shaped(TURN_COLUMNS, "Cost", "Sub-agents"),
                    overrides=[*times, column("Duration", unit="s", decimals=1), column("Cost", **money),
                               column("Sub-agents", **money), column("Trace", links=[
                                   {"title": "Open the trace", "url": trace_of("Trace"), "targetBlank": True}, TRACE_PAGE])],
                    nothing="choose a session")),
                (10, table(
                    "Slowest steps of the chosen session", "Its ten longest tool calls. An event number opens the "
                    "page of the session there, with the text of the call and its result.", "short",
                    api(one_path, or_none("slowest_steps.tool_calls"), STEP_COLUMNS), sort="Duration",
                    transformations=shaped(STEP_COLUMNS), overrides=[
                        *times, column("Duration", unit="s", decimals=1), column("Event", links=[
                            {"title": "What happened here", "targetBlank": True,
                             "url": PAGE % "${session:raw}" + EVENT}])],
                    nothing="choose a session")),
            ]),
            (8, [
                (5, timeseries(
                    "Active sessions by entry point", "Where sessions run: the terminal (cli), an editor, or a program "
                    "(sdk).", "short", query(used(total(series("sessions_active"), "entrypoint"), "entrypoint",
                               "max_over_time(%s[$__range] @ end())" % series("sessions_active")), "{{entrypoint}}"),
                    stack=True, nothing="none active")),
                (5, timeseries(
                    "Sessions started per hour", "By entry point. A steady line from an sdk is automation.", "short",
                    query(lively("3600 * ", "sessions_started_total", "entrypoint"), "{{entrypoint}}"),
                    stack=True, interval="30m", nothing="none yet")),
                (5, timeseries(
                    "Compactions per hour", "auto: the context was full. Often is a sign of sessions that go on too "
                    "long: every compaction loses detail and writes the cache anew.", "short",
                    query(total("3600 * " + rate("compactions_total"), "trigger"), "{{trigger}}"), stack=True,
                    interval="30m", overrides=fixed({"auto": ORANGE, "manual": BLUE}))),
                (5, timeseries(
                    "Sub-agents started per hour", "By type.", "short",
                    query(lively("3600 * ", "subagents_started_total", "agent_type"), "{{agent_type}}"),
                    stack=True, interval="30m", nothing="none yet")),
                (4, timeseries(
                    "Runaways", "Sessions that run away, by what they do too fast. The log of the sidecar says which.", "short",
                    query(total(series("sessions_runaway"), "reason"), "{{reason}}"), overrides=fixed(RUNAWAYS))),
            ]),
        ], variables=[
            INFINITY_SOURCE, JAEGER, ADDRESS, chosen])


# --- 5. Team --------------------------------------------------------------------------------------------------------

def team():
    listed = [
        cells(total(increase("cost_usd_total"), "instance")),
        cells(total(increase("sessions_started_total"), "instance")),
        cells(total(increase("turns_total"), "instance")),
        cells(ratio(total(CACHE_READ, "instance"), total(SENT, "instance"))),
        cells(ratio(total(increase("tool_failures_total"), "instance"), total(increase("tool_calls_total"), "instance"))),
        cells("max by (instance) (time() - %s)" % series("last_event_timestamp_seconds")),
        cells("max by (instance) (%s)" % series("read_lag_bytes")),
    ]
    seen = "count(count by (instance) (max_over_time(%s[1d])))" % series("build_info")
    here = "count(count by (instance) (%s))" % series("build_info")
    return dashboard(
        "tailspan-team", "Claude Code / Team",
        "Many sidecars in one Prometheus: who reports, and how spend, sessions and failures divide among hosts. A host "
        "is the instance label without its port.",
        [
            (4, [
                (4, stat("Sidecars", "Instances that report now.", "short", now(or_zero(here)), decimals=0,
                         colour=GREEN, links=[drill("Sidecar health", "tailspan-health")])),
                (4, stat("Gone since yesterday", "Instances that reported in the last day and do not now. A laptop "
                         "that is closed counts, too.", "short", now(or_zero("%s - (%s)" % (seen, or_zero(here)))),
                         decimals=0, thresholds=steps((1, "yellow")))),
                (4, spend_today()), (4, today_against_usual()), (4, active()), (4, waiting()),
            ]),
            (8, [
                (8, bargauge("Hosts by cost", "What each host spent in the chosen time.", "currencyUSD",
                             now("topk(20, %s)" % host(increase("cost_usd_total")), "{{host}}"), decimals=2,
                             nothing="nothing spent yet")),
                (16, timeseries(
                    "Spend per hour by host", "Rate of spend, stacked by host.", "currencyUSD",
                    query(host("3600 * " + rate("cost_usd_total")), "{{host}}"), stack=True, interval="10m",
                    nothing="nothing spent yet")),
            ]),
            (7, [
                (24, table(
                    "Instances", "One row per sidecar in the chosen time. Compare cache hits and failures first: they "
                    "differ by habit, and a habit can be passed on. A long silence with a lag is a broken sidecar.",
                    "short", listed, sort="Cost", transformations=columns(("instance", "Instance"), [
                        "Cost", "Sessions", "Turns", "Cache hits", "Failed calls", "Silent for", "Not read yet"]),
                    overrides=[column("Cost", unit="currencyUSD", decimals=2), column("Sessions", decimals=0),
                               column("Turns", decimals=0), column("Cache hits", unit="percentunit", decimals=1),
                               column("Failed calls", unit="percentunit", decimals=1),
                               column("Silent for", unit="s", decimals=0), column("Not read yet", unit="bytes")],
                    nothing="no sidecar reports")),
            ]),
            (8, [
                (8, timeseries(
                    "Active sessions by instance", "Who works right now.", "short",
                    query(total(series("sessions_active"), "instance"), "{{instance}}"), stack=True)),
                (8, timeseries(
                    "Tokens per minute by host", "All kinds, cached ones included.", "short",
                    query(host("60 * " + rate("tokens_total")), "{{host}}"), stack=True, interval="10m",
                    nothing="no tokens yet")),
                (8, timeseries(
                    "Turns per hour by host", "Prompts that reached the model.", "short",
                    query(host("3600 * " + rate("turns_total")), "{{host}}"), stack=True, interval="10m")),
            ]),
            (8, [
                (6, bargauge("Projects of the whole team", "What projects cost on all hosts together, in the chosen "
                             "time.", "currencyUSD",
                             now("topk(10, %s > 0)" % total(increase("project_cost_usd_total"), "project"),
                                 "{{project}}"), decimals=2, nothing="nothing spent yet")),
                (6, bargauge("Models of the whole team", "What models cost on all hosts together, in the chosen time.",
                             "currencyUSD",
                             now("topk(10, %s > 0)" % total(increase("cost_usd_total"), "model"), "{{model}}"),
                             decimals=2, overrides=fixed(MODELS), nothing="nothing spent yet")),
                (6, bargauge("Lines added by host", "Lines that tools added to files in the chosen time. A measure of "
                             "activity, not of worth.", "short",
                             now(ranked(host(increase("lines_changed_total", 'change="added"'))), "{{host}}"), decimals=0)),
                (6, bargauge("Versions of the sidecar", "How many instances run which version. Update the odd one "
                             "out: prices come with the program.", "short",
                             now(ranked("count by (version) (%s)" % series("build_info")), "{{version}}"), decimals=0,
                             nothing="no sidecar reports")),
            ]),
        ])


# --- 6. Sidecar health ----------------------------------------------------------------------------------------------

def health():
    age = "clamp_min(time() - %s, 0)" % series("outbox_oldest_timestamp_seconds")
    yes_no = [{"type": "value", "options": {"0": {"text": "no", "color": "red", "index": 0},
                                            "1": {"text": "yes", "color": "green", "index": 1}}}]
    spans = {"sent": GREEN, "rejected": ORANGE, "dropped": RED}
    cpu = of_sidecars("rate(process_cpu_seconds_total{%s}[$__rate_interval])" % SCOPE)
    memory = of_sidecars("process_resident_memory_bytes{%s}" % SCOPE)
    return dashboard(
        "tailspan-health", "Claude Code / Sidecar health",
        "Whether the numbers can be trusted: is everything read, understood, stored and sent. All green and flat is "
        "right.",
        [
            (4, [
                (4, stat("State can be written", "No while the disk of a sidecar's state is full, read-only or failing: "
                         "its reading pauses and its figures stand still until it can. Nothing is lost.", "bool_yes_no",
                         now("min(%s)" % series("state_writable")), mappings=yes_no,
                         nothing="no sidecar reports", thresholds=steps((1, "green"), first="red"))),
                (4, stat("Up for", "Time since the youngest process started. Short and again short is a crash loop: "
                         "read its log.", "s", now("min(time() - %s)" % series("start_time_seconds")), decimals=0,
                         nothing="no sidecar reports", colour=GREY)),
                (4, stat("Not read yet", "Bytes of session files that are not read yet, all instances. More than a few "
                         "megabytes for minutes: the disk or the processor is too slow, or the outbox is full.",
                         "bytes", query(or_zero(total(series("read_lag_bytes")))), spark=True,
                         thresholds=steps((10e6, "yellow"), (100e6, "red")))),
                (4, stat("Oldest unsent span", "How long the span that has waited longest waits for the backend. "
                         "Growing: the backend is down or refuses; nothing is lost until it says so.", "s",
                         now(or_zero("max(%s)" % age)), decimals=0,
                         thresholds=steps((300, "yellow"), (3600, "red")))),
                (4, stat("Spans lost", "Spans in the chosen time that the backend refused for good, or refused while "
                         "it took the rest. The log names the reason.", "short",
                         now(or_zero("%s + %s" % (total(increase("spans_dropped_total")),
                                                  total(increase("export_rejected_spans_total"))))), decimals=0,
                         thresholds=steps((1, "red")))),
                (4, stat("Lines not understood", "Lines in the chosen time that could not be read, or whose type this "
                         "version does not know. A new client writes new types: update the sidecar.", "short",
                         now(or_zero("%s + %s" % (total(increase("rejected_lines_total")),
                                                  total(increase("unknown_records_total"))))), decimals=0,
                         thresholds=steps((1, "yellow"), (100, "orange")))),
            ]),
            (8, [
                (8, timeseries(
                    "Lag", "Bytes of session files that are not read yet. Short peaks are normal.", "bytes",
                    query("max by (instance) (%s)" % series("read_lag_bytes"), "{{instance}}"))),
                (8, timeseries(
                    "Time since the latest row", "Grows when nobody works. Growing while sessions are active and the "
                    "lag is not 0: reading has stopped. Behind the stream: how long after the stream the session file "
                    "told the same, 95 of 100.", "s",
                    [query("max by (instance) (time() - %s)" % series("last_event_timestamp_seconds"), "{{instance}}"),
                     query(quantile(0.95, "correlation_delay_seconds"), "behind the stream")],
                    nothing="no rows yet")),
                (8, timeseries(
                    "Lines read per second", "How much the sidecar reads; and the lines of streams that were handed over: new, "
                    "known already, rejected because they are no JSON.", "short",
                    [query(total(rate("lines_total"), "instance"), "{{instance}}"),
                     query(total(rate("stream_lines_total"), "outcome"), "streams: {{outcome}}")], interval="5m")),
            ]),
            (8, [
                (8, timeseries(
                    "Rejected lines and drift per hour", "Lines that are no JSON, no object, or too long: a single one "
                    "is a torn write, many are a damaged file. Drift is what the self-check found to differ between "
                    "the state and the files: the log names it. Lost log: lines that could not be written, because "
                    "the disk of the log is full or nobody reads it. Lost of streams: lines that found no room while no "
                    "sidecar answered. Not in file, not in stream: what only the other of the two told.", "short",
                    [query("3600 * " + total(rate("state_drift_total")), "drift"),
                     query("3600 * " + total(rate("log_lines_lost_total")), "lost log"),
                     query("3600 * " + total(rate("stream_lost_lines_total")), "lost of streams"),
                     query("3600 * " + total(rate("correlation_missing_total"), "side"), "not in {{side}}"),
                     query(total("3600 * " + rate("rejected_lines_total"), "reason"), "{{reason}}")], stack=True, interval="10m",
                    overrides=fixed({"not_json": RED, "not_an_object": ORANGE, "too_long": YELLOW, "drift": PURPLE,
                                     "lost log": BLUE, "lost of streams": TEAL}))),
                (8, timeseries(
                    "Unknown types per hour", "Lines of types that this version does not know, by type. They cost "
                    "nothing but may hold something new.", "short",
                    query(lively("3600 * ", "unknown_records_total", "kind"), "{{kind}}"), stack=True,
                    interval="10m", nothing="none")),
                (8, timeseries(
                    "Series over the limit per hour", "Updates that went to the value other because a metric has "
                    "metrics.series_max series. Above 0, raise the limit or look for labels that explode.", "short",
                    query(lively("3600 * ", "series_dropped_total", "metric"), "{{metric}}"), interval="10m", nothing="none")),
            ]),
            (8, [
                (8, timeseries(
                    "Outbox", "Spans that wait for the backend. When it is full, reading pauses and nothing is lost. "
                    "And of the history that traces.history_since asks for, the traces that are still to be put in.",
                    "short",
                    [query(total(series("outbox_spans"), "instance"), "{{instance}}"),
                     query(total(series("history_waiting_traces"), "endpoint"), "history for {{endpoint}}")])),
                (8, timeseries(
                    "Spans per minute", "What the backend took, what it refused, and what will never arrive. All 0 "
                    "without an OTLP endpoint.", "short",
                    [query("60 * " + total(rate("spans_exported_total")), "sent"),
                     query("60 * " + total(rate("export_rejected_spans_total")), "rejected"),
                     query("60 * " + total(rate("spans_dropped_total")), "dropped")], interval="5m",
                    overrides=fixed(spans))),
                (8, timeseries(
                    "Failed exports per hour", "Export requests that failed, by reason. connect and timeout: the "
                    "backend is away. unauthorized: its headers are wrong. not_otlp: something else "
                    "answers there, such as a login page. Spans are sent again.", "short",
                    query(lively("3600 * ", "export_failures_total", "reason"), "{{reason}}"), stack=True,
                    interval="5m", nothing="none", overrides=fixed({
                        "connect": RED, "timeout": ORANGE, "status_4xx": PURPLE, "status_5xx": YELLOW,
                        "unauthorized": BLUE, "throttled": TEAL, "not_otlp": GREY}))),
            ]),
            (8, [
                (12, timeseries(
                    "Sessions without a copy that expire", "Sessions whose file the client deletes within a day or a "
                    "week, as its settings say, and that the archive has no copy of: their figures stay, what was said "
                    "in them does not.", "short",
                    query(total(series("sessions_expiring"), "within"), "within {{within}}"),
                    overrides=fixed({"within 1d": RED, "within 7d": YELLOW}))),
                (12, timeseries(
                    "Archive", "How many copies there are; in an hour, how many files were copied, how many could not be "
                    "(the log says why, and they are tried again), and what ended for its age, as [retention] and [stream] say. Paused: "
                    "instances whose archive cannot be written, because its disk is full, read-only or failing.",
                    "short",
                    [query(total(series("archive_copies")), "copies"),
                     query("count(%s == 0) or vector(0)" % series("archive_writable"), "paused instances"),
                     query("3600 * " + total(rate("archive_copied_total")), "copied"),
                     query("3600 * " + total(rate("archive_failures_total")), "failed"),
                     query("3600 * " + total(rate("retention_ended_total"), "what"), "ended {{what}}"),
                     query("3600 * " + total(rate("stream_files_ended_total")), "ended stream files")],
                    overrides=fixed({"copies": BLUE, "copied": GREEN, "failed": RED, "paused instances": ORANGE}))),
            ]),
            (8, [
                (5, timeseries(
                    "On disk", "Size of the database, which grows with history, slowly; of the index of search, at most 5 % of "
                    "the session files; of the copies of session files, if archive.enabled is set, and of the files that "
                    "they hold; and of the stream files.", "bytes",
                    [query(total(series("store_bytes"), "instance"), "{{instance}}"),
                     query(total(series("search_index_bytes"), "instance"), "index of {{instance}}"),
                     query(total(series("archive_bytes")), "copies"),
                     query(total(series("archive_file_bytes")), "copied files"),
                     query(total(series("stream_file_bytes")), "stream files")],
                    overrides=fixed({"copies": BLUE, "copied files": GREY, "stream files": GREEN}))),
                (5, timeseries(
                    "Files", "Session files that are followed, and instances that the system does not tell about "
                    "changes: they look at all files instead. Then raise fs.inotify.max_user_watches. Unreadable: "
                    "folders and files that may not be read or whose paths are too long; the log names them. Indexed: "
                    "files that the index of search knows, and instances whose index knew all.", "short",
                    [query(total(series("files_watched")), "files"),
                     query(total(series("search_index_files")), "indexed"),
                     query(total(series("search_index_complete")), "indexed instances"),
                     query(total(series("stream_files")), "stream files"),
                     query(total(series("paths_unreadable")), "unreadable"),
                     query(total(series("watch_degraded")), "degraded instances")],
                    overrides=fixed({"files": BLUE, "indexed": TEAL, "indexed instances": GREEN, "unreadable": ORANGE, "stream files": GREEN,
                                     "degraded instances": RED}))),
                (5, timeseries(
                    "Processor", "Cores in use. Idle is below 0.01. Index: the share of the time in which the index of "
                    "search was worked on, when nothing else wanted to run.", "short",
                    [query("sum by (instance) (%s)" % cpu, "{{instance}}"),
                     query(total(rate("search_index_seconds_total"), "instance"), "index of {{instance}}")],
                    interval="1m", decimals=4,
                    nothing="not on this system")),
                (4, timeseries("Memory", "Resident memory of the sidecar.", "bytes",
                               query("sum by (instance) (%s)" % memory, "{{instance}}"),
                               nothing="not on this system")),
                (5, timeseries(
                    "Answers per minute", "Answered HTTP requests by status. 5xx is worth the log. Followers are clients of the "
                    "stream of events that are there, and those that were cut off because they read too slowly.", "short",
                    [query(lively("60 * ", "http_requests_total", "code"), "{{code}}"),
                     query(total(series("event_clients")), "followers"),
                     query("60 * " + total(rate("event_clients_dropped_total")), "followers cut off")], stack=True,
                    interval="5m", overrides=fixed({"200": GREEN, "400": YELLOW, "404": ORANGE, "500": RED,
                                                    "503": PURPLE, "followers": BLUE, "followers cut off": RED}))),
            ]),
        ], since="now-6h", refresh="30s")


# --- 7. Insights ----------------------------------------------------------------------------------------------------

PLACE, PLACE_LINKS = place_columns("evidence.0.")
PATTERN_COLUMNS = [
    ("title", "Pattern", "string"), ("severity", "Severity", "string"), ("finding", "What was found", "string"),
    ("recommendation", "What to do", "string"), ("saving_usd", "Saving", "number"),
    ("saving_seconds", "Time saved", "number"), ("basis", "Basis", "string"), *PLACE,
]
SLOWEST, SLOWEST_LINKS = place_columns("slowest.0.")
WAIT_COLUMNS = [
    ("kind", "Kind", "string"), ("name", "Name", "string"), ("seconds", "Time", "number"), ("share", "Share", "number"),
    ("turns", "Turns", "number"), ("p95_seconds_per_turn", "p95 per turn", "number"),
    ("if_halved_share", "If halved", "number"), *SLOWEST,
]
HALVED_COLUMNS = [("kind", "Kind", "string"), ("name", "Name", "string"), ("if_halved_share", "Shorter by", "number")]
HOURS = ["%02d" % hour for hour in range(24)]
WEEK_COLUMNS = [("weekday", "Day", "string"),
                *(("hours.%d.cost_usd" % hour, title, "number") for hour, title in enumerate(HOURS))]
EXTENT_COLUMNS = [("sessions", "Sessions", "number"), ("turns", "Turns", "number"), ("messages", "Responses", "number"),
                  ("tokens", "Tokens", "number"), ("cost_usd", "Cost", "number")]
LANGUAGE_COLUMNS = [("extension", "Extension", "string"), ("files", "Files", "number"), ("calls", "Edits", "number"),
                    ("lines_added", "Added", "number"), ("lines_removed", "Removed", "number")]
EDITED, EDITED_LINKS = [("session", "Session", "string"), ("event", "Event", "number")], PLACE_LINKS[:2]
FILE_COLUMNS = [*LANGUAGE_COLUMNS[:1], *LANGUAGE_COLUMNS[2:], ("at", "Last", "timestamp"), *EDITED]
USUAL_COLUMNS = [("session_seconds.p50", "Length, half up to", "number"),
                 ("session_seconds.p90", "Length, 9 of 10 up to", "number"),
                 ("turns_per_session.p50", "Turns, half up to", "number"),
                 ("turns_per_session.p90", "Turns, 9 of 10 up to", "number")]
MONTH_COLUMNS = [("spent_usd", "Spent", "number"), ("low_usd", "At least", "number"), ("expected_usd", "Expected", "number"),
                 ("high_usd", "At most", "number")]
SEVERITIES = {"cost": ORANGE, "warn": RED, "info": BLUE}
NEEDS = " Needs the Infinity data source."


def insights():
    asked = analytics("patterns")
    months = "/api/v1/analytics/costs?group_by=month&limit=1&tz=${__timezone}"
    money = {"unit": "currencyUSD", "decimals": 2}
    limit, spent = total(series("budget_usd"), "budget"), total(series("budget_spent_usd"), "budget")
    wrapped = {"custom_cellOptions": {"type": "auto", "wrapText": True}, "custom_inspect": True}
    nothing_saved = [{"type": "value", "options": {"0": {"text": "-", "index": 0}}}]
    severities = [{"type": "value", "options": {name: {"text": name, "color": colour, "index": index}
                                                for index, (name, colour) in enumerate(SEVERITIES.items())}}]
    no_extension = [{"type": "special", "options": {"match": match, "result": {"text": "none", "index": index}}}
                    for index, match in enumerate(["null", "empty"])]
    share = {"unit": "percentunit", "decimals": 1, "min": 0, "max": 1}
    bar = {"custom_cellOptions": {"type": "gauge", "mode": "basic"}, "color": {"mode": "fixed", "fixedColor": BLUE}}
    extent = {"overrides": [override("byName", "Cost", **money), override("byName", "Tokens", decimals=1)],
              "decimals": 0, "nothing": "nothing in this time", "transformations": shaped(EXTENT_COLUMNS)}
    return dashboard(
        "tailspan-insights", "Claude Code / Insights",
        "What to change: habits that cost money or time and what they would save, what turns waited for, budgets and what "
        "the month will cost, when the work is done. Spend and budgets come from Prometheus; all else is asked of one "
        "sidecar through the Infinity data source. Without its plugin those panels say that a data source was not found, and "
        "the others work.",
        [
            (4, [
                (4, stat("Spend, chosen instances", "Spend in the chosen time, as Prometheus knows it: of every chosen "
                         "instance, since its first start or a backfill.", "currencyUSD", now(or_zero(SPENT)), decimals=2,
                         colour=GREEN, nothing="$0.00", links=[drill("Cost", "tailspan-cost")])),
                (4, stat("Change of spend", "Spend in the chosen time against as much time before it: 0 % is as much as then."
                         + NEEDS, "percentunit", api(asked, "usage.previous", [("cost_change", "Change", "number")]),
                         decimals=0, nothing="nothing spent before", thresholds=steps((0.25, "yellow"), (1, "orange")))),
                (4, stat("Expected this month", "What the present month is expected to cost, whatever time is chosen: as likely "
                         "too low as too high." + NEEDS, "currencyUSD",
                         api(months, "projection", [("expected_usd", "Expected", "number")]), decimals=2,
                         nothing="under 7 days of spend", colour=ORANGE)),
                (4, stat("Fullest budget", "Of the budgets of the configuration, how much of the fullest is spent.",
                         "percentunit", now("max(%s)" % ratio(spent, limit)), decimals=0, nothing="no budget",
                         thresholds=steps((0.8, "yellow"), (1, "red")))),
                (4, stat("Largest saving", "What the pattern that costs most money could have saved, and the one that costs "
                         "most time. Savings of several patterns may overlap, so they are not added up." + NEEDS, "short",
                         api(asked, "patterns", [("saving_usd", "Money", "number"), ("saving_seconds", "Time", "number")]),
                         reduced="max", nothing="nothing found", colour=TEAL, mappings=nothing_saved, overrides=[
                             override("byName", "Money", **money), override("byName", "Time", unit="s", decimals=1)])),
                (4, stat("Beside the model", "Share of the time of all turns that went to tools, hooks, retries and pauses "
                         "instead of the model. A faster model changes nothing about it." + NEEDS, "percentunit",
                         api(analytics("bottlenecks", "limit=1000"), 'critical_path.#(kind!="model")#',
                             [("share", "Share", "number")]), reduced="sum", decimals=0, nothing="no turns yet",
                         thresholds=steps((0.5, "yellow"), (0.75, "orange")))),
            ]),
            (12, [
                (24, table(
                    "What to change", "Habits that cost money or time in the chosen time, what could save most first, with "
                    "what that would have saved. measured follows from the session files, estimated needs an assumption; "
                    "docs/patterns.md says of each what it sees and when it is wrong. Session, event and trace lead to the "
                    "most telling place." + NEEDS, "short", api(asked, "patterns", PATTERN_COLUMNS),
                    transformations=shaped(PATTERN_COLUMNS), links=[TO_CHANGE], overrides=[
                        column("Pattern", width=170, **wrapped),
                        column("Severity", width=85, mappings=severities, custom_cellOptions={"type": "color-text"}),
                        column("What was found", **wrapped), column("What to do", **wrapped),
                        column("Saving", width=85, mappings=nothing_saved, **money),
                        column("Time saved", width=95, unit="s", decimals=1, mappings=nothing_saved),
                        column("Basis", width=95), *PLACE_LINKS], nothing="no rule found anything to change")),
            ]),
            (10, [
                (17, table(
                    "What turns waited for", "The critical path of all turns that ended in the chosen time, by what they "
                    "waited for, the longest first; what ran beside something longer is not in it. If halved: by how much "
                    "all turns together would be shorter if it took half the time. Session, event and trace lead to the "
                    "longest wait." + NEEDS, "short", api(analytics("bottlenecks", "limit=50"), "critical_path", WAIT_COLUMNS),
                    transformations=shaped(WAIT_COLUMNS), links=[WAITED_FOR, drill("Tools and bottlenecks", "tailspan-tools")],
                    overrides=[
                        column("Kind", width=95), column("Time", width=95, unit="s", decimals=1),
                        column("Share", **share, **bar), column("Turns", width=75, decimals=0),
                        column("p95 per turn", width=105, unit="s", decimals=1),
                        column("If halved", width=85, unit="percentunit", decimals=1), *SLOWEST_LINKS],
                    nothing="no turns in this time")),
                (7, bargauge(
                    "If it took half the time", "By how much all turns together would be shorter if this took half the time, "
                    "for the ten that turns waited for longest. The longest bar is where speed pays." + NEEDS, "percentunit",
                    api(analytics("bottlenecks", "limit=10"), "critical_path", HALVED_COLUMNS), rows=True, decimals=1,
                    transformations=shaped(HALVED_COLUMNS), nothing="no turns in this time")),
            ]),
            (8, [
                (12, budgets([drill("Cost", "tailspan-cost")])),
                (7, timeseries(
                    "Budgets over time", "How much of each budget was spent at each moment. It falls when its period ends; "
                    "above the dashed line it is over.", "percentunit",
                    query(ratio(spent, limit), "{{budget}}"), thresholds=steps((1, "red")),
                    nothing="no budget in the configuration")),
                (5, stat("This month", "The present month, whatever time is chosen: what is spent, and between what its cost "
                         "will lie with a probability of 80 %. docs/cost.md says how often that holds." + NEEDS,
                         "currencyUSD", api(months, "projection", MONTH_COLUMNS), decimals=2, nothing="under 7 days of spend", stacked=True,
                         transformations=shaped(MONTH_COLUMNS), overrides=fixed({
                             "Spent": GREEN, "Expected": ORANGE, "At least": GREY, "At most": GREY}))),
            ]),
            (9, [
                (24, table(
                    "The week, hour by hour", "What was spent in each hour of each weekday of the chosen time, in the time "
                    "zone of the dashboard. Dark hours that nobody worked in are jobs, or something that runs away." + NEEDS,
                    "currencyUSD", api(asked, "usage.week", WEEK_COLUMNS), heat=True, decimals=1,
                    transformations=shaped(WEEK_COLUMNS), overrides=[
                        column("Day", width=100, custom_align="left", custom_cellOptions={"type": "auto"}),
                        override("byRegexp", "[0-9]+", mappings=nothing_saved)], nothing="nothing spent yet")),
            ]),
            (4, [
                (12, stat("The chosen time", "What one sidecar knows of the chosen time, its history from before the first "
                          "start included; each range is widened to quarter hours." + NEEDS, "short",
                          api(asked, "usage.total", EXTENT_COLUMNS), **extent)),
                (12, stat("As much time before", "The same of as much time before the chosen one." + NEEDS, "short",
                          api(asked, "usage.previous", EXTENT_COLUMNS), colour=GREY, **extent)),
            ]),
            (8, [
                (8, table(
                    "Languages", "What was changed in files of each extension in the chosen time, the most edits first."
                    + NEEDS, "short", api(asked, "usage.languages", LANGUAGE_COLUMNS), decimals=0,
                    transformations=shaped(LANGUAGE_COLUMNS), overrides=[column("Extension", mappings=no_extension)],
                    nothing="no edits in this time")),
                (10, table(
                    "Files changed most", "The ten files with the most edits in the chosen time. Their names are in the "
                    "session files only: the event leads to the last edit." + NEEDS, "short",
                    api(asked, "usage.files", FILE_COLUMNS), decimals=0, transformations=shaped(FILE_COLUMNS), overrides=[
                        column("Extension", mappings=no_extension), column("Last", unit="dateTimeAsLocal", width=160),
                        *EDITED_LINKS], nothing="no edits in this time")),
                (6, stat("Usual sessions", "How long the sessions that began in the chosen time last, and how many turns they "
                         "have: half of them at most so much, and nine of ten." + NEEDS, "short",
                         api(asked, "usage", USUAL_COLUMNS), decimals=0, nothing="no sessions in this time", colour=PURPLE, stacked=True,
                         transformations=shaped(USUAL_COLUMNS), overrides=[
                             override("byRegexp", "Length.*", unit="s", decimals=1)])),
            ]),
        ], since="now-7d", refresh="15m", variables=[INFINITY_SOURCE, JAEGER, ADDRESS],
        links=[TO_CHANGE, WAITED_FOR])


ALL = {"overview": overview, "cost": cost, "tools": tools, "insights": insights, "sessions": sessions, "team": team,
       "health": health}


GUIDE = HERE.parent / "docs/dashboards.md"
BEGIN, END = "<!-- panels -->\n", "<!-- end of panels -->"


def guide(made):
    """The guide with a picture of each dashboard and a row per panel: the description that Grafana shows."""
    parts = []
    for name, board in made.items():
        parts.append("## %s\n\n%s\n\n![Preview of %s, drawn from generated sessions](dashboards/%s.png)\n\n"
                     "| panel | shows |\n|---|---|\n" % (
                         board["title"].removeprefix("Claude Code / "), board["description"], board["title"], name))
        parts += ["| %s | %s |\n" % (panel["title"], panel["description"]) for panel in board["panels"]]
        parts.append("\n")
    before, rest = GUIDE.read_text().split(BEGIN)
    return before + BEGIN + "\n" + "".join(parts) + END + rest.split(END)[1]


def main(arguments):
    made = {name: make() for name, make in ALL.items()}
    texts = {HERE / (name + ".json"): text_of(board) + "\n" for name, board in made.items()}
    texts[GUIDE] = guide(made)
    stale = []
    for path, text in texts.items():
        if arguments == ["--check"]:
            if not path.is_file() or path.read_text() != text:
                stale.append(path.name)
        else:
            path.write_text(text)
    for name in stale:
        print("not current: %s; run python3 dashboards/generate.py" % name)
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
