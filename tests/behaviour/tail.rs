//! The tail edge against real folders: which files matter, what is read of them, when to look again.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::ops::ControlFlow;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use tailspan::tail::read::META_BYTES_MAX;
use tailspan::tail::{
    FileReader, FolderProblem, FoundFile, Read, ReadError, ReadLimits, role_of, scan, scan_session, scan_under,
};
use tailspan::transcript::chunk::{Chunk, Cursor, FileNumber, FileRole};
use tempfile::TempDir;

mod streams;
mod watching;

const SMALL: ReadLimits = ReadLimits { chunk_bytes: 64, line_bytes_max: 256, search_bytes_max: 1 << 20 };
const FILE: FileNumber = FileNumber(7);

fn put(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn append(path: &Path, bytes: impl AsRef<[u8]>) {
    OpenOptions::new().append(true).open(path).unwrap().write_all(bytes.as_ref()).unwrap();
}

fn scan_all(root: &Path) -> Vec<FoundFile> {
    scan(root, &mut |problem: FolderProblem| panic!("{problem}: {}", problem.source))
}

fn names(root: &Path, found: &[FoundFile]) -> Vec<String> {
    found.iter().map(|found| found.path.strip_prefix(root).unwrap().to_string_lossy().into_owned()).collect()
}

/// One file with the state of its reader.
struct Tail {
    folder: TempDir,
    path: PathBuf,
    reader: FileReader,
    cursor: Option<Cursor>,
    clock_s: u64,
}

impl Tail {
    fn new(limits: ReadLimits, bytes: impl AsRef<[u8]>) -> Self {
        let folder = TempDir::new().unwrap();
        let path = folder.path().join("slug/session.jsonl");
        put(&path, bytes);
        let mut tail = Self { folder, path, reader: FileReader::new(limits), cursor: None, clock_s: 1_000_000_000 };
        tail.tick();
        tail
    }

    /// Sets a new modification time: the clock of a file system is coarser than a test is fast.
    fn tick(&mut self) {
        self.clock_s += 1;
        let time = UNIX_EPOCH + Duration::from_secs(self.clock_s);
        OpenOptions::new().append(true).open(&self.path).unwrap().set_modified(time).unwrap();
    }

    fn append(&mut self, bytes: impl AsRef<[u8]>) {
        append(&self.path, bytes);
        self.tick();
    }

    fn rewrite(&mut self, bytes: impl AsRef<[u8]>) {
        fs::write(&self.path, bytes).unwrap();
        self.tick();
    }

    fn replace(&mut self, bytes: impl AsRef<[u8]>) {
        let next = self.path.with_extension("jsonl.compact.tmp.1f");
        fs::write(&next, bytes).unwrap();
        fs::rename(next, &self.path).unwrap();
        self.tick();
    }

    fn found(&self) -> Option<FoundFile> {
        scan_under(self.folder.path(), &self.path, &mut |problem| panic!("{problem}")).pop()
    }

    fn step(&mut self) -> Option<(Chunk, bool)> {
        match self.reader.next(&self.found()?, FILE, self.cursor.as_ref()).unwrap() {
            Read::Chunk { chunk, more } => {
                self.cursor = Some(chunk.cursor.clone());
                Some((chunk, more))
            }
            Read::Searching => self.step(),
            Read::Unchanged | Read::Gone => None,
        }
    }

    fn drain(&mut self) -> Vec<Chunk> {
        std::iter::from_fn(|| self.step().map(|(chunk, _)| chunk)).collect()
    }

    /// What all chunks to the end hold, and whether the first restarted.
    fn text(&mut self) -> (String, bool) {
        let chunks = self.drain();
        let bytes = chunks.iter().flat_map(|chunk| chunk.bytes.clone()).collect();
        (String::from_utf8(bytes).unwrap(), chunks.first().is_some_and(|chunk| chunk.restarted))
    }
}

#[test]
fn a_path_tells_what_a_file_is() {
    let meta = |session: &str, agent: &str| FileRole::AgentMeta { session: session.into(), agent: agent.into() };
    let cases = [
        ("slug/5f2e.jsonl", Some(FileRole::Rows)),
        ("slug/agent-1a2b3c4.jsonl", Some(FileRole::Rows)),
        ("slug/5f2e/subagents/agent-a0123456789abcdef.jsonl", Some(FileRole::Rows)),
        ("slug/5f2e/subagents/deep/er/agent-a01.jsonl", Some(FileRole::Rows)),
        ("slug/5f2e/subagents/agent-a01.meta.json", Some(meta("5f2e", "a01"))),
        ("slug/5f2e/subagents/flow/agent-a02.meta.json", Some(meta("5f2e", "a02"))),
        ("slug/5f2e/subagents/agent-.meta.json", None),
        ("slug/5f2e/subagents/other.jsonl", None),
        ("slug/5f2e/tool-results/x.txt", None),
        ("slug/5f2e/tool-results/agent-a01.jsonl", None),
        ("slug/5f2e/custom-title.json", None),
        ("slug/5f2e/workflows/x.jsonl", None),
        ("slug/5f2e/agent-a01.jsonl", None),
        ("slug/memory/MEMORY.md", None),
        ("slug/memory/subagents/agent-a01.jsonl", None),
        ("slug/5f2e.jsonl.compact.tmp.9c", None),
        ("slug/5f2e.compact.tmp.9c.jsonl", None),
        ("slug/.jsonl", None),
        ("slug/agent-a01.meta.json", None),
        ("history.jsonl", None),
        ("", None),
        ("../slug/5f2e.jsonl", None),
    ];
    for (path, role) in cases {
        assert_eq!(role_of(Path::new("/p"), &Path::new("/p").join(path)), role, "{path}");
    }
    assert_eq!(role_of(Path::new("/p"), Path::new("/q/slug/5f2e.jsonl")), None);
}

#[test]
fn a_scan_finds_what_matters_in_order() {
    let folder = TempDir::new().unwrap();
    let root = folder.path();
    let wanted = ["a/1.jsonl", "a/1/subagents/agent-a.jsonl", "a/1/subagents/agent-a.meta.json", "b/2.jsonl"];
    let others = ["a/1/tool-results/t.txt", "a/memory/x.jsonl", "c.jsonl", "b/2.jsonl.compact.tmp.00", "b/2/x.jsonl"];
    for path in wanted.iter().chain(&others).rev() {
        put(&root.join(path), "{}\n");
    }
    put(&root.join("b/empty.jsonl"), "");
    fs::create_dir_all(root.join("b/folder.jsonl/subagents")).unwrap();
    let odd = std::ffi::OsStr::from_bytes(b"b\xff.jsonl");
    put(&root.join("b").join(odd), "{}\n");
    let found = scan_all(root);
    let expected: Vec<_> = wanted.iter().map(|name| (*name).to_owned()).chain(["b/b\u{fffd}.jsonl".into()]).collect();
    assert_eq!(names(root, &found), expected);
    let metadata = fs::metadata(&found[0].path).unwrap();
    assert_eq!((found[0].device, found[0].inode, found[0].size), (metadata.dev(), metadata.ino(), 3));

    let under = |path: &str| names(root, &scan_under(root, &root.join(path), &mut |problem| panic!("{problem}")));
    assert_eq!(under("a/1"), wanted[1..3]);
    assert_eq!(under("a/1.jsonl"), wanted[..1]);
    assert_eq!(under("a/1/tool-results"), [""; 0]);
    assert_eq!(under("b/empty.jsonl"), [""; 0]);
    assert_eq!(under("nowhere"), [""; 0]);
    assert_eq!(names(root, &scan_session(&root.join("a/1.jsonl"), &mut |_| ())), wanted[..3]);
    assert_eq!(scan_all(&root.join("nowhere")), []);
}

#[test]
fn files_of_a_session_are_told_by_where_they_lie_below_the_root() {
    let folder = TempDir::new().unwrap();
    // Folders above the root may be called as those of a session are.
    let root = folder.path().join("s/subagents/projects");
    let cases = [
        ("a/1.jsonl", "a/1"),
        ("a/1/subagents/agent-a.jsonl", "a/1"),
        ("a/1/subagents/agent-a.meta.json", "a/1"),
        ("a/1/subagents/deep/subagents/agent-b.jsonl", "a/1"),
        ("a/agent-old.jsonl", "a/agent-old"),
        ("subagents/2.jsonl", "subagents/2"),
        ("subagents/subagents/subagents/agent-c.jsonl", "subagents/subagents"),
    ];
    cases.iter().for_each(|(file, _)| put(&root.join(file), "{}\n"));
    let all = scan_all(&root);
    assert_eq!(all.len(), cases.len());
    for (file, session) in cases {
        let path = root.join(file);
        let named = scan_under(&root, &path, &mut |problem| panic!("{problem}"));
        for found in all.iter().chain(&named).filter(|found| found.path == path) {
            assert_eq!(found.session_path(), root.join(session), "{file}");
        }
        assert_eq!(named.len(), 1);
    }
    let session = scan_session(&root.join("a/1.jsonl"), &mut |problem| panic!("{problem}"));
    assert_eq!(session.len(), 4);
    assert!(session.iter().all(|found| found.session_path() == root.join("a/1")));
}

#[test]
fn links_are_followed_and_never_in_a_circle() {
    let folder = TempDir::new().unwrap();
    let (real, root) = (folder.path().join("real"), folder.path().join("root"));
    put(&real.join("slug/s.jsonl"), "{}\n");
    put(&real.join("slug/s/subagents/agent-a.jsonl"), "{}\n");
    put(&folder.path().join("elsewhere/far.jsonl"), "{}\n");
    symlink(&real, &root).unwrap();
    symlink(&real, real.join("a-loop")).unwrap();
    symlink(real.join("slug"), real.join("a-slug")).unwrap();
    symlink("../..", real.join("slug/s/subagents/up")).unwrap();
    symlink(folder.path().join("elsewhere"), real.join("linked")).unwrap();
    symlink(folder.path().join("elsewhere/far.jsonl"), real.join("slug/t.jsonl")).unwrap();
    symlink("nothing", real.join("slug/dangling.jsonl")).unwrap();
    let expected = ["linked/far.jsonl", "slug/s.jsonl", "slug/s/subagents/agent-a.jsonl", "slug/t.jsonl"];
    assert_eq!(names(&root, &scan_all(&root)), expected);
    // An event that names a link leads no further than a look.
    for (link, wanted) in [("slug/s/subagents/up", 0), ("linked", 1), ("slug/dangling.jsonl", 0)] {
        let found = scan_under(&root, &root.join(link), &mut |problem| panic!("{problem}"));
        assert_eq!(found.len(), wanted, "{link}");
    }
}

#[test]
fn what_may_not_be_read_is_reported_and_the_rest_is_read() {
    let mut tail = Tail::new(SMALL, "one\n");
    let locked = tail.folder.path().join("locked");
    put(&locked.join("x.jsonl"), "{}\n");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o0)).unwrap();
    fs::set_permissions(&tail.path, fs::Permissions::from_mode(0o0)).unwrap();
    let restore = || fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    if File::open(&tail.path).is_ok() {
        restore();
        println!("skipped: this user (root?) may read everything");
        return;
    }
    let mut problems = Vec::new();
    let found = scan(tail.folder.path(), &mut |problem: FolderProblem| problems.push(problem.path));
    restore();
    assert_eq!((found.len(), problems), (1, vec![locked.clone()]));
    let error = tail.reader.next(&found[0], FILE, None).unwrap_err();
    assert!(matches!(&error, ReadError::Open { path, .. } if *path == tail.path), "{error}");
    fs::set_permissions(&tail.path, fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(tail.text(), ("one\n".into(), true));
}

