//! Made-up turns as spans: what no recording shows.

use tailspan::ledger::ended;
use tailspan::ledger::family::{DEPTH_MAX, roots};
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Share;
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::{
    Call, Claim, ClaimBy, Message, Prompt, Rank, RowFact, RowPlace, Surroundings, Tool, ToolEnd, TurnEnd, Unit, UnitKey,
};
use tailspan::transcript::chunk::FileNumber;
use tailspan::transcript::ids::{AgentId, RowId, SessionId};
use tailspan::transcript::record::{ApiError, Fact, LinePlace, Origin, Outcome, Says, Stop};
use tailspan::transcript::time::Timestamp;
use tailspan::transcript::usage::Usage;
use tailspan::views::traces::ids::{SpanAt, SpanId, TraceId, root_of_turn, span_id};
use tailspan::views::traces::span::{Span, SpanBatch, SpanStatus, Value};
use tailspan::views::traces::tree::{ForkedFrom, Position, TurnFacts, span_count, turn_spans};

use crate::support::spans::{count, int, named, text, value};

const PROMPT: RowId = RowId(0x5b1d_6c1e_8f0a_4e7c_9d2b_3a4f_5e6d_7c8b);

fn at(seconds: i64) -> Timestamp {
    Timestamp(1_700_000_000_000 + seconds * 1000)
}

fn claim() -> Claim {
    Claim { by: ClaimBy::Row, time: at(0), file: FileNumber(0), session: SessionId("s".into()) }
}

fn rank(seconds: i64) -> Rank {
    Rank { copy: false, time: at(seconds), file: FileNumber(0) }
}

fn row() -> RowPlace {
    RowPlace { file: FileNumber(0), generation: 1, place: LinePlace::default() }
}

fn turn() -> Unit {
    let mut unit = Unit::new(UnitKey::Turn(PROMPT), claim(), Surroundings::default());
    unit.prompt = Some(Prompt {
        origin: Origin::Human,
        time: at(0),
        place: row(),
        chars: 1,
        command: None,
        queued_ms: None,
        said: Vec::new(),
        source: None,
        extracts: None,
    });
    unit
}

/// A sub-agent that `call` started, with one model call from second 3 to second 8.
fn agent(id: &str, call: &str, first_row: u128) -> Unit {
    let session = claim().session;
    let mut unit = Unit::new(UnitKey::Agent(session, AgentId(id.into())), claim(), Surroundings::default());
    (unit.first, unit.last) = (at(3), at(8));
    let known = unit.agent.as_mut().unwrap();
    known.agent_type = Some("Explore".into());
    known.call = Some(call.into());
    known.first_row = Some((at(3), RowId(first_row)));
    unit.parts.messages.push(chat(&format!("msg_of_{id}"), None, 3, 8));
    unit
}

fn chat(id: &str, request: Option<&str>, start: i64, end: i64) -> Message {
    let tokens = Tokens { input: 10, output: 5, ..Tokens::default() };
    let cost = Some(Money::parse_usd("0.25").unwrap());
    Message {
        id: id.into(),
        request: request.map(Into::into),
        model: "claude-opus-5".into(),
        requested_model: None,
        usage: Usage::default(),
        stop: Some(Stop::EndTurn),
        rank: rank(end),
        start: at(start),
        end: at(end),
        rows: Vec::new(),
        skill: None,
        says: Says::default(),
        effort: None,
        names: Vec::new(),
        undated: false,
        unreadable_usage: None,
        unidentified: false,
        shares: vec![Share { model: "claude-opus-5".into(), tokens, cost }],
        closed: true,
        sent: false,
        streamed: Vec::new(),
        in_file: true,
        ttft_ms: None,
    }
}

fn tool(id: &str, name: &str, start: i64, result: Option<(i64, Outcome)>) -> Tool {
    let (message, prompt_hash) = ("".into(), 0);
    let call = Call {
        name: name.into(),
        rank: rank(start),
        place: row(),
        message,
        agent_type: None,
        prompt_hash,
        skill: None,
        input: 0,
        file: 0,
        extension: None,
        extracts: None,
    };
    let result = result.map(|(end, outcome)| ToolEnd {
        rank: rank(end),
        outcome,
        filled_in: false,
        bytes: 0,
        exit_code: None,
        decision: None,
        searches: 0,
        lines_added: 0,
        lines_removed: 0,
        place: row(),
    });
    Tool {
        id: id.into(),
        call: Some(call),
        result,
        agent: None,
        more_agents: Vec::new(),
        background: false,
        given_up: false,
        sent: false,
        streamed: false,
        in_file: true,
        asked: None,
    }
}

