//! `prometheus.WriteRequest`: `1` series, each with `1` labels, `2` samples, `3` exemplars and `4`
//! native histograms. What else there is is metadata.

use super::{Contents, LABELS_READ_MAX, Reason, Taker};
use crate::decoded::Decoded;
use crate::protobuf::Fields;

pub(super) fn decode(body: &[u8], mut taker: Taker) -> Result<Decoded, Reason> {
    let (mut labels, mut contents) = (Vec::new(), Contents::default());
    for field in Fields::of(body) {
        match field? {
            (1, series) => {
                labels.clear();
                contents.clear();
                read(series.bytes()?, &mut labels, &mut contents)?;
                taker.series(&labels, &contents);
            }
            (4 | 5, _) => return Err(Reason::OtherVersion),
            _ => {}
        }
    }
    Ok(taker.decoded)
}

fn read<'a>(
    series: &'a [u8],
    labels: &mut Vec<(&'a str, &'a str)>,
    contents: &mut Contents,
) -> Result<(), Reason> {
    for field in Fields::of(series) {
        match field? {
            (1, _) if labels.len() == LABELS_READ_MAX => contents.labels_beyond += 1,
            (1, field) => labels.push(label(field.bytes()?)?),
            (2, field) => contents.push_sample(field.bytes()?)?,
            (3, _) => contents.exemplars += 1,
            (4, _) => contents.histograms += 1,
            _ => {}
        }
    }
    Ok(())
}

fn label(message: &[u8]) -> Result<(&str, &str), Reason> {
    let (mut name, mut value) = ("", "");
    for field in Fields::of(message) {
        match field? {
            (1, field) => name = text(field.bytes()?)?,
            (2, field) => value = text(field.bytes()?)?,
            _ => {}
        }
    }
    Ok((name, value))
}

fn text(bytes: &[u8]) -> Result<&str, Reason> {
    std::str::from_utf8(bytes).map_err(|_| Reason::Utf8)
}
