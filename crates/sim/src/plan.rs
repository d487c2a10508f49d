//! What happens in a run, as a seed says it: how many nodes there are, and what goes wrong when.

use std::fmt;
use std::time::Duration;

/// What kind of trouble a run is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nodes die and are cut off, disks are lost, the engine fails and loses nothing: for a minute or two.
    Sound,
    /// The same over half an hour, so that the log is trimmed and nodes are away for long.
    Long,
    /// The engine loses what it has acknowledged, within a minute or two.
    Lossy,
    /// The same over half an hour, in which nobody is away for long.
    LongLossy,
}

impl Kind {
    /// All of them, by their names.
    pub const ALL: [(&'static str, Self); 4] = [
        ("sound", Self::Sound),
        ("long", Self::Long),
        ("lossy", Self::Lossy),
        ("long-lossy", Self::LongLossy),
    ];

    /// Whether it takes so long that the log is trimmed.
    pub(crate) fn is_long(self) -> bool {
        matches!(self, Self::Long | Self::LongLossy)
    }

    /// Whether the engine loses what it has acknowledged.
    pub(crate) fn is_lossy(self) -> bool {
        matches!(self, Self::Lossy | Self::LongLossy)
    }
}

/// Something that goes wrong, or is done to a cluster. Nodes are numbered, beginning again behind the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// A node is killed, and starts again after so long.
    Kill(usize, Duration),
    /// Its machine loses its power, and what was not synced.
    LosePower(usize, Duration),
    /// It is paused.
    Pause(usize, Duration),
    /// It does not reach the engine.
    CutOff(usize, Duration),
    /// It does not reach other nodes.
    Isolate(usize, Duration),
    /// Everything takes it longer.
    SlowDown(usize, Duration),
    /// Its connections break, and are there again at once.
    Disconnect(usize),
    /// It is not told of so many appends and settings of registers that they were done.
    LoseAnswers(usize, u32),
    /// So many are done later than it is told that nobody knows.
    DoLate(usize, u32),
    /// What it follows ends.
    EndFollowings(usize),
    /// Its wall clock is set: so many milliseconds from what is right.
    SetClock(usize, i64),
    /// It is drained and ends, and starts again after so long.
    Drain(usize, Duration),
    /// Its disk has no room.
    FillDisk(usize, Duration),
    /// Its disk is lost, and it starts again after so long.
    LoseDisk(usize, Duration),
    /// It is forgotten, though it may be there.
    Forget(usize),
    /// It removes what is not retained.
    Retain(usize),
    /// A node is new.
    Join,
    /// All stand still for so long, and meanwhile a node is started that has the data of another cluster.
    Stranger(Duration),
    /// The engine answers nobody.
    PauseEngine(Duration),
    /// It is killed, and starts again.
    KillEngine(Duration),
    /// Nobody reaches it.
    CutEngine(Duration),
    /// It has no room.
    FillEngine(Duration),
    /// Somebody else writes into the log.
    Intrude,
    /// A copy of the engine is made.
    CopyEngine,
    /// The copy takes its place.
    RestoreEngine,
    /// It loses everything.
    LoseEngine,
}

/// A trouble, and when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Act {
    /// Which one of the seed's it is.
    pub number: usize,
    /// When.
    pub at: Duration,
    /// What.
    pub trouble: Trouble,
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>4}  {:>9.3} s  {:?}", self.number, self.at.as_secs_f64(), self.trouble)
    }
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What it was made of.
    pub seed: u64,
    /// What it is about.
    pub kind: Kind,
    /// How many nodes begin.
    pub nodes: usize,
    /// How many clients publish.
    pub publishers: usize,
    /// How many clients follow.
    pub followers: usize,
    /// How long a publisher waits between two events, on average.
    pub pace: Duration,
    /// When trouble ends.
    pub end: Duration,
    /// What happens until then, in order.
    pub acts: Vec<Act>,
}

/// The most nodes that there are at once.
pub(crate) const NODES_MAX: usize = 6;

/// Of so many seeds one is a long run, and so many lose what the engine had.
const LONG_ONE_IN: u64 = 20;
const LOSSY_OF: u64 = 6;

/// What makes chance another one.
const OF_STRANGER: u64 = 0x57a6;

/// A cluster is known by a number after a minute, unless all of its nodes start again before.
const STRANGER_FROM_MS: u64 = 200_000;