fn starts(mut tool: Tool, agent: &str) -> Tool {
    tool.agent = Some(AgentId(agent.into()));
    tool
}

fn batches(turn: &Unit, agents: &[Unit]) -> Vec<SpanBatch> {
    let find = |id: &AgentId| agents.iter().find(|unit| unit.agent.as_ref().unwrap().id == *id);
    let facts = TurnFacts { turn, agents: &find, position: Position::default(), end: ended::so_far(turn) };
    let batches = turn_spans(&facts);
    assert_eq!(span_count(&facts), batches[0].spans.len());
    batches
}

fn spans_of(turn: &Unit) -> Vec<Span> {
    batches(turn, &[]).remove(0).spans
}

#[test]
fn the_cloud_is_told_by_the_message_id() {
    let clouds = [("msg_01", "anthropic"), ("msg_bdrk_01", "aws.bedrock"), ("msg_vrtx_01", "gcp.vertex_ai")];
    for (id, provider) in clouds {
        let mut turn = turn();
        turn.parts.messages.push(chat(id, None, 1, 2));
        let spans = spans_of(&turn);
        assert!(spans.iter().all(|span| text(span, "gen_ai.provider.name") == Some(provider)), "{spans:?}");
    }
}

#[test]
fn what_has_no_price_says_so_and_what_has_one_is_summed() {
    let mut turn = turn();
    let mut mixed = chat("msg_1", None, 1, 2);
    let share = mixed.shares[0].clone();
    mixed.shares.extend([Share { cost: None, ..share.clone() }, share.clone()]);
    let mut unpriced = chat("msg_2", None, 3, 4);
    unpriced.shares = vec![Share { cost: None, ..share }];
    turn.parts.messages.extend([mixed, unpriced]);
    let spans = spans_of(&turn);
    assert_eq!(value(&spans[0].attributes, "gen_ai.usage.cost.amount"), Some(&Value::Float(0.5)));
    assert_eq!(int(&spans[0], "gen_ai.usage.input_tokens"), Some(30));
    assert_eq!(value(&spans[1].attributes, "gen_ai.usage.cost.amount"), None);
    assert_eq!(value(&spans[1].attributes, "gen_ai.usage.cost.currency"), None);
    for span in &spans[..2] {
        assert_eq!(value(&span.attributes, "claude_code.cost.unpriced"), Some(&Value::Bool(true)));
    }
}

#[test]
fn a_call_without_a_result_ends_with_its_turn() {
    let mut turn = turn();
    turn.parts.tools.push(tool("toolu_1", "Bash", 4, None));
    turn.parts.messages.push(chat("msg_1", None, 1, 9));
    let spans = spans_of(&turn);
    let bash = named(&spans, "execute_tool Bash")[0];
    assert_eq!((bash.start, bash.end), (at(4), at(9)));
    assert_eq!(text(bash, "claude_code.tool.outcome"), Some("open"));
    assert_eq!(bash.status, SpanStatus::Unset);
    assert_eq!(text(spans.last().unwrap(), "claude_code.turn.end"), Some("open"));
}

#[test]
fn a_turn_cut_off_while_it_waited_lasts_as_long_as_its_subagent() {
    let mut turn = turn();
    turn.parts.messages.push(chat("msg_1", None, 1, 2));
    turn.parts.tools.push(starts(tool("toolu_1", "Agent", 2, None), "a1"));
    let spans = batches(&turn, &[agent("a1", "toolu_1", 7)]).remove(0).spans;
    let ends: Vec<_> = ["execute_tool Agent", "invoke_agent Explore", "invoke_agent claude-code"]
        .map(|name| named(&spans, name)[0].end)
        .into();
    assert_eq!(ends, [at(8), at(8), at(8)]);
}

