//! `io.prometheus.write.v2.Request`: `4` texts and `5` series, each with `1` places of its labels
//! among the texts, `2` samples, `3` native histograms and `4` exemplars. What else there is are
//! metadata and start times; those of earlier drafts stand at another place, and are passed over as
//! well.

use bellwire_model::limits::SYMBOLS_MAX;

use super::{Contents, LABELS_READ_MAX, Reason, Taker};
use crate::decoded::{Decoded, Refusal};
use crate::protobuf::{Fields, Value, Varints};

pub(super) fn decode(body: &[u8], mut taker: Taker) -> Result<Decoded, Reason> {
    let symbols = symbols(body)?;
    let (mut references, mut contents) = (Vec::new(), Contents::default());
    let mut labels = Vec::new();
    for field in Fields::of(body) {
        let (5, series) = field? else { continue };
        references.clear();
        contents.clear();
        read(series.bytes()?, &mut references, &mut contents)?;
        labels.clear();
        match resolve(&references, &symbols, &mut labels) {
            Ok(()) => taker.series(&labels, &contents),
            Err(refusal) => taker.refuse(refusal, &contents),
        }
    }
    Ok(taker.decoded)
}

/// The table of texts. Series may stand before it.
fn symbols(body: &[u8]) -> Result<Vec<&str>, Reason> {
    let mut symbols = Vec::new();
    for field in Fields::of(body) {
        match field? {
            (4, symbol) => {
                if symbols.len() == SYMBOLS_MAX {
                    return Err(Reason::Symbols);
                }
                symbols.push(std::str::from_utf8(symbol.bytes()?).map_err(|_| Reason::Utf8)?);
            }
            (1..=3, _) => return Err(Reason::OtherVersion),
            _ => {}
        }
    }
    Ok(symbols)
}

fn read(series: &[u8], references: &mut Vec<u64>, contents: &mut Contents) -> Result<(), Reason> {
    for field in Fields::of(series) {
        match field? {
            (1, Value::Varint(reference)) => contents.push_reference(references, reference),
            (1, packed) => {
                for reference in Varints::of(packed.bytes()?) {
                    contents.push_reference(references, reference?);
                }
            }
            (2, field) => contents.push_sample(field.bytes()?)?,
            (3, _) => contents.histograms += 1,
            (4, _) => contents.exemplars += 1,
            _ => {}
        }
    }
    // A label is a name and a value.
    contents.labels_beyond = contents.labels_beyond.div_ceil(2);
    Ok(())
}

impl Contents {
    fn push_reference(&mut self, references: &mut Vec<u64>, reference: u64) {
        if references.len() < 2 * LABELS_READ_MAX {
            references.push(reference);
        } else {
            self.labels_beyond += 1;
        }
    }
}

fn resolve<'a>(
    references: &[u64],
    symbols: &[&'a str],
    labels: &mut Vec<(&'a str, &'a str)>,
) -> Result<(), Refusal> {
    let (pairs, rest) = references.as_chunks::<2>();
    if !rest.is_empty() {
        let detail = format!("a label has a name and a value: {} references", references.len());
        return Err(Refusal::new("label_invalid", detail));
    }
    for pair in pairs {
        let text = |reference: u64| {
            let found = usize::try_from(reference).ok().and_then(|place| symbols.get(place));
            found.copied().ok_or_else(|| {
                let detail = format!("there is no text {reference}: {} are there", symbols.len());
                Refusal::new("label_invalid", detail)
            })
        };
        labels.push((text(pair[0])?, text(pair[1])?));
    }
    Ok(())
}
