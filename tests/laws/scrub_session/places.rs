//! Where a secret can stand in a session, and in which form.

use super::dice::Dice;
use super::families::Planted;

/// The texts of a session, one behind the other, in which a secret was planted.
type Plant = fn(&Planted, &mut Dice) -> Vec<String>;

pub(crate) const PLACES: &[(&str, Plant)] = &[
    ("prompt", |planted, _| vec![format!("Please use\n{}\nfor the deployment.", planted.text)]),
    ("answer", |planted, _| vec![format!("It is set here:\n\n```\n{}\n```\n", planted.text)]),
    ("thinking", |planted, _| vec![format!("The user gave me this:\n{}", planted.text)]),
    ("tool input", |planted, _| {
        vec![format!(r#"{{"content":"{}\n","file_path":"/home/ann/.env"}}"#, json(&planted.text))]
    }),
    ("tool result", |planted, _| vec![format!("$ cat .env\nPORT=8080\n{}\n", planted.text)]),
    ("numbered result", |planted, _| {
        let rows = planted.text.lines().enumerate().map(|(at, row)| format!("{:>6}→{row}\n", at + 9));
        vec![rows.collect::<String>()]
    }),
    ("title", |planted, _| vec![planted.text.clone()]),
    ("name of a file", |planted, dice| {
        let secret = &planted.secrets[dice.below(planted.secrets.len())];
        vec![
            planted.text.clone(),
            format!("/home/ann/{}.txt", secret.replace(['/', '+'], "_")),
            format!("a/{secret}/b"),
        ]
    }),
    ("name of a tool", |planted, dice| {
        let secret = &planted.secrets[dice.below(planted.secrets.len())];
        vec![format!("mcp__{secret}__list"), planted.text.clone()]
    }),
    ("name of a branch", |planted, _| vec![planted.text.clone(), format!("ann/fix-{}", planted.secrets[0])]),
    ("bare", |planted, _| {
        let bare = planted.secrets.iter().map(|secret| format!("got {secret} back"));
        bare.chain([planted.text.clone()]).collect()
    }),
    ("bare in base64", |planted, _| {
        vec![planted.text.clone(), format!("auth {}", base64(&format!("ann:{}", planted.secrets[0])))]
    }),
    ("base64", |planted, _| vec![format!("data: {}", base64(&planted.text))]),
    ("base64 in JSON", |planted, _| vec![format!(r#"{{"data":"{}"}}"#, base64(&planted.text))]),
    ("base64url", |planted, _| {
        vec![format!("x={}&y=1", base64(&planted.text).replace('+', "-").replace('/', "_").replace('=', ""))]
    }),
    ("base64 twice", |planted, _| vec![base64(&base64(&planted.text))]),
    ("base64 in rows", |planted, _| {
        let encoded = base64(&format!("# settings of the shop\n{}\n", planted.text));
        let rows = encoded.as_bytes().chunks(76).map(|row| String::from_utf8(row.to_vec()).unwrap() + "\n");
        vec![format!("$ base64 .env\n{}", rows.collect::<String>())]
    }),
    ("base64 behind letters", |planted, _| vec![format!("v1-{}", base64(&planted.text))]),
    ("hexadecimal", |planted, _| vec![format!("payload {}", hex(&planted.text))]),
    ("percent signs", |planted, _| vec![format!("https://example.com/?next={}&x=1", percent(&planted.text))]),
    ("query", |planted, _| {
        vec![planted.text.clone(), format!("GET /v1/items?access_token={}&page=2", percent(&planted.secrets[0]))]
    }),
    ("two texts", |planted, dice| split(planted, dice, 2)),
    ("three texts", |planted, dice| split(planted, dice, 3)),
    ("two results", |planted, dice| with_calls(split(planted, dice, 2), dice)),
    ("three results", |planted, dice| with_calls(split(planted, dice, 3), dice)),
    ("wrapped", |planted, dice| vec![split(planted, dice, 2).join("\n")]),
    ("wrapped and numbered", |planted, dice| {
        let rows = split(planted, dice, 3).join("\n");
        vec![rows.lines().enumerate().map(|(at, row)| format!("{:>6}\t{row}\n", at + 98)).collect()]
    }),
    ("two readings", |planted, dice| {
        let rows: Vec<&str> = planted.text.lines().collect();
        let cut = dice.below(rows.len());
        let numbered =
            |from: usize, to: usize| (from..to).map(|at| format!("{:>6}→{}\n", at + 1, rows[at])).collect::<String>();
        vec![
            numbered(0, cut),
            "Read".to_owned(),
            r#"{"file_path":"a","offset":9}"#.to_owned(),
            numbered(cut, rows.len()),
        ]
    }),
    ("colours", |planted, dice| {
        let at = inside(planted, dice);
        let (before, after) = planted.text.split_at(at);
        vec![format!("\u{1b}[1;32m{before}\u{1b}[0m\u{1b}[31m{after}\u{1b}[0m")]
    }),
    ("colours in JSON", |planted, dice| {
        let at = inside(planted, dice);
        let (before, after) = planted.text.split_at(at);
        vec![format!(r#"{{"stdout":"{}\u001b[31m{}\u001b[0m"}}"#, json(before), json(after))]
    }),
    ("escaped slashes", |planted, _| vec![format!(r#"{{"body":"{}"}}"#, json(&planted.text).replace('/', "\\/"))]),
    ("escaped letters", |planted, dice| {
        let at = inside(planted, dice);
        let (before, after) = planted.text.split_at(at);
        let code = format!("\\u{:04x}", u32::from(after.chars().next().unwrap()));
        vec![format!(r#"{{"body":"{}{code}{}"}}"#, json(before), json(&after[1..]))]
    }),
    ("JSON in JSON", |planted, _| {
        vec![format!(r#"{{"body":"{}"}}"#, json(&format!(r#"{{"a":"{}"}}"#, json(&planted.text))))]
    }),
    ("JSON in JSON in JSON", |planted, dice| {
        let wrap = |text: String, _| format!(r#"{{"t":"{}"}}"#, json(&text));
        vec![(0..2 + dice.below(3)).fold(format!("[db]\n{}\n", planted.text), wrap)]
    }),
    ("HTML", |planted, _| vec![format!("<pre>{}</pre>", html(&planted.text))]),
    ("Secret of Kubernetes", |planted, dice| {
        let value = base64(&planted.text);
        let rows = match dice.below(3) {
            0 => format!("apiVersion: v1\ndata:\n  db: {value}\nkind: Secret\nmetadata:\n  name: shop\n"),
            1 => format!("apiVersion: v1\nitems:\n- data:\n    db: {value}\n  kind: Secret\nkind: List\n"),
            _ => format!(r#"{{"apiVersion":"v1","data":{{"db":"{value}"}},"kind":"Secret"}}"#),
        };
        let numbered = rows.lines().enumerate().map(|(at, row)| format!("{:>6}→{row}\n", at + 1)).collect();
        vec![if dice.below(2) == 0 { rows } else { numbered }]
    }),
    ("diff", |planted, _| {
        let rows = |sign: char| planted.text.lines().map(move |row| format!("{sign}{row}\n")).collect::<String>();
        vec![format!("@@ -1,2 +1,2 @@\n{} PORT=8080\n{}", rows('-'), rows('+'))]
    }),
];

/// A place in the first secret of a text, not at its ends.
fn inside(planted: &Planted, dice: &mut Dice) -> usize {
    let secret = &planted.secrets[0];
    let begins = planted.text.find(secret.as_str()).unwrap();
    begins + 1 + dice.below(secret.len() - 1)
}

/// The text in parts, cut inside of the secret.
fn split(planted: &Planted, dice: &mut Dice, parts: usize) -> Vec<String> {
    let mut cuts: Vec<usize> = (1..parts).map(|_| inside(planted, dice)).collect();
    cuts.sort_unstable();
    cuts.dedup();
    let mut rest = planted.text.as_str();
    let mut texts = Vec::new();
    for cut in cuts.into_iter().rev() {
        let (before, after) = rest.split_at(cut);
        texts.insert(0, after.to_owned());
        rest = before;
    }
    texts.insert(0, rest.to_owned());
    texts
}

/// The parts with calls and other texts between them.
fn with_calls(parts: Vec<String>, dice: &mut Dice) -> Vec<String> {
    const BETWEEN: &[&str] =
        &[r#"{"command":"tail -c +100 .env"}"#, "tail -c +100 .env", "Now the rest of it.", "Read"];
    let mut texts = Vec::new();
    for part in parts {
        if !texts.is_empty() {
            texts.extend((0..=dice.below(6)).map(|at| BETWEEN[at % BETWEEN.len()].to_owned()));
        }
        texts.push(part);
    }
    texts
}

fn json(text: &str) -> String {
    let quoted = serde_json::to_string(text).unwrap();
    quoted[1..quoted.len() - 1].to_owned()
}

fn html(text: &str) -> String {
    let entity = |char: char| match char {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '"' => "&quot;".to_owned(),
        '\'' => "&#39;".to_owned(),
        '/' => "&#x2F;".to_owned(),
        '+' => "&#43;".to_owned(),
        char => char.to_string(),
    };
    text.chars().map(entity).collect()
}

pub(crate) fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

fn percent(text: &str) -> String {
    let escape = |byte: u8| {
        if byte.is_ascii_alphanumeric() { char::from(byte).to_string() } else { format!("%{byte:02X}") }
    };
    text.bytes().map(escape).collect()
}

pub(crate) fn base64(text: &str) -> String {
    const LETTERS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let encode = |three: &[u8]| {
        let bits = three.iter().fold(0_usize, |bits, byte| bits << 8 | usize::from(*byte)) << (8 * (3 - three.len()));
        let letter = |at: usize| {
            if at > three.len() { '=' } else { char::from(LETTERS[bits >> (18 - 6 * at) & 63]) }
        };
        [0, 1, 2, 3].map(letter).iter().collect::<String>()
    };
    text.as_bytes().chunks(3).map(encode).collect()
}
