//! What the scrubber hides, what it leaves, and its laws.

mod plain;
mod secrets;

use std::borrow::Cow;

use plain::PLAIN;
use secrets::SECRETS;
use tailspan::transcript::scrub::{scrub, work};

/// The samples as they are meant.
fn secrets() -> impl Iterator<Item = (String, String)> {
    SECRETS.iter().map(|(text, expected)| (text.replace('~', ""), expected.replace("[R]", "[REDACTED]")))
}

#[test]
fn secrets_are_hidden_and_what_is_around_them_stays() {
    let wrong: Vec<String> = secrets()
        .filter(|(text, expected)| scrub(text) != *expected)
        .map(|(text, expected)| format!("\n    {text:?}\n -> {:?}\n != {expected:?}", scrub(&text)))
        .collect();
    assert!(wrong.is_empty(), "{} wrong: {}", wrong.len(), wrong.concat());
}

#[test]
fn plain_texts_stay_as_they_are() {
    let wrong: Vec<String> = PLAIN
        .iter()
        .filter(|text| !matches!(scrub(text), Cow::Borrowed(same) if same == **text))
        .map(|text| format!("\n    {text:?}\n -> {:?}", scrub(text)))
        .collect();
    assert!(wrong.is_empty(), "{} wrong: {}", wrong.len(), wrong.concat());
}

/// Panics if a second pass finds more, or if hiding gave a text that is no text.
fn check_laws(text: &str) -> u64 {
    let once = scrub(text);
    let twice = scrub(&once);
    assert_eq!(once, twice, "from {text:?}");
    work(text)
}

#[test]
fn a_second_pass_finds_nothing_in_whole_and_cut_samples() {
    let texts =
        secrets().flat_map(|(text, expected)| [text, expected]).chain(PLAIN.iter().map(|&text| text.to_owned()));
    for text in texts {
        for (cut, _) in text.char_indices() {
            check_laws(&text[cut..]);
            check_laws(&text[..cut]);
        }
        check_laws(&text);
    }
}

/// Xorshift: the same seed, the same texts.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 11).unwrap() % limit
    }
}

/// What scanners trip over.
const SHARDS: &[&str] = &[
    "password",
    "PASSWORD",
    "token",
    "api_key",
    "auth",
    "Authorization",
    "Cookie",
    "Bearer ",
    "Basic ",
    "name",
    "value",
    "key",
    "=",
    ":",
    ": ",
    " = ",
    "\"",
    "'",
    "`",
    "\\",
    "\\\"",
    "\\n",
    "\n",
    " ",
    "\t",
    "--",
    "-",
    "-p",
    "-u ",
    "curl ",
    "mysql ",
    "sshpass ",
    "login ",
    "docker ",
    "machine ",
    "IDENTIFIED BY ",
    "://",
    "@",
    "/",
    "?",
    "&",
    ",",
    ";",
    "|",
    ">",
    "<",
    "</",
    "$",
    "${",
    "}",
    "{{",
    "(",
    ")",
    "[",
    "]",
    "[REDACTED]",
    "[REDACTED",
    "%3D",
    "%3F",
    "%",
    "!",
    "*",
    "**",
    "#",
    ".",
    "..",
    "_",
    "eyJ",
    "eyJhbGciOi",
    "sk-ant-",
    "sk-",
    "ghp_",
    "AKIA",
    "hunter2",
    "a1b2c3d4e5f6g7h8",
    "ABCDEFGH12345678",
    "0123456789abcdef0123456789abcdef",
    "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "12345",
    "x",
    "-----BEGIN RSA PRIVATE KEY-----",
    "-----END RSA PRIVATE KEY-----",
    "-----",
    "str",
    "String::from(",
    "new",
    "your",
    "é",
    "東京",
    "🦀",
    "\u{0}",
    "\u{7f}",
    "\u{a0}",
    "option",
    "the ",
    "sha256:",
    "|\n  ",
    "=>",
    ":=",
    "==",
    "f\"",
    "\"\"\"",
    "set -x ",
    "ENV ",
    "#define ",
    "echo ",
    "| chpasswd",
    "--password-stdin <<< ",
    "vault login ",
    "gh secret set -b ",
    "htpasswd -b f a ",
    "TRUE\t",
    "*:*:*:",
    "a:5432:",
    "ann:",
    "@tcp(",
    "oracle:thin:",
    "postgres://ann:",
    "密码：",
    "mot de passe: ",
    "Unseal Key 1: ",
    "Private-Lines: 2\n",
    "---- BEGIN SSH2 PRIVATE KEY ----",
    "---- END SSH2 PRIVATE KEY ----",
    "-----BEGIN CERTIFICATE-----",
    "-----END CERTIFICATE-----",
    "\nQkFTRTY0cm93T2ZBa2V5MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX\n",
    "MIIQkFTRTY0cm93T2ZBa2V5MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1BRUlNUV\r\n",
    "    12→",
    "12\t",
    "variable \"password\" {",
    "default",
    "is ",
    "||",
    "??",
    "\\\n",
    "[[",
    "]]",
    "re_",
    "s.",
    "8Q~",
];