#[test]
fn a_growing_file_is_read_once() {
    let mut tail = Tail::new(SMALL, "one\ntwo\nthr");
    let (chunk, more) = tail.step().unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.offset, chunk.restarted, more), (&b"one\ntwo\n"[..], 0, true, true));
    assert_eq!((chunk.file, chunk.role, chunk.cursor.offset, chunk.cursor.size), (FILE, FileRole::Rows, 8, 11));
    let read_first = tail.reader.bytes_read();
    assert!(tail.step().is_none(), "a line without its end stays");
    let read_then = tail.reader.bytes_read();
    assert!(tail.step().is_none() && tail.reader.bytes_read() == read_then && read_then > read_first);
    tail.append("ee\nfour\n");
    let (chunk, more) = tail.step().unwrap();
    assert_eq!((chunk.bytes.as_slice(), chunk.offset, chunk.restarted, more), (&b"three\nfour\n"[..], 8, false, false));
    assert!(tail.step().is_none());
    tail.reader = FileReader::new(SMALL);
    assert!(tail.step().is_none() && tail.reader.bytes_read() == 0, "a cursor at the end needs no look inside");
    // More than a head and a tail, read in many pieces.
    let long: String = (0..400).map(|number| format!("line {number}\n")).collect();
    tail.append(&long);
    assert_eq!(tail.text(), (long, false));
    assert_eq!(tail.cursor.as_ref().unwrap().head_bytes, 1024);
    tail.append("last\n");
    assert_eq!(tail.text(), ("last\n".into(), false));
}

