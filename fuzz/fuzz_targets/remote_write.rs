//! Prometheus' remote write: the first byte says which version, the rest is the message.

#![no_main]

use bellwire_ingest::remote_write::{Version, decode};
use bellwire_model::Timestamp;
use bellwire_model::limits::{
    REJECTIONS_REPORTED_MAX, SAMPLES_PER_REQUEST_BYTES_MAX, SAMPLES_PER_REQUEST_MAX,
};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fuzz_target!(|data: &[u8]| {
    let Some((version, body)) = data.split_first() else { return };
    let version = if *version % 2 == 1 { Version::V1 } else { Version::V2 };
    let Ok(decoded) = decode(version, body, NOW) else { return };
    assert_eq!(decoded.samples.len(), decoded.lines.len());
    assert!(decoded.samples.len() <= SAMPLES_PER_REQUEST_MAX);
    assert!(decoded.lines.is_sorted());
    let by_code: usize = decoded.by_code.iter().map(|(_, count)| count).sum();
    assert_eq!(by_code, decoded.rejected);
    assert!(decoded.rejections.len() <= decoded.rejected.min(REJECTIONS_REPORTED_MAX));
    let mut bytes = 0;
    for of_series in decoded.samples.chunk_by(|one, next| one.series == next.series) {
        assert!(of_series[0].series.metric_name().is_some());
        bytes += of_series[0].series.size_bytes();
    }
    assert!(bytes <= SAMPLES_PER_REQUEST_BYTES_MAX);
});
