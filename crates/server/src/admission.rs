//! Who may come in: connections in all and for each address, subscribers while memory lasts, and
//! the bytes of bodies under way, of requests and of answers.
//!
//! What is refused is told so at once, with a time to come back. Whoever is in stays served.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use bellwire_access::Bucket;
use bellwire_model::limits::{
    ADDRESSES_LATELY_MAX, ANSWERS_BYTES_MAX, BODIES_BYTES_MAX, CLUSTER_BEHIND_CLEARED,
    CLUSTER_BEHIND_MAX, DRAIN_BODY_TIMEOUT, JOURNAL_READERS_MAX, LARGE_BODIES_MAX,
    MEMORY_FULL_PERCENT, MEMORY_NEAR_PERCENT, MEMORY_SHARE_PERCENT, TURNED_AWAY_MAX,
};
use bellwire_model::network_of;
use bellwire_process::jittered;
use bellwire_wire::problem::{Code, Problem};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit, watch};

use crate::lately::{self, Fades, Lately};
use crate::observe::Figures;

/// Seconds after which a refused client should come back at the earliest, and what is added at
/// random: many are refused at once, and must not return at once.
const RETURN_S: u32 = 5;
const RETURN_SPREAD: Duration = Duration::from_secs(10);

/// The limits of the process, and how near it is to them.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: AdmissionLimits,
    figures: Arc<Figures>,
    /// Descriptors of connections that no shard has: shards count their own.
    elsewhere: AtomicUsize,
    /// Places of those who are told that there is no room.
    turned_away: Arc<Semaphore>,
    /// What each address has; used only where that is limited.
    addresses: Mutex<Lately<IpAddr, OfAddress>>,
    memory_is_near: AtomicBool,
    memory_is_full: AtomicBool,
    /// Of a node among others: what it would show is old.
    is_behind: AtomicBool,
    /// Bytes of bodies that are being read.
    bodies: Arc<Semaphore>,
    /// Large bodies that are worked through.
    large_bodies: Semaphore,
    /// Pages of history that are read and made into answers.
    pages: Semaphore,
    /// Bytes of answers that their clients are yet to take.
    answers: Arc<Semaphore>,
    draining: watch::Receiver<bool>,
}

/// What the configuration and the machine allow.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdmissionLimits {
    /// Descriptors of connections of all kinds: a stream over HTTP/2 has two.
    pub(crate) connections: usize,
    /// Connections of one address; 0 for no limit.
    pub(crate) connections_per_address: u32,
    /// New ones of one address in a second; 0 for no limit.
    pub(crate) connects_per_second_per_address: u32,
    /// Resident memory of the process.
    pub(crate) memory_bytes: u64,
}

/// What an address has.
#[derive(Debug, Default)]
struct OfAddress {
    connections: u32,
    connects: Bucket,
}

impl Fades for OfAddress {
    fn is_nothing(&mut self, now: u64) -> bool {
        self.connections == 0 && self.connects.is_full(now)
    }
}

/// The descriptor of a connection that no shard has.
#[derive(Debug)]
pub(crate) struct Descriptor(Arc<Admission>);

impl Drop for Descriptor {
    fn drop(&mut self) {
        self.0.elsewhere.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What a new connection needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Needs {
    /// A connection of its own.
    Socket,
    /// Both ends of a pair, one of which goes to a shard.
    Pair,
}

/// The place of a connection among those of its address.
#[derive(Debug)]
pub(crate) struct AddressPlace {
    admission: Arc<Admission>,
    address: IpAddr,
}

/// Whoever a request is of that came through a proxy, while it is under way.
#[derive(Debug)]
pub(crate) struct Visitor {
    pub(crate) address: IpAddr,
    /// Among the connections of its address, where those are limited.
    _place: Option<AddressPlace>,
}

impl Admission {
    pub(crate) fn new(
        limits: AdmissionLimits,
        figures: Arc<Figures>,
        draining: watch::Receiver<bool>,
    ) -> Self {
        figures.door.memory_budget.set(limits.memory_bytes);
        Self {
            limits,
            figures,
            elsewhere: AtomicUsize::new(0),
            turned_away: Arc::new(Semaphore::new(TURNED_AWAY_MAX)),
            addresses: Mutex::new(Lately::new(ADDRESSES_LATELY_MAX)),
            memory_is_near: AtomicBool::new(false),
            memory_is_full: AtomicBool::new(false),
            is_behind: AtomicBool::new(false),
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX)),
            large_bodies: Semaphore::new(LARGE_BODIES_MAX),
            pages: Semaphore::new(JOURNAL_READERS_MAX),
            answers: Arc::new(Semaphore::new(ANSWERS_BYTES_MAX)),
            draining,
        }
    }