#[test]
fn a_changed_file_is_read_from_its_beginning() {
    let last = "s".repeat(80);
    let old = format!("first line\n{last}\n");
    let cases = [
        ("truncated", false, "first line\n".to_owned()),
        ("rewritten to the same size", false, format!("first line\n{}\n", last.to_uppercase())),
        ("rewritten before the last bytes", false, format!("FIRST line\n{last}\n")),
        ("rewritten longer", false, "x".repeat(200) + "\n"),
        ("one row cut out", false, format!("{last}\nthird line\nfourth line\n")),
        ("replaced by another", true, "third line\n".to_owned()),
        ("replaced by its copy", true, old.clone()),
    ];
    for (what, replaced, new) in cases {
        let mut tail = Tail::new(SMALL, &old);
        assert_eq!(tail.text(), (old.clone(), true), "{what}");
        if replaced {
            tail.replace(&new);
        } else {
            tail.rewrite(&new);
        }
        assert_eq!(tail.text(), (new, true), "{what}");
        tail.append("more\n");
        assert_eq!(tail.text(), ("more\n".into(), false), "{what}");
    }
}

#[test]
fn a_deleted_file_is_gone_until_it_is_made_again() {
    let mut tail = Tail::new(SMALL, "one\ntorn");
    tail.drain();
    let found = tail.found().unwrap();
    fs::remove_file(&tail.path).unwrap();
    assert!(tail.found().is_none());
    assert!(matches!(tail.reader.next(&found, FILE, None), Ok(Read::Gone)));
    tail.rewrite("two\nthree\n");
    assert_eq!(tail.text(), ("two\nthree\n".into(), true));
    tail.rewrite("");
    assert!(matches!(tail.reader.next(&FoundFile { size: 0, ..found }, FILE, None), Ok(Read::Unchanged)));
}