impl Plan {
    /// The plan of a seed.
    pub fn of(seed: u64) -> Self {
        let kind = match seed % LONG_ONE_IN {
            0 => Kind::Long,
            1 => Kind::LongLossy,
            number if number <= LOSSY_OF => Kind::Lossy,
            _ => Kind::Sound,
        };
        let mut chance = fastrand::Rng::with_seed(seed);
        let seconds = if kind.is_long() { chance.u64(600..1_000) } else { chance.u64(25..70) };
        let end = Duration::from_secs(seconds);
        let (pace_ms, every_ms) = if kind.is_long() {
            (chance.u64(6_000..20_000), chance.u64(8_000..40_000))
        } else {
            (chance.u64(200..2_500), chance.u64(300..3_000))
        };
        let mut plan = Self {
            seed,
            kind,
            nodes: chance.usize(2..6),
            publishers: chance.usize(4..10),
            followers: chance.usize(2..6),
            pace: Duration::from_millis(pace_ms),
            end,
            acts: Vec::new(),
        };
        let mut at = Duration::from_millis(chance.u64(1_000..8_000));
        while at < end {
            let (number, trouble) = (plan.acts.len(), plan.trouble(&mut chance));
            plan.acts.push(Act { number, at, trouble });
            at += Duration::from_millis(chance.u64(..2 * every_ms));
        }
        if kind == Kind::Long {
            plan.add_stranger();
        }
        plan
    }

    /// Once, somewhere: by chance of its own, so that all else of a plan is what it was.
    fn add_stranger(&mut self) {
        let mut chance = fastrand::Rng::with_seed(self.seed ^ OF_STRANGER);
        let at = Duration::from_millis(chance.u64(STRANGER_FROM_MS..self.end.as_millis() as u64));
        let time = Duration::from_millis(chance.u64(15_000..40_000));
        let (number, trouble) = (self.acts.len(), Trouble::Stranger(time));
        let place = self.acts.partition_point(|act| act.at < at);
        self.acts.insert(place, Act { number, at, trouble });
    }

    /// Leaves out all acts but those of these numbers.
    pub fn keep(&mut self, numbers: &[usize]) {
        self.acts.retain(|act| numbers.contains(&act.number));
    }

    fn trouble(&self, chance: &mut fastrand::Rng) -> Trouble {
        let node = chance.usize(..NODES_MAX);
        // Mostly short, now and then long, and in long runs long enough that nobody waits any more.
        let longest_ms = match (self.kind, chance.u8(..8)) {
            (Kind::Long, 0..3) => 600_000,
            (Kind::Long | Kind::LongLossy, _) => 30_000,
            (_, 0) => 20_000,
            _ => 8_000,
        };
        let time = Duration::from_millis(chance.u64(10..longest_ms));
        // Nobody who has copies of what the engine has is away when all else goes.
        let of_engine = time.min(Duration::from_secs(40));
        if self.kind.is_lossy() && chance.u8(..5) == 0 {
            return match chance.u8(..9) {
                0..4 => Trouble::CopyEngine,
                4..8 => Trouble::RestoreEngine,
                _ => Trouble::LoseEngine,
            };
        }
        match chance.u8(..30) {
            0..6 => Trouble::Kill(node, time),
            6 | 7 if !self.kind.is_lossy() => Trouble::LosePower(node, time),
            6..9 => Trouble::Pause(node, time),
            9 | 10 => Trouble::CutOff(node, time),
            11 => Trouble::Isolate(node, time),
            12 if chance.bool() => Trouble::FillDisk(node, time),
            12 => Trouble::SlowDown(node, time),
            13 => Trouble::Disconnect(node),
            14 => Trouble::LoseAnswers(node, chance.u32(1..5)),
            15 => Trouble::DoLate(node, chance.u32(1..5)),
            16 => Trouble::EndFollowings(node),
            17 | 18 => Trouble::SetClock(node, chance.i64(-60_000..60_000)),
            19 => Trouble::Drain(node, time),
            20 if !self.kind.is_lossy() => Trouble::LoseDisk(node, time),
            20 | 21 => Trouble::Retain(node),
            22 => Trouble::Join,
            23 if self.kind != Kind::LongLossy => Trouble::Forget(node),
            23 | 24 => Trouble::Intrude,
            25 => Trouble::PauseEngine(of_engine),
            26 | 27 => Trouble::KillEngine(of_engine),
            28 => Trouble::CutEngine(of_engine),
            _ => Trouble::FillEngine(of_engine),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "seed {}: {:?}, {} nodes, {} publishers, {} followers, {} s",
            self.seed,
            self.kind,
            self.nodes,
            self.publishers,
            self.followers,
            self.end.as_secs()
        )?;
        self.acts.iter().try_for_each(|act| writeln!(f, "{act}"))
    }
}
