//! Secrets of many issuers, as they are written where they are used. The beginnings are cut in two, so that scanners of
//! repositories do not find keys here.

use super::dice::Dice;

/// A text with a secret.
pub(crate) struct Planted {
    pub(crate) text: String,
    /// What must not be left, without the beginnings by which issuers are told.
    pub(crate) secrets: Vec<String>,
}

/// The text, in which `{}` stands for the secret.
fn one(form: &str, secret: String) -> Planted {
    Planted { text: form.replace("{}", &secret), secrets: vec![secret] }
}

/// A private key in PEM, in rows of 64 letters.
fn pem(label: &str, dice: &mut Dice) -> Planted {
    let rows: Vec<String> = (0..6 + dice.below(20)).map(|_| dice.base64(64)).collect();
    let text = format!("-----BEGIN {label}-----\n{}\n-----END {label}-----", rows.join("\n"));
    Planted { text, secrets: rows }
}

type Make = fn(&mut Dice) -> Planted;

pub(crate) const FAMILIES: &[(&str, Make)] = &[
    ("AWS access key", |dice| one(concat!("AK", "IA{}"), dice.upper(16))),
    ("AWS temporary key", |dice| one(concat!("AS", "IA{}"), dice.upper(16))),
    ("AWS secret", |dice| one("AWS_SECRET_ACCESS_KEY={}", dice.base64(40))),
    ("AWS credentials file", |dice| one("[default]\naws_secret_access_key = {}", dice.base64(40))),
    ("AWS session token", |dice| one("AWS_SESSION_TOKEN=IQoJb3JpZ2luX2Vj{}", dice.base64(200))),
    ("GitHub classic", |dice| one(concat!("gh", "p_{}"), dice.plain(36))),
    ("GitHub fine-grained", |dice| {
        let (first, second) = (dice.plain(22), dice.plain(59));
        one(concat!("github", "_pat_{}"), format!("{first}_{second}"))
    }),
    ("GitHub app", |dice| one(concat!("gh", "s_{}"), dice.plain(36))),
    ("GitHub OAuth", |dice| one(concat!("gh", "o_{}"), dice.plain(36))),
    ("GitHub refresh", |dice| one(concat!("gh", "r_{}"), dice.plain(76))),
    ("GitLab", |dice| one(concat!("gl", "pat-{}"), dice.url(20))),
    ("GitLab runner", |dice| one(concat!("gl", "rt-{}"), dice.url(20))),
    ("GitLab deploy", |dice| one(concat!("gl", "dt-{}"), dice.url(20))),
    ("Slack bot", |dice| one(concat!("xo", "xb-123456789012-1234567890123-{}"), dice.plain(24))),
    ("Slack user", |dice| one(concat!("xo", "xp-123456789012-123456789012-123456789012-{}"), dice.hex(32))),
    ("Slack app", |dice| one(concat!("xa", "pp-1-A0123456789-1234567890123-{}"), dice.hex(64))),
    ("Slack webhook", |dice| {
        one(concat!("https://hooks.", "slack.com/services/T0AB12CD3/B0AB12CD3/{}"), dice.plain(24))
    }),
    ("Stripe live", |dice| one(concat!("sk_", "live_{}"), dice.plain(24))),
    ("Stripe restricted", |dice| one(concat!("rk_", "live_{}"), dice.plain(99))),
    ("Stripe webhook", |dice| one(concat!("wh", "sec_{}"), dice.plain(32))),
    ("Anthropic", |dice| one(concat!("sk-", "ant-api03-{}AA"), dice.url(93))),
    ("OpenAI project", |dice| {
        let (first, second) = (dice.url(74), dice.url(74));
        one(concat!("sk-", "proj-{}"), format!("{first}T3BlbkFJ{second}"))
    }),
    ("OpenAI", |dice| {
        let (first, second) = (dice.plain(20), dice.plain(20));
        one(concat!("sk", "-{}"), format!("{first}T3BlbkFJ{second}"))
    }),
    ("Google API", |dice| one(concat!("AI", "za{}"), dice.url(35))),
    ("Google OAuth", |dice| one(concat!("ya", "29.{}"), dice.url(120))),
    ("Google client secret", |dice| one(concat!("GOC", "SPX-{}"), dice.url(28))),
    ("GCP service account", |dice| {
        let key = pem("PRIVATE KEY", dice);
        let json = key.text.replace('\n', "\\n");
        let text = format!(
            r#"{{"type":"service_account","project_id":"shop","private_key_id":"{}","private_key":"{json}\n","client_email":"a@shop.iam.gserviceaccount.com"}}"#,
            dice.hex(40)
        );
        Planted { text, secrets: key.secrets }
    }),
    ("Azure storage key", |dice| {
        one(
            "DefaultEndpointsProtocol=https;AccountName=shop;AccountKey={}==;EndpointSuffix=core.windows.net",
            dice.base64(86),
        )
    }),
    ("Azure SAS", |dice| {
        one(
            "https://shop.blob.core.windows.net/a/b.txt?sv=2024-11-04&se=2026-12-01T00%3A00%3A00Z&sr=b&sp=r&sig={}%3D",
            dice.plain(43),
        )
    }),
    ("Azure client secret", |dice| {
        let (first, second) = (dice.plain(3), dice.plain(34));
        one("AZURE_CLIENT_SECRET={}", format!("{first}8Q~{second}"))
    }),
    ("npm", |dice| one(concat!("np", "m_{}"), dice.plain(36))),
    ("npmrc", |dice| one("//npm.example.com/:_authToken={}", dice.uuid())),
    ("PyPI", |dice| one(concat!("py", "pi-AgEIcHlwaS5vcmc{}"), dice.url(140))),
    ("RubyGems", |dice| one(concat!("ruby", "gems_{}"), dice.hex(48))),
    ("Docker", |dice| one(concat!("dckr", "_pat_{}"), dice.url(27))),
    ("Docker config", |dice| one(r#"{"auths":{"registry.example.com":{"auth":"{}"}}}"#, dice.base64(40))),
    ("Hugging Face", |dice| one(concat!("h", "f_{}"), dice.plain(34))),
    ("SendGrid", |dice| {
        let (first, second) = (dice.url(22), dice.url(43));
        one(concat!("S", "G.{}"), format!("{first}.{second}"))
    }),
    ("Twilio", |dice| one(concat!("S", "K{}"), dice.hex(32))),
    ("Twilio auth", |dice| one("TWILIO_AUTH_TOKEN={}", dice.hex(32))),
    ("Mailgun", |dice| one(concat!("MAILGUN_API_KEY=ke", "y-{}"), dice.hex(32))),
    ("Mailchimp", |dice| one("MAILCHIMP_API_KEY={}-us12", dice.hex(32))),
    ("Telegram", |dice| one("987654321:AA{}", dice.url(33))),
    ("Discord", |dice| {
        let (first, second, third) = (dice.plain(23), dice.url(6), dice.url(38));
        one("client.login('M{}')", format!("{first}.{second}.{third}"))
    }),
    ("Discord webhook", |dice| {
        one(concat!("https://discord.com/api/", "webhooks/123456789012345678/{}"), dice.url(68))
    }),
    ("Datadog", |dice| one("DD_API_KEY={}", dice.hex(32))),
    ("Datadog app", |dice| one("DATADOG_APP_KEY: {}", dice.hex(40))),
    ("New Relic", |dice| one(concat!("NR", "AK-{}"), dice.upper(27))),
    ("New Relic licence", |dice| one("NEW_RELIC_LICENSE_KEY={}NRAL", dice.hex(36))),
    ("Sentry DSN", |dice| one("https://{}@o123456.ingest.sentry.io/4501234", dice.hex(32))),
    ("Sentry user", |dice| one(concat!("sntr", "yu_{}"), dice.hex(64))),
    ("Shopify", |dice| one(concat!("sh", "pat_{}"), dice.hex(32))),
    ("Shopify shared", |dice| one(concat!("sh", "pss_{}"), dice.hex(32))),
    ("Square", |dice| one(concat!("sq0", "atp-{}"), dice.url(22))),
    ("Square production", |dice| one(concat!("EA", "AAE{}"), dice.url(59))),
    ("PayPal", |dice| one("PAYPAL_CLIENT_SECRET={}", dice.url(80))),
    ("PayPal access", |dice| {
        let (first, second) = (dice.of("0123456789abcdefghjkmnpq", 16), dice.hex(32));
        one("access_token$production${}", format!("{first}${second}"))
    }),
    ("Heroku", |dice| one("HEROKU_API_KEY={}", dice.uuid())),
    ("Heroku key", |dice| one(concat!("HR", "KU-AA{}"), dice.url(58))),
    ("DigitalOcean", |dice| one(concat!("do", "p_v1_{}"), dice.hex(64))),
    ("Cloudflare", |dice| one("CLOUDFLARE_API_TOKEN={}", dice.url(40))),
    ("Cloudflare origin", |dice| {
        let (first, second) = (dice.hex(24), dice.hex(146));
        one("v1.0-{}", format!("{first}-{second}"))
    }),
    ("Vault", |dice| one(concat!("hv", "s.{}"), dice.url(95))),
    ("Vault batch", |dice| one(concat!("hv", "b.{}"), dice.url(140))),
    ("JWT", |dice| {
        let (claims, signature) = (dice.url(80), dice.url(43));
        Planted {
            text: format!("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJ{claims}.{signature}"),
            secrets: vec![claims, signature],
        }
    }),
    ("PEM RSA", |dice| pem("RSA PRIVATE KEY", dice)),
    ("PEM EC", |dice| pem("EC PRIVATE KEY", dice)),
    ("PEM OpenSSH", |dice| pem("OPENSSH PRIVATE KEY", dice)),
    ("PEM PGP", |dice| pem("PGP PRIVATE KEY BLOCK", dice)),
    ("PEM encrypted", |dice| pem("ENCRYPTED PRIVATE KEY", dice)),
    ("basic auth URL", |dice| one("https://ann:{}@git.example.com/shop.git", dice.plain(14))),
    ("PostgreSQL URL", |dice| one("postgres://shop:{}@db.example.com:5432/shop", dice.password())),
    ("MongoDB URL", |dice| one("mongodb+srv://shop:{}@cluster0.example.mongodb.net/", dice.plain(16))),
    ("Redis URL", |dice| one("redis://:{}@cache.example.com:6379/0", dice.plain(24))),
    ("AMQP URL", |dice| one("amqps://shop:{}@queue.example.com/vhost", dice.plain(20))),
    ("netrc", |dice| one("machine api.example.com\n  login ann\n  password {}", dice.password())),
    ("pgpass", |dice| one("db.example.com:5432:shop:ann:{}", dice.password())),
    ("bearer header", |dice| one("Authorization: Bearer {}", dice.plain(40))),
    ("basic header", |dice| one("Authorization: Basic {}", dice.plain(32))),
    ("cookie", |dice| one("Cookie: theme=dark; sessionid={}", dice.plain(32))),
    ("set-cookie", |dice| one("Set-Cookie: sid={}; HttpOnly; Path=/", dice.plain(32))),
    ("password setting", |dice| one("DB_PASSWORD={}", dice.password())),
    ("password in JSON", |dice| one(r#"{"user": "ann", "password": "{}"}"#, dice.password())),
    ("password in YAML", |dice| one("smtp:\n  password: {}", dice.password())),
    ("password in code", |dice| one("let password = \"{}\";", dice.password())),
    ("curl user", |dice| one("curl -u ann:{} https://example.com", dice.plain(14))),
    ("mysql option", |dice| one("mysql -h db -u ann -p{} shop", dice.plain(14))),
    ("kubeconfig", |dice| {
        let key = pem("RSA PRIVATE KEY", dice);
        let data = super::places::base64(&key.text);
        // What it begins with says only that it is a key.
        let secret = data[44..].to_owned();
        Planted { text: format!("users:\n- name: ann\n  user:\n    client-key-data: {data}"), secrets: vec![secret] }
    }),
    ("kubeconfig token", |dice| one("    user:\n      token: {}", dice.plain(48))),
    ("age", |dice| one(concat!("AGE-SECRET", "-KEY-1{}"), dice.of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58))),
    ("1Password", |dice| one(concat!("op", "s_eyJ{}"), dice.base64(300))),
    ("Databricks", |dice| one(concat!("da", "pi{}"), dice.hex(32))),
    ("Databricks second", |dice| one(concat!("da", "pi{}-2"), dice.hex(32))),
    ("Grafana", |dice| {
        let (first, second) = (dice.plain(32), dice.hex(8));
        one(concat!("gl", "sa_{}"), format!("{first}_{second}"))
    }),
    ("Grafana cloud", |dice| one(concat!("gl", "c_eyJ{}"), dice.plain(80))),
    ("Linear", |dice| one(concat!("lin", "_api_{}"), dice.plain(40))),
    ("Notion", |dice| one(concat!("nt", "n_12345678901{}"), dice.plain(35))),
    ("Notion old", |dice| one(concat!("secr", "et_{}"), dice.plain(43))),
    ("Airtable", |dice| {
        let (first, second) = (dice.plain(14), dice.hex(64));
        one(concat!("pa", "t{}"), format!("{first}.{second}"))
    }),
    ("Postman", |dice| {
        let (first, second) = (dice.hex(24), dice.hex(34));
        one(concat!("PM", "AK-{}"), format!("{first}-{second}"))
    }),
    ("Terraform Cloud", |dice| {
        let (first, second) = (dice.plain(14), dice.url(67));
        Planted { text: format!("{first}.atlasv1.{second}"), secrets: vec![second] }
    }),
    ("Doppler", |dice| one(concat!("dp.", "pt.{}"), dice.plain(43))),
    ("Fly", |dice| one(concat!("Fly", "V1 fm2_{}"), dice.base64(160))),
    ("Supabase", |dice| one(concat!("sb", "p_{}"), dice.hex(40))),
    ("PlanetScale", |dice| one(concat!("pscale", "_tkn_{}"), dice.url(43))),
    ("Tailscale", |dice| one(concat!("ts", "key-auth-{}"), dice.plain(40))),
    ("Figma", |dice| one(concat!("fi", "gd_{}"), dice.url(40))),
    ("Atlassian", |dice| one(concat!("AT", "ATT3xFfGF0{}=A1B2C3D4"), dice.url(170))),
    ("Netlify", |dice| one(concat!("nf", "p_{}"), dice.plain(36))),
    ("Vercel", |dice| one("VERCEL_TOKEN={}", dice.plain(24))),
    ("Snyk", |dice| one("SNYK_TOKEN={}", dice.uuid())),
    ("CircleCI", |dice| one("CIRCLE_TOKEN={}", dice.hex(40))),
    ("Groq", |dice| one(concat!("gs", "k_{}"), dice.plain(52))),
    ("xAI", |dice| one(concat!("xa", "i-{}"), dice.plain(80))),
    ("Perplexity", |dice| one(concat!("ppl", "x-{}"), dice.plain(48))),
    ("Replicate", |dice| one(concat!("r", "8_{}"), dice.plain(37))),
    ("Pulumi", |dice| one(concat!("pu", "l-{}"), dice.hex(40))),
    ("Sourcegraph", |dice| one(concat!("sg", "p_{}"), dice.hex(40))),
    ("Dynatrace", |dice| {
        let (first, second) = (dice.upper(24), dice.upper(64));
        Planted { text: format!("{}.{first}.{second}", concat!("dt0", "c01")), secrets: vec![second] }
    }),
    ("Artifactory", |dice| one(concat!("AK", "Cp{}"), dice.plain(69))),
    ("Buildkite", |dice| one(concat!("bk", "ua_{}"), dice.hex(40))),
    ("Brevo", |dice| {
        let (first, second) = (dice.hex(64), dice.plain(16));
        one(concat!("xkey", "sib-{}"), format!("{first}-{second}"))
    }),
    ("Telegram token", |dice| one(concat!("12345678", "90:AA{}"), dice.url(33))),
    ("OpenRouter", |dice| one(concat!("sk-or", "-v1-{}"), dice.hex(64))),
    ("GitLab trigger", |dice| one(concat!("glp", "tt-{}"), dice.hex(40))),
    ("value of a Secret", |dice| {
        one(r#"{"apiVersion":"v1","kind":"Secret","data":{"x":"{}"}}"#, super::places::base64(&dice.plain(20)))
    }),
    ("basic auth of Docker", |dice| {
        let pair = super::places::base64(&format!("ann:{}", dice.plain(14)));
        one(r#"{"auths":{"registry.example.com":{"auth":"{}"}}}"#, pair)
    }),
];
