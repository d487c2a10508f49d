//! A keeper's log and the copy of it, over everything that may happen on the way.

use std::fs;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use bellwire_model::{Labels, METRIC_NAME, Sample, Timestamp};
use bellwire_rules::{Engine, RuleFile, load};

use super::*;
use crate::evaluator::wal::{self, RecordKept, RuleWal};

const RULES: &str = "groups: [{name: g, rules: [{alert: Hot, expr: t > 90, for: 5m}]}]";

/// How often the keeper's disk may not have done what it is about to do.
const ROUNDS_MAX: usize = 10_000;

/// A keeper that writes its state down, and the folder in which another has its copy.
struct Keeper {
    engine: Engine,
    wal: RuleWal,
    standby: Arc<Standby>,
    data: tempfile::TempDir,
    seconds: i64,
}

impl Keeper {
    fn new(mode: StandbyMode) -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let rules = load(&[RuleFile { name: "r", text: RULES }]).expect("rules");
        let (mut engine, figures) = (Engine::new(rules), Arc::new(Figures::default()));
        let standby = Standby::new(mode, (data.path().join("rules"), 6), Arc::clone(&figures));
        let standby = Arc::new(standby);
        let kept = RecordKept::default();
        let own = Some(Arc::clone(&standby));
        let wal = RuleWal::start((data.path().join("rules"), kept), &mut engine, &figures, own);
        standby.open("k 1");
        Self { engine, wal: wal.expect("a folder"), standby, data, seconds: 0 }
    }

    fn step(&mut self) {
        self.seconds += 1;
        let site = format!("s{}", self.seconds % 7);
        let series = Labels::from_pairs([(METRIC_NAME, "t"), ("site", &*site)]).expect("labels");
        let now = Timestamp::from_ms(1_800_000_000_000 + 1_000 * self.seconds);
        self.engine.apply(now, &[Sample { series, value: 95.0, time: now }]);
        self.wal.write(&mut self.engine, Duration::ZERO);
        self.engine.mark_announced();
        self.wal.turn(&mut self.engine, Duration::ZERO);
    }

    fn copy_folder(&self) -> PathBuf {
        self.data.path().join("standby")
    }

    /// What a start would find here.
    fn state(&self) -> String {
        state(&self.data.path().join("rules"))
    }

    /// Has the log say what is due.
    fn note(&self) {
        while let Some(notice) = self.standby.due() {
            self.standby.noted(&notice, Noted::Written);
        }
    }

    async fn begin(&self, node: &str) -> Result<Begun, NotRead> {
        Arc::clone(&self.standby).begin(node).await
    }

    /// A batch whose sender waits.
    fn ask(&self) -> Receiver<Result<RefusedSamples, Problem>> {
        let (told, answer) = sync_channel(1);
        self.standby.answer(Ok(RefusedSamples::default()), Box::new(move |it| _ = told.send(it)));
        answer
    }
}

fn state(folder: &Path) -> String {
    // The keeper may remove what is old while it is read.
    let read = (0..ROUNDS_MAX).find_map(|_| wal::files::read(folder).ok());
    format!("{:?}", read.expect("a folder"))
}

/// Without a wait where there is nothing.
fn at_once(want: Want) -> Want {
    match want {
        Want::Log { stream, place, .. } => Want::Log { stream, place, waits: false },
        Want::Checkpoint { .. } => want,
    }
}

/// Copies until there is nothing more, and says so to the keeper.
async fn level(keeper: &Keeper, copy: &mut StateCopy) {
    loop {
        let want = copy.want();
        let piece = Arc::clone(&keeper.standby).read(at_once(want)).await.expect("there is more");
        copy.take(want, &piece).expect("written");
        let is_level = matches!(want, Want::Log { .. }) && piece.bytes.is_empty() && !piece.is_end;
        if is_level && copy.want() == want {
            return;
        }
    }
}

async fn begin(keeper: &Keeper) -> StateCopy {
    let begun = keeper.begin("s").await.expect("there is none yet");
    let mut copy = StateCopy::begin(&keeper.copy_folder(), &begun).expect("a folder");
    level(keeper, &mut copy).await;
    copy
}

fn is_whole(keeper: &Keeper, evaluation: &str, stream: u64) -> bool {
    let named = Named { node: "s".into(), stream };
    StateCopy::is_whole(&keeper.copy_folder(), (evaluation, Some((&named, "k 1")))).expect("read")
}

#[tokio::test]
async fn what_is_copied_is_what_a_restart_would_find() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    (0..20).for_each(|_| keeper.step());
    let mut copy = begin(&keeper).await;
    assert_eq!(state(&keeper.copy_folder()), keeper.state());
    for round in 0..6 {
        (0..5).for_each(|_| keeper.step());
        level(&keeper, &mut copy).await;
        keeper.wal.begin_next();
        while keeper.wal.is_in_checkpoint() {
            keeper.step();
        }
        settle(&mut keeper, &mut copy).await;
        assert_eq!(state(&keeper.copy_folder()), keeper.state(), "{round}");
    }
}

