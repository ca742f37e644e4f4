//! Units made by hand, units read from the recordings, and units that nobody would make.

use std::path::{Path, PathBuf};

use tailspan::audit::pass::{self, Pass};
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::{Prices, Share};
use tailspan::ledger::run::Run;
use tailspan::ledger::session::{First, Reported, Session};
use tailspan::ledger::tokens::Tokens;
use tailspan::ledger::unit::{
    Call, Claim, ClaimBy, Message, Prompt, Rank, RowPlace, Surroundings, Tool, ToolEnd, Unit, UnitKey,
};
use tailspan::transcript::chunk::FileNumber;
use tailspan::transcript::ids::{AgentId, RowId, SessionId};
use tailspan::transcript::record::{LinePlace, Origin, Outcome, Says};
use tailspan::transcript::stream::RunId;
use tailspan::transcript::time::Timestamp;
use tailspan::transcript::usage::Usage;

const FILE: FileNumber = FileNumber(0);

fn claim(time: i64) -> Claim {
    Claim { by: ClaimBy::Row, time: Timestamp(time), file: FILE, session: SessionId("session".into()) }
}

fn unit(key: UnitKey, cwd: &str) -> Unit {
    Unit::new(key, claim(1000), Surroundings { cwd: Some(cwd.into()), ..Surroundings::default() })
}

pub(crate) fn turn(number: u128, cwd: &str) -> Unit {
    let mut unit = unit(UnitKey::Turn(RowId(number)), cwd);
    unit.prompt = Some(Prompt {
        origin: Origin::Human,
        time: Timestamp(1000),
        place: place(),
        chars: 1,
        command: None,
        queued_ms: None,
        said: Vec::new(),
        source: None,
        extracts: None,
    });
    unit
}

pub(crate) fn agent(number: u128, agent_type: Option<&str>) -> Unit {
    let id = AgentId(format!("a{number}").into());
    let mut unit = unit(UnitKey::Agent(SessionId("session".into()), id), "/home/dev/app");
    unit.agent.as_mut().unwrap().agent_type = agent_type.map(Into::into);
    unit
}

fn place() -> RowPlace {
    RowPlace { file: FILE, generation: 0, place: LinePlace::default() }
}

fn rank(time: i64) -> Rank {
    Rank { copy: false, time: Timestamp(time), file: FILE }
}

pub(crate) fn message(id: &str, model: &str, input: u64, cost: Option<i128>) -> Message {
    let tokens = Tokens { input, output: 2, ..Tokens::default() };
    let cost = cost.map(Money::from_picousd);
    Message {
        id: id.into(),
        request: None,
        model: model.into(),
        requested_model: None,
        usage: Usage::default(),
        stop: None,
        rank: rank(2000),
        start: Timestamp(1000),
        end: Timestamp(3500),
        rows: Vec::new(),
        skill: None,
        says: Says::default(),
        effort: None,
        names: Vec::new(),
        undated: false,
        unreadable_usage: None,
        unidentified: false,
        shares: vec![Share { model: model.into(), tokens, cost }],
        closed: false,
        sent: false,
        streamed: Vec::new(),
        in_file: true,
        ttft_ms: None,
    }
}

