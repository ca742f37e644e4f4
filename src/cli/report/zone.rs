//! The time zone of the system.

use std::fs;
use std::path::Path;

use crate::config::Env;
use crate::views::analytics::period::Zone;

/// Where a system keeps its time zone: a link into the database, or a file with a name.
const LINK: &str = "/etc/localtime";
const NAME: &str = "/etc/timezone";

/// The zone of the system: that of `TZ`, else of `/etc/localtime`, else of `/etc/timezone`. `None` if none of them names
/// one of the IANA database.
pub(in crate::cli) fn of_system(env: &Env) -> Option<Zone> {
    if let Some(name) = env.get("TZ").and_then(|name| name.to_str()) {
        let name = name.strip_prefix(':').unwrap_or(name);
        return if name == LINK { of_link() } else { Zone::named(behind_database(name)) };
    }
    let of_name = || Zone::named(fs::read_to_string(NAME).ok()?.trim());
    of_link().or_else(of_name)
}

fn of_link() -> Option<Zone> {
    let target = fs::read_link(Path::new(LINK)).ok()?;
    Zone::named(behind_database(target.to_str()?))
}

/// The name of a zone in a path below the database of zones; any other text as it is.
fn behind_database(path: &str) -> &str {
    let name = path.split_once("zoneinfo/").map_or(path, |(_, name)| name);
    name.strip_prefix("posix/").or_else(|| name.strip_prefix("right/")).unwrap_or(name)
}
