//! Starts one soak: builds its folder, certificates and plan, and runs it to its verdict.

use super::plan::Plan;
use super::report::Report;
use super::rules::Verdict;
use super::runner::Runner;
use super::settings::Settings;
use crate::Stop;
use crate::fleet::folder::Folder;
use crate::fleet::programs::Programs;
use crate::fleet::{Fleet, Program};

/// Runs one soak and shows what came of it.
pub(super) fn soak(settings: Settings, programs: Programs) -> Result<Verdict, Stop> {
    let Settings { participants, length, seed, json, keep } = settings;
    let mut folder = Folder::create("soak")?;
    let fleet = Fleet::new(programs.copied_to(folder.path())?, folder.path()).on_own_address();
    for member in participants.all() {
        fleet.certify(&participants.name(member), Program::Node, fleet.home())?;
    }
    let plan = Plan::draw(seed, participants, length);
    let report = Report::new(participants, seed, json);
    let verdict = Runner::new(settings, &plan, fleet, report).run(folder.path());
    if keep || verdict.as_ref().is_ok_and(|verdict| !verdict.violations.is_empty()) {
        folder.keep();
    }
    if keep {
        eprintln!("xtask: its files are in {}", folder.path().display());
    }
    verdict
}
