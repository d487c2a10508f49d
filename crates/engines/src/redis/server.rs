//! What a server says of itself, and whether it will do.

use bellwire_shared_log::{Assurance, Error};

/// The oldest version, as INFO has it; Valkey says there with which Redis it agrees.
const MAJOR_MIN: u32 = 7;

/// What a server says of itself.
#[derive(Clone, Debug, Default)]
pub(super) struct Server {
    /// What INFO says, a line each.
    info: String,
    /// What CONFIG GET says; nothing where it may not be asked.
    settings: Vec<(String, String)>,
}

/// The settings that are asked for.
pub(super) const SETTINGS: [&str; 3] =
    ["appendfsync", "no-appendfsync-on-rewrite", "min-replicas-to-write"];

/// What is told of a server of Redis Cluster.
pub(super) fn no_cluster() -> String {
    "this is a server of a Redis Cluster, where one log is on one server all the same: use one server \
     with replicas"
        .to_owned()
}

/// What is told of a version that is too old.
pub(super) fn too_old(version: &str) -> String {
    format!("Redis {version} is too old: run Redis {MAJOR_MIN} or newer, or Valkey")
}

impl Server {
    pub(super) fn new(info: String, settings: Vec<(String, String)>) -> Self {
        Self { info, settings }
    }

    /// The number by which replicas know whose data they have. Every server has another one each time
    /// it begins to lead.
    pub(super) fn replication(&self) -> &str {
        self.says("master_replid")
    }

    /// Whether a log may be on it.
    pub(super) fn check(&self) -> Result<(), Error> {
        let unfit = |why: String| Err(Error::Unfit(why));
        match self.says("redis_mode") {
            "cluster" => return unfit(no_cluster()),
            "sentinel" => {
                return unfit(
                    "this is a Sentinel, which is not asked for the server that leads: give an \
                     address that always leads to that one"
                        .to_owned(),
                );
            }
            _ => {}
        }
        let version = self.says("redis_version");
        let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
        if major.is_none_or(|major| major < MAJOR_MIN) {
            return unfit(too_old(version));
        }
        if self.says("loading") == "1" {
            return Err(Error::Away("it is loading what it has on its disk".to_owned()));
        }
        if !self.leads() {
            return Err(Error::Away(format!(
                "this server is a replica; {}:{} leads",
                self.says("master_host"),
                self.says("master_port")
            )));
        }
        match self.says("maxmemory_policy") {
            "noeviction" => Ok(()),
            policy => unfit(format!(
                "Redis would throw the log away when its memory is full (`maxmemory-policy` is \
                 `{policy}`): set it to `noeviction`"
            )),
        }
    }

    /// Whether it leads, and no replica of another.
    pub(super) fn leads(&self) -> bool {
        self.says("role") == "master"
    }

    /// How many replicas have to have what is acknowledged.
    pub(super) fn replicas_min(&self) -> usize {
        match self.setting("min-replicas-to-write") {
            Some(number) => number.parse().unwrap_or_default(),
            // The number of good replicas is told only where there have to be some.
            None => usize::from(!self.says("min_slaves_good_slaves").is_empty()),
        }
    }

    /// What it may lose, and what would not.
    pub(super) fn assurance(&self, place: &str) -> Assurance {
        let (mut losses, mut doubts) = (Vec::new(), Vec::new());
        let mut lose = |what: &str| losses.push(what.to_owned());
        let appendfsync = self.setting("appendfsync");
        if self.says("aof_enabled") != "1" {
            lose(
                "what was acknowledged since the last snapshot, whenever the server ends: \
                 `appendonly yes` and `appendfsync always` keep it",
            );
        } else if appendfsync == Some("always") {
            if self.setting("no-appendfsync-on-rewrite") != Some("no") {
                lose(
                    "what was acknowledged while the file is rewritten, at a loss of power: \
                     `no-appendfsync-on-rewrite no` keeps it",
                );
            }
        } else if appendfsync == Some("no") {
            lose(
                "what the system has not written by itself, about half a minute, at a loss of \
                 power: `appendfsync always` keeps it",
            );
        } else {
            let last = "the last two seconds, at a loss of power, and where its disk is slow when the \
                        server is killed";
            match appendfsync {
                Some(_) => lose(&format!("{last}: `appendfsync always` keeps it")),
                None => doubts.push(format!(
                    "{last}, if `appendfsync` is not `always`, which CONFIG GET may not tell"
                )),
            }
        }
        let replicas = self.says("connected_slaves").parse().unwrap_or(0_usize);
        let waited = self.replicas_min();
        if replicas > waited {
            lose(&format!(
                "what the replica that takes over has not got: {replicas} are there, and {waited} \
                 are waited for; `min-replicas-to-write {replicas}` waits for all"
            ));
        }
        Assurance { engine: format!("{} at {place}", self.name()), losses, doubts }
    }

