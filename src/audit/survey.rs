//! A clean pass over any number of session files in bounded memory.
//!
//! 1. Files are read in groups, each a session with its sub-agents, on several threads. Each group is read alone and
//!    dropped as soon as it is counted; only its result and its keys ([`Pass::keys`]) are kept.
//! 2. Groups with a common key hold copies of the same rows: forks, sessions that moved. They are read once more,
//!    together, and that result replaces their single results.
//!
//! The result is that of one [`Pass`] over all files, because a pass over files without a common key is the sum of
//! passes over each of them.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use memchr::memmem;

use crate::audit::pass::{Manner, Pass, PassRead};
use crate::custom::Rules;
use crate::ledger::prices::Prices;
use crate::ledger::session::Session;
use crate::tail::FoundFile;
use crate::transcript::chunk::FileRole;
use crate::views::metrics::labels::LabelRules;
use crate::views::metrics::totals::{Snapshot, Totals};
use crate::views::sessions::summary::{Part, Summary};
use crate::views::traces::drawing::session_tree;

/// Most messages that wait for the calling thread; each holds the results of several items.
const IN_FLIGHT_MAX: usize = 4;

/// Results that are sent in one message: waking a thread costs as much as reading a short file.
const TOGETHER: usize = 32;

/// The files that a survey reads, and how.
pub struct Survey<'a> {
    groups: Vec<Vec<FoundFile>>,
    prices: &'a Prices,
    threads: usize,
    manner: Manner<'a>,
}

/// What is kept of a group until all groups are read.
struct GroupResult<R> {
    read: PassRead,
    keys: Vec<u64>,
    result: R,
}

impl<'a> Survey<'a> {
    /// A survey of the `found` files, which are read on `threads` threads.
    #[must_use]
    pub fn of(found: Vec<FoundFile>, prices: &'a Prices, threads: usize) -> Self {
        let mut sessions: BTreeMap<PathBuf, Vec<FoundFile>> = BTreeMap::new();
        for found in found {
            sessions.entry(found.session_path()).or_default().push(found);
        }
        let sessions: Vec<Vec<FoundFile>> = sessions.into_values().collect();
        // A fork begins with the rows of its original. Such sessions form one group from the start and are read only
        // once.
        let mut beginnings = vec![None; sessions.len()];
        on_threads(
            &sessions,
            (threads, TOGETHER),
            |session| beginning(session),
            |number, beginning| {
                if let Some(place) = beginnings.get_mut(number) {
                    *place = beginning;
                }
            },
        );
        let mut groups: Vec<Vec<FoundFile>> = Vec::with_capacity(sessions.len());
        let mut same: HashMap<[u8; UUID_BYTES], usize> = HashMap::new();
        for (session, beginning) in sessions.into_iter().zip(beginnings) {
            let number = beginning.map_or(groups.len(), |uuid| *same.entry(uuid).or_insert(groups.len()));
            match groups.get_mut(number) {
                Some(group) => group.extend(session),
                None => groups.push(session),
            }
        }
        // The largest group is read first, so that at the end no thread is busy alone with a large one.
        groups.sort_by_key(|group| std::cmp::Reverse(group.iter().map(|found| found.size).sum::<u64>()));
        Self { groups, prices, threads, manner: Manner { says: true, last_rows: false, rules: None } }
    }

    /// For files that were read before: what was logged about their lines is not logged again.
    #[must_use]
    pub fn quietly(mut self) -> Self {
        self.manner.says = false;
        self
    }

    /// For files that nobody writes any more: a whole row at the end of a file counts even without its newline.
    #[must_use]
    pub fn with_last_rows(mut self) -> Self {
        self.manner.last_rows = true;
        self
    }

    /// For custom metrics: looks at the texts that their rules ask for.
    #[must_use]
    pub fn with_rules(mut self, rules: &'a Rules) -> Self {
        self.manner.rules = Some(rules).filter(|rules| !rules.is_empty());
        self
    }

    /// The summary of all files; `with_sessions` includes the list of sessions. `progress` is called with the numbers
    /// of files and bytes that were done since the last call.
    pub fn summary(&self, with_sessions: bool, progress: impl Fn(u64, u64) + Sync) -> (Summary, PassRead) {
        let (parts, read) = self.results(progress, |pass| {
            let mut part = pass.part(with_sessions);
            let list = std::mem::take(&mut part.list);
            (packed(&part), list)
        });
        let mut whole = Part::default();
        for (part, list) in parts {
            let mut part = unpacked(&part);
            part.list = list;
            whole.add(part);
        }
        (whole.summary(read.files, with_sessions), read)
    }

    /// The span trees of all sessions as text, in order of their first rows.
    pub fn trees(&self, progress: impl Fn(u64, u64) + Sync) -> (String, PassRead) {
        let (trees, read) = self.results(progress, |pass| {
            let tree = |session: &Session| {
                let units = pass.units_of(session);
                session_tree(session, &units.iter().map(|unit| &**unit).collect::<Vec<_>>())
            };
            pass.sessions().into_iter().map(|session| (session.started(), session.id.clone(), tree(session))).collect()
        });
        let mut trees: Vec<_> = trees.into_iter().flat_map(|trees: Vec<_>| trees).collect();
        trees.sort_by(|(a_start, a_id, _), (b_start, b_id, _)| (a_start, a_id).cmp(&(b_start, b_id)));
        (trees.into_iter().map(|(_, _, tree)| tree).collect::<Vec<_>>().join("\n"), read)
    }

