//! Further secrets, each as its issuer or the manual of a program writes it. They are planted in the places where the
//! text stays together.
//!
//! `~` is taken out before use, so that scanners of repositories do not find keys here; `{}` stands for the secret.

use super::dice::Dice;
use super::families::Planted;

/// What a secret is made of.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Base64,
    Hex,
    /// Letters and digits.
    Plain,
    /// The same, with a digit for sure.
    Made,
    /// Small letters and digits.
    Small,
    Url,
    Uuid,
}

use Kind::{Base64, Hex, Made, Plain, Small, Url, Uuid};

/// Name, form, what the secret is made of, and its length.
pub(crate) const FORMS: &[(&str, &str, Kind, usize)] = &[
    ("Bedrock", "AB~SK{}", Base64, 128),
    ("Bedrock in the environment", "AWS_BEARER_TOKEN_BEDROCK=AB~SK{}", Base64, 128),
    ("MWS", "am~zn.mws.{}", Uuid, 36),
    ("HMAC of GCS", "GOO~G1EABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRSTUVW {}", Base64, 40),
    ("AWS configure", "aws configure set aws_secret_access_key {}", Base64, 40),
    ("AWS parameter", "aws ssm put-parameter --name /db/password --type SecureString --value {}", Plain, 20),
    ("AWS secret string", "\"SecretString\": \"{}\"", Plain, 20),
    ("Azure DevOps", "AZURE_DEVOPS_EXT_PAT={}", Small, 52),
    ("GitLab runner of old", "GR13~48941{}", Url, 20),
    ("GitLab feed", "gl~ft-{}", Url, 20),
    ("GitLab workspace", "gl~wt-{}", Url, 20),
    ("GitLab trigger", "gl~ptt-{}", Hex, 40),
    ("GitHub app of old", "v~1.{}", Hex, 40),
    ("Slack of the government", "https://hooks.slack~-gov.com/services/T0AB12CD3/B0AB12CD3/{}", Plain, 24),
    ("Teams", "https://x.webhook.off~ice.com/webhookb2/{}@aaaa/IncomingWebhook/b", Uuid, 36),
    ("Zapier", "https://hooks.zap~ier.com/hooks/catch/1234567/{}", Small, 8),
    ("Discord webhook", "https://discord.com/api/web~hooks/123456789012345678/{}", Url, 68),
    ("Mailgun", "ke~y-{}", Hex, 32),
    ("Mailchimp", "{}~-us14", Hex, 32),
    ("Resend", "r~e_{}", Plain, 32),
    ("New Relic license", "license: {}NR~AL", Hex, 36),
    ("Datadog app", "ddap~p_{}", Plain, 34),
    ("Grafana of old", "eyJr~Ijoi{}", Base64, 60),
    ("Honeycomb", "hcai~k_{}", Small, 58),
    ("CircleCI", "CCIP~AT_{}", Url, 60),
    ("Sonar", "sq~p_{}", Hex, 40),
    ("Sonar user", "sq~u_{}", Hex, 40),
    ("Cypress", "CYPRESS_RECORD_KEY={}", Uuid, 36),
    ("NuGet", "oy~2{}", Small, 43),
    ("crates.io", "ci~o{}", Plain, 32),
    ("Artifactory reference", "cmVm~dGtu{}", Plain, 56),
    ("Vercel", "vc~p_{}", Plain, 56),
    ("LaunchDarkly", "sd~k-{}", Uuid, 36),
    ("LangSmith", "lsv2~_pt_{}", Hex, 32),
    ("E2B", "e2~b_{}", Hex, 40),
    ("Pinecone", "pcs~k_{}", Url, 70),
    ("Fireworks", "f~w_{}", Plain, 22),
    ("Together", "tgp~_v1_{}", Url, 43),
    ("Voyage", "p~a-{}", Url, 43),
    ("Cerebras", "cs~k-{}", Small, 48),
    ("ElevenLabs", "s~k_{}", Hex, 48),
    ("Razorpay", "rzp~_live_{}", Plain, 14),
    ("Paddle", "pdl_live~_apikey_{}", Small, 60),
    ("Flutterwave", "FLWSECK~_TEST-{}-X", Hex, 32),
    ("Plaid", "access~-sandbox-{}", Uuid, 36),
    ("Lob", "liv~e_{}", Hex, 35),
    ("Doppler account", "dp.s~a.{}", Plain, 43),
    ("Doppler CLI", "dp.c~t.{}", Plain, 43),
    ("Firebase", "AAAAabcdefg:APA~91b{}", Url, 134),
    ("Dropbox", "s~l.{}", Url, 135),
    ("Dropbox short", "s~l.u.{}", Url, 200),
    ("Asana", "2/1234567890123456/1234567890123456:{}", Hex, 32),
    ("HubSpot", "pat-n~a1-{}", Uuid, 36),
    ("Facebook", "EA~AB{}", Plain, 120),
    ("Twitter", "AAAAAAAAAAAAAAAAA~AAAAA{}", Plain, 80),
    ("Neon", "nap~i_{}", Small, 64),
    ("Yandex", "AQ~VN{}", Url, 36),
    ("Tencent", "AK~ID{}", Plain, 32),
    ("Adobe", "p8~e-{}", Small, 32),
    ("Frame.io", "fi~o-u-{}", Url, 64),
    ("Harness", "pa~t.AAAAAAAAAAAAAAAAAAAAAA.aaaaaaaaaaaaaaaaaaaaaaaa.{}", Plain, 20),
    ("Fastly", "Fastly-Key: {}", Url, 32),
    ("Infura", "https://mainnet.inf~ura.io/v3/{}", Hex, 32),
    ("Alchemy", "https://eth-mainnet.g.alch~emy.com/v2/{}", Url, 32),
    ("Vault unseal", "Unseal Key 1: {}", Base64, 44),
    ("WireGuard", "[Interface]\nPrivateKey = {}", Base64, 44),
    ("WireGuard shared", "PresharedKey = {}", Base64, 44),
    ("digest", "Authorization: Digest username=\"ann\", realm=\"x\", response=\"{}\"", Hex, 32),
    ("curl cluster", "curl -sSu ann:{} https://example.com", Plain, 18),
    ("curl glued", "curl -uann:{} https://example.com", Plain, 18),
    ("curl cookie", "curl -b 'sid={}' https://example.com", Plain, 32),
    ("row of cookies", ".example.com\tTRUE\t/\tTRUE\t1800000000\tsessionid\t{}", Plain, 32),
    ("echo to docker", "echo {} | docker login -u ann --password-stdin", Plain, 20),
    ("echo to chpasswd", "echo \"ann:{}\" | chpasswd", Plain, 20),
    ("vault login", "vault login {}", Made, 20),
    ("cargo login", "cargo login {}", Made, 20),
    ("twine", "twine upload -u __token__ -p {} dist/*", Plain, 20),
    ("mongosh", "mongosh -u ann -p {} db", Plain, 20),
    ("ldapsearch", "ldapsearch -D cn=a -w {} -b x", Plain, 20),
    ("ipmitool", "ipmitool -U ADMIN -P {} h", Plain, 20),
    ("smbclient", "smbclient //h/s -U ann%{}", Plain, 20),
    ("htpasswd", "htpasswd -b f ann {}", Made, 20),
    ("gh secret", "gh secret set K -b {}", Plain, 20),
    ("gh secret body", "gh secret set K --body \"{}\"", Plain, 20),
    ("npm set", "npm config set //npm.example.com/:_authToken {}", Plain, 20),
    ("setx", "setx API_KEY \"{}\"", Plain, 20),
    ("fish", "set -x API_TOKEN {}", Plain, 20),
    ("ngrok", "ngrok config add-authtoken {}", Made, 48),
    ("Dockerfile", "ENV API_KEY {}", Plain, 20),
    ("C", "#define API_KEY \"{}\"", Plain, 20),
    ("PHP", "define('DB_PASSWORD', '{}');", Plain, 20),
    ("Python default", "os.environ.setdefault(\"DB_PASSWORD\", \"{}\")", Plain, 20),
    ("getenv", "os.getenv(\"DB_PASSWORD\", \"{}\")", Plain, 20),
    ("JavaScript default", "process.env.DB_PASSWORD || \"{}\"", Plain, 20),
    ("arguments", "['--password', '{}']", Plain, 20),
    ("Lua", "password = [[{}]]", Plain, 20),
    ("Terraform", "variable \"db_password\" {\n  default = \"{}\"\n}", Plain, 20),
    ("table", "| password | {} |", Made, 20),
    ("table of psql", " password | {}", Made, 20),
    ("table of tabs", "password\t{}", Made, 20),
    ("PassWord", "PassWord = {}", Plain, 20),
    ("Spanish", "contraseña: {}", Plain, 20),
    ("French", "mot de passe: {}", Plain, 20),
    ("German", "Passwort: {}", Plain, 20),
    ("Chinese", "密码：{}", Plain, 20),
    ("Russian", "пароль: {}", Plain, 20),
    ("netrc default", "default login ann password {}", Plain, 18),
    ("pgpass of all hosts", "*:*:*:ann:{}", Plain, 18),
    ("URL with a slash", "postgres://ann:abcd/{}@db/app", Plain, 18),
    ("URL with a hash", "mysql://root:abcd#{}@db/app", Plain, 18),
    ("URL with a question", "mysql://root:abcd?{}@db/app", Plain, 18),
    ("Go source", "root:{}@tcp(db:3306)/x", Plain, 20),
    ("Oracle", "jdbc:oracle:thin:scott/{}@db:1521:x", Plain, 18),
    ("continued line", "export DB_PASSWORD=\\\n{}", Plain, 20),
    ("next line", "Password:\n{}", Made, 20),
    ("YAML block", "secret_key: |\n  {}", Plain, 20),
];