/// Copies until the keeper has put its last checkpoint in its place, and the copy has that: its mark, a
/// checkpoint and a log.
async fn settle(keeper: &mut Keeper, copy: &mut StateCopy) {
    let files = |folder: &Path| fs::read_dir(folder).expect("a folder").count();
    for _ in 0..ROUNDS_MAX {
        keeper.step();
        level(keeper, copy).await;
        if files(&keeper.copy_folder()) == 3 {
            return;
        }
        std::thread::yield_now();
    }
    panic!("there are {} files", files(&keeper.copy_folder()));
}

#[tokio::test]
async fn a_copy_that_is_cut_at_any_byte_is_one_of_what_was_and_goes_on() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let mut states = vec![keeper.state()];
    for _ in 0..4 {
        keeper.step();
        states.push(keeper.state());
    }
    let copy = begin(&keeper).await;
    let Want::Log { place, .. } = copy.want() else { panic!("it has all") };
    drop(copy);
    let log = keeper.copy_folder().join(format!("log-{:08}", place.log));
    let whole = fs::read(&log).expect("a file");
    let mut seen = 0;
    for cut in 0..=whole.len() {
        fs::write(&log, &whole[..cut]).expect("written");
        let found = state(&keeper.copy_folder());
        // A step is two frames: what was, and that it was announced.
        let is_step = states.contains(&found);
        seen += u64::from(is_step);
        let mut copy = StateCopy::resume(&keeper.copy_folder()).expect("read").expect("it counts");
        let want = copy.want();
        let begin = Place { log: place.log, bytes: cut as u64 };
        assert_eq!(want, Want::Log { stream: 7, place: begin, waits: true });
        let piece = Piece { bytes: whole[cut..].to_vec(), is_end: false, checkpoint: 1 };
        copy.take(want, &piece).expect("written");
        assert_eq!(state(&keeper.copy_folder()), keeper.state(), "{cut}");
        // What was asked for before, or would leave something out, is not taken.
        assert!(cut == whole.len() || copy.take(want, &piece).is_err());
    }
    assert!(seen > 4, "{seen}");
}

#[tokio::test]
async fn who_sends_samples_is_answered_once_the_standby_has_them() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    keeper.step();
    // Nobody is waited for who does not have all yet.
    assert!(keeper.ask().try_recv().is_ok());
    let mut copy = begin(&keeper).await;
    keeper.note();
    assert_eq!(keeper.standby.report().expect("one").stage, StandbyStage::Whole);
    keeper.step();
    let first = keeper.ask();
    let refused = sync_channel(1);
    let problem = Problem::new(Code::PublishersBusy, "no room");
    keeper.standby.answer(Err(problem), Box::new(move |it| _ = refused.0.send(it)));
    assert!(first.try_recv().is_err() && refused.1.try_recv().is_err(), "they wait, in order");
    level(&keeper, &mut copy).await;
    assert!(first.try_recv().expect("answered").is_ok());
    assert!(refused.1.try_recv().expect("answered").is_err());
    // Another node asks, and is not wanted; the same node has forgotten all, and is no standby before
    // the log says so.
    assert_eq!(keeper.begin("t").await, Err(NotRead::NotNow));
    keeper.step();
    let waiting = keeper.ask();
    assert_eq!(keeper.begin("s").await, Err(NotRead::NotNow));
    assert!(waiting.try_recv().is_err());
    let notice = keeper.standby.due().expect("it is to be forgotten");
    assert_eq!(notice, Notice::Forget);
    assert!(waiting.try_recv().is_err());
    keeper.standby.noted(&notice, Noted::Written);
    assert!(waiting.try_recv().expect("answered").is_ok());
    let read = Arc::clone(&keeper.standby).read(at_once(copy.want())).await;
    assert_eq!(read, Err(NotRead::BeginAnew));
    assert!(keeper.begin("s").await.is_ok());
}

#[tokio::test]
async fn nobody_waits_where_that_is_not_wanted() {
    let mut keeper = Keeper::new(StandbyMode::Async);
    let _copy = begin(&keeper).await;
    keeper.note();
    keeper.step();
    assert!(keeper.ask().try_recv().expect("answered").is_ok());
    assert_eq!(Keeper::new(StandbyMode::Off).begin("s").await, Err(NotRead::NotNow));
}