#[test]
fn a_result_before_its_call_takes_no_time_and_is_marked() {
    let mut turn = turn();
    turn.parts.tools.push(tool("toolu_1", "Read", 5, Some((4, Outcome::Ok))));
    let spans = spans_of(&turn);
    assert_eq!((spans[0].start, spans[0].end), (at(5), at(5)));
    assert_eq!(value(&spans[0].attributes, "claude_code.clock_adjusted"), Some(&Value::Bool(true)));
    turn.parts.tools[0] = tool("toolu_1", "Read", 5, Some((5, Outcome::Ok)));
    assert_eq!(value(&spans_of(&turn)[0].attributes, "claude_code.clock_adjusted"), None);
}

#[test]
fn one_request_id_on_two_calls_still_gives_two_spans() {
    let mut turn = turn();
    turn.parts.messages.extend([chat("msg_2", Some("req"), 3, 4), chat("msg_1", Some("req"), 1, 2)]);
    let spans = spans_of(&turn);
    assert_eq!(spans[0].id, span_id(TraceId(PROMPT.0), "chat", "req"));
    assert_eq!(spans[1].id, span_id(TraceId(PROMPT.0), "chat", "msg_2"));
}

#[test]
fn subagents_that_start_each_other_end_somewhere() {
    let mut turn = turn();
    turn.parts.tools.push(starts(tool("toolu_1", "Agent", 1, Some((9, Outcome::Ok))), "a1"));
    let (mut one, mut two) = (agent("a1", "toolu_1", 7), agent("a2", "toolu_2", 8));
    one.parts.tools.push(starts(tool("toolu_2", "Agent", 4, Some((8, Outcome::Ok))), "a2"));
    two.parts.tools.push(starts(tool("toolu_3", "Agent", 5, Some((7, Outcome::Ok))), "a1"));
    let all = batches(&turn, &[one.clone(), two.clone()]);
    assert_eq!(all.len(), 1);
    assert_eq!(named(&all[0].spans, "invoke_agent Explore").len(), 2);

    // Without a turn that leads to them, the first of the ring begins a trace.
    one.agent.as_mut().unwrap().call = Some("toolu_3".into());
    assert_eq!(roots(&[&one, &two]).len(), 1);
    assert_eq!(roots(&[&turn, &one, &two]).len(), 2, "the turn's call is not the one that the sub-agent knows");
}

#[test]
fn a_subagent_too_deep_for_the_trace_gets_its_own() {
    let depth = DEPTH_MAX + 2;
    let mut turn = turn();
    turn.parts.tools.push(starts(tool("toolu_0", "Agent", 1, Some((9, Outcome::Ok))), "a0"));
    let agents: Vec<_> = (0..depth)
        .map(|n| {
            let mut unit = agent(&format!("a{n}"), &format!("toolu_{n}"), 100 + n as u128);
            let next = tool(&format!("toolu_{}", n + 1), "Agent", 4, Some((7, Outcome::Ok)));
            unit.parts.tools.push(starts(next, &format!("a{}", n + 1)));
            unit
        })
        .collect();
    let all = batches(&turn, &agents);
    assert_eq!(all.len(), 2);
    assert_eq!(named(&all[0].spans, "invoke_agent Explore").len(), DEPTH_MAX);
    assert_eq!(named(&all[1].spans, "invoke_agent Explore").len(), depth - DEPTH_MAX);
    let input = |batch: &SpanBatch| count(batch.spans.last().unwrap(), "gen_ai.usage.input_tokens");
    assert_eq!(input(&all[0]) + input(&all[1]), 10 * depth as u64);
}

#[test]
fn a_call_that_only_speaks_to_a_subagent_does_not_hold_it() {
    let mut turn = turn();
    turn.parts.tools.push(starts(tool("toolu_2", "SendMessage", 1, Some((9, Outcome::Ok))), "a1"));
    assert_eq!(turn.parts.tools.iter().flat_map(Tool::agents).count(), 1);
    let all = batches(&turn, &[agent("a1", "toolu_1", 7)]);
    assert_eq!((all.len(), all[0].spans.len()), (1, 2));
}

