//! One test per fixture: what `tailspan scan` says about a folder of session files, against what the rules say.
//!
//! ```text
//! fixtures/<behaviour-as-a-sentence>/
//!   about.md                what, why, and where the rule is written
//!   projects/...            the session files, as small as they can be
//!   args                    what is scanned, one argument per line; `projects` if there is no such file
//!   expected/summary.json   scan --format json --sessions
//!   expected/trace.txt      scan --format trace, where the tree matters
//! ```
//!
//! `UPDATE=1 cargo test --test behaviour behaviours::` rewrites the expected files. Read the difference before it is
//! committed: the expected numbers were worked out from the rules, not taken from the program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Folders of fixtures that other tests read.
const NOT_BEHAVIOURS: [&str; 3] = ["recordings", "states", "trees"];
/// All fixtures together stay small enough to be read.
const BYTES_MAX: u64 = 750_000;
/// Lines shown before and after a difference.
const CONTEXT: usize = 2;

macro_rules! behaviours {
    ($($name:ident),* $(,)?) => {
        /// The folders are named like the tests, with dashes.
        const LISTED: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                check(stringify!($name));
            }
        )*
    };
}

behaviours! {
    a_background_sub_agent_has_a_trace_of_its_own,
    a_bedrock_name_is_priced_as_its_model,
    a_branch_names_its_source,
    a_branch_starts_its_own_account,
    a_branch_that_writes_every_row_twice_counts_once,
    a_broken_byte_in_a_row_costs_no_tokens,
    a_byte_order_mark_does_not_matter,
    a_chosen_title_wins_over_a_generated_one,
    a_compaction_between_turns_is_inside_neither,
    a_compaction_is_no_turn,
    a_cost_that_no_client_can_mean_is_left_out,
    a_custom_command_is_a_turn,
    a_fetched_page_is_read_without_rows,
    a_fork_after_an_interrupted_prompt_starts_its_own_turn,
    a_fork_counts_its_history_once,
    a_fork_leaves_the_sub_agents_with_their_session,
    a_fork_of_1_0_counts_its_inline_sub_agent_once,
    a_fork_of_1_0_is_stamped_with_its_own_time,
    a_fork_of_1_0_read_before_its_original_counts_the_same,
    a_fork_of_2_0_keeps_the_old_session_id,
    a_fork_of_2_0_read_before_its_original_counts_the_same,
    a_fork_of_a_fork_counts_once,
    a_fork_of_a_resumed_session_is_not_resumed,
    a_fork_outlives_its_original,
    a_fork_read_before_its_original_counts_the_same,
    a_fork_that_leaves_in_mid_turn_leaves_the_turn_to_its_source,
    a_gateway_may_give_every_response_one_id,
    a_goal_is_judged_without_rows,
    a_killed_session_has_no_tool_duration,
    a_line_that_is_no_object_is_rejected,
    a_local_command_is_no_turn,
    a_long_prompt_raises_the_whole_request,
    a_memory_input_is_no_turn,
    a_message_of_a_peer_starts_a_turn,
    a_message_of_a_teammate_is_nobodys_typing,
    a_model_call_begins_after_the_meta_row_it_answers,
    a_model_that_nobody_knows_has_the_price_of_another,
    a_partial_usage_is_raised_by_the_final_one,
    a_price_changes_with_the_day,
    a_project_may_have_any_name,
    a_prompt_that_a_running_turn_takes_up_is_no_turn,
    a_refusal_before_output_is_free,
    a_refused_request_leaves_one_error,
    a_response_without_a_model_name_still_counts,
    a_response_without_an_id_counts_by_its_request,
    a_response_written_over_several_lines_counts_once,
    a_result_may_end_its_turn,
    a_resumed_session_stays_one_session,
    a_sealed_torn_line_costs_only_itself,
    a_session_all_of_whose_rows_are_in_another_is_its_source,
    a_session_file_can_be_given_directly,
    a_session_that_goes_on_in_the_background_keeps_its_own_rows,
    a_shell_line_that_wakes_the_model_is_a_turn,
    a_side_file_that_names_no_call_leaves_it_to_the_result,
    a_side_file_without_rows_is_no_sub_agent,
    a_slow_stream_of_an_old_client_stays_partial,
    a_sub_agent_counts_beside_its_session,
    a_sub_agent_may_lie_one_folder_deeper,
    a_sub_agent_that_gets_more_work_has_a_span_for_each_run,
    a_sub_agent_without_a_side_file_is_found_by_its_result,
    a_summary_row_names_the_session_that_owns_its_leaf,
    a_synthetic_row_is_no_response,
    a_tool_without_a_result_is_open,
    a_torn_last_line_is_not_read_yet,
    a_transcript_quoted_in_a_tool_result_does_not_count,
    a_turn_duration_ends_a_turn_of_an_old_client,
    a_turn_lasts_until_its_stop_hooks_have_ended,
    a_typed_compact_is_no_turn,
    a_web_search_asks_without_rows,
    a_web_search_costs_a_cent,
    a_whole_last_row_counts_without_its_newline,
    a_windows_folder_names_its_project,
    a_worktree_is_its_repository,
    advisor_and_compaction_steps_cost_beside_the_response,
    an_empty_file_is_not_read,
    an_interrupt_ends_a_turn_and_starts_none,
    an_unknown_model_is_shown_as_unpriced,
    background_work_that_ends_in_mid_turn_is_an_event,
    blank_lines_and_crlf_do_not_matter,
    cache_writes_without_a_split_are_five_minute_writes,
    clear_starts_another_session,
    echoes_of_a_sub_agent_do_not_count,
    failed_attempts_and_a_final_failure_are_errors,
    fast_mode_has_its_own_prices,
    half_a_surrogate_pair_costs_no_tokens,
    history_written_again_in_the_same_file_counts_once,
    hooks_skills_and_a_model_change_show_in_the_trace,
    hooks_that_fail_or_run_in_the_background_show,
    inline_sub_agents_of_1_0_are_told_apart_by_their_prompts,
    inline_sub_agents_with_one_prompt_take_one_call_each,
    junk_behind_a_whole_row_costs_only_itself,
    keys_may_come_in_any_order,
    meta_rows_are_no_turns,
    metadata_alone_is_no_session,
    nul_bytes_before_a_line_are_stripped,
    of_a_key_written_twice_the_last_counts,
    old_files_count_turns_by_prompt_rows,
    one_hour_cache_writes_cost_twice_the_input,
    only_session_files_are_read,
    recorded_requests_and_attachments_do_not_count,
    rows_before_a_row_that_names_its_owner_are_that_owners,
    rows_kept_by_a_compaction_are_written_again_and_count_once,
    rows_of_one_prompt_id_are_one_turn,
    rows_out_of_order_have_no_negative_durations,
    several_roots_are_one_whole,
    sub_agent_files_of_2_0_lie_beside_the_session,
    sub_agents_nest,
    the_agents_of_a_workflow_are_linked_to_its_call,
    the_context_marker_is_no_model,
    the_maximum_of_each_field_counts_across_files,
    the_origin_says_who_asked_whatever_the_source,
    the_requested_model_sets_the_price,
    tool_outcomes_are_told_apart,
    two_client_versions_in_one_file,
    two_processes_on_one_session_keep_their_turns_apart,
    two_rows_on_one_line_are_two_rows,
    two_thousand_levels_of_nesting_cost_nothing,
    unknown_types_are_counted_and_known_ones_are_not,
    us_inference_costs_a_tenth_more_since_4_6,
    warm_up_agents_count,
    what_a_person_was_told_shows_in_the_trace,
    what_the_model_is_offered_is_no_event,
    wrong_types_in_fields_cost_only_those_fields,
}

