//! Workload `mqtt`: how many messages of sensors the server acknowledges in a second, over sockets,
//! once 1,000 rules have seen them.

use std::time::Duration;

use anyhow::{Result, ensure};
use bellwire_model::Timestamp;
use bellwire_model::limits::MQTT_IN_FLIGHT_MAX;

use crate::Print;
use crate::fleet::{self, Batch, Fleet, SERIES, SERVICES};
use crate::load::{MqttClients, provide_for};
use crate::result::{OutputFlags, Record};
use crate::senders::{Sender, Sensors};
use crate::system::{Durability, Listener, Server, free_address};

/// Before anything counts: each series comes some times, and connections grow to their size.
const WARM_UP: Duration = Duration::from_secs(5);
const TIME_MAX_S: u64 = 600;
/// Clients have as many messages at least as may be in flight.
const CLIENTS_MAX: u64 = 1_000;
const IN_FLIGHT_MAX: usize = 100;

const _: () = assert!(
    IN_FLIGHT_MAX <= MQTT_IN_FLIGHT_MAX as usize && SERIES >= IN_FLIGHT_MAX * CLIENTS_MAX as usize
);

/// What `bench mqtt` takes.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Clients, each with a connection of its own and its share of the series.
    #[arg(long, value_name = "COUNT", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=CLIENTS_MAX))]
    clients: u64,
    /// Messages of a client that wait for their acknowledgement.
    #[arg(long, value_name = "COUNT", default_value_t = 20,
          value_parser = clap::value_parser!(u64).range(1..=IN_FLIGHT_MAX as u64))]
    in_flight: u64,
    /// How long what the rules make of a message may take until it is on the disk.
    #[arg(long, value_enum, default_value_t = Durability::Interval)]
    durability: Durability,
    /// How long to measure, after a warm-up.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=TIME_MAX_S))]
    seconds: u64,
    #[command(flatten)]
    output: OutputFlags,
}

pub(crate) fn run(arguments: &Arguments, print: Print) -> Result<()> {
    let Arguments { clients, in_flight, durability, seconds, .. } = *arguments;
    provide_for(clients as usize)?;
    let mut fleet = Fleet::new();
    let mut sensors = Sensors::new(&fleet)?;
    let samples = fleet.round().into_iter().flat_map(|batch| batch.samples).collect::<Vec<_>>();
    let of_client = samples.chunks(samples.len().div_ceil(clients as usize)).map(|samples| {
        let (target, time) = (0, Timestamp::from_ms(0));
        sensors.encode(&Batch { target, time, samples: samples.to_vec() })
    });
    let messages = of_client.collect::<Result<Vec<_>>>()?;
    let address = free_address()?;
    let listener = Listener { address, topics: sensors.configuration() };
    let server = Server::bellwire_with_mqtt(durability, &fleet::rules(SERVICES), listener)?;
    let mut load = MqttClients::open(address, messages, in_flight as usize)?;

    load.run(WARM_UP)?;
    let duration = Duration::from_secs(seconds);
    let (acknowledged, cpu) = server.timed(|| load.run(duration))?;
    drop(load);

    let messages = acknowledged as f64;
    ensure!(messages > 0.0, "no message was acknowledged");
    Record::new("mqtt")
        .parameter("clients", clients)
        .parameter("in_flight", in_flight)
        .parameter("rules", 10 * SERVICES)
        .parameter("series", SERIES)
        .parameter("durability", durability.as_str())
        .parameter("seconds", seconds)
        .figure("acknowledged_messages_per_s", messages / duration.as_secs_f64())
        .cpu("server_cpu_us_per_message", cpu, messages)
        .maybe_figure("server_cpu_cores", cpu.map(|cpu| cpu.as_secs_f64() / duration.as_secs_f64()))
        .publish(&arguments.output, print)
}
