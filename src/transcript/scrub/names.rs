//! Decides whether a name says that its value is a secret.
//!
//! The last part of a name decides: `db_password` names a secret, `password_file` does not. `camelCase`, `kebab-case`,
//! `snake_case` and dots are the same; endings that only tell variants apart (`_PROD`, `_2`, `Confirmation`) are
//! ignored.

/// What kind of secret a name promises, which decides how its value is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// A password: nearly any value is a secret.
    Password,
    /// A key: any value is a secret, except the path of a key file.
    Key,
    /// `token`: a secret in settings and on command lines, elsewhere only if the value looks like one.
    Token,
    /// `EXT_PAT`: a secret only in settings and on command lines.
    Setting,
    /// `auth`, `credentials`: a secret only if the value looks like one.
    Loose,
    /// `key`, `sig`: a secret only in the query of a URL.
    Query,
    /// A connection string: a secret unless it is a URL, since user information of URLs is found without a name.
    Connection,
    /// `Authorization`: the value is a scheme, then a secret.
    Authorization,
    /// `Cookie`: the value is pairs up to the end of the line.
    Cookie,
}

/// Names of more bytes are judged by their last bytes.
const NAME_BYTES_MAX: usize = 96;
/// Number of parts of a name that are looked at, from its end.
const PARTS: usize = 4;
/// Most endings that are ignored.
const ENDINGS_MAX: usize = 2;

const PASSWORDS: &str = "\
    password passwd passwort kennwort contrasena senha wachtwoord motdepasse passphrase passcode secret requirepass masterauth userpass dbpass";
const KEYS: &str = "\
    apikey apisecret secretkey privatekey accesskey clientsecret sessionkey authkey appkey accesstoken authtoken \
    apitoken refreshtoken bearertoken sessiontoken idtoken pwd signingkey encryptionkey accountkey consumersecret \
    presharedkey psk";
/// Endings of names that are written as one word: `pgpassword`, `rootpasswd`.
const PASSWORD_ENDINGS: &str = "password passwd passphrase clientsecret";
const KEY_ENDINGS: &str = "apikey authtoken accesstoken secretkey";

/// Words before `key` that make it a secret. `public`, `primary`, `cache`, `sort` do not.
const KEY_OWNERS: &str = "\
    access account admin anon anthropic api app application auth aws azure claude client consumer deploy \
    encryption fastly gemini github gitlab google groq hmac ingest integration jwt license mailgun master mistral \
    openai preshared private record role rsa sdk secret sendgrid server service session shared signing ssh stripe \
    subscription tls twilio webhook write";
/// Words before `token` that make it a secret in any text. `next`, `pad`, `eos`, `page` do not.
const TOKEN_OWNERS: &str = "\
    access admin api app auth bearer bot csrf deploy device github gitlab hf id install job jwt login npm oauth \
    personal private publish push refresh registry secret security service session slack user vault webhook xsrf";
/// Words before `token` that make it a piece of text, a count or a position in a list.
const TOKEN_PARTS: &str = "\
    bos cancel cancellation cls continuation current end eos first last mask max min next num pad page per prev \
    previous sep special start starting stop sync total unk";
/// Endings that tell variants of a name apart and do not say what it names.
const ENDINGS: &str = "\
    b64 base base64 bedrock confirm confirmation current default dev development encoded live local new old plain \
    plaintext primary prod production raw secondary stage staging test value";

/// The kind of secret that a name promises; `None` if its value is not a secret.
pub(super) fn classify(name: &str) -> Option<Class> {
    let folded = fold(name);
    let mut parts = folded.rsplit('_').filter(|part| !part.is_empty());
    let mut last = parts.next()?;
    for _ in 0..ENDINGS_MAX {
        if !is_ending(last) {
            break;
        }
        last = parts.next()?;
    }
    let owners: Vec<&str> = parts.take(PARTS - 1).collect();
    by_word(last.trim_end_matches(|char: char| char.is_ascii_digit()), &owners)
}

