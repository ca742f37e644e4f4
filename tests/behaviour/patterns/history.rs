//! The rules that look at all of history.

use std::fs;

use serde_json::json;
use tailspan::config::{Budget, PatternSettings};
use tailspan::http::api::analytics::cells::SharedCells;
use tailspan::ledger::money::Money;
use tailspan::ledger::prices::Prices;
use tailspan::tail::ClientSettings;
use tailspan::transcript::time::Timestamp;
use tailspan::views::analytics::filter::Filter;
use tailspan::views::analytics::period::{Period, Zone};
use tempfile::TempDir;

use super::{ALWAYS, SONNET, Told, dollars, told};
use crate::support::costs::Asked;
use crate::support::story::Story;
use crate::support::world::World;

const DAY_MS: i64 = 86_400_000;

fn session(number: usize, model: &str, later_ms: i64) -> Story {
    let mut story = Story::new(number, model, 30_000);
    story.pass(later_ms).prompt(100).answer(500);
    story
}

#[test]
fn spend_outside_working_hours_is_told_in_the_zone_of_the_question() {
    // Tuesday at 9:00 and 21:00 in UTC; Saturday at 9:00.
    let stories = [session(1, SONNET, 0), session(2, SONNET, 12 * 3_600_000), session(3, SONNET, 4 * DAY_MS)];
    let (asked, _world, _folder) = told(&stories, PatternSettings::default());
    let outside = |tz: &str| {
        let answer = asked.answer(&format!("/patterns?{ALWAYS}&tz={tz}"));
        let found = answer["patterns"].as_array().unwrap().iter().find(|found| found["id"] == "outside_hours").cloned();
        found.map(|found| (found["figures"]["sessions"].as_u64().unwrap(), dollars(&found["figures"]["outside_usd"])))
    };
    let whole = dollars(&asked.ask(ALWAYS)["total"]["cost_usd"]).picousd();
    assert_eq!(outside("UTC"), Some((2, Money::from_picousd(whole / 3 * 2))));
    // In Tokyo the first is at 18:00, and the second on Wednesday at 6:00.
    assert_eq!(outside("Asia%2FTokyo"), Some((3, Money::from_picousd(whole))));
    // In New York the second is at 16:00.
    assert_eq!(outside("America%2FNew_York"), Some((2, Money::from_picousd(whole / 3 * 2))));
    let working = Told::of(&stories[..1]);
    assert!(working.pattern("outside_hours").is_none());
}

#[test]
fn models_without_a_price_are_told_with_their_tokens() {
    let told = Told::of(&[session(1, "claude-next-9", 0), session(2, SONNET, 0)]);
    let found = told.pattern("unpriced").unwrap();
    assert_eq!(found["figures"]["tokens_by_model"], json!({"claude-next-9": 30_600}));
    assert_eq!(found["saving_usd"], "0");
    assert!(Told::of(&[session(1, SONNET, 0)]).pattern("unpriced").is_none());
}

#[test]
fn files_are_told_before_the_client_deletes_them() {
    let stories = [session(1, SONNET, 0)];
    let (asked, _world, _folder) = told(&stories, PatternSettings::default());
    let mut asked = Some(asked);
    for (days, is_told) in [(0, false), (24, false), (26, true), (29, true), (31, false)] {
        let now = Timestamp(stories[0].now + days * DAY_MS);
        let at = Asked { now, ..asked.take().unwrap() };
        let answer = at.answer("/patterns");
        let found = answer["patterns"].as_array().unwrap().iter().any(|found| found["id"] == "files_deleted_soon");
        assert_eq!(found, is_told, "after {days} days");
        asked = Some(at);
    }
}

/// Whether a session whose last row is so many days old is told, with these files of settings in the configuration folder
/// and in that of the organisation, and after how many days files are taken to be deleted.
struct Deleted {
    asked: Option<Asked>,
    folder: TempDir,
    ended: i64,
    _world: (World, TempDir),
}

impl Deleted {
    fn new(settings: PatternSettings) -> Self {
        let stories = [session(1, SONNET, 0)];
        let (asked, world, kept) = told(&stories, settings.clone());
        let folder = TempDir::new().unwrap();
        fs::create_dir_all(folder.path().join("projects")).unwrap();
        fs::create_dir_all(folder.path().join("managed/managed-settings.d")).unwrap();
        let roots = vec![folder.path().join("projects"), folder.path().join("nowhere/projects")];
        let client = ClientSettings::of(roots).managed_in(folder.path().join("managed"));
        let cells = SharedCells::new(Prices::embedded()).with_patterns(settings).with_client(client);
        let asked = Some(Asked { cells, ..asked });
        Self { asked, folder, ended: stories[0].now, _world: (world, kept) }
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.folder.path().join(file), text).unwrap();
    }

    /// For how many days files are taken to be kept; `None` if nothing is told.
    fn told_after(&mut self, days: i64) -> Option<u64> {
        let now = Timestamp(self.ended + days * DAY_MS);
        let at = Asked { now, ..self.asked.take().unwrap() };
        let answer = at.answer("/patterns");
        self.asked = Some(at);
        let found = answer["patterns"].as_array().unwrap().iter().find(|found| found["id"] == "files_deleted_soon");
        found.map(|found| found["figures"]["kept_days"].as_u64().unwrap())
    }
}

