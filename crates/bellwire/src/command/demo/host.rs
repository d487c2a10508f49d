//! The real metrics of this machine, as far as the system tells them.

use sysinfo::{Components, Disks, Networks, System};

use super::sample;

/// Measurements between two looks at the disks, which are slow to change and slow to ask.
const DISKS_EVERY: u32 = 10;
const PERCENT: f64 = 100.0;

/// What is measured. The parts that the system does not offer are `None`.
#[derive(Debug)]
pub(super) struct Host {
    name: String,
    system: Option<System>,
    disks: Option<Disks>,
    networks: Option<Networks>,
    components: Option<Components>,
    measured: u32,
}

impl Host {
    pub(super) fn new() -> Self {
        let mut system = System::new().ok();
        if let Some(system) = &mut system {
            // The usage of a core is that since the look before; this is the first one.
            system.refresh_cpu_usage();
        }
        Self {
            name: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
            system,
            disks: Disks::new().ok(),
            networks: Networks::new_with_refreshed_list().ok(),
            components: Components::new_with_refreshed_list().ok(),
            measured: 0,
        }
    }

    /// Appends a line for each series.
    pub(super) fn measure(&mut self, out: &mut String) {
        let mut writer = Writer { host: self.name.clone(), out };
        self.measure_system(&mut writer);
        if self.measured.is_multiple_of(DISKS_EVERY) {
            self.measure_disks(&mut writer);
        }
        self.measure_networks(&mut writer);
        self.measure_components(&mut writer);
        self.measured = self.measured.wrapping_add(1);
    }

    fn measure_system(&mut self, writer: &mut Writer<'_>) {
        let Some(system) = &mut self.system else { return };
        system.refresh_cpu_usage();
        system.refresh_memory();
        writer.write("host_cpu_usage_percent", None, system.global_cpu_usage().into());
        for (index, core) in system.cpus().iter().enumerate() {
            let index = index.to_string();
            writer.write("host_core_usage_percent", Some(("core", &index)), core.usage().into());
        }
        let memory = share(system.used_memory(), system.total_memory());
        writer.write("host_memory_used_percent", None, memory);
        writer.write("host_memory_available_bytes", None, system.available_memory() as f64);
        if system.total_swap() > 0 {
            let swap = share(system.used_swap(), system.total_swap());
            writer.write("host_swap_used_percent", None, swap);
        }
        if let Ok(load) = System::load_average() {
            writer.write("host_load_average", Some(("over", "1m")), load.one);
            writer.write("host_load_average", Some(("over", "5m")), load.five);
            writer.write("host_load_average", Some(("over", "15m")), load.fifteen);
        }
    }

    fn measure_disks(&mut self, writer: &mut Writer<'_>) {
        let Some(disks) = &mut self.disks else { return };
        disks.refresh(true);
        for disk in disks.iter().filter(|disk| disk.total_space() > 0) {
            let mount = disk.mount_point().display().to_string();
            let used = disk.total_space().saturating_sub(disk.available_space());
            let used = share(used, disk.total_space());
            writer.write("host_disk_used_percent", Some(("mount", &mount)), used);
        }
    }

    fn measure_networks(&mut self, writer: &mut Writer<'_>) {
        let Some(networks) = &mut self.networks else { return };
        networks.refresh(true);
        for (interface, network) in &*networks {
            let interface = interface.display().to_string();
            let label = Some(("interface", interface.as_str()));
            // Since the measurement before, a second ago.
            let (received, sent) = (network.received() as f64, network.transmitted() as f64);
            writer.write("host_network_received_bytes_per_second", label, received);
            writer.write("host_network_sent_bytes_per_second", label, sent);
        }
    }

    fn measure_components(&mut self, writer: &mut Writer<'_>) {
        let Some(components) = &mut self.components else { return };
        components.refresh(true);
        for component in &*components {
            // Some chips report what they cannot measure as no number.
            if let Some(celsius) = component.temperature().filter(|celsius| celsius.is_finite()) {
                let label = Some(("component", component.label()));
                writer.write("host_temperature_celsius", label, celsius.into());
            }
        }
    }
}

/// Writes series of this host.
struct Writer<'a> {
    host: String,
    out: &'a mut String,
}

impl Writer<'_> {
    fn write(&mut self, name: &str, label: Option<(&str, &str)>, value: f64) {
        let host = [("host", self.host.as_str())];
        let labels: Vec<_> = host.into_iter().chain(label).collect();
        sample::write(name, &labels, value, self.out);
    }
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 * PERCENT }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_is_a_sample_of_this_host() {
        let mut host = Host::new();
        let mut lines = String::new();
        host.measure(&mut lines);
        for line in lines.lines() {
            let sample: serde_json::Value = serde_json::from_str(line).expect(line);
            assert!(sample["name"].as_str().expect(line).starts_with("host_"), "{line}");
            assert!(sample["labels"]["host"].is_string() && sample["value"].is_number(), "{line}");
        }
    }
}
