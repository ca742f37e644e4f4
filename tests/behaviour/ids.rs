//! Ids are a public contract: these numbers were computed apart from this program and must never change.
//!
//! ```text
//! sha256(b"tailspan/1" + b"\0" + trace + b"\0" + kind + b"\0" + key).digest()[:8].hex()      Python, hashlib
//! ```

use tailspan::transcript::ids::RowId;
use tailspan::transcript::stream::RunId;
use tailspan::views::traces::ids::{
    SpanAt, SpanId, TraceId, root_of_turn, run_at, span_id, trace_of_background_agent, trace_of_turn,
};

const TRACE: u128 = 0x5b1d_6c1e_8f0a_4e7c_9d2b_3a4f_5e6d_7c8b;
const OTHER_TRACE: u128 = 0x0000_0000_0000_4000_8000_0000_0000_0001;

/// Trace id, kind, natural key, span id; the same table is in `docs/trace-ids.md`.
const VECTORS: [(u128, &str, &str, u64); 9] = [
    (TRACE, "turn", "turn", 0xa77e_2afd_6a09_9d26),
    (TRACE, "chat", "req_011CVLE1zvGFyM9CzXYt1t9V", 0x7b03_cfae_eeff_58d2),
    (TRACE, "chat", "msg_01XFDUDYJgAACzvnptvVoYEL", 0xa8e9_f56b_3f37_1cb4),
    (TRACE, "execute_tool", "toolu_01A09q90qw90lq917835lq9", 0xa0a5_1102_74fa_d3ce),
    (TRACE, "invoke_agent", "aec2cd6cd3968a572", 0xa3b4_2d92_58a5_c957),
    (TRACE, "run", "5b1d6c1e-8f0a-4e7c-9d2b-3a4f5e6d7c8b", 0x6b42_3493_64b7_3497),
    (OTHER_TRACE, "turn", "turn", 0x57da_1955_e95b_d8a2),
    (OTHER_TRACE, "invoke_agent", "a4a66c9", 0xe8e7_b2db_c47d_d566),
    (OTHER_TRACE, "chat", "ü", 0x7734_f22a_0eff_92cd),
];

#[test]
fn a_span_id_is_the_beginning_of_a_hash_of_trace_kind_and_key() {
    for (trace, kind, key, id) in VECTORS {
        let made = span_id(TraceId(trace), kind, key);
        assert_eq!(made, SpanId(id), "{trace:032x} {kind} {key}: {made}");
    }
}

#[test]
fn a_trace_id_is_the_uuid_of_a_row() {
    let row = RowId::of("5B1D6C1E-8f0a-4e7c-9d2b-3a4f5e6d7c8b");
    assert_eq!(trace_of_turn(row), TraceId(TRACE));
    assert_eq!(trace_of_background_agent(row), TraceId(TRACE));
    assert_eq!(root_of_turn(row).trace, TraceId(TRACE));
    assert_eq!(root_of_turn(row).span, SpanId(0xa77e_2afd_6a09_9d26));
}

#[test]
fn a_run_is_in_the_trace_of_its_caller_or_in_one_of_its_own() {
    let run = RunId(RowId(TRACE));
    let span = SpanId(0x6b42_3493_64b7_3497);
    assert_eq!(run_at(run, None), SpanAt { trace: TraceId(TRACE), span });
    let caller = SpanAt { trace: TraceId(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c), span: SpanId(1) };
    assert_eq!(run_at(run, Some(caller)), SpanAt { trace: caller.trace, span: SpanId(0xbfb9_17a0_21b0_982f) });
}

#[test]
fn an_id_is_never_zero() {
    let nil = RowId::of("00000000-0000-0000-0000-000000000000");
    assert_eq!(
        (trace_of_turn(nil), trace_of_background_agent(nil), root_of_turn(nil).trace),
        (TraceId(1), TraceId(1), TraceId(1))
    );
}

#[test]
fn the_page_about_ids_lists_the_same_numbers() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/trace-ids.md");
    let page = std::fs::read_to_string(path).unwrap();
    for (trace, kind, key, id) in VECTORS {
        let row = format!("| `{trace:032x}` | `{kind}` | `{key}` | `{id:016x}` |");
        assert!(page.contains(&row), "docs/trace-ids.md lacks: {row}");
    }
}

#[test]
fn every_attribute_is_in_the_guide() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let code = std::fs::read_to_string(root.join("src/views/traces/attributes.rs")).unwrap();
    let guide = std::fs::read_to_string(root.join("docs/traces.md")).unwrap();
    for line in code.lines().filter(|line| line.starts_with("pub const ")) {
        let value = line.split('"').nth(1).unwrap();
        assert!(guide.contains(&format!("| `{value}` |")), "{value} is missing in docs/traces.md");
    }
}