#[test]
fn a_file_that_is_written_anew_while_it_is_read_gives_no_line_of_both() {
    let old: String = (0..40).map(|number| format!("old line {number}\n")).collect();
    let mut tail = Tail::new(SMALL, &old);
    let found = tail.found().unwrap();
    let new: String = (0..20).map(|number| format!("a new one {number}\n")).collect();
    let (mut read, mut cursor) = (String::new(), None);
    let end = tail.reader.each(&found, FILE, None, |chunk| {
        if cursor.is_none() {
            // In place: the file that is open becomes shorter, but not shorter than what was read of it.
            fs::write(&tail.path, &new).unwrap();
        }
        read.push_str(std::str::from_utf8(&chunk.bytes).unwrap());
        cursor = Some(chunk.cursor.clone());
        ControlFlow::Continue(())
    });
    assert!(end.is_ok() && old.starts_with(&read) && !read.is_empty(), "{read}");
    tail.cursor = cursor;
    tail.tick();
    assert_eq!(tail.text(), (new, true));
}

#[test]
fn a_line_that_was_searched_and_then_cut_hides_no_other() {
    // Found by the fuzz target `cursor`: the new bytes happen to be like the last ones that were searched.
    let mut tail = Tail::new(ReadLimits { chunk_bytes: 16, line_bytes_max: 200, ..SMALL }, "");
    tail.append("x".repeat(180));
    assert!(tail.step().is_none());
    let file = OpenOptions::new().write(true).open(&tail.path).unwrap();
    file.set_len(20).unwrap();
    let lines = format!("\nsecond\n{}\n", "x".repeat(190));
    tail.append(&lines);
    assert_eq!(tail.text().0, "x".repeat(20) + &lines);
}