#[tokio::test]
async fn a_keeper_that_ends_takes_nothing_more_and_its_standby_has_all() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let mut copy = begin(&keeper).await;
    keeper.note();
    keeper.step();
    let waiting = keeper.ask();
    let ending = Arc::clone(&keeper.standby);
    let drain = std::thread::spawn(move || ending.drain());
    while !keeper.standby.is_closing() {
        tokio::task::yield_now().await;
    }
    level(&keeper, &mut copy).await;
    drain.join().expect("it ends");
    assert!(waiting.try_recv().expect("answered").is_ok());
    assert_eq!(state(&keeper.copy_folder()), keeper.state());
    assert_eq!(keeper.begin("t").await, Err(NotRead::NotNow));
}

#[tokio::test]
async fn what_a_standby_does_not_get_from_a_keeper_that_ends_is_to_be_sent_again() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let _copy = begin(&keeper).await;
    keeper.note();
    keeper.step();
    let waiting = keeper.ask();
    keeper.standby.drain();
    let problem = waiting.try_recv().expect("answered").expect_err("nobody has it");
    assert_eq!(problem.code, Code::DeskAway);
    // So is what is seen while it ends.
    keeper.step();
    assert!(keeper.ask().try_recv().expect("answered").is_err());
}

#[tokio::test]
async fn only_the_copy_that_the_log_names_counts() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    keeper.step();
    let begun = keeper.begin("s").await.expect("there is none yet");
    let mut copy = StateCopy::begin(&keeper.copy_folder(), &begun).expect("a folder");
    // Nothing of it is complete.
    assert!(!is_whole(&keeper, "k 1", 7));
    assert!(StateCopy::resume(&keeper.copy_folder()).expect("read").is_none());
    level(&keeper, &mut copy).await;
    assert!(is_whole(&keeper, "k 1", 7));
    // Another has evaluated since, the keeper knows another copy, or the log names nobody.
    assert!(!is_whole(&keeper, "k 2", 7) && !is_whole(&keeper, "k 1", 8));
    let unnamed = StateCopy::is_whole(&keeper.copy_folder(), ("k 1", None));
    assert!(!unnamed.expect("read"));
    // Who takes over and is killed before it has begun goes on with it, and nobody adds to it.
    StateCopy::note_taken(&keeper.copy_folder(), "s 2").expect("written");
    assert!(StateCopy::is_whole(&keeper.copy_folder(), ("s 2", None)).expect("read"));
    assert!(!StateCopy::is_whole(&keeper.copy_folder(), ("t 3", None)).expect("read"));
    assert!(StateCopy::resume(&keeper.copy_folder()).expect("read").is_none());
    StateCopy::remove(&keeper.copy_folder()).expect("removed");
    assert!(!is_whole(&keeper, "k 1", 7));
}

#[tokio::test]
async fn what_cannot_be_written_down_makes_the_copy_void() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let copy = begin(&keeper).await;
    keeper.note();
    keeper.standby.broke();
    let read = Arc::clone(&keeper.standby).read(at_once(copy.want())).await;
    assert_eq!(read, Err(NotRead::BeginAnew));
    assert_eq!(keeper.standby.due(), Some(Notice::Forget));
    keeper.standby.noted(&Notice::Forget, Noted::Written);
    assert_eq!(keeper.begin("s").await, Err(NotRead::NotNow), "nothing is written down");
    keeper.step();
    assert!(keeper.begin("s").await.is_ok());
}

#[tokio::test]
async fn a_keeper_that_ends_leaves_its_standby_in_the_log() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let mut copy = begin(&keeper).await;
    keeper.note();
    keeper.step();
    level(&keeper, &mut copy).await;
    // While it drains, and for as long as requests last after that: the standby cannot ask any more.
    let later = clock::uptime() + 2 * STANDBY_PATIENCE;
    keeper.standby.lock().is_closing = true;
    assert_eq!(keeper.standby.due_at(later), None);
    keeper.standby.drain();
    assert_eq!(keeper.standby.due_at(later), None);
    assert_eq!(keeper.standby.report().expect("one").stage, StandbyStage::Whole);
    let read = Arc::clone(&keeper.standby).read(at_once(copy.want())).await;
    assert_eq!(read, Err(NotRead::NotNow));
    assert_eq!(keeper.begin("s").await, Err(NotRead::NotNow));
    assert_eq!(keeper.standby.due_at(later), None);
    // So does one that nobody follows.
    let keeper = Keeper::new(StandbyMode::Wait);
    keeper.standby.drain();
    assert_eq!(keeper.begin("s").await, Err(NotRead::NotNow));
}

#[tokio::test]
async fn a_keeper_that_ends_still_has_the_log_forget_whom_it_has_lost() {
    let keeper = Keeper::new(StandbyMode::Wait);
    let _copy = begin(&keeper).await;
    keeper.note();
    keeper.standby.broke();
    keeper.standby.lock().is_closing = true;
    assert_eq!(keeper.standby.due(), Some(Notice::Forget));
}

