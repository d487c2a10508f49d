//! An engine under test: a server, the network before it, and somebody who does things by hand.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use async_nats::jetstream;
use async_nats::jetstream::stream::Stream;
use bellwire_engines::{Options, connect};
use bellwire_shared_log::contract::{Engine, Fault};
use bellwire_shared_log::{Error, Position, SharedLog};
use tempfile::TempDir;

use crate::proxy::Proxy;
use crate::server::Server;

/// How much fits yet when the log is full, in bytes.
const ROOM_BYTES: i64 = 256 * 1024;

/// A server and the network before it.
pub(crate) struct Nats {
    server: Server,
    proxy: Proxy,
    copy: TempDir,
}

impl Nats {
    pub(crate) fn start(program: &Path) -> Self {
        let server = Server::with_jetstream(program);
        let proxy = Proxy::start(server.port);
        Self { server, proxy, copy: tempfile::tempdir().unwrap() }
    }

    /// Starts it with other data, or with none.
    fn replace(&mut self, data: Option<&Path>) {
        self.server.replace(data);
        self.proxy.lead_to(self.server.port);
    }

    fn set_room(&self, room: Option<i64>) {
        by_hand(&self.server.address(), async |stream, context| {
            let info = stream.get_info().await.unwrap();
            let max_bytes = room.map_or(-1, |room| info.state.bytes as i64 + room);
            let config = jetstream::stream::Config { max_bytes, ..info.config };
            context.update_stream(config).await.unwrap();
        });
    }
}

impl fmt::Debug for Nats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a nats-server")
    }
}

impl Engine for Nats {
    fn open(&mut self) -> Result<Arc<dyn SharedLog>, Error> {
        connect(&self.proxy.address(), &Options::default())
    }

    fn fault(&mut self, fault: Fault) -> bool {
        match fault {
            Fault::Kill => self.server.kill(),
            Fault::Start => {
                self.server.start_again();
                self.proxy.lead_to(self.server.port);
            }
            Fault::Pause => self.server.signal("STOP"),
            Fault::Resume => self.server.signal("CONT"),
            Fault::Cut => self.proxy.cut(),
            Fault::Mend => self.proxy.mend(),
            Fault::Fill => self.set_room(Some(ROOM_BYTES)),
            Fault::Relieve => self.set_room(None),
            Fault::TrimByHand(position) => trim_by_hand(&self.server.address(), position),
            Fault::Copy => self.server.copy_to(self.copy.path()),
            Fault::Restore => {
                let copy = self.copy.path().to_owned();
                self.replace(Some(&copy));
            }
            Fault::Lose => self.replace(None),
        }
        true
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.proxy.end();
    }
}

/// Does something with the stream of the cluster, past all handles.
pub(crate) fn by_hand<T>(
    address: &str,
    work: impl AsyncFnOnce(Stream<()>, jetstream::Context) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let client = async_nats::connect(address).await.unwrap();
        let context = jetstream::new(client);
        let stream = context.get_stream_no_info("BELLWIRE-bellwire").await.unwrap();
        work(stream, context).await
    })
}

/// Removes batches, past all handles.
pub(crate) fn trim_by_hand(address: &str, until: Position) {
    by_hand(address, async |stream, _| {
        let purge = stream.purge().filter("bellwire.bellwire.log");
        purge.sequence(until.get() + 1).await.unwrap();
    });
}