#[test]
fn a_line_may_be_as_long_as_the_limit_and_a_longer_one_is_skipped() {
    let (fits, too_long) = ("f".repeat(255) + "\n", "t".repeat(256) + "\n");
    let mut tail = Tail::new(SMALL, format!("a\n{fits}{too_long}{}b\n\0\0c\n", "u".repeat(5000) + "\n"));
    let chunks = tail.drain();
    let bytes: Vec<u8> = chunks.iter().flat_map(|chunk| chunk.bytes.clone()).collect();
    assert_eq!(String::from_utf8(bytes).unwrap(), format!("a\n{fits}b\n\0\0c\n"));
    assert_eq!(chunks.iter().map(|chunk| chunk.too_long_lines).sum::<u32>(), 2);
    let ends: Vec<u64> = chunks.iter().map(|chunk| chunk.offset + chunk.bytes.len() as u64).collect();
    assert_eq!(ends, chunks.iter().map(|chunk| chunk.cursor.offset).collect::<Vec<_>>());
    // One that grows, with nothing before it.
    let mut tail = Tail::new(SMALL, "x".repeat(300));
    assert!(tail.step().is_none());
    tail.append("x".repeat(3000));
    assert!(tail.step().is_none());
    tail.append("\nnext\n");
    let (chunk, more) = tail.step().unwrap();
    assert_eq!(
        (chunk.bytes.len(), chunk.offset, chunk.too_long_lines, chunk.restarted, more),
        (0, 3301, 1, true, true)
    );
    assert_eq!(tail.text(), ("next\n".into(), false));
}

#[test]
fn a_long_line_in_small_appends_is_read_about_twice() {
    let (step, steps) = (4096, 1500);
    let mut tail = Tail::new(ReadLimits::default(), "first\n");
    tail.drain();
    for _ in 0..steps {
        tail.append(vec![b'x'; step]);
        assert!(tail.step().is_none());
    }
    tail.append("\n");
    assert_eq!(tail.step().unwrap().0.bytes.len(), step * steps + 1);
    let (size, read) = (fs::metadata(&tail.path).unwrap().len(), tail.reader.bytes_read());
    assert!(read < size * 5 / 2, "{read} bytes read of a file of {size}");
}

#[test]
fn an_unfinished_line_that_was_rewritten_is_searched_again() {
    let last = "z".repeat(80);
    let cases = [
        // Before, torn; then, and what is read of it.
        (String::new(), "abcdefgh".to_owned(), "ab\ndefghijk".to_owned(), "ab\n".to_owned()),
        (String::new(), format!("abcd{last}"), format!("ab\nd{last}"), "ab\n".to_owned()),
        ("old\n".to_owned(), format!("abcd{last}"), format!("new\nabcd{last}more"), "new\n".to_owned()),
    ];
    for (before, torn, then, read) in cases {
        let mut tail = Tail::new(SMALL, format!("{before}{torn}"));
        assert_eq!(tail.text().0, before);
        tail.rewrite(&then);
        assert_eq!(tail.text(), (read, true), "{then}");
    }
}