    /// What it is called, with its version.
    pub(super) fn name(&self) -> String {
        match self.says("valkey_version") {
            "" => format!("redis-server {}", self.says("redis_version")),
            version => format!("valkey-server {version}"),
        }
    }

    fn says(&self, name: &str) -> &str {
        let of = |line| str::strip_prefix(line, name)?.strip_prefix(':');
        self.info.lines().find_map(of).map_or("", str::trim)
    }

    fn setting(&self, name: &str) -> Option<&str> {
        let (_, value) = self.settings.iter().find(|(setting, _)| setting == name)?;
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that says this beside what a good one says.
    fn server(says: &[&str], settings: &[(&str, &str)]) -> Server {
        let good = "redis_version:7.0.15\r\nredis_mode:standalone\r\nrole:master\r\n\
                    maxmemory_policy:noeviction\r\naof_enabled:1\r\nconnected_slaves:0\r\n";
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let info = [says, &[good]].concat().join("\r\n");
        Server::new(info, settings.iter().map(owned).collect())
    }

    #[test]
    fn a_server_that_will_not_do_is_told_what_to_change() {
        for (says, expected) in [
            (&[][..], None),
            (&["redis_version:8.2.1"], None),
            (&["redis_version:6.2.7"], Some("Redis 6.2.7 is too old")),
            (&["redis_version:"], Some("Redis  is too old")),
            (&["redis_mode:cluster"], Some("this is a server of a Redis Cluster")),
            (&["redis_mode:sentinel"], Some("this is a Sentinel")),
            (&["maxmemory_policy:allkeys-lru"], Some("Redis would throw the log away")),
            (&["loading:1"], Some("the engine is away: it is loading")),
            (
                &["role:slave", "master_host:a", "master_port:7"],
                Some("the engine is away: this server is a replica; a:7 leads"),
            ),
        ] {
            let told = server(says, &[]).check().err().map(|error| error.to_string());
            match expected {
                Some(expected) => assert!(told.unwrap().starts_with(expected), "{says:?}"),
                None => assert_eq!(told, None, "{says:?}"),
            }
        }
    }

    #[test]
    fn what_settings_lose_is_said() {
        let always = [("appendfsync", "always"), ("no-appendfsync-on-rewrite", "no")];
        for (says, settings, expected) in [
            (&[][..], &always[..], &[][..]),
            (&[], &always[..1], &["while the file is rewritten"]),
            (&[], &[("appendfsync", "everysec")], &["last two seconds"]),
            (&[], &[("appendfsync", "no")], &["half a minute"]),
            (&[], &[], &["CONFIG GET may not tell"]),
            (&["aof_enabled:0"], &always, &["since the last snapshot"]),
            (&["connected_slaves:2"], &always, &["2 are there, and 0 are waited for"]),
            (
                &["connected_slaves:2"],
                &[always[0], always[1], ("min-replicas-to-write", "1")],
                &["2 are there, and 1 are waited for"],
            ),
            (&["connected_slaves:2"], &[always[0], always[1], ("min-replicas-to-write", "2")], &[]),
            (
                &["connected_slaves:1", "min_slaves_good_slaves:1"],
                &[],
                &["CONFIG GET may not tell"],
            ),
        ] {
            let Assurance { losses, doubts, .. } = server(says, settings).assurance("a:1");
            assert!(doubts.iter().all(|doubt| doubt.contains("CONFIG GET may not tell")));
            assert!(losses.iter().all(|loss| !loss.contains("CONFIG GET may not tell")));
            let told = [losses, doubts].concat();
            assert_eq!(told.len(), expected.len(), "{says:?} {settings:?}: {told:?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.contains(expected), "{told}");
            }
        }
    }

    #[test]
    fn a_server_is_called_what_it_is() {
        assert_eq!(server(&[], &[]).name(), "redis-server 7.0.15");
        assert_eq!(server(&["valkey_version:8.1.0"], &[]).name(), "valkey-server 8.1.0");
    }
}