#[test]
fn every_behaviour_is_listed_and_explained() {
    let mut bytes = 0;
    for folder in fs::read_dir(fixtures()).unwrap().map(|entry| entry.unwrap().path()) {
        let name = folder.file_name().unwrap().to_str().unwrap();
        if NOT_BEHAVIOURS.contains(&name) || !folder.join("expected").is_dir() {
            continue;
        }
        assert!(LISTED.contains(&name.replace('-', "_").as_str()), "fixtures/{name} has no test: add it to the list");
        let about = fs::read_to_string(folder.join("about.md")).unwrap_or_default();
        assert!(about.contains("Source:"), "fixtures/{name}/about.md does not say where the rule is written");
        bytes += bytes_below(&folder);
    }
    assert!(bytes < BYTES_MAX, "the fixtures have {bytes} bytes: make them smaller");
}

fn check(name: &str) {
    let folder = fixtures().join(name.replace('_', "-"));
    compare(&folder, "summary.json", &["--format", "json", "--sessions"]);
    if folder.join("expected/trace.txt").exists() {
        compare(&folder, "trace.txt", &["--format", "trace"]);
    }
}

/// Scans the fixture and compares what is printed with `expected/<file>`.
fn compare(folder: &Path, file: &str, flags: &[&str]) {
    let got = scan(folder, flags);
    let path = folder.join("expected").join(file);
    if std::env::var_os("UPDATE").is_some() {
        return fs::write(path, got).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let about = fs::read_to_string(folder.join("about.md")).unwrap_or_default();
    assert!(expected == got, "{}\n\n{about}\n{}", path.display(), difference(&expected, &got));
}

/// What the real binary prints, run inside the fixture without any environment of the developer's.
fn scan(folder: &Path, flags: &[&str]) -> String {
    let targets = fs::read_to_string(folder.join("args")).unwrap_or_else(|_| "projects".to_owned());
    let output = Command::new(env!("CARGO_BIN_EXE_tailspan"))
        .current_dir(folder)
        .env_clear()
        .arg("scan")
        .args(targets.lines())
        .args(flags)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {}\n{errors}", folder.display(), output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// The changed lines with a few around them: `-` is expected and missing, `+` is there and not expected.
fn difference(expected: &str, got: &str) -> String {
    let (old, new): (Vec<_>, Vec<_>) = (expected.lines().collect(), got.lines().collect());
    let lines = aligned(&old, &new);
    let changed: Vec<_> = (0..lines.len()).filter(|at| lines.get(*at).is_some_and(|(sign, _)| *sign != ' ')).collect();
    let mut text = String::new();
    let mut shown = 0;
    for (at, (sign, line)) in lines.iter().enumerate() {
        if !changed.iter().any(|change| change.abs_diff(at) <= CONTEXT) {
            continue;
        }
        if at > shown {
            text.push_str("  ...\n");
        }
        text.push_str(&format!("{sign} {line}\n"));
        shown = at + 1;
    }
    text
}

/// Both texts in one list: equal lines once, the others as gone or come.
fn aligned<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<(char, &'a str)> {
    let Some((first_old, rest_old)) = old.split_first() else { return new.iter().map(|line| ('+', *line)).collect() };
    let Some((first_new, rest_new)) = new.split_first() else { return old.iter().map(|line| ('-', *line)).collect() };
    let mut lines = Vec::new();
    if first_old == first_new {
        lines.push((' ', *first_old));
        lines.extend(aligned(rest_old, rest_new));
        return lines;
    }
    // Where the two meet again is close: the nearest pair of equal lines is good enough to read.
    let meeting = (1..old.len() + new.len()).find_map(|distance| {
        (0..=distance)
            .map(|skip| (skip, distance - skip))
            .find(|(skip_old, skip_new)| old.get(*skip_old).is_some_and(|line| new.get(*skip_new) == Some(line)))
    });
    let (skip_old, skip_new) = meeting.unwrap_or((old.len(), new.len()));
    let (gone, rest_old) = old.split_at(skip_old);
    let (come, rest_new) = new.split_at(skip_new);
    lines.extend(gone.iter().map(|line| ('-', *line)));
    lines.extend(come.iter().map(|line| ('+', *line)));
    lines.extend(aligned(rest_old, rest_new));
    lines
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures")
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { bytes_below(&path) } else { path.metadata().unwrap().len() }).sum()
}
