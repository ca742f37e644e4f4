#![no_main]

#[path = "../../tests/support/fuzz_cursor.rs"]
mod body;

libfuzzer_sys::fuzz_target!(|data: &[u8]| body::run(data));