/// The form with a secret of the dice.
pub(crate) fn planted(form: &str, kind: Kind, length: usize, dice: &mut Dice) -> Planted {
    const SMALL: &str = "abcdefghijklmnopqrstuvwxyz0123456789";
    let secret = match kind {
        Base64 => dice.base64(length),
        Hex => dice.hex(length),
        Plain => format!("{}aB7", dice.plain(length - 3)),
        Made => format!("{}aB7c", dice.plain(length - 4)),
        Small => format!("{}a7", dice.of(SMALL, length - 2)),
        Url => format!("{}aB7", dice.url(length - 3)),
        Uuid => dice.uuid(),
    };
    Planted { text: form.replace('~', "").replace("{}", &secret), secrets: vec![secret] }
}

/// The rows of a private key of which neither the first nor the last line is in the text.
pub(crate) fn rows(width: usize, dice: &mut Dice) -> Planted {
    let rows: Vec<String> = (0..6).map(|_| format!("{}aB7", dice.base64(width - 3))).collect();
    Planted { text: rows.join("\n"), secrets: rows }
}

/// The places of a text that stays together.
pub(crate) fn places(text: &str) -> Vec<String> {
    let each = |form: &dyn Fn(usize, &str) -> String| {
        text.lines().enumerate().map(|(at, row)| form(at + 1, row) + "\n").collect::<String>()
    };
    vec![
        format!("Please look:\n{text}\nthanks"),
        each(&|at, row| format!("{at:>6}→{row}")),
        each(&|at, row| format!("{at}\t{row}")),
        format!("@@ -1 +1 @@\n{}", each(&|_, row| format!("+{row}"))),
        text.replace('\n', "\r\n") + "\r\n",
        serde_json::json!({ "content": text }).to_string(),
    ]
}