    /// Whether another connection may come in, given how many the shards have, and its descriptor
    /// until it is at a shard, or has ended.
    pub(crate) fn connection(
        self: &Arc<Self>,
        at_shards: usize,
        needs: Needs,
    ) -> Result<Descriptor, Problem> {
        let (most, needed) = (self.limits.connections, if needs == Needs::Pair { 2 } else { 1 });
        let others = self.elsewhere.fetch_add(1, Ordering::Relaxed) + at_shards;
        let descriptor = Descriptor(Arc::clone(self));
        if others + needed <= most {
            return Ok(descriptor);
        }
        let detail = format!("there are {most} connections, the most this server takes");
        Err(self.refusal(Code::ConnectionsExhausted, detail))
    }

    /// A place to be told that there is no room. `None`: too many are being told.
    pub(crate) fn turn_away(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turned_away).try_acquire_owned().ok()
    }

    /// Whether another connection of this address may come in, and its place. `None` where
    /// addresses are not limited.
    pub(crate) fn address(
        self: &Arc<Self>,
        address: IpAddr,
    ) -> Result<Option<AddressPlace>, Problem> {
        self.enter(address, self.limits.connects_per_second_per_address)
    }

    /// The same, for somebody who may come so often in a second.
    fn enter(
        self: &Arc<Self>,
        address: IpAddr,
        per_second: u32,
    ) -> Result<Option<AddressPlace>, Problem> {
        let most = self.limits.connections_per_address;
        if most == 0 && per_second == 0 {
            return Ok(None);
        }
        let (address, now) = (network_of(address), lately::now());
        let mut addresses = self.addresses();
        let of_address = addresses.entry(address, now).ok_or_else(|| {
            let detail = "more addresses connect than can be kept account of";
            self.refusal(Code::AddressExhausted, detail)
        })?;
        if most > 0 && of_address.connections >= most {
            let detail =
                format!("there are {most} connections from {address}, the most it may have");
            return Err(self.refusal(Code::AddressExhausted, detail));
        }
        if per_second > 0 && of_address.connects.take(now, 1, per_second.into()).is_err() {
            let detail = format!("{address} connects more often than {per_second} times a second");
            return Err(self.refusal(Code::AddressExhausted, detail));
        }
        of_address.connections += 1;
        Ok(Some(AddressPlace { admission: Arc::clone(self), address }))
    }

    fn addresses(&self) -> MutexGuard<'_, Lately<IpAddr, OfAddress>> {
        self.addresses.lock().expect("not poisoned")
    }

    /// Whether another stream of this address may begin that came through a proxy, beside its place.
    pub(crate) fn connects(&self, address: IpAddr) -> Result<(), Problem> {
        let per_second = self.limits.connects_per_second_per_address;
        if per_second == 0 {
            return Ok(());
        }
        let (address, now) = (network_of(address), lately::now());
        let mut addresses = self.addresses();
        let of_address = addresses.entry(address, now);
        let taken = of_address.map(|it| it.connects.take(now, 1, per_second.into()).is_ok());
        if taken == Some(true) {
            return Ok(());
        }
        let detail = format!("{address} connects more often than {per_second} times a second");
        Err(self.refusal(Code::AddressExhausted, detail))
    }

    /// Whether another connection of this address may come in through a proxy.
    pub(crate) fn newcomer(self: &Arc<Self>, address: IpAddr) -> Result<Visitor, Problem> {
        Ok(Visitor { address, _place: self.address(address)? })
    }

    /// Whether another request of this address may come in through a proxy.
    pub(crate) fn visitor(self: &Arc<Self>, address: IpAddr) -> Result<Visitor, Problem> {
        Ok(Visitor { address, _place: self.enter(address, 0)? })
    }

    /// Whether another subscriber may come in.
    pub(crate) fn subscriber(&self) -> Result<(), Problem> {
        if self.is_behind() {
            let detail = "this node is behind its cluster, and takes no new streams until it has caught \
                          up; those who are connected stay served";
            return Err(self.refusal(Code::NodeBehind, detail));
        }
        if !self.memory_is_near.load(Ordering::Relaxed) {
            return Ok(());
        }
        let detail = "the server's memory is nearly used up; those who are connected stay served";
        Err(self.refusal(Code::MemoryExhausted, detail))
    }

    /// A node has been behind its cluster for so long.
    pub(crate) fn note_behind(&self, behind: Duration) {
        let bound = if self.is_behind() { CLUSTER_BEHIND_CLEARED } else { CLUSTER_BEHIND_MAX };
        let is_behind = behind >= bound;
        if self.is_behind.swap(is_behind, Ordering::Relaxed) != is_behind {
            tracing::warn!(
                is_behind,
                ?behind,
                "Whether this node is behind its cluster has changed."
            );
        }
    }

    /// Whether it is so far behind that nobody is to be shown what it has.
    pub(crate) fn is_behind(&self) -> bool {
        self.is_behind.load(Ordering::Relaxed)
    }

    /// Whether samples and events may come in, of which something is kept.
    pub(crate) fn publication(&self) -> Result<(), Problem> {
        if !self.memory_is_full.load(Ordering::Relaxed) {
            return Ok(());
        }
        let detail = "the server's memory is used up: nothing more is taken in for now";
        Err(Problem::new(Code::MemoryExhausted, detail).retry_after(RETURN_S))
    }

    /// Room for `bytes` of a body; it is free again when the permit is dropped.
    pub(crate) fn body(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.bodies).try_acquire_many_owned(permits).map_err(|_| {
            let detail =
                format!("bodies of {BODIES_BYTES_MAX} bytes are under way, the most at a time");
            Problem::new(Code::PublishersBusy, detail).retry_after(1)
        })
    }

    /// Ready when the server drains.
    pub(crate) async fn drains(&self) {
        if self.draining.clone().wait_for(|draining| *draining).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Ready when the server drains, and no body can be waited for any more.
    pub(crate) async fn last_call(&self) {
        self.drains().await;
        tokio::time::sleep(DRAIN_BODY_TIMEOUT).await;
    }

    /// Waits for the turn to work through a large body.
    pub(crate) async fn large_body(&self) -> SemaphorePermit<'_> {
        self.large_bodies.acquire().await.expect("never closed")
    }

    /// Waits for the turn to read a page and to make an answer of it: more at a time would be no
    /// faster, and would all be in memory.
    pub(crate) async fn page(&self) -> SemaphorePermit<'_> {
        self.pages.acquire().await.expect("never closed")
    }

    /// Room for an answer of `bytes`, until its client has taken it and the permit is dropped.
    pub(crate) fn answer(&self, bytes: u64) -> Result<OwnedSemaphorePermit, Problem> {
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX);
        Arc::clone(&self.answers).try_acquire_many_owned(permits).map_err(|_| {
            let detail =
                format!("answers of {ANSWERS_BYTES_MAX} bytes wait for clients that do not read");
            Problem::new(Code::MemoryExhausted, detail).retry_after(RETURN_S)
        })
    }

    /// Takes note of the memory that the process has now.
    pub(crate) fn look_at_memory(&self) {
        let Some(resident) = resident_bytes() else { return };
        self.figures.door.memory_resident.set(resident);
        let near = self.limits.memory_bytes / 100 * MEMORY_NEAR_PERCENT;
        let is_near = resident >= near;
        let full = self.limits.memory_bytes / 100 * MEMORY_FULL_PERCENT;
        self.memory_is_full.store(resident >= full, Ordering::Relaxed);
        if self.memory_is_near.swap(is_near, Ordering::Relaxed) != is_near {
            let budget = self.limits.memory_bytes;
            if is_near {
                tracing::warn!(
                    resident,
                    budget,
                    "Memory is near its budget; new subscribers are refused."
                );
            } else {
                tracing::info!(resident, budget, "Memory is below its budget again.");
            }
        }
    }

    fn refusal(&self, code: Code, detail: impl std::fmt::Display) -> Problem {
        self.figures.door.connections_refused.add(1);
        Problem::new(code, detail).retry_after(RETURN_S + jittered(RETURN_SPREAD).as_secs() as u32)
    }
}