#[tokio::test]
async fn a_standby_that_moves_and_stays_behind_is_left() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let mut copy = begin(&keeper).await;
    keeper.note();
    keeper.step();
    let first = keeper.ask();
    let want = copy.want();
    let piece = Arc::clone(&keeper.standby).read(want).await.expect("there is more");
    copy.take(want, &piece).expect("written");
    keeper.step();
    let second = keeper.ask();
    // It gets further, and what is sent is never what it has.
    let late = clock::uptime() + STANDBY_PATIENCE;
    keeper.standby.lock().following.heard((want.stream(), copy.want().has()), late);
    keeper.standby.lock().release(StandbyMode::Wait);
    assert!(first.try_recv().expect("answered").is_ok() && second.try_recv().is_err());
    assert_eq!(keeper.standby.due_at(late), Some(Notice::Forget));
    keeper.standby.noted(&Notice::Forget, Noted::Written);
    assert!(second.try_recv().expect("answered").is_ok());
}

#[tokio::test]
async fn who_waits_is_answered_while_the_log_takes_nothing() {
    let mut keeper = Keeper::new(StandbyMode::Wait);
    let _copy = begin(&keeper).await;
    keeper.note();
    keeper.step();
    let waiting = keeper.ask();
    let late = clock::uptime() + STANDBY_PATIENCE;
    assert_eq!(keeper.standby.due_at(late), Some(Notice::Forget));
    keeper.standby.answer_late();
    assert!(waiting.try_recv().is_err(), "that is on its way");
    keeper.standby.lock().held[0].since = Duration::ZERO;
    let late = clock::uptime().max(STANDBY_ANSWER_PATIENCE);
    keeper.standby.lock().refuse_late(late);
    let problem = waiting.try_recv().expect("answered").expect_err("nobody knows");
    assert_eq!(problem.is_maybe_taken(), Some(true), "the rules have seen it");
}

/// A file that whoever opens it waits for, as where the disk hangs.
struct Hanging(PathBuf);

impl Hanging {
    fn at(path: PathBuf) -> Self {
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
        rustix::fs::mknodat(rustix::fs::CWD, &path, kind, mode, 0).expect("a pipe");
        Self(path)
    }
}

/// Also where a test fails, which waits for all that hangs.
impl Drop for Hanging {
    fn drop(&mut self) {
        drop(fs::OpenOptions::new().read(true).write(true).open(&self.0));
    }
}

#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_samples() {
    let keeper = Keeper::new(StandbyMode::Wait);
    let copy = begin(&keeper).await;
    keeper.note();
    let folder = keeper.data.path().join("rules");
    let hanging = Hanging::at(folder.join("checkpoint-00000099"));
    // Of what the standby asks for, and of what another one begins with.
    let Want::Log { stream, place, .. } = copy.want() else { panic!("it has all") };
    let log = place.log + 1;
    fs::remove_file(folder.join(format!("log-{log:08}"))).ok();
    let also_hanging = Hanging::at(folder.join(format!("log-{log:08}")));
    keeper.standby.wrote(Place { log, bytes: 8 });
    let want = Want::Log { stream, place: Place { log, bytes: 0 }, waits: false };
    let reading = tokio::spawn(Arc::clone(&keeper.standby).read(want));
    let beginning = tokio::spawn({
        let standby = Arc::clone(&keeper.standby);
        async move { standby.begin("t").await }
    });
    let (told, done) = sync_channel(1);
    let standby = Arc::clone(&keeper.standby);
    let evaluating = std::thread::spawn(move || {
        for _ in 0..50 {
            standby.wrote(Place { log, bytes: 9 });
            standby.answer(Ok(RefusedSamples::default()), Box::new(|_| ()));
            assert!(!standby.is_closing());
            standby.answer_late();
            std::thread::park_timeout(Duration::from_millis(2));
        }
        let _ = told.send(());
    });
    // What is due is asked for by a task of the runtime, which is not to wait either.
    tokio::time::sleep(Duration::from_millis(20)).await;
    let late = clock::uptime() + 2 * STANDBY_PATIENCE;
    let due = std::thread::scope(|scope| {
        let done = done.recv_timeout(10 * STANDBY_PATIENCE);
        let is_held_up = done.is_err();
        drop((hanging, also_hanging));
        assert!(!is_held_up, "the evaluator waits for the disk");
        scope.spawn(|| keeper.standby.lock().due(late, StandbyMode::Wait)).join().expect("due")
    });
    assert_eq!(due, Some(Notice::Forget));
    evaluating.join().expect("it ends");
    for hung in [reading.await.expect("read").is_ok(), beginning.await.expect("begun").is_ok()] {
        assert!(!hung);
    }
}