#[test]
fn a_second_pass_finds_nothing_in_random_texts() {
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    let samples: Vec<String> =
        secrets().map(|(text, _)| text).chain(PLAIN.iter().map(|&text| text.to_owned())).collect();
    for round in 0..rounds() {
        let mut text = String::new();
        for _ in 0..=dice.below(14) {
            match dice.below(12) {
                0 => text.push(char::from_u32(u32::try_from(dice.below(0x11_0000)).unwrap()).unwrap_or('\u{fffd}')),
                1 => {
                    let sample = &samples[dice.below(samples.len())];
                    let (from, to) = (dice.below(sample.len() + 1), dice.below(sample.len() + 1));
                    text.push_str(sample.get(from..to).unwrap_or(sample));
                }
                _ => text.push_str(SHARDS[dice.below(SHARDS.len())]),
            }
        }
        let steps = check_laws(&text);
        assert!(steps <= bound(text.len()), "round {round}: {steps} steps for {text:?}");
    }
}

fn rounds() -> usize {
    std::env::var("TAILSPAN_TEST_ROUNDS").map_or(15_000, |rounds| rounds.parse().unwrap())
}

/// Most steps that a text of so many bytes may take.
fn bound(bytes: usize) -> u64 {
    4_000 + 200 * bytes as u64
}

/// Units that, repeated, make a careless scanner read the same bytes again and again.
const HOSTILE: &[&str] = &[
    "token=",
    "password=",
    "password: ",
    "password:\"",
    "token='x",
    "--password ",
    "-----BEGIN RSA PRIVATE KEY-----",
    "\"-----BEGIN PRIVATE KEY-----\"",
    "-----END ",
    "-----BEGIN ",
    "eyJ",
    "eyJ-",
    "eyJaaaaaaaa-eyJaaaaaaaa.",
    "eyJaaaaaaaa.",
    "://",
    "a://a:",
    "https://a:b",
    "a@",
    "sk-",
    "sk-a",
    "ghp_",
    "_ghp_",
    "AKIA",
    "%3D",
    "%3Fkey",
    "Basic ",
    "Basic aaaa",
    "Bearer a1",
    "Authorization: Digest ",
    "Cookie: a",
    "Cookie: abcd=",
    "curl -u ",
    "curl -u a:\"",
    "sshpass -p \"$(",
    "sshpass -p '$",
    "password: |\n ",
    "password: |\n  \n",
    "password: a ",
    "password: a, ",
    "password=a&",
    "password=a,b",
    "password=<",
    "<password>",
    "<password>a",
    "name: password ",
    "key=password value=",
    "password: &'a str",
    "token: a<",
    "\\",
    "\\\\\"",
    "password\\",
    "password   ",
    " ",
    "\t=",
    "a",
    "a.",
    "a-",
    "Aa",
    "1",
    "[REDACTED]",
    "[REDACTED",
    "password=[REDACTED",
    "é",
    "東password=",
    "password=é",
    "\"\"\"",
    "password=\"\"\"",
    "machine login password ",
    "password=f(",
    "password=new ",
    "String::from(\"",
    "password=String::from(\"",
    "xpasswordx",
    "123456789:AA",
    "password=(((",
    "password=)))",
    "password=...",
    "a:",
    "root:a@tcp",
    "*:*:a:a:",
    "a:5432:a:a:",
    "echo a|",
    "echo 'a",
    "printf '%s' a | ",
    "gh secret set -b '",
    "htpasswd -b a a ",
    "vault login ",
    "ENV password ",
    "#define password \"",
    "password is ",
    "password | ",
    "|password|",
    "password\t",
    "\"password\", \"",
    "variable \"password\" default = ",
    "密码：",
    "密",
    "mot de passe: ",
    "Password:\n",
    "Password:\\\n",
    "postgres://a:b/",
    "a://b:c/d@",
    "TRUE\t",
    "TRUE\t/\tTRUE\t1\ta\t",
    "Unseal Key 1: ",
    "Private-Lines: 1\na\n",
    "---- BEGIN SSH2 PRIVATE KEY ----",
    "---- BEGIN ",
    "-----BEGIN CERTIFICATE-----\n",
    "QkFTRTY0cm93T2ZBa2V5MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX\n",
    "QkFTRTY0cm93T2ZBa2V5MTIzNDU2Nzg5MEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZX\n\n",
    "\"QkFTRTY0cm93T2ZBa2V5MTIz",
    "MIIa\n",
    "1\t",
    "secret: |\n1\t ",
    "AAAAAAAAAAAAAAAAAAAAA",
    "sl.",
    "re_",
    "pa-",
    "test_",
    "s.aB3dE6gH9jK2mN5pQ8sT1vW4",
];

#[test]
fn work_grows_in_step_with_the_text() {
    let mut dice = Dice(7);
    let mut units: Vec<String> = HOSTILE.iter().map(|&unit| unit.to_owned()).collect();
    // Every secret and plain text again and again, and units of random shards.
    units.extend(secrets().map(|(text, _)| text));
    units.extend(PLAIN.iter().filter(|text| !text.is_empty()).map(|&text| text.to_owned()));
    for _ in 0..400 {
        units.push((0..=dice.below(5)).map(|_| SHARDS[dice.below(SHARDS.len())]).collect());
    }
    let mut worst = 0;
    for unit in units {
        let once = unit.repeat(2_048 / unit.len());
        let doubled = once.repeat(4);
        let (steps, steps_doubled) = (work(&once), work(&doubled));
        assert!(steps_doubled <= 5 * steps + 4_000, "{steps} then {steps_doubled} steps for {unit:?}");
        assert!(steps <= bound(once.len()), "{steps} steps for {} bytes of {unit:?}", once.len());
        worst = worst.max(steps / once.len() as u64);
    }
    assert!((20..=200).contains(&worst), "{worst} steps for a byte: the counter counts, and the bound is near");
}
