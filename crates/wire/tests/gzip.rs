//! Gzip streams put together from shared pieces, read as a browser reads them.

use bellwire_wire::Deflater;
use bellwire_wire::gzip::{self, HEADER, stored, stored_bytes};
use flate2::{Decompress, FlushDecompress};
use proptest::prelude::*;

/// What the next bytes of a stream inflate to at once.
fn inflated(stream: &mut Decompress, piece: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(1 << 20);
    let before = stream.total_in();
    let _ = stream.decompress_vec(piece, &mut out, FlushDecompress::Sync).expect("deflate");
    assert_eq!(stream.total_in() - before, piece.len() as u64);
    out
}

fn stream() -> Decompress {
    let mut stream = Decompress::new_gzip(15);
    assert!(inflated(&mut stream, &HEADER).is_empty());
    stream
}

#[test]
fn a_stored_piece_is_blocks_of_64_kib() {
    assert_eq!(stored(b""), b"");
    assert_eq!(stored(b"a"), b"\x00\x01\x00\xFE\xFFa");
    for length in [0, 1, 65_535, 65_536, 200_000] {
        let bytes: Vec<u8> = (0..length).map(|n: usize| n as u8).collect();
        let piece = stored(&bytes);
        assert_eq!(piece.len(), stored_bytes(length));
        assert_eq!(inflated(&mut stream(), &piece), bytes);
    }
}

#[test]
fn a_segment_of_similar_events_is_small_and_never_larger_than_stored() {
    let mut deflater = Deflater::default();
    let event = b"data: {\"topic\":\"plants/oslo\",\"time\":1700000000000,\"data\":21.5}\n\n";
    let segment = deflater.segment(&[&event[..]; 20]);
    assert!(segment.len() < event.len() * 3, "{}", segment.len());
    assert_eq!(inflated(&mut stream(), &segment), event.repeat(20));
    let mut state = 1_u32;
    let noise: Vec<u8> = std::iter::repeat_with(|| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    })
    .take(100_000)
    .collect();
    assert!(deflater.segment(&[&noise]).len() <= stored_bytes(noise.len()));
    assert_eq!(deflater.segment(&[&event[..]; 20]), segment, "nothing is left of the one before");
    assert!(deflater.segment(&[]).is_empty());
    assert!(deflater.segment(&[b"", b""]).is_empty());
}

#[test]
fn a_compressed_websocket_frame_and_a_segment_do_not_disturb_each_other() {
    let mut deflater = Deflater::default();
    let text = "a text of some length ".repeat(20);
    let frame = deflater.frame(bellwire_wire::ws::Opcode::Text, text.as_bytes());
    let segment = deflater.segment(&[text.as_bytes()]);
    assert_eq!(inflated(&mut stream(), &segment), text.as_bytes());
    assert_eq!(deflater.frame(bellwire_wire::ws::Opcode::Text, text.as_bytes()), frame);
}

proptest! {
    #[test]
    fn pieces_in_any_order_are_a_stream_and_each_comes_whole(
        pieces in prop::collection::vec(
            prop::collection::vec(prop_oneof![
                "(id: e7-1\n|data: \\{\"a\":21.5\\}\n|\n){0,40}".prop_map(String::into_bytes),
                prop::collection::vec(any::<u8>(), 0..400),
            ], 0..6),
            0..6,
        ),
        order in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 0..12),
    ) {
        let mut deflater = Deflater::default();
        let made: Vec<_> = pieces
            .iter()
            .map(|parts| {
                let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
                (parts.concat(), deflater.segment(&parts))
            })
            .collect();
        let mut stream = stream();
        for (index, is_compressed) in order {
            let Some((plain, segment)) = made.get(index.index(made.len().max(1))) else { break };
            let piece = if is_compressed { segment.clone() } else { gzip::stored(plain) };
            prop_assert_eq!(&inflated(&mut stream, &piece), plain);
        }
    }
}
