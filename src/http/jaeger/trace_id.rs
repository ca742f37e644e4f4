//! Reads trace ids in the forms in which clients write them.

use crate::transcript::ids::RowId;
use crate::views::traces::ids::TraceId;

/// Hexadecimal digits of a whole id.
const HEX_DIGITS: usize = 32;
/// Letters of 16 bytes in base64, without and with padding.
const BASE64_LETTERS: usize = 22;
const BASE64_PADDED: usize = 24;

/// Reads an id of hexadecimal digits in upper or lower case, with or without leading zeros; of a UUID with dashes; or
/// of base64, as the JSON form of protobuf writes it. `None` if it is none of these, or 0.
pub(in crate::http) fn parse(text: &str) -> Option<TraceId> {
    let digits: String = if text.len() == 36 { text.replace('-', "") } else { text.to_owned() };
    let is_hex = (1..=HEX_DIGITS).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let id = if is_hex { u128::from_str_radix(&digits, 16).ok() } else { from_base64(text) };
    id.filter(|id| *id != 0).map(TraceId)
}

/// The id as a UUID of 8-4-4-4-12 digits, which is the form of session ids.
pub(in crate::http) fn uuid(id: TraceId) -> String {
    RowId(id.0).to_string()
}

fn from_base64(text: &str) -> Option<u128> {
    let letters = if text.len() == BASE64_PADDED { text.strip_suffix("==")? } else { text };
    if letters.len() != BASE64_LETTERS {
        return None;
    }
    let six_bits = |letter: u8| match letter {
        b'A'..=b'Z' => Some(letter - b'A'),
        b'a'..=b'z' => Some(letter - b'a' + 26),
        b'0'..=b'9' => Some(letter - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let (last, before) = letters.as_bytes().split_last()?;
    let high = before.iter().try_fold(0u128, |id, letter| Some(id << 6 | u128::from(six_bits(*letter)?)))?;
    // Only two bits of the last letter belong to the sixteen bytes.
    Some(high << 2 | u128::from(six_bits(*last)? >> 4))
}

#[cfg(test)]
mod tests {
    use super::{TraceId, parse, uuid};

    #[test]
    fn an_id_is_read_in_every_form() {
        let id = Some(TraceId(0x0034_596b_7041_497d_9b38_13f7_ff6a_129d));
        for text in [
            "0034596b7041497d9b3813f7ff6a129d",
            "0034596B7041497D9B3813F7FF6A129D",
            "34596b7041497d9b3813f7ff6a129d",
            "0034596b-7041-497d-9b38-13f7ff6a129d",
            "ADRZa3BBSX2bOBP3/2oSnQ==",
            "ADRZa3BBSX2bOBP3/2oSnQ",
            "ADRZa3BBSX2bOBP3_2oSnQ==",
        ] {
            assert_eq!(parse(text), id, "{text}");
        }
        assert_eq!(uuid(TraceId(1)), "00000000-0000-0000-0000-000000000001");
        for text in ["", "0", "xyz", "0034596b7041497d9b3813f7ff6a129d0", "-34596b", "+1", "ADRZa3BBSX2bOBP3/2oSn!=="] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
