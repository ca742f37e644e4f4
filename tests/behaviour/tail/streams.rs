//! Stream files are read as they grow, however long they are.

use tailspan::tail::scan_stream;
use tailspan::transcript::chunk::{Cursor, FileRole};

use super::{FILE, FileReader, META_BYTES_MAX, Read, ReadLimits, append, put};

#[test]
fn a_growing_stream_is_read_once_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("5f2e0000-0000-4000-8000-000000000001.jsonl");
    put(&path, "");
    let (mut reader, mut cursor, mut read) = (FileReader::new(ReadLimits::default()), None::<Cursor>, Vec::new());
    let mut whole = Vec::new();
    for piece in 0..3_u8 {
        let lines = vec![b'a' + piece; 999].into_iter().chain([b'\n']).collect::<Vec<_>>().repeat(1_000);
        append(&path, &lines);
        whole.extend(lines);
        let before = read.len();
        while let Some(found) = scan_stream(folder.path(), &path, &mut |problem| panic!("{problem}")).pop() {
            let Read::Chunk { chunk, .. } = reader.next(&found, FILE, cursor.as_ref()).unwrap() else { break };
            assert_eq!(
                (chunk.role, chunk.offset, chunk.restarted),
                (FileRole::Stream, read.len() as u64, read.is_empty())
            );
            read.extend(chunk.bytes);
            cursor = Some(chunk.cursor);
        }
        assert!(read.len() > before && read == whole, "{} of {} bytes after piece {piece}", read.len(), whole.len());
    }
    assert!(read.len() as u64 > META_BYTES_MAX);
}