pub(crate) fn tool(id: &str, name: &str, ended: Option<(i64, Outcome)>) -> Tool {
    let call = Call {
        name: name.into(),
        rank: rank(2000),
        place: place(),
        message: "m".into(),
        agent_type: None,
        skill: None,
        extracts: None,
        prompt_hash: 0,
        input: 0,
        file: 0,
        extension: None,
    };
    let end = |(time, outcome)| ToolEnd {
        rank: rank(time),
        outcome,
        filled_in: false,
        bytes: 0,
        exit_code: None,
        decision: None,
        searches: 0,
        lines_added: 3,
        lines_removed: 1,
        place: place(),
    };
    Tool {
        id: id.into(),
        call: Some(call),
        result: ended.map(end),
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

/// A run of a workflow that has ended.
pub(crate) fn run(number: u128, workflow: Option<&str>) -> Run {
    let mut run = Run::new(RunId(RowId(number)));
    run.workflow = workflow.map(Into::into);
    run.ended = Some(Timestamp(1_000 + i64::try_from(number).unwrap()));
    run
}

/// What every recording holds, by its folder.
pub(crate) fn recordings() -> Vec<(PathBuf, Pass)> {
    let versions = folders("fixtures/recordings").into_iter().filter(|path| path.is_dir());
    let all = read(versions.flat_map(folders));
    assert!(all.len() > 30, "only {} recordings", all.len());
    all
}

/// What every fixture of a behaviour holds, by its folder.
pub(crate) fn fixtures() -> Vec<(PathBuf, Pass)> {
    let all = read(folders("fixtures").into_iter());
    assert!(all.len() > 100, "only {} fixtures", all.len());
    all
}

/// What lies in a folder of the project, by name.
fn folders(path: impl AsRef<Path>) -> Vec<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut folders: Vec<_> = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    folders
}

/// Reads those of some folders that hold session files.
fn read(folders: impl Iterator<Item = PathBuf>) -> Vec<(PathBuf, Pass)> {
    let prices = Prices::embedded();
    let read = |path: PathBuf| {
        let found = pass::find(&[path.join("projects")], &mut Vec::new()).unwrap();
        let pass = Pass::over(&found, &prices, |_, _| {});
        (path, pass)
    };
    folders.filter(|path| path.join("projects").is_dir()).map(read).collect()
}

/// A xorshift generator: the same worlds on every machine.
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % limit as u64).unwrap()
    }
}

/// Changes a world of units as no client would: things grow, shrink, move, end, change their name.
pub(crate) fn shake(world: &mut [Unit], dice: &mut Dice, step: usize) {
    let at = dice.below(world.len());
    let pick = dice.below(8);
    let models = ["claude-a", "claude-b", "Weird Model"];
    let unit = &mut world[at];
    let outcomes = [Outcome::Ok, Outcome::Failed, Outcome::Denied, Outcome::Interrupted];
    match (pick, unit.parts.messages.len(), unit.parts.tools.len()) {
        (0 | 1, _, _) => unit.parts.messages.push(message(&format!("m{step}"), models[dice.below(3)], 5, Some(50))),
        (2, _, _) => {
            unit.parts.tools.push(tool(&format!("t{step}"), ["Bash", "Custom", "mcp__x__y"][dice.below(3)], None))
        }
        (3, 1.., _) => {
            let message = &mut unit.parts.messages[0];
            message.closed = true;
            message.shares[0].tokens.input += dice.below(9) as u64;
            message.shares[0].cost = [None, Some(Money::from_picousd(dice.below(99) as i128))][dice.below(2)];
        }
        (4, _, 1..) => {
            let time = [500, 2500, 9000][dice.below(3)];
            unit.parts.tools[0] =
                Tool { id: unit.parts.tools[0].id.clone(), ..tool("", "Bash", Some((time, outcomes[dice.below(4)]))) };
        }
        (5, 1.., _) => {
            let message = unit.parts.messages.remove(0);
            world[dice.below(3)].parts.messages.push(message);
        }
        (6, _, _) => unit.context.cwd = Some(format!("/home/dev/p{}", dice.below(4)).into()),
        (7, 1.., _) => unit.parts.messages[0].rank.time = Timestamp(dice.below(4000) as i64),
        _ => {}
    }
}

/// A session with one row, which came through an entry point.
pub(crate) fn session(entrypoint: &str, started: Timestamp) -> Session {
    let unit = turn(1, "/home/dev/app");
    let context = Surroundings { entrypoint: Some(entrypoint.into()), ..unit.context.clone() };
    let first = First { time: started, unit: unit.key.id(), context };
    Session { first: Some(first), spoken: 1, own_rows: true, ..Session::new(unit.session().clone()) }
}

/// What the client reports, in picodollars: all, and what the session files do not show.
pub(crate) fn reported(cost: i128, unattributed: i128) -> Reported {
    Reported { cost: Money::from_picousd(cost), unattributed: Money::from_picousd(unattributed) }
}
