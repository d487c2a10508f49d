//! What targets expose: no bytes panic, and a series is read alike wherever it stands.

#![no_main]

use std::borrow::Cow;

use bellwire_ingest::exposition::{Format, Parser};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    for format in [Format::Text, Format::OpenMetrics] {
        let Ok(mut parser) = Parser::new(data, format) else { continue };
        while let Ok(Some(exposed)) = parser.read() {
            let end = match format {
                Format::Text => "",
                Format::OpenMetrics => "# EOF",
            };
            let alone = format!("{} {}\n{end}", exposed.series, exposed.value);
            let mut again = Parser::new(alone.as_bytes(), format).expect("UTF-8");
            let read = again.read().expect("it was read before").expect("one sample");
            assert_eq!(read.series, exposed.series);
            // Bounds are numbers only behind the type of their family.
            assert_eq!(names(&again), names(&parser));
            assert!(parser.line() > 0);
        }
        // Nothing comes after the end or an error.
        assert!(parser.read().is_ok_and(|read| read.is_none()));
    }
});

fn names<'a>(parser: &Parser<'a>) -> Vec<Cow<'a, str>> {
    parser.labels().map(|(name, _)| name).collect()
}