impl Drop for AddressPlace {
    fn drop(&mut self) {
        let fewer = |it: &mut OfAddress| it.connections -= 1;
        self.admission.addresses().settle(&self.address, lately::now(), fewer);
    }
}

/// The memory that the process may have where the configuration does not say: a share of what the
/// machine or its container has.
pub(crate) fn default_memory_bytes_max() -> u64 {
    let total = rustix::system::sysinfo();
    let machine = total.totalram as u64 * u64::from(total.mem_unit);
    let container = std::fs::read_to_string("/sys/fs/cgroup/memory.max").ok();
    let container = container.and_then(|text| text.trim().parse().ok()).unwrap_or(u64::MAX);
    machine.min(container) / 100 * MEMORY_SHARE_PERCENT
}

/// What the process has in memory; `None` where the system does not say.
fn resident_bytes() -> Option<u64> {
    let figures = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = figures.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(limits: AdmissionLimits) -> Arc<Admission> {
        Arc::new(Admission::new(limits, Arc::default(), watch::channel(false).1))
    }

    const GENEROUS: AdmissionLimits = AdmissionLimits {
        connections: 10,
        connections_per_address: 2,
        connects_per_second_per_address: 0,
        memory_bytes: u64::MAX,
    };

    #[test]
    fn an_address_comes_as_often_as_it_may_and_requests_of_a_proxy_do_not_count() {
        let limits = AdmissionLimits {
            connections_per_address: 0,
            connects_per_second_per_address: 3,
            ..GENEROUS
        };
        let admission = admission(limits);
        let [one, other] = ["2001:db8::1", "192.0.2.1"].map(|text| text.parse().expect(text));
        // However slow this is: five at once are more than three in a second and what a second brings.
        let came: Vec<_> = (0..64).map(|_| admission.address(one)).collect();
        assert!(came[..3].iter().all(Result::is_ok), "a second's worth");
        let refused = came.iter().find_map(|it| it.as_ref().err()).expect("64 at once");
        assert_eq!(refused.code, Code::AddressExhausted);
        assert!(admission.address(other).is_ok() && admission.connects(other).is_ok());
        assert!((0..64).all(|_| admission.visitor(one).is_ok()));
    }

    #[test]
    fn an_address_has_its_connections_back_when_they_end() {
        let admission = admission(GENEROUS);
        let address = |text: &str| text.parse().expect("an address");
        let first = admission.address(address("192.0.2.1")).expect("room");
        let second = admission.address(address("::ffff:192.0.2.1")).expect("room for another");
        let refused = admission.address(address("192.0.2.1")).expect_err("no room for a third");
        assert_eq!(refused.code, Code::AddressExhausted);
        assert!(admission.address(address("192.0.2.2")).is_ok());
        drop(first);
        assert!(admission.address(address("192.0.2.1")).is_ok());
        drop(second);
        assert_eq!(admission.addresses().len(), 0);
    }

    #[test]
    fn who_finds_no_place_has_not_connected() {
        let limits = AdmissionLimits {
            connections_per_address: 1,
            connects_per_second_per_address: 2,
            ..GENEROUS
        };
        let (admission, client) = (admission(limits), "192.0.2.1".parse().expect("an address"));
        let first = admission.newcomer(client).expect("room");
        for _ in 0..50 {
            assert!(admission.newcomer(client).is_err());
        }
        drop(first);
        admission.newcomer(client).expect("the second that has come in");
    }

    #[test]
    fn descriptors_are_counted_wherever_they_are() {
        let admission = admission(GENEROUS);
        let refused = |at_shards, needs| {
            admission.connection(at_shards, needs).err().map(|problem| problem.code)
        };
        assert_eq!(refused(9, Needs::Socket), None);
        assert_eq!(refused(10, Needs::Socket), Some(Code::ConnectionsExhausted));
        assert_eq!(refused(9, Needs::Pair), Some(Code::ConnectionsExhausted));
        let near: Vec<_> = (0..5).map(|_| admission.connection(4, Needs::Pair)).collect();
        assert!(near.iter().all(Result::is_ok));
        assert_eq!(refused(4, Needs::Pair), Some(Code::ConnectionsExhausted));
        assert_eq!(refused(4, Needs::Socket), None, "of ten there are nine");
        drop(near);
        assert_eq!(refused(8, Needs::Pair), None, "who was refused keeps nothing");
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let (one, other) = ("2001:db8::1", "2001:db8::ffff:2");
        let parse = |text: &str| network_of(text.parse().expect("an address"));
        assert_eq!(parse(one), parse(other));
        assert_ne!(parse(one), parse("2001:db8:0:1::1"));
    }

    #[test]
    fn subscribers_are_refused_while_memory_is_near_its_budget() {
        let tight = admission(AdmissionLimits { memory_bytes: 1, ..GENEROUS });
        assert!(tight.subscriber().is_ok(), "nobody has looked yet");
        tight.look_at_memory();
        assert_eq!(tight.publication().expect_err("full").code, Code::MemoryExhausted);
        assert_eq!(tight.subscriber().expect_err("near").code, Code::MemoryExhausted);
        let wide = admission(GENEROUS);
        wide.look_at_memory();
        assert!(wide.subscriber().is_ok());
    }

    #[test]
    fn subscribers_are_refused_by_a_node_that_is_behind_until_it_has_caught_up() {
        let admission = admission(GENEROUS);
        let (max, cleared) = (CLUSTER_BEHIND_MAX, CLUSTER_BEHIND_CLEARED);
        let below = |bound: Duration| bound.saturating_sub(Duration::from_secs(1));
        for (behind, expected) in [
            (below(max), None),
            (max, Some(Code::NodeBehind)),
            (cleared, Some(Code::NodeBehind)),
            (below(cleared), None),
            (cleared, None),
            (below(max), None),
        ] {
            admission.note_behind(behind);
            let refused = admission.subscriber().err().map(|problem| problem.code);
            assert_eq!(refused, expected, "{behind:?}");
        }
    }

    #[test]
    fn bodies_under_way_share_one_bound() {
        let admission = admission(GENEROUS);
        let half = admission.body(BODIES_BYTES_MAX / 2).expect("room");
        let rest = admission.body(BODIES_BYTES_MAX - BODIES_BYTES_MAX / 2).expect("room");
        assert_eq!(admission.body(1).expect_err("full").code, Code::PublishersBusy);
        drop((half, rest));
        assert!(admission.body(1).is_ok());
    }

    #[test]
    fn answers_that_nobody_takes_share_one_bound() {
        let admission = admission(GENEROUS);
        let all = admission.answer(ANSWERS_BYTES_MAX as u64).expect("room");
        assert_eq!(admission.answer(1).expect_err("full").code, Code::MemoryExhausted);
        drop(all);
        assert!(admission.answer(1).is_ok());
    }
}