#[test]
fn names_are_printable_and_short() {
    let mut turn = turn();
    let strange = format!("a\nb\u{202e}c{}", "é".repeat(200));
    turn.parts.tools.push(tool("toolu_1", &strange, 1, Some((2, Outcome::Ok))));
    let spans = spans_of(&turn);
    assert!(spans[0].name.starts_with("execute_tool a_b_cé"), "{}", spans[0].name);
    assert!((127..=128).contains(&spans[0].name.len()), "{}", spans[0].name.len());
}

#[test]
fn secrets_stay_out_of_names_and_attributes() {
    let secret = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let mut turn = turn();
    turn.parts.tools.push(tool("toolu_1", secret, 1, Some((2, Outcome::Ok))));
    turn.context.branch = Some(format!("fix/{secret}").into());
    let spans = spans_of(&turn);
    assert_eq!(spans[0].name, "execute_tool ghp_[REDACTED]");
    assert_eq!(text(&spans[0], "gen_ai.tool.name"), Some("ghp_[REDACTED]"));
    assert_eq!(text(spans.last().unwrap(), "vcs.ref.head.name"), Some("fix/ghp_[REDACTED]"));
    assert!(!format!("{spans:?}").contains("16C7e42F"));
}

fn failure(id: u128, seconds: i64, error: ApiError) -> RowFact {
    RowFact { id: RowId(id), time: at(seconds), place: None, what: Fact::Failure(error), sent: false }
}

#[test]
fn a_failure_that_a_response_followed_is_no_error() {
    let error = |last| ApiError { status: Some(529), retry_in_ms: 500, attempt: 1, last };
    let mut turn = turn();
    turn.parts.rows.push(failure(1, 2, error(true)));
    let failed = spans_of(&turn).pop().unwrap();
    assert_eq!(failed.status, SpanStatus::Error("overloaded".to_owned()));
    turn.parts.messages.push(chat("msg_1", None, 3, 4));
    let went_on = spans_of(&turn);
    assert_eq!(went_on.last().unwrap().status, SpanStatus::Unset);
    assert_eq!(went_on.last().unwrap().events.len(), 1, "the final failure is the turn's, not the next call's");
    turn.parts.rows[0] = failure(1, 2, error(false));
    let retried = spans_of(&turn);
    assert_eq!((retried[0].events.len(), retried[1].events.len()), (1, 0));
    turn.parts.rows[0].time = at(5);
    let after = spans_of(&turn);
    assert_eq!((after[0].events.len(), after[1].events.len()), (0, 1));
}

#[test]
fn events_are_bounded_and_the_rest_is_counted() {
    let mut turn = turn();
    turn.parts.messages.push(chat("msg_1", None, 1, 90));
    let error = ApiError { status: None, retry_in_ms: 500, attempt: 1, last: false };
    turn.parts.rows.extend((0..40).map(|n| failure(n as u128, 2 + n, error)));
    let spans = spans_of(&turn);
    assert_eq!(spans[0].events.len(), 32);
    assert_eq!(int(&spans[0], "claude_code.events_dropped"), Some(8));
}

#[test]
fn a_turn_links_to_what_its_position_names() {
    let turn = turn();
    let find = |_: &AgentId| None;
    let source = SessionId("source".into());
    let previous = SpanAt { trace: TraceId(1), span: SpanId(2) };
    let copied = root_of_turn(RowId(9));
    let forked_from = Some(ForkedFrom { session: &source, turn: Some(copied) });
    let position = Position { turn_index: Some(3), previous: Some(previous), forked_from };
    let end = TurnEnd { at: at(30), reason: "idle" };
    let root = turn_spans(&TurnFacts { turn: &turn, agents: &find, position, end }).remove(0).spans.remove(0);
    let links: Vec<_> = root.links.iter().map(|link| SpanAt { trace: link.trace, span: link.span }).collect();
    assert_eq!(links, [previous, copied]);
    assert_eq!((root.start, root.end), (at(0), at(30)));
    assert_eq!(text(&root, "claude_code.turn.end"), Some("idle"));
    assert_eq!((root.trace, root.id), (TraceId(PROMPT.0), SpanId(0xa77e_2afd_6a09_9d26)));
}
