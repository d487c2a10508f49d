//! Values of settings, as they are written.

use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bellwire_model::limits::CLUSTER_NAME_BYTES_MAX;
use bellwire_model::{Networks, duration};

use super::DURATION_FORM;

pub(super) fn parse<T: FromStr<Err: Display>>(
    values: &[String],
    expected: &str,
    target: &mut T,
) -> Result<(), String> {
    let value = one(values)?;
    *target =
        value.parse().map_err(|error| format!("expected {expected}, not `{value}`: {error}"))?;
    Ok(())
}

/// A number that is not zero.
pub(super) fn positive(values: &[String], target: &mut usize) -> Result<(), String> {
    parse(values, "a number", target)?;
    if *target == 0 { Err("expected a number above 0".to_owned()) } else { Ok(()) }
}

/// A `mailto:` or `https:` URL, or nothing.
pub(super) fn push_contact(values: &[String], target: &mut String) -> Result<(), String> {
    let value = values.first().map(String::as_str).unwrap_or_default();
    let is_one = |url: &url::Url| matches!(url.scheme(), "mailto" | "https");
    if !value.is_empty() && !url::Url::parse(value).is_ok_and(|url| is_one(&url)) {
        return Err(format!("expected `mailto:…` or `https://…`, not `{value}`"));
    }
    value.clone_into(target);
    Ok(())
}

/// The address of what nodes share, or nothing.
pub(super) fn cluster_url(values: &[String]) -> Result<Option<String>, String> {
    const SCHEMES: [&str; 4] = ["nats", "tls", "redis", "rediss"];
    // With commas there are several servers, which a variable has told apart.
    let value = values.join(",");
    if value.is_empty() {
        return Ok(None);
    }
    match value.split_once("://") {
        Some((scheme, _)) if SCHEMES.contains(&scheme) => {
            bellwire_engines::check_address(&value).map_err(|error| error.to_string())?;
            Ok(Some(value))
        }
        // It may have a password, which nobody is shown.
        _ => {
            Err("expected an address such as nats://127.0.0.1:4222 or redis://127.0.0.1:6379"
                .into())
        }
    }
}

/// The name of a cluster, which becomes part of names in its engine.
pub(super) fn cluster_name(value: &str) -> Result<String, String> {
    let is_allowed = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    let has_length = (1..=CLUSTER_NAME_BYTES_MAX).contains(&value.len());
    if !has_length || !value.bytes().all(is_allowed) {
        return Err(format!(
            "expected 1 to {CLUSTER_NAME_BYTES_MAX} characters of a–z, 0–9 and -, not `{value}`"
        ));
    }
    Ok(value.to_owned())
}

/// Where a node is reached, without a slash behind it, or nothing.
pub(super) fn node_address(values: &[String]) -> Result<String, String> {
    let value = values.first().map(String::as_str).unwrap_or_default();
    let is_one = |url: &url::Url| {
        matches!(url.scheme(), "http" | "https")
            && matches!(url.path(), "" | "/")
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    if !value.is_empty() && !url::Url::parse(value).is_ok_and(|url| is_one(&url)) {
        return Err(format!("expected an address such as http://10.0.0.7:8080, not `{value}`"));
    }
    Ok(value.trim_end_matches('/').to_owned())
}

/// Networks, of which there may be none.
pub(super) fn networks(values: &[String], target: &mut Networks) -> Result<(), String> {
    let values = values.iter().map(String::as_str).filter(|value| !value.is_empty());
    *target = Networks::read(values).map_err(|error| error.to_string())?;
    Ok(())
}

/// A path that may be left out, or empty.
pub(super) fn path(values: &[String], target: &mut Option<PathBuf>) -> Result<(), String> {
    *target = match values {
        [] => None,
        values => Some(one(values)?).filter(|value| !value.is_empty()).map(PathBuf::from),
    };
    Ok(())
}

pub(super) fn span_of_time(values: &[String], target: &mut Duration) -> Result<(), String> {
    let value = one(values)?;
    let parsed = duration::parse(value).filter(|duration| !duration.is_zero());
    *target = parsed.ok_or_else(|| format!("expected {DURATION_FORM}; not `{value}`"))?;
    Ok(())
}

pub(super) fn choose<T: Copy>(values: &[String], choices: &[(&str, T)]) -> Result<T, String> {
    let value = one(values)?;
    let chosen = choices.iter().find(|(name, _)| name == value);
    chosen.map(|(_, choice)| *choice).ok_or_else(|| {
        let names: Vec<_> = choices.iter().map(|(name, _)| format!("`{name}`")).collect();
        format!("expected {}, not `{value}`", names.join(" or "))
    })
}

pub(super) fn one(values: &[String]) -> Result<&String, String> {
    match values {
        [value] => Ok(value),
        _ => Err(format!("expected one value, not {}", values.len())),
    }
}
