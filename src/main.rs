fn main() {
    let targets: Vec<_> = std::env::args_os().skip(1).map(Into::into).collect();
    let mut problems = vec![];
    let found = tailspan::pass::find(&targets, &mut problems).unwrap();
    let prices = tailspan::ledger::prices::Prices::embedded();
    let pass = tailspan::pass::Pass::over(found, &prices, 2, |_, _| {});
    println!("{}", serde_json::to_string_pretty(&pass.summary(true)).unwrap());
}
