//! Several systems side by side: a row for each figure, a column for each system.

use std::fmt::Write;

use clap::ValueEnum;

use super::group::Group;
use super::headline::{self, Headline};
use crate::result::{Record, grouped};
use crate::system::SystemName;

/// Stands where a system has no figure.
const NOTHING: &str = "—";

/// The table of each machine that has measured more than one system; empty where none has.
pub(super) fn tables(records: &[Record]) -> String {
    let mut page = String::new();
    let mut machines: Vec<_> = records.iter().map(|record| &record.machine).collect();
    machines.dedup();
    for (number, machine) in machines.iter().enumerate() {
        if machines[..number].contains(machine) {
            continue;
        }
        let of_machine: Vec<_> =
            records.iter().filter(|record| record.machine == **machine).cloned().collect();
        let comparison = Comparison::of(&of_machine);
        if comparison.systems.len() > 1 {
            // A text takes all that is written to it.
            let _ = write!(page, "\nOn {machine}:\n\n");
            comparison.write(&mut page);
        }
    }
    page
}

/// What one machine has measured.
struct Comparison<'a> {
    /// Those that have results, in the order of their names' list.
    systems: Vec<&'static str>,
    /// Groups that differ in their system only.
    contests: Vec<(&'static Headline, Vec<Group<'a>>)>,
}

impl<'a> Comparison<'a> {
    fn of(records: &'a [Record]) -> Self {
        let mut contests: Vec<(&Headline, Vec<Group<'a>>)> = Vec::new();
        for headline in headline::all().filter(|headline| !headline.compared.is_empty()) {
            for group in Group::all(records, headline) {
                let is_same = |(other, groups): &&mut (&Headline, Vec<Group<'_>>)| {
                    other.workload == headline.workload && groups[0].parameters == group.parameters
                };
                match contests.iter_mut().find(is_same) {
                    Some((_, groups)) => groups.push(group),
                    None => contests.push((headline, vec![group])),
                }
            }
        }
        contests.retain(|(_, groups)| groups.len() > 1);
        let takes_part = |system: &&str| {
            contests.iter().any(|(_, groups)| groups.iter().any(|group| group.system == **system))
        };
        let systems = SystemName::value_variants().iter().map(|name| name.as_str());
        Self { systems: systems.filter(takes_part).collect(), contests }
    }

    /// Appends the table, and why it has gaps.
    fn write(&self, page: &mut String) {
        let _ = writeln!(page, "| | {} | target |", self.systems.join(" | "));
        let _ = writeln!(page, "|---|{}---|", "---:|".repeat(self.systems.len()));
        let mut gaps: Vec<String> = Vec::new();
        for (headline, groups) in &self.contests {
            for (figure, name) in headline.figures {
                let has_any = groups.iter().any(|group| group.spread(figure).is_some());
                if has_any && headline.compared.contains(figure) {
                    self.row((headline, groups), (figure, name), page);
                }
            }
            for group in groups {
                if let Some(reason) = group.not_measured() {
                    let (workload, parameters) = (headline.workload, &group.parameters);
                    gaps.push(format!("- {}, {workload} ({parameters}): {reason}", group.system));
                }
            }
        }
        if !gaps.is_empty() {
            let _ = write!(page, "\nNot measured:\n\n{}\n", gaps.join("\n"));
        }
    }

    fn row(
        &self,
        (headline, groups): (&Headline, &[Group<'_>]),
        (figure, name): (&str, &str),
        page: &mut String,
    ) {
        let median = |system: &str| {
            let group = groups.iter().find(|group| group.system == system)?;
            Some(group.spread(figure)?.median)
        };
        let floor = median("floor");
        let _ = write!(page, "| {} ({}): {name} |", headline.workload, groups[0].parameters);
        for system in &self.systems {
            let cell = match (median(system), floor) {
                (None, _) => NOTHING.to_owned(),
                (Some(value), Some(floor)) if *system != "floor" && floor > 0.0 => {
                    format!("{} ({:.2}×)", grouped(value), value / floor)
                }
                (Some(value), _) => grouped(value),
            };
            let _ = write!(page, " {cell} |");
        }
        let ours = groups.iter().find(|group| group.system == "bellwire");
        let target = ours.and_then(|group| {
            let target = group.first().target(figure)?;
            Some(target.cell(group.spread(figure)?.median, floor))
        });
        let _ = writeln!(page, " {} |", target.unwrap_or_default());
    }
}
