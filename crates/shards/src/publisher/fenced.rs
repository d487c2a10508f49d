//! What is told to a producer whose event was not appended for its fence.

use bellwire_journal::Fenced;
use bellwire_wire::problem::{Code, Problem};

use super::Published;

/// What became of an event that its fence has kept out, or has known.
pub(super) fn told(fenced: Fenced) -> Result<Published, Problem> {
    match fenced {
        Fenced::Known { epoch, sequence } => Ok(Published::Known { epoch, sequence }),
        refused => Err(refusal(refused)),
    }
}

/// Why it was kept out.
pub fn refusal(fenced: Fenced) -> Problem {
    match fenced {
        Fenced::Known { epoch, sequence } => {
            let detail = format!("epoch {epoch} of the producer is at sequence {sequence} already");
            Problem::new(Code::ProducerInvalid, detail)
        }
        Fenced::Zombie { epoch } => {
            let detail = format!(
                "the producer is in epoch {epoch} by now, begun by another instance of it: stop, or \
                 begin epoch {} with sequence 0 to take its place",
                epoch.saturating_add(1)
            );
            Problem::new(Code::ProducerFenced, detail).with("producer_epoch", epoch.into())
        }
        Fenced::Gap { expected, received } => {
            let detail = format!(
                "the producer's sequence is {received}, and {expected} comes next: send what is \
                 missing first; a producer that nobody knows, or that was forgotten, begins with 0"
            );
            Problem::new(Code::SequenceGap, detail)
                .with("expected_seq", expected.into())
                .with("received_seq", received.into())
        }
        Fenced::Beginning => {
            let detail = "a new epoch of a producer begins with sequence 0";
            Problem::new(Code::ProducerInvalid, detail)
        }
        Fenced::Full => {
            let detail = "as many producers are remembered as there is room for; those that write \
                          nothing for a day are forgotten then: use fewer names";
            Problem::new(Code::ProducersExhausted, detail)
        }
    }
}