#[test]
fn agent_metadata_is_read_whole_after_each_change() {
    let mut tail = Tail::new(SMALL, "{}\n");
    tail.path = tail.folder.path().join("slug/s/subagents/agent-a1.meta.json");
    let long = format!("{{\"description\":\"{}\"}}", "d".repeat(2000));
    put(&tail.path, &long);
    let (chunk, more) = tail.step().unwrap();
    assert_eq!((chunk.bytes, chunk.offset, chunk.restarted, more), (long.clone().into_bytes(), 0, true, false));
    assert_eq!(chunk.cursor.offset, chunk.cursor.size);
    assert!(tail.step().is_none());
    tail.rewrite(long.replace('d', "e"));
    assert_eq!(tail.step().unwrap().0.bytes, long.replace('d', "e").into_bytes());
    tail.rewrite(vec![b' '; usize::try_from(META_BYTES_MAX).unwrap() + 1]);
    let error = tail.reader.next(&tail.found().unwrap(), FILE, tail.cursor.as_ref()).unwrap_err();
    assert!(matches!(error, ReadError::TooLarge { .. }), "{error}");
}

/// A small generator of numbers, the same for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }

    /// Text without a newline that comes once.
    fn line(&mut self) -> Vec<u8> {
        let length = if self.below(12) == 0 { 200 + self.below(150) } else { 8 + self.below(40) };
        (0..length).map(|_| b'!' + u8::try_from(self.below(90)).unwrap()).collect()
    }

    fn lines(&mut self) -> Vec<u8> {
        (0..=self.below(5)).flat_map(|_| [self.line(), b"\n".to_vec()].concat()).collect()
    }
}

fn complete_lines(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    bytes.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")).map(<[u8]>::to_vec)
}

fn change(tail: &mut Tail, random: &mut Random) {
    let content = fs::read(&tail.path).unwrap();
    let cut = random.below(content.len() + 1);
    match random.below(16) {
        0..=6 => tail.append(random.lines()),
        7..=10 => tail.append(random.line()),
        11 => tail.append("\n"),
        12 => tail.rewrite(&content[..cut]),
        13 => tail.rewrite([&content[..cut], &random.lines(), &random.line()].concat()),
        14 => tail.replace(random.lines()),
        _ => {
            fs::remove_file(&tail.path).unwrap();
            tail.rewrite([random.lines(), random.line()].concat());
        }
    }
}

#[test]
fn every_complete_line_is_read_and_never_a_torn_one() {
    for seed in 1..=60 {
        let mut random = Random(0x9e37_79b9_7f4a_7c15 ^ (seed << 20));
        let mut tail = Tail::new(SMALL, random.line());
        let (mut ever, mut seen) = (BTreeSet::new(), BTreeSet::new());
        for step in 0..150 {
            change(&mut tail, &mut random);
            ever.extend(complete_lines(&fs::read(&tail.path).unwrap()));
            if random.below(20) == 0 {
                tail.reader = FileReader::new(SMALL);
            }
            let reads = if step == 149 { usize::MAX } else { random.below(4) };
            for chunk in (0..reads).map_while(|_| tail.step()).map(|(chunk, _)| chunk) {
                assert!(chunk.bytes.is_empty() || chunk.bytes.ends_with(b"\n"));
                seen.extend(complete_lines(&chunk.bytes));
            }
        }
        assert!(seen.is_subset(&ever), "seed {seed} read a line that never was");
        let last = fs::read(&tail.path).unwrap();
        let mut missing = complete_lines(&last).filter(|line| line.len() <= 256 && !seen.contains(line));
        assert_eq!(missing.next(), None, "seed {seed}");
        assert!(tail.step().is_none(), "seed {seed}");
    }
}
