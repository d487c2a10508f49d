//! Last words to a connection that hyper does not serve, and time to hear them.

use bellwire_model::limits::{
    BODY_TIMEOUT, HEAD_TIMEOUT, IDLE_INPUT_BYTES_MAX, LINGER_BYTES_MAX, LINGER_TIMEOUT,
};
use bellwire_shards::StreamRequest;
use http::HeaderValue;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::stream::Stream;
use bellwire_wire::problem::{Code, Problem};

/// The head of a request has taken too long.
pub(super) fn head_timeout() -> Problem {
    let detail = format!("the head did not arrive within {} s", HEAD_TIMEOUT.as_secs());
    Problem::new(Code::HeadTimeout, detail)
}

/// The client has closed its half, and waits in vain.
pub(super) fn half_closed() -> Problem {
    let detail = format!(
        "the answer takes more than {} s: leave the connection open until it is there",
        LINGER_TIMEOUT.as_secs()
    );
    Problem::new(Code::HalfClosed, detail)
}

/// Answers, and ends the connection. `origin`: of the page that may read it, if one asks.
pub(super) async fn refuse(stream: Stream, problem: &Problem, origin: Option<&HeaderValue>) {
    say(stream, &problem.http1_response(origin)).await;
}

/// Answers whoever asks for a stream so that he can read it, and ends the connection.
pub(super) async fn refuse_stream(stream: Stream, request: &StreamRequest, problem: &Problem) {
    say(stream, &bellwire_shards::refusal_response(request, problem)).await;
}

async fn say(mut stream: Stream, answer: &[u8]) {
    let refuse = async {
        // Nothing follows.
        stream.write_all(answer).await?;
        stream.shutdown().await?;
        // To close while the client is still sending would be a reset, which overtakes the answer.
        let mut rest = stream.take(IDLE_INPUT_BYTES_MAX as u64);
        tokio::io::copy(&mut rest, &mut tokio::io::sink()).await
    };
    // A peer that does not even read this is left alone.
    let _ = timeout(LINGER_TIMEOUT, refuse).await;
}

/// Lets run into the void what still comes of a body that has been answered: many clients listen
/// only when they have sent it all.
pub(super) async fn linger(stream: Stream) {
    let mut rest = stream.take(LINGER_BYTES_MAX);
    let mut scratch = vec![0; IDLE_INPUT_BYTES_MAX];
    let discard =
        async { while let Ok(Ok(1..)) = timeout(LINGER_TIMEOUT, rest.read(&mut scratch)).await {} };
    // Who is still at it is cut off.
    let _ = timeout(BODY_TIMEOUT, discard).await;
}