fn by_word(last: &str, owners: &[&str]) -> Option<Class> {
    let owner = owners.first().copied().unwrap_or_default();
    match last {
        "key" if is_one_of(owner, KEY_OWNERS) => Some(Class::Key),
        "token" | "pat" if is_one_of(owner, TOKEN_OWNERS) => Some(Class::Key),
        "string" | "str" if matches!(owner, "connection" | "conn") => Some(Class::Connection),
        "string" if owner == "secret" => Some(Class::Key),
        "word" | "phrase" | "wd" if owner == "pass" && owners.get(1) != Some(&"is") => Some(Class::Password),
        "data" if owner == "key" && owners.get(1).is_some_and(|owner| is_one_of(owner, KEY_OWNERS)) => Some(Class::Key),
        // `AZURE_DEVOPS_EXT_PAT`: a personal access token.
        "pat" if !owner.is_empty() => Some(Class::Setting),
        "token" if is_one_of(owner, TOKEN_PARTS) => None,
        // `first_pass = 1`: a pass is not always a password.
        "token" | "pass" | "pw" => Some(Class::Token),
        "auth" | "credential" | "credentials" | "creds" => Some(Class::Loose),
        "key" | "sig" | "signature" => Some(Class::Query),
        "dsn" | "connectionstring" | "connstr" => Some(Class::Connection),
        "authorization" => Some(Class::Authorization),
        "cookie" => Some(Class::Cookie),
        _ if is_one_of(last, PASSWORDS) || ends_in(last, PASSWORD_ENDINGS) => Some(Class::Password),
        _ if is_one_of(last, KEYS) || ends_in(last, KEY_ENDINGS) => Some(Class::Key),
        _ => None,
    }
}

/// True if a word of code is the name of a secret and not a secret itself: `user_password`, `authToken`.
pub(super) fn names_a_secret(word: &str) -> bool {
    let folded = fold(word);
    folded.split(['_', ':']).any(|part| {
        matches!(part, "token" | "tokens" | "auth" | "key" | "keys" | "pass" | "pwd" | "credential" | "credentials")
            || matches!(part, "secrets" | "passwords" | "authentication" | "authorization" | "bearer" | "apikeys")
            || is_one_of(part, PASSWORDS)
            || is_one_of(part, KEYS)
    })
}

/// True if `word` is in a list of words that are divided by white space.
pub(super) fn is_one_of(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|listed| listed == word)
}

pub(super) fn is_one_of_in_any_case(word: &str, list: &str) -> bool {
    list.split_whitespace().any(|listed| listed.eq_ignore_ascii_case(word))
}

fn ends_in(word: &str, endings: &str) -> bool {
    endings.split_whitespace().any(|ending| word.ends_with(ending))
}

fn is_ending(part: &str) -> bool {
    is_one_of(part, ENDINGS) || part.bytes().all(|byte| byte.is_ascii_digit())
}

/// The name in lower case with its parts joined by `_`: `awsSecretAccessKey` and `AWS-Secret.Access_Key` become
/// `aws_secret_access_key`.
fn fold(name: &str) -> String {
    let bytes = name.as_bytes();
    let start = bytes.len().saturating_sub(NAME_BYTES_MAX);
    let bytes = bytes.get(start..).unwrap_or_default();
    let mut folded = String::with_capacity(bytes.len() + 8);
    let (mut before, mut rest) = (b'_', bytes);
    while let [byte, after @ ..] = rest {
        let ends_acronym = before.is_ascii_uppercase() && after.first().is_some_and(u8::is_ascii_lowercase);
        if byte.is_ascii_uppercase() && (before.is_ascii_lowercase() || before.is_ascii_digit() || ends_acronym) {
            folded.push('_');
        }
        let char = if byte.is_ascii_alphanumeric() { char::from(byte.to_ascii_lowercase()) } else { '_' };
        folded.push(char);
        (before, rest) = (*byte, after);
    }
    folded
}
