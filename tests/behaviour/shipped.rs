//! Files that are shipped to be copied fit together.

use std::fs;
use std::path::Path;

use clap::Parser;
use tailspan::cli::args::Args;
use tailspan::config::{Config, Env};

#[test]
fn the_template_of_the_configuration_takes_the_rules_and_budgets_of_the_docs() {
    let folder = tempfile::tempdir().unwrap();
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy");
    let template = fs::read_to_string(deploy.join("tailspan.toml")).unwrap();
    let rules = fs::read_to_string(deploy.join("custom-metrics.toml")).unwrap();
    let budget = "[[budgets]]\nname = \"all\"\nusd = 20\nperiod = \"week\"\nworkflow = [\"nightly\"]\n";
    let file = folder.path().join("tailspan.toml");
    fs::write(&file, [&*template, &*rules, budget].join("\n")).unwrap();
    let args = Args::parse_from(["tailspan", "run", "--config", file.to_str().unwrap()]);
    let config = Config::resolve(&args.flags(), &Env::default()).unwrap();
    assert_eq!(config.budgets.len(), 1);
    assert_eq!(config.budgets[0].filter.workflow, ["nightly"]);
    assert!(template.contains("#[[metrics.custom]]") && template.contains("#[[budgets]]"));
}
