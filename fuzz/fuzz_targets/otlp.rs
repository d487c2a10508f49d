//! OpenTelemetry's metrics, in both encodings: whatever comes, each sample has its point, and what
//! was read can be settled.

#![no_main]

use bellwire_ingest::otlp::{Encoding, Promoted, Settings, Totals, decode};
use bellwire_model::{Holder, Timestamp};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_ms(1_700_000_000_000);

fuzz_target!(|data: &[u8]| {
    let settings = Settings {
        promoted: Promoted::AllBut(["host.name".to_owned()].into()),
        promote_scope_metadata: true,
        ..Settings::default()
    };
    for encoding in [Encoding::Protobuf, Encoding::Json] {
        let Ok(mut decoded) = decode(encoding, data, &settings, NOW) else { continue };
        assert_eq!(decoded.samples.len(), decoded.lines.len());
        Totals::default().settle(&mut decoded, Holder::named("ada"), NOW);
        assert_eq!(decoded.samples.len(), decoded.lines.len());
        assert!(decoded.rejections.len() <= decoded.rejected);
    }
});
