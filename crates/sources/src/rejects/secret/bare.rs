//! Secrets that nothing names: keys of this server, tokens, and what looks as if dice had made it.

/// Letters and digits of base64 or hexadecimal from which on nobody has written them by hand.
const RANDOM_LENGTH_MIN: usize = 32;
/// The same at the end of a text, which may be cut there.
const CUT_LENGTH_MIN: usize = 16;

/// What every API key begins with, its id and a line behind it.
const KEY_PREFIX: &str = "bw_";
const KEY_ID_LENGTH: usize = 8;
/// What every JSON object in base64 begins with, as tokens do.
const TOKEN_PREFIX: &str = "eyJ";

/// How much of a text, from its beginning on, is a secret; and how much of that may be shown.
pub(super) fn secret(text: &str) -> Option<(usize, usize)> {
    let run = run(text);
    if run.starts_with(is_separator) {
        return None;
    }
    if let Some(shown) = of_key(run) {
        return Some((run.len(), shown));
    }
    let is_token = run.starts_with(TOKEN_PREFIX) && run.len() >= CUT_LENGTH_MIN;
    let least = if run.len() == text.len() { CUT_LENGTH_MIN } else { RANDOM_LENGTH_MIN };
    if is_token || is_mixed(run, least) {
        let padding = text[run.len()..].bytes().take_while(|byte| *byte == b'=').count();
        return Some((run.len() + padding, 0));
    }
    let segment = &run[..run.find(is_separator).unwrap_or(run.len())];
    let least = if segment.len() == text.len() { CUT_LENGTH_MIN } else { RANDOM_LENGTH_MIN };
    is_single_case(segment, least).then_some((segment.len(), 0))
}

/// The characters of base64, of both alphabets, and of tokens that a text begins with.
fn run(text: &str) -> &str {
    let is_of_run = |char: char| char.is_ascii_alphanumeric() || is_separator(char);
    &text[..text.find(|char| !is_of_run(char)).unwrap_or(text.len())]
}

fn is_separator(char: char) -> bool {
    matches!(char, '_' | '-' | '.' | '+' | '/')
}

/// What may be shown of an API key: its id is public.
fn of_key(run: &str) -> Option<usize> {
    let behind = run.strip_prefix(KEY_PREFIX)?;
    let (id, secret) = behind.split_once('_')?;
    let is_key = id.len() == KEY_ID_LENGTH && !secret.is_empty();
    is_key.then_some(KEY_PREFIX.len() + KEY_ID_LENGTH + 1)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Upper,
    Lower,
    Digit,
}

/// How many characters there are of each class, and how often one follows on another.
struct Mix {
    counts: [usize; 3],
    separators: usize,
    changes: usize,
}

impl Mix {
    fn of(run: &str) -> Self {
        let mut mix = Self { counts: [0; 3], separators: 0, changes: 0 };
        let mut last = None;
        for char in run.chars() {
            let class = match char {
                'A'..='Z' => Class::Upper,
                'a'..='z' => Class::Lower,
                '0'..='9' => Class::Digit,
                _ => {
                    mix.separators += 1;
                    continue;
                }
            };
            mix.counts[class as usize] += 1;
            mix.changes += usize::from(last.is_some_and(|last| last != class));
            last = Some(class);
        }
        mix
    }

    fn length(&self) -> usize {
        self.counts.iter().sum()
    }
}

/// Base64: of three characters two are followed by one of another class, where in names of words two
/// of five are. A separator comes by chance once in 32.
fn is_mixed(run: &str, least: usize) -> bool {
    let mix = Mix::of(run);
    let length = mix.length();
    length >= least
        && mix.counts.iter().all(|count| *count > 0)
        && mix.separators <= length / 8
        && mix.changes * 2 >= length
}

/// Hexadecimal, or digits and letters of one case.
fn is_single_case(segment: &str, least: usize) -> bool {
    let mix = Mix::of(segment);
    let [upper, lower, digits] = mix.counts;
    mix.length() >= least
        && (upper == 0 || lower == 0)
        && upper + lower > 0
        && digits > 0
        && mix.changes * 4 >= mix.length()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_dice_have_made_is_a_secret() {
        for (text, expected) in [
            ("bw_k3v9x2ma_7fq2c4e1d0a5 rest", Some((24, 12))),
            ("bw_k3v9x2ma_7", Some((13, 12))),
            ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhIn0.sig\" x", Some((40, 0))),
            ("d41d8cd98f00b204e9800998ecf8427e,", Some((32, 0))),
            ("D41D8CD98F00B204E9800998ECF8427E x y", Some((32, 0))),
            ("q5iD0lLx+8ZbY1n/3kQwT7eRf2GhJ6sA9vXcM4pUo= next", Some((42, 0))),
            ("q5iD0lLx-8ZbY1n_3kQwT7eRf2GhJ6sA9vXcM4pUo next", Some((41, 0))),
            // Cut.
            ("q5iD0lLx8ZbY1n3kQwT7", Some((20, 0))),
            ("d41d8cd98f00b204e980", Some((20, 0))),
        ] {
            assert_eq!(secret(text), expected, "{text}");
        }
    }

    #[test]
    fn what_people_write_is_none() {
        for text in [
            "",
            "bw_",
            "bw_bytes_total",
            "eyJ",
            "http_server_request_duration_seconds_bucket x",
            "http_server_request_duration_seconds_bucket",
            "kubernetes_io_hostname_of_the_machine2 x",
            "prometheus-operator-6d4b8c9f7b-x2x4z.monitoring.svc ",
            "ip-10-12-130-201.eu-central-1.compute.internal x",
            "3e0c7f7e-9c5f-4c40-8d7e-2b9f7d1f7b11 x",
            "18446744073709551615184467440737 x",
            "1700000000000000000",
            "java_lang_MemoryPool_CollectionUsage_used2 x",
            "ThreadPoolExecutorActiveTaskCountOfPool2 x",
            "/var/lib/docker/containers/app1/Logs x",
            "org.apache.kafka.common.errors.TimeoutException",
            "UPPER_CASE_NAME_OF_SOMETHING_LONG_42 x",
        ] {
            assert_eq!(secret(text), None, "{text}");
        }
    }
}
