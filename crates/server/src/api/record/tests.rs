//! Records that are taken whole, slowly, or not at all.

use std::io;

use http_body_util::BodyExt;

use super::*;

/// What comes behind all frames.
#[derive(Clone, Copy)]
enum Then {
    End,
    Fault,
}

/// A record of so many frames of so many bytes.
fn frames(
    mut count: usize,
    bytes: usize,
    then: Then,
) -> impl FnMut(&mut Vec<u8>) -> Result<bool, RecordError> + Send + 'static {
    move |sink| {
        if count == 0 {
            return match then {
                Then::End => Ok(false),
                Then::Fault => Err(io::Error::other("unreadable").into()),
            };
        }
        count -= 1;
        sink.resize(sink.len() + bytes, 7);
        Ok(true)
    }
}

/// The body of such a record, and what says how many places are free.
async fn sent<N>(next: N) -> (Pieces, Arc<Semaphore>)
where
    N: FnMut(&mut Vec<u8>) -> Result<bool, RecordError> + Send + 'static,
{
    let records = Records::new(None);
    let place = records.place().await.expect("a place");
    let (sender, pieces) = mpsc::channel(1);
    tokio::spawn(send(next, sender, place));
    (Pieces::new(pieces), records.places)
}

async fn wait_for_places(places: &Semaphore) {
    let all = places.acquire_many(RECORDS_SENT_MAX as u32).await;
    drop(all.expect("the semaphore is never closed"));
}

#[tokio::test]
async fn a_record_comes_whole_or_breaks_off() {
    for (count, bytes) in [(0, 0), (3, 10), (5, RECORD_PIECE_BYTES), (2, 10 * RECORD_PIECE_BYTES)] {
        let (mut body, places) = sent(frames(count, bytes, Then::End)).await;
        let mut came = 0;
        while let Some(frame) = body.frame().await {
            let piece = frame.expect("it is whole").into_data().expect("data");
            assert!(piece.len() <= RECORD_PIECE_BYTES && piece.iter().all(|byte| *byte == 7));
            came += piece.len();
        }
        assert_eq!(came, count * bytes);
        wait_for_places(&places).await;
        let (body, places) = sent(frames(count, bytes, Then::Fault)).await;
        body.collect().await.expect_err("it cannot be read");
        wait_for_places(&places).await;
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_reads_too_slowly_is_cut_off_and_one_who_leaves_costs_nothing() {
    let (body, places) = sent(frames(usize::MAX, RECORD_PIECE_BYTES, Then::End)).await;
    let began = Instant::now();
    wait_for_places(&places).await;
    // One piece waits to be taken, and one to be put there.
    assert_eq!(began.elapsed(), RECORD_PATIENCE + slowest(2 * RECORD_PIECE_BYTES as u64));
    body.collect().await.expect_err("it is not whole");

    let (mut body, places) = sent(frames(usize::MAX, RECORD_PIECE_BYTES, Then::End)).await;
    for _ in 0..600 {
        // Fast enough, though it takes ten times what a reader may take at first.
        tokio::time::sleep(slowest(RECORD_PIECE_BYTES as u64)).await;
        body.frame().await.expect("there is more").expect("it goes on");
    }
    assert_eq!(places.available_permits(), RECORDS_SENT_MAX - 1);
    drop(body);
    wait_for_places(&places).await;
}

#[test]
fn a_stretch_is_two_times_of_which_each_may_be_left_out() {
    let ms = Timestamp::from_ms;
    for (query, from, to) in [
        ("", Timestamp::MIN, Timestamp::MAX),
        ("from=1000", ms(1_000), Timestamp::MAX),
        ("to=1970-01-01T00:00:02Z&from=-5", ms(-5), ms(2_000)),
    ] {
        let stretch = stretch(query).expect(query);
        assert_eq!((stretch.from, stretch.to), (from, to), "{query}");
    }
    for (query, told) in [
        ("from=soon", "`from` is a time in milliseconds"),
        ("to=", "`to` is a time"),
        ("from=2&to=1", "`from` is later than `to`"),
        ("since=1", "`since` is no parameter"),
    ] {
        let problem = stretch(query).expect_err(query);
        assert!(problem.detail().starts_with(told), "{}", problem.detail());
    }
}