    /// The totals that a sidecar would have if it had run from the beginning.
    pub fn totals(&self, labels: LabelRules, progress: impl Fn(u64, u64) + Sync) -> (Snapshot, PassRead) {
        let mut totals = Totals::new(labels);
        let read = self.each(progress, |pass| pass.observe(&mut totals));
        read.lines.observe(read.files.lines, &mut totals);
        (totals.snapshot(), read)
    }

    /// Calls `take` with one pass for each set of files that share rows, until every file was in one. The files are
    /// read twice: once to learn which of them share rows, and once more together, because a counter cannot take back
    /// what it has counted of one file alone.
    pub fn each(&self, progress: impl Fn(u64, u64) + Sync, mut take: impl FnMut(&Pass)) -> PassRead {
        let mut keys = Vec::new();
        let mut read = PassRead::default();
        self.each_alone(progress, |_| (), &mut keys, |_, outcome| read.add(outcome.read));
        let together = self.together(keys);
        let work = |group: &Vec<usize>| Pass::again(&self.files_of(group), self.prices, self.manner);
        // The order is fixed, because above a limit of label values those that come first keep their own names.
        in_order(&together, self.threads, work, |pass: Pass| take(&pass));
        read
    }

    /// Calls `take` with the files and one pass for each set of files that share rows and of which one is `wanted`.
    /// Reads all files first, to learn which of them share rows.
    pub(crate) fn each_with(&self, wanted: impl Fn(&FoundFile) -> bool, mut take: impl FnMut(Vec<FoundFile>, &Pass)) {
        let mut keys = Vec::new();
        self.each_alone(|_, _| {}, |_| (), &mut keys, |_, _| {});
        for group in self.together(keys) {
            let files = self.files_of(&group);
            if files.iter().any(&wanted) {
                let pass = Pass::again(&files, self.prices, self.manner);
                take(files, &pass);
            }
        }
    }

    /// One result for each set of groups that share rows.
    fn results<R: Send>(
        &self,
        progress: impl Fn(u64, u64) + Sync,
        visit: impl Fn(&Pass) -> R + Sync,
    ) -> (Vec<R>, PassRead) {
        let mut keys = Vec::new();
        let mut read = PassRead::default();
        let mut results: Vec<Option<R>> = self.groups.iter().map(|_| None).collect();
        self.each_alone(progress, &visit, &mut keys, |group, outcome| {
            read.add(outcome.read);
            if let Some(result) = results.get_mut(group) {
                *result = Some(outcome.result);
            }
        });
        let mut together = self.together(keys);
        together.retain(|groups| groups.len() > 1);
        for group in together.iter().flatten() {
            results.get_mut(*group).map(Option::take);
        }
        let mut results: Vec<R> = results.into_iter().flatten().collect();
        let work = |group: &Vec<usize>| visit(&Pass::again(&self.files_of(group), self.prices, self.manner));
        on_threads(&together, (self.threads, 1), work, |_, result| results.push(result));
        (results, read)
    }

    /// Reads each group alone. The keys of each group are added to `keys`, each packed with the number of its group.
    fn each_alone<R: Send>(
        &self,
        progress: impl Fn(u64, u64) + Sync,
        visit: impl Fn(&Pass) -> R + Sync,
        keys: &mut Vec<u64>,
        mut take: impl FnMut(usize, GroupResult<R>),
    ) {
        let work = |group: &Vec<FoundFile>| {
            let mut pass = Pass::read(group, self.prices, self.manner, &progress);
            let keys = pass.keys().collect();
            let result = visit(&pass);
            GroupResult { read: pass.take_read(), keys, result }
        };
        let packing = Packing::of(self.groups.len());
        on_threads(&self.groups, (self.threads, TOGETHER), work, |group, outcome| {
            keys.extend(outcome.keys.iter().map(|key| packing.keyed(*key, group)));
            take(group, GroupResult { keys: Vec::new(), ..outcome });
        });
    }

    /// The sets of groups that are connected by common keys, as numbers of groups; a group without a common key is a
    /// set of its own.
    fn together(&self, mut keys: Vec<u64>) -> Vec<Vec<usize>> {
        keys.sort_unstable();
        let packing = Packing::of(self.groups.len());
        let mut leaders: Vec<usize> = (0..self.groups.len()).collect();
        for pair in keys.windows(2) {
            let [first, second] = pair else { continue };
            if packing.key(*first) == packing.key(*second) {
                let [first, second] = [*first, *second].map(|keyed| leader(&mut leaders, packing.group(keyed)));
                if let Some(place) = leaders.get_mut(first.max(second)) {
                    *place = first.min(second);
                }
            }
        }
        let mut together: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for group in 0..self.groups.len() {
            together.entry(leader(&mut leaders, group)).or_default().push(group);
        }
        together.into_values().collect()
    }

