//! Advice as a terminal of 80 columns shows it.

use std::fmt::Write as _;

use bellwire_advice::{Advice, Candidate, Choice, Cost, Direction, FlowAdvice, Reason, Step};

use crate::output::harmless;

const COLUMNS: usize = 80;

/// Columns of a name in the list of all flows.
const NAME_COLUMNS: usize = 26;

/// What is told below all costs.
const ABOUT_COSTS: &str = "Bytes are both ways, without TLS and without what browsers add to heads. \
    Memory is the server's, beside the kernel's. Processor time is that of a write for each event, and \
    less where several share one. What has a `?` was not measured. docs/choosing.md has the figures, and \
    where each is from.";

/// The whole of it.
pub(super) fn render(advice: &Advice) -> String {
    let mut text = String::new();
    for flow in &advice.flows {
        summary(&mut text, flow);
    }
    for step in &advice.steps {
        text.push('\n');
        render_step(&mut text, step);
    }
    for flow in &advice.flows {
        text.push('\n');
        render_flow(&mut text, flow);
    }
    text.push('\n');
    if advice.flows.len() > 1 {
        render_totals(&mut text, advice);
        text.push('\n');
    }
    wrap(&mut text, "", ABOUT_COSTS);
    text.truncate(text.trim_end().len());
    text
}

/// `alerts          SSE         to 2,000 browsers`
fn summary(text: &mut String, FlowAdvice { flow, choice, .. }: &FlowAdvice) {
    let way = match flow.direction() {
        Direction::Down => "to",
        Direction::Up => "from",
        Direction::Both => "to and from",
    };
    let clients = clients(flow.connections, &format!("{:?}", flow.client).to_lowercase());
    let name = shortened(&harmless(&flow.name), NAME_COLUMNS - 1);
    let pad = NAME_COLUMNS - name.chars().count();
    let _ = writeln!(text, "{name}{:pad$}{:<12}{way} {clients}", "", choice.name());
}

fn render_step(text: &mut String, Step { number, name, findings }: &Step) {
    let _ = writeln!(text, "{number}. {name}");
    for finding in findings {
        wrap(text, "   ", &harmless(&finding.text));
    }
}

fn render_flow(text: &mut String, advice: &FlowAdvice) {
    let title = format!("{}: {}", harmless(&advice.flow.name), advice.choice.name());
    wrap(text, "", &title);
    let _ = writeln!(text, "{}", "-".repeat(title.chars().count().min(COLUMNS)));
    let say = |text: &mut String, mark: &str, reasons: &[Reason]| {
        for reason in reasons {
            wrap(text, mark, &harmless(&reason.text));
        }
    };
    say(text, "+ ", &advice.reasons);
    say(text, "! ", &advice.warnings);
    text.push('\n');
    heads(text, &format!("of {}", clients(advice.flow.connections, "client")));
    for candidate in &advice.candidates {
        let Candidate { transport, cost, .. } = candidate;
        let is_advised = *transport == advice.choice.transport();
        let name = match (advice.choice, is_advised) {
            (Choice::Hybrid | Choice::Post, true) => advice.choice.name(),
            _ => transport.name(),
        };
        row(text, &format!("{} {name}", if is_advised { '>' } else { ' ' }), cost);
    }
}

fn render_totals(text: &mut String, advice: &Advice) {
    let totals = &advice.totals;
    wrap(text, "", "All together");
    text.push_str("------------\n");
    heads(text, "");
    row(text, "> as advised", &totals.advised);
    row(text, "  all over SSE", &totals.all_sse);
    row(text, "  all over WebSocket", &totals.all_websocket);
    row(text, "  all over long poll", &totals.all_long_poll);
}

fn heads(text: &mut String, what: &str) {
    let _ = writeln!(
        text,
        "{what:<24}{:>14}{:>14}{:>14}{:>14}",
        "bytes/s", "requests/s", "memory", "cores"
    );
}

fn row(text: &mut String, name: &str, cost: &Cost) {
    let _ = writeln!(
        text,
        "{name:<24}{:>14}{:>14}{:>14}{:>14}",
        bytes(cost.bytes_per_second),
        plain(cost.requests_per_second),
        cost.memory_bytes.map_or_else(unknown, bytes),
        cost.cpu_cores.map_or_else(unknown, plain)
    );
}

/// It was not measured.
fn unknown() -> String {
    "?".to_owned()
}

/// `1 browser`, `2,000 browsers`.
fn clients(count: f64, kind: &str) -> String {
    let count = plain(count);
    let s = if count == "1" { "" } else { "s" };
    format!("{count} {kind}{s}")
}

/// Three digits that say something, and no more.
fn plain(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    if value < 0.0005 {
        return "< 0.001".to_owned();
    }
    let text = match value {
        ..1.0 => format!("{value:.3}"),
        ..100.0 => format!("{value:.1}"),
        _ => return grouped(value.round() as u64),
    };
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits"))
        .collect();
    groups.join(",")
}

fn bytes(value: f64) -> String {
    let units = [(1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(unit, _)| value >= 0.9995 * unit) {
        Some((unit, name)) => format!("{:.1} {name}", value / unit),
        None => format!("{} B", value.round()),
    }
}

/// Cut where it is longer, with a sign that it was.
fn shortened(text: &str, columns: usize) -> String {
    if text.chars().count() <= columns {
        return text.to_owned();
    }
    text.chars().take(columns - 1).chain(['…']).collect()
}

/// In lines of 80 columns; those behind the first are indented as far as `first` is wide.
fn wrap(text: &mut String, first: &str, words: &str) {
    let indent = " ".repeat(first.chars().count());
    let mut line = first.to_owned();
    let mut is_empty = true;
    for word in words.split(' ') {
        let width = line.chars().count() + word.chars().count() + usize::from(!is_empty);
        if !is_empty && width > COLUMNS {
            text.push_str(&line);
            text.push('\n');
            line.clone_from(&indent);
            is_empty = true;
        }
        if !is_empty {
            line.push(' ');
        }
        line.push_str(word);
        is_empty = false;
    }
    text.push_str(&line);
    text.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_as_wide_as_a_terminal() {
        let mut text = String::new();
        wrap(&mut text, "+ ", &"word ".repeat(40));
        assert!(text.lines().all(|line| line.chars().count() <= COLUMNS), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with("  word")), "{text}");
    }

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in
            [(0.0, "0"), (0.0001, "< 0.001"), (0.0126, "0.013"), (2.04, "2"), (1234.5, "1,235")]
        {
            assert_eq!(plain(value), text);
        }
        assert_eq!((bytes(512.0), bytes(4_600_000.0)), ("512 B".to_owned(), "4.6 MB".to_owned()));
    }
}
