//! What is done again and again while the server runs.

use std::sync::Arc;

use bellwire_alerting::{Hangups, Reload};
use bellwire_journal::Journal;
use bellwire_model::limits::{MEMORY_LOOK_INTERVAL, PRESENCE_INTERVAL};
use bellwire_shards::{Presence, Spread, States};
use tokio::runtime::Runtime;

use super::journal::apply_retention;
use crate::access::Access;
use crate::admission::Admission;
use crate::audit::Deed;
use crate::journal_watch;
use crate::outages::Outages;
use crate::sys::SysTopics;

/// Starts it.
pub(super) fn keep_house(
    runtime: &Runtime,
    (access, spread): (&Arc<Access>, &Arc<Spread>),
    (journal, outages): (&Arc<dyn Journal>, Outages),
    (admission, sys, presence): (Arc<Admission>, SysTopics, Option<Arc<Presence>>),
    (reload, hangups): (Arc<Reload>, Hangups),
) {
    let audit = Arc::clone(&access.audit);
    let by_signal = move |reloaded: &_| {
        audit.record_of_owner(&Deed::of_reload(reloaded).with("signal", "SIGHUP"));
    };
    runtime.spawn(reload.at(hangups, by_signal));
    access.keep_house(runtime, spread);
    runtime.spawn(journal_watch::watch(Arc::clone(journal), sys.figures(), outages));
    runtime.spawn(apply_retention(Arc::clone(journal)));
    runtime.spawn(look_at_memory(admission));
    let states = sys.states();
    let shown = Arc::clone(&states);
    presence.map(|presence| runtime.spawn(tell_presence(presence, shown)));
    let settling = Arc::clone(&states);
    let (of_disk, its, journal) = (Arc::clone(&states), Arc::clone(journal), Arc::clone(journal));
    runtime.spawn(async move { states.expire_keys(&*journal).await });
    runtime.spawn(async move { of_disk.expire_durable_keys(its).await });
    runtime.spawn(async move { settling.settle_values().await });
    runtime.spawn(sys.watch().keep_current());
    runtime.spawn(sys.keep_current());
}

/// Tells again and again who has come and gone.
async fn tell_presence(presence: Arc<Presence>, states: Arc<States>) {
    let mut interval = tokio::time::interval(PRESENCE_INTERVAL);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        presence.tell(&states);
    }
}

/// Looks at the process's memory again and again.
async fn look_at_memory(admission: Arc<Admission>) {
    let mut interval = tokio::time::interval(MEMORY_LOOK_INTERVAL);
    loop {
        interval.tick().await;
        admission.look_at_memory();
    }
}