    /// Files of several groups, in order of their paths.
    fn files_of(&self, groups: &[usize]) -> Vec<FoundFile> {
        let mut files: Vec<FoundFile> =
            groups.iter().filter_map(|group| self.groups.get(*group)).flatten().cloned().collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

/// Packs a key and the number of its group into one number, which takes less memory and is sorted quickly. The high
/// bits of the key are lost. If two keys become equal by chance, two sessions are read a second time, and the result is
/// the same.
#[derive(Debug, Clone, Copy)]
struct Packing {
    group_bits: u32,
}

impl Packing {
    const fn of(groups: usize) -> Self {
        Self { group_bits: usize::BITS - groups.leading_zeros() }
    }

    const fn keyed(self, key: u64, group: usize) -> u64 {
        key << self.group_bits | group as u64
    }

    const fn key(self, keyed: u64) -> u64 {
        keyed >> self.group_bits
    }

    fn group(self, keyed: u64) -> usize {
        usize::try_from(keyed & ((1 << self.group_bits) - 1)).unwrap_or(0)
    }
}

/// The lowest group that `group` is known to be connected with (the find step of a union-find structure, with path
/// halving).
fn leader(leaders: &mut [usize], mut group: usize) -> usize {
    loop {
        let next = leaders.get(group).copied().unwrap_or(group);
        if next == group {
            return group;
        }
        let after = leaders.get(next).copied().unwrap_or(next);
        if let Some(place) = leaders.get_mut(group) {
            *place = after;
        }
        group = next;
    }
}

/// Bytes of a UUID as text.
const UUID_BYTES: usize = 36;

/// The first `uuid` of a session's own file, if it stands in the first 8 KiB. It is only a hint: forks that it misses
/// are found by their keys.
fn beginning(session: &[FoundFile]) -> Option<[u8; UUID_BYTES]> {
    const NEAR: u64 = 8192;
    const KEY: &[u8] = b"\"uuid\":\"";
    let file = session.iter().find(|found| found.role == FileRole::Rows && found.depth == 0)?;
    let mut head = Vec::new();
    File::open(&file.path).and_then(|file| file.take(NEAR).read_to_end(&mut head)).ok()?;
    let at = memmem::find(&head, KEY)?;
    head.get(at + KEY.len()..)?.first_chunk().copied()
}

/// Does `work` for each item on several threads and gives each result, with the number of its item, to `take` on the
/// calling thread. `at_once` results are sent in one message.
fn on_threads<I: Sync, T: Send>(
    items: &[I],
    (threads, at_once): (usize, usize),
    work: impl Fn(&I) -> T + Sync,
    mut take: impl FnMut(usize, T),
) {
    let next = AtomicUsize::new(0);
    let (sender, receiver) = sync_channel(IN_FLIGHT_MAX);
    thread::scope(|scope| {
        for _ in 0..threads.clamp(1, items.len().max(1)) {
            let (sender, next, work) = (sender.clone(), &next, &work);
            scope.spawn(move || {
                let mut done = Vec::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(number) else { break };
                    done.push((number, work(item)));
                    if done.len() >= at_once && sender.send(std::mem::take(&mut done)).is_err() {
                        return;
                    }
                }
                // This fails only if the caller has panicked and waits no longer.
                sender.send(done).ok();
            });
        }
        drop(sender);
        receiver.iter().flatten().for_each(|(number, result)| take(number, result));
    });
}

/// As [`on_threads`], but `take` gets the results in the order of the items. Each thread works on a fixed share of the
/// items and is at most two results ahead, so that few results are in memory.
fn in_order<I: Sync, T: Send>(items: &[I], threads: usize, work: impl Fn(&I) -> T + Sync, mut take: impl FnMut(T)) {
    let threads = threads.clamp(1, items.len().max(1));
    thread::scope(|scope| {
        let start = |first: usize| {
            let (sender, receiver) = sync_channel(1);
            let work = &work;
            scope.spawn(move || {
                for item in items.iter().skip(first).step_by(threads) {
                    if sender.send(work(item)).is_err() {
                        return;
                    }
                }
            });
            receiver
        };
        let results: Vec<Receiver<T>> = (0..threads).map(start).collect();
        for result in results.iter().cycle().take(items.len()) {
            // A thread that has panicked sends nothing more; the scope passes the panic on.
            let Ok(result) = result.recv() else { break };
            take(result);
        }
    });
}

fn packed(part: &Part) -> Box<[u8]> {
    match postcard::to_allocvec(part) {
        Ok(bytes) => bytes.into_boxed_slice(),
        Err(_) => unreachable!("sums are plain data, and memory is all that packing needs"),
    }
}

fn unpacked(bytes: &[u8]) -> Part {
    match postcard::from_bytes(bytes) {
        Ok(part) => part,
        Err(_) => unreachable!("these bytes were packed by this very program"),
    }
}
