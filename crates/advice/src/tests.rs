//! Advice on whole descriptions, and the table of figures.

use crate::measured::Transport;
use crate::{Choice, Source, advise, read_toml};

const EXAMPLE: &str = include_str!("../../../examples/flows.toml");

#[test]
fn the_example_shows_each_kind_of_advice() {
    let advice = advise(&read_toml(EXAMPLE).expect("the example is read"));
    let choices: Vec<Choice> = advice.flows.iter().map(|flow| flow.choice).collect();
    let expected = [Choice::Sse, Choice::Hybrid, Choice::Websocket, Choice::Post, Choice::LongPoll];
    assert_eq!(choices, expected);
    assert_eq!(advice.steps.len(), 6);
    for (step, number) in advice.steps.iter().zip(1..) {
        assert_eq!(step.number, number);
        assert!(!step.findings.is_empty(), "{}", step.name);
        assert!(step.findings.iter().all(|finding| finding.step == number), "{}", step.name);
    }
    // Browsers have a WebSocket for the reactions anyway.
    let shared = |index: usize| {
        advice.flows[index].warnings.iter().any(|warning| warning.code == "shares_websocket")
    };
    assert_eq!([0, 1, 2, 3, 4].map(shared), [true, true, false, false, false]);
}

#[test]
fn what_is_advised_is_the_sum_of_its_flows() {
    let advice = advise(&read_toml(EXAMPLE).expect("the example is read"));
    let bytes: f64 = advice.flows.iter().map(|flow| flow.cost().bytes_per_second).sum();
    assert!((bytes - advice.totals.advised.bytes_per_second).abs() < 1e-6 * bytes);
    for flow in &advice.flows {
        for candidate in &flow.candidates {
            let each = candidate.bytes_per_second_each * flow.flow.connections;
            assert!((each - candidate.cost.bytes_per_second).abs() <= 1e-9 * each);
        }
    }
}

#[test]
fn costs_are_what_was_measured() {
    let text = "[[flow]]\nname = \"a\"\ndown = 20\nbytes = 128\nconnections = 1000\n";
    let advice = advise(&read_toml(text).expect("it is read"));
    let figure = |name: &str, transport: Transport| {
        let is_it =
            |source: Source| matches!(source, Source::Bench { figure, .. } if figure == name);
        let figure = advice.figures.iter().find(|figure| is_it(figure.source)).expect(name);
        figure.of(transport)
    };
    for candidate in &advice.flows[0].candidates {
        let transport = candidate.transport;
        let bytes = figure("bytes_per_event", transport).expect("it was measured");
        // Each event takes a poll at most, where several shared one in the measurement.
        let least = 20.0 * bytes;
        let each = candidate.bytes_per_second_each;
        assert!(each >= least - 1e-9 && each < 1.2 * least, "{transport:?}: {each} {least}");
        let memory = figure("pss_growth_bytes_per_connection", transport).map(|it| 1000.0 * it);
        assert_eq!(candidate.cost.memory_bytes, memory, "{transport:?}");
        let cpu = figure("server_cpu_us_per_delivery", transport);
        let told = candidate.cost.cpu_cores;
        assert_eq!(told.is_some(), cpu.is_some(), "{transport:?}");
        let is_it =
            told.zip(cpu).is_none_or(|(told, cpu)| (told - 20_000.0 * cpu / 1e6).abs() < 1e-9);
        assert!(is_it, "{transport:?}: {told:?}");
    }
}