#[test]
fn the_settings_of_the_client_say_when_it_deletes_files() {
    let mut deleted = Deleted::new(PatternSettings::default());
    assert_eq!((deleted.told_after(26), deleted.told_after(56)), (Some(30), None), "without settings");
    // A change counts at once.
    deleted.write("settings.json", "{\"model\": \"opus\", \"cleanupPeriodDays\": 60}");
    assert_eq!((deleted.told_after(26), deleted.told_after(56), deleted.told_after(61)), (None, Some(60), None));
    deleted.write("settings.json", "\u{feff}{\"cleanupPeriodDays\": 9}");
    assert_eq!((deleted.told_after(3), deleted.told_after(5)), (None, Some(9)));
    deleted.write("settings.json", "{\"cleanupPeriodDays\": 9007199254740991}");
    assert_eq!((deleted.told_after(26), deleted.told_after(3000)), (None, None), "for ever");
    // The organisation is stronger, and its last file is the strongest.
    deleted.write("managed/managed-settings.json", "{\"cleanupPeriodDays\": 20}");
    assert_eq!((deleted.told_after(16), deleted.told_after(26)), (Some(20), None));
    deleted.write("managed/managed-settings.d/10-days.json", "{\"cleanupPeriodDays\": 40}");
    deleted.write("managed/managed-settings.d/20-model.json", "{\"model\": \"opus\"}");
    deleted.write("managed/managed-settings.d/30-days.txt", "{\"cleanupPeriodDays\": 50}");
    assert_eq!((deleted.told_after(16), deleted.told_after(36)), (None, Some(40)));
}

#[test]
fn what_the_configuration_says_is_stronger_than_the_settings_of_the_client() {
    let limits = [(("files_deleted_soon", "days"), 100.0)].into();
    let mut deleted = Deleted::new(PatternSettings { limits, ..PatternSettings::default() });
    deleted.write("settings.json", "{\"cleanupPeriodDays\": 60}");
    deleted.write("managed/managed-settings.json", "{\"cleanupPeriodDays\": 70}");
    assert_eq!((deleted.told_after(56), deleted.told_after(66), deleted.told_after(96)), (None, None, Some(100)));
}

#[test]
fn of_several_folders_the_one_that_is_emptied_first_counts() {
    let mut deleted = Deleted::new(PatternSettings::default());
    deleted.write("settings.json", "{\"cleanupPeriodDays\": 60}");
    // A configuration folder in place of its projects folder, as `scan` takes it.
    fs::create_dir_all(deleted.folder.path().join("nowhere/projects/projects")).unwrap();
    assert_eq!((deleted.told_after(26), deleted.told_after(56)), (Some(30), None), "the other has no settings");
    deleted.write("nowhere/projects/settings.json", "{\"cleanupPeriodDays\": 80}");
    assert_eq!((deleted.told_after(26), deleted.told_after(56)), (None, Some(60)));
}

#[test]
fn a_link_to_a_projects_folder_has_its_settings_beside_itself() {
    let mut deleted = Deleted::new(PatternSettings::default());
    let at = |name: &str| deleted.folder.path().join(name);
    fs::create_dir_all(at("disk")).unwrap();
    fs::rename(at("projects"), at("disk/projects")).unwrap();
    std::os::unix::fs::symlink(at("disk/projects"), at("projects")).unwrap();
    fs::write(at("disk/settings.json"), "{\"cleanupPeriodDays\": 80}").unwrap();
    fs::write(at("settings.json"), "{\"cleanupPeriodDays\": 60}").unwrap();
    assert_eq!(deleted.told_after(56), Some(60));
}

#[test]
fn settings_of_the_client_that_are_odd_count_for_nothing() {
    let mut deleted = Deleted::new(PatternSettings::default());
    let deep = "[".repeat(100_000);
    for odd in ["", "{", "[]", "7", "null", deep.as_str(), "{\"cleanupPeriodDays\": 60", "\u{0}\u{1}"] {
        deleted.write("settings.json", odd);
        assert_eq!(deleted.told_after(26), Some(30), "{:?}", odd.chars().take(40).collect::<String>());
    }
    for odd in ["0", "-1", "1.5", "1e9", "\"60\"", "null", "true", "[60]", "18446744073709551616"] {
        deleted.write("settings.json", &format!("{{\"cleanupPeriodDays\": {odd}}}"));
        assert_eq!(deleted.told_after(26), Some(30), "{odd}");
    }
    // Neither is a folder or a pipe, which nobody ever writes to.
    let path = deleted.folder.path().join("settings.json");
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    assert_eq!(deleted.told_after(26), Some(30));
    fs::remove_dir(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(deleted.told_after(26), Some(30));
    // Broken settings of the organisation leave those of the user.
    fs::remove_file(&path).unwrap();
    deleted.write("settings.json", "{\"cleanupPeriodDays\": 60}");
    deleted.write("managed/managed-settings.json", "{");
    assert_eq!(deleted.told_after(56), Some(60));
}

#[test]
fn what_the_client_reports_beyond_the_rows_is_told() {
    let mut more = session(1, SONNET, 0);
    more.reports(1.0);
    let told = Told::of(&[more]);
    let found = told.pattern("unattributed").unwrap();
    let beyond = Money::parse_usd("1").unwrap() - told.cost;
    assert_eq!(dollars(&found["figures"]["unattributed_usd"]), beyond);
    let mut same = session(1, SONNET, 0);
    same.reports(told.cost.to_f64());
    assert!(Told::of(&[same]).pattern("unattributed").is_none());
}

#[test]
fn what_rows_show_beyond_the_report_of_the_client_is_told() {
    let whole = Told::of(&[session(1, SONNET, 0)]).cost;
    let limits = [(("unreported", "usd"), 0.0)].into();
    let with = |usd: f64| {
        let mut story = session(1, SONNET, 0);
        story.reports(usd);
        let settings =
            PatternSettings { limits: std::collections::BTreeMap::clone(&limits), ..PatternSettings::default() };
        // The second session is two hours later, so that the first one has been quiet.
        Told::with(&[story, session(2, SONNET, 7_200_000)], settings).pattern("unreported").cloned()
    };
    let found = with(whole.to_f64() / 2.0).unwrap();
    let beyond = whole - Money::from_usd_f64(whole.to_f64() / 2.0);
    assert_eq!(dollars(&found["figures"]["unreported_usd"]), beyond, "{found}");
    assert_eq!(found["evidence"].as_array().unwrap().len(), 1);
    // A report that is nearly right, one that is more, and none at all are no findings.
    assert!(with(whole.to_f64() * 0.99).is_none() && with(whole.to_f64() * 2.0).is_none());
    assert!(Told::of(&[session(1, SONNET, 0)]).pattern("unreported").is_none());
}

#[test]
fn working_hours_may_go_over_midnight() {
    // Tuesday at 9:00, at 23:00, and Wednesday at 5:00.
    let hour = 3_600_000;
    let stories = [session(1, SONNET, 0), session(2, SONNET, 14 * hour), session(3, SONNET, 20 * hour)];
    let limits = [(("outside_hours", "from_hour"), 22.0), (("outside_hours", "to_hour"), 6.0)].into();
    let told = Told::with(&stories, PatternSettings { limits, ..PatternSettings::default() });
    let found = told.pattern("outside_hours").unwrap();
    assert_eq!(found["figures"]["sessions"], 1, "{found}");
    assert_eq!(found["evidence"][0]["session"], stories[0].session);
}

#[test]
fn a_budget_that_is_used_up_is_told_whatever_the_range_is() {
    let (asked, _world, _folder) = told(&[session(1, SONNET, 0)], PatternSettings::default());
    let mut asked = Some(asked);
    let mut found = |usd: &str, query: &str| {
        let budget = Budget {
            name: "month".to_owned(),
            limit: Money::parse_usd(usd).unwrap(),
            period: Period::Month,
            zone: Zone::UTC,
            filter: Filter::default(),
        };
        let cells = SharedCells::new(Prices::embedded()).with_budgets(vec![budget]);
        let at = Asked { cells, ..asked.take().unwrap() };
        let answer = at.answer(&format!("/patterns?{query}"));
        asked = Some(at);
        let patterns = answer["patterns"].as_array().unwrap().iter();
        patterns.into_iter().find(|found| found["id"] == "budget_pace").cloned()
    };
    let over = found("0.01", "").unwrap();
    assert_eq!((&over["figures"]["used_up"], &over["saving_usd"]), (&json!(1), &json!("0")), "{over}");
    assert!(over["finding"].as_str().unwrap().starts_with("1 budget is used up. `month` will come to $0.1"), "{over}");
    assert!(found("0.01", "until=2020-01-01").is_some(), "it is about now");
    assert!(found("0.01", "project=shop").is_none(), "a budget is of no project that is asked for");
    assert!(found("100", "").is_none());
}
