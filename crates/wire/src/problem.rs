//! Errors over HTTP: RFC 9457 problem JSON with a stable code, all from one table.

use std::fmt::Display;

use bellwire_model::{Coded, with_causes};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

use crate::{cors, http1, ws};

macro_rules! codes {
    ($($variant:ident $status:literal $code:literal $title:literal;)*) => {
        /// Every problem that a client can meet. The text form is stable; clients may rely on it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $(#[doc = $title] $variant,)* }

        impl Code {
            /// The table, for the reference and its golden test.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The stable text.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The status of HTTP.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// The code with this text, as the decoders name their errors.
            pub fn named(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|code| code.as_str() == text)
            }

            /// What it means, in a sentence.
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }
        }
    };
}

codes! {
    HeadMalformed 400 "head_malformed" "The request's head is not valid HTTP/1.1.";
    TlsRequired 400 "tls_required" "The port speaks TLS, and the request came without.";
    ProxyHeaderInvalid 400 "proxy_header_invalid" "The connection does not begin as one of a proxy has to here.";
    TopicInvalid 400 "topic_invalid" "The topic or filter is not valid.";
    CursorInvalid 400 "cursor_invalid" "The cursor is not one that this server gave out.";
    ParameterInvalid 400 "parameter_invalid" "A parameter or header is not valid.";
    BodyInvalid 400 "body_invalid" "The body is not what its content type says.";
    QueryInvalid 400 "query_invalid" "The query is no expression that can be followed.";
    QueryTooCostly 400 "query_too_costly" "The query looks at more than one that is followed may.";
    ProtobufInvalid 400 "protobuf_invalid" "The body says that it is Protocol Buffers, and is not.";
    JsonInvalid 400 "json_invalid" "The body says that it is JSON, and is not.";
    NestingTooDeep 400 "nesting_too_deep" "Arrays and objects are nested too deep.";
    Utf8Invalid 400 "utf8_invalid" "The text is not UTF-8.";
    BodyEmpty 400 "body_empty" "The body is empty.";
    KeyInvalid 400 "key_invalid" "The key is not valid.";
    KeyMissing 400 "key_missing" "A state topic's event needs a key.";
    EventTypeInvalid 400 "event_type_invalid" "The event's type is not valid.";
    ContentTypeInvalid 400 "content_type_invalid" "The content type is not valid.";
    IdempotencyKeyInvalid 400 "idempotency_key_invalid" "The idempotency key is not valid.";
    ProducerInvalid 400 "producer_invalid" "What is said of the event's producer is not valid.";
    VersionUnsupported 426 "version_unsupported" "The WebSocket is of a version that is not supported.";
    SubprotocolUnsupported 400 "subprotocol_unsupported" "None of the WebSocket's subprotocols is supported.";
    RequestInvalid 400 "request_invalid" "What came over the WebSocket is no request.";
    SamplesInvalid 400 "samples_invalid" "None of the samples could be taken.";
    CredentialMissing 401 "credential_missing" "The request does not say who it is of.";
    CredentialInvalid 401 "credential_invalid" "The credential is not one that is valid here.";
    LoginFailed 403 "login_failed" "The login at the provider has not come to a good end.";
    Forbidden 403 "forbidden" "Whoever asks has no right to this.";
    AccessOpen 409 "access_open" "The server asks nobody who they are, and keeps nothing of access.";
    SubjectDiffers 403 "subject_differs" "What is shown is somebody else's than what it is to renew.";
    RulesInvalid 422 "rules_invalid" "The rule files or Alertmanager's configuration are wrong; what there was stays in force.";
    ProducerFenced 403 "producer_fenced" "The event's producer has begun a newer epoch: an older one writes nothing any more.";
    TopicReserved 403 "topic_reserved" "The server owns this topic; clients may only read it.";
    NotFound 404 "not_found" "There is nothing at this path.";
    SignalUnsupported 404 "signal_unsupported" "Logs and traces are not taken; metrics are.";
    KeyNotFound 404 "key_not_found" "The state topic has no such key.";
    QueryNotFound 404 "query_not_found" "No query is recorded under this name.";
    StreamNotFound 404 "stream_not_found" "There is no such stream.";
    StreamMismatch 409 "stream_mismatch" "The stream is of another content type, or was created otherwise.";
    SequenceStale 409 "sequence_stale" "What `Stream-Seq` says is not beyond what the stream has.";
    OffsetGone 410 "offset_gone" "What comes behind the offset is not there any more.";
    QueryExists 409 "query_exists" "Another query is recorded under this name.";
    MethodNotAllowed 405 "method_not_allowed" "The path does not take this method.";
    NotAcceptable 406 "not_acceptable" "The answer does not come in any form that `Accept` takes.";
    HeadTimeout 408 "head_timeout" "The request's head did not arrive in time.";
    BodyTimeout 408 "body_timeout" "The request's body did not arrive in time.";
    HalfClosed 408 "half_closed" "The client closed its half before there was an answer.";
    NothingRecorded 404 "nothing_recorded" "Nothing is recorded of the time that is asked for.";
    AlertNotFound 404 "alert_not_found" "There is no such alert.";
    AlertNotFiring 409 "alert_not_firing" "The alert does not fire.";
    SessionUnavailable 409 "session_unavailable" "No session can be made of this, or ended.";
    TicketUnavailable 409 "ticket_unavailable" "No ticket can be made of this.";
    PushUnavailable 409 "push_unavailable" "There are no push messages here, or not for this browser.";
    KindMismatch 409 "kind_mismatch" "The topic is of the other kind.";
    TopicEnded 409 "topic_ended" "The topic has ended, and takes no more events.";
    SequenceGap 409 "sequence_gap" "Events of the same producer that come before this one are missing.";
    ConditionFailed 412 "condition_failed" "The key is not as the request asks for.";
    BodyTooLarge 413 "body_too_large" "The body is larger than allowed.";
    EventTooLarge 413 "event_too_large" "The event is larger than allowed.";
    TooManyEvents 413 "too_many_events" "The request has more events than allowed.";
    TooManySamples 413 "too_many_samples" "The request has more samples than allowed.";
    ContentTypeUnsupported 415 "content_type_unsupported" "The body is of a content type that is not taken here.";
    EncodingUnsupported 415 "encoding_unsupported" "The body is compressed in a way that is not supported.";
    HeadTooLarge 431 "head_too_large" "The request's head is larger than allowed.";
    TransferCodingUnsupported 501 "transfer_coding_unsupported" "The request comes in a transfer coding that is not supported.";
    PublishersBusy 429 "publishers_busy" "More is published than can be taken; try again later.";
    LoginsExhausted 429 "logins_exhausted" "Too many passwords were tried; try again later.";
    ReadersBusy 429 "readers_busy" "More is read than can be answered; try again later.";
    AddressExhausted 429 "address_exhausted" "This address has as many connections as it may.";
    QueriesExhausted 429 "queries_exhausted" "There are as many queries that are followed as there may be.";
    PrincipalExhausted 429 "principal_exhausted" "Whoever asks has used up what their roles allow for now.";
    MemoryExhausted 503 "memory_exhausted" "The memory that the server has for this is nearly used up.";
    ConnectionsExhausted 503 "connections_exhausted" "The server has as many connections as it may.";
    JournalUnavailable 503 "journal_unavailable" "The journal cannot be written or read now.";
    NodeBehind 503 "node_behind" "The node is behind its cluster, and takes no new streams now.";
    IssuerUnavailable 503 "issuer_unavailable" "The keys of the issuer of the token that was shown cannot be had now.";
    StateFull 507 "state_full" "State topics hold as many keys or bytes as they may.";
    RecordsExhausted 507 "records_exhausted" "There are as many silences, acknowledgements, posted alerts, recorded queries, streams, keys, revocations or push subscriptions as there may be.";
    TopicsExhausted 507 "topics_exhausted" "There are as many topics as there may be.";
    EndedTopicsExhausted 507 "ended_topics_exhausted" "As many topics have ended as are remembered.";
    ProducersExhausted 507 "producers_exhausted" "As many producers are remembered as there is room for.";
    HostUnknown 421 "host_unknown" "The request is for a host that this server does not know as its own.";
    OriginForbidden 403 "origin_forbidden" "Pages of this origin may not use the API.";
    JournalFull 507 "journal_full" "The disk that holds the journal is full.";
    StandsInCluster 501 "stands_in_cluster" "A node of a cluster does not do this yet.";
    DeskAway 503 "desk_away" "No node of the cluster has the samples and alerts now, or it is not reached.";
    Draining 503 "draining" "The server is about to end.";
}

/// An error as its client sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// What kind of error it is.
    pub code: Code,
    detail: String,
    retry_after_s: Option<u32>,
    /// Another status than the code's.
    status: Option<StatusCode>,
    /// Members beyond those of RFC 9457.
    extensions: Vec<(&'static str, serde_json::Value)>,
}

/// What a producer has to know to go on, as members and as headers.
const PRODUCER_NUMBERS: [(&str, HeaderName); 3] = [
    ("producer_epoch", HeaderName::from_static("producer-epoch")),
    ("expected_seq", HeaderName::from_static("producer-expected-seq")),
    ("received_seq", HeaderName::from_static("producer-received-seq")),
];

/// The member that says whether what was asked for may have been done.
const MAY_BE_TAKEN: &str = "may_be_taken";

impl Problem {
    /// `detail` says what was wrong, where, and what to do.
    pub fn new(code: Code, detail: impl Display) -> Self {
        let detail = detail.to_string();
        Self { code, detail, retry_after_s: None, status: None, extensions: Vec::new() }
    }

    /// An error of a decoder, which names its code by text.
    pub fn of_decoder(code: &'static str, detail: impl Display) -> Self {
        Self::new(Code::named(code).unwrap_or(Code::BodyInvalid), detail)
    }

    /// Says when it is worth another try.
    #[must_use]
    pub fn retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Tells of it with another status, for whoever does something else with the code's.
    #[must_use]
    pub fn told_as(mut self, status: StatusCode) -> Self {
        self.status = Some(status);
        self
    }

    /// Adds a member to the JSON.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: serde_json::Value) -> Self {
        self.extensions.push((name, value));
        self
    }

    /// What is wrong with one of several: `{"code","detail","version"?,"may_be_taken"?,"index"?}`, and
    /// what a producer has to know.
    pub fn as_item(&self, index: Option<usize>) -> serde_json::Value {
        let mut item = serde_json::json!({ "code": self.code.as_str(), "detail": self.detail });
        if let Some(version) = self.text_of("version") {
            item["version"] = version.into();
        }
        for (name, number) in self.numbers() {
            item[name] = number.into();
        }
        if let Some(is_maybe) = self.is_maybe_taken() {
            item[MAY_BE_TAKEN] = is_maybe.into();
        }
        if let Some(index) = index {
            item["index"] = index.into();
        }
        item
    }

    /// Refuses a whole request for what is wrong with some of it; `items` are [`as_item`](Self::as_item).
    #[must_use]
    pub fn of_whole(mut self, items: Vec<serde_json::Value>) -> Self {
        self.detail = format!("nothing is published: {}", self.detail);
        // They are of that alone.
        self.extensions.clear();
        self.with("errors", items.into())
    }

    /// Refuses the rest of a request of which some was done: so many keys are deleted.
    #[must_use]
    pub fn after_deleting(mut self, keys: usize) -> Self {
        if keys == 0 {
            return self;
        }
        self.detail = format!("{}; {keys} keys are deleted: ask again for the others", self.detail);
        self.with("deleted", keys.into())
    }

    /// The text of a member beyond those of RFC 9457.
    pub fn text_of(&self, name: &str) -> Option<&str> {
        self.extension(name)?.as_str()
    }

    /// What a producer has to know to go on, by name.
    pub fn numbers(&self) -> Vec<(&'static str, u64)> {
        let numbers = PRODUCER_NUMBERS.into_iter();
        numbers.filter_map(|(name, _)| Some((name, self.extension(name)?.as_u64()?))).collect()
    }

    fn extension(&self, name: &str) -> Option<&serde_json::Value> {
        let found = self.extensions.iter().rev().find(|(known, _)| *known == name);
        found.map(|(_, value)| value)
    }

    /// What was wrong, where, and what to do.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// After how many seconds it is worth another try, where time may help.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.retry_after_s
    }

    /// Whether the same request may well succeed a little later: what is in the way is others'.
    pub fn is_transient(&self) -> bool {
        matches!(self.code.status(), 429 | 503)
    }

    /// Says that what was asked for may have been done all the same.
    #[must_use]
    pub fn may_be_taken(self) -> Self {
        self.with(MAY_BE_TAKEN, true.into())
    }

    /// Whether what was asked for may have been done all the same. Nothing where it was not, and nobody
    /// would doubt it.
    pub fn is_maybe_taken(&self) -> Option<bool> {
        let said = self.extension(MAY_BE_TAKEN).and_then(serde_json::Value::as_bool);
        let is_doubted = matches!(self.code, Code::JournalUnavailable | Code::DeskAway);
        said.or(is_doubted.then_some(false))
    }

    /// The body of the answer.
    pub fn json(&self) -> Vec<u8> {
        let mut problem = serde_json::json!({
            "type": "about:blank",
            "title": self.code.title(),
            "status": self.status().as_u16(),
            "code": self.code.as_str(),
            "detail": self.detail,
        });
        for (name, value) in &self.extensions {
            problem[name] = value.clone();
        }
        if let Some(is_maybe) = self.is_maybe_taken() {
            problem[MAY_BE_TAKEN] = is_maybe.into();
        }
        serde_json::to_vec(&problem).expect("strings and numbers are JSON")
    }

    /// The headers that the answer has for it.
    pub fn headers(&self) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
        if let Some(seconds) = self.retry_after_s {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        for (name, header) in PRODUCER_NUMBERS {
            if let Some(number) = self.extension(name).and_then(serde_json::Value::as_u64) {
                headers.insert(header, number.into());
            }
        }
        if self.code.status() == 401 {
            // How to say who one is. Not `Basic`, which has browsers ask people for a password in a
            // window of their own.
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.code == Code::EncodingUnsupported {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.code == Code::VersionUnsupported {
            let version = HeaderValue::from_static(ws::VERSION);
            headers.insert(header::SEC_WEBSOCKET_VERSION, version);
            headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
        }
        headers
    }

    /// The whole response, for a connection that hyper does not serve. It ends the connection.
    /// `origin`: of the page that may read it, if one asks.
    pub fn http1_response(&self, origin: Option<&HeaderValue>) -> Bytes {
        let (status, body) = (self.status(), self.json());
        let reason = status.canonical_reason().unwrap_or("Error");
        let mut response = format!("HTTP/1.1 {} {reason}\r\n", status.as_u16()).into_bytes();
        let mut headers = self.headers();
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.extend(origin.map(cors::headers).into_iter().flatten());
        for (name, value) in &headers {
            http1::extend_head(&mut response, [(name.clone(), value.clone())]);
        }
        response.extend_from_slice(b"\r\n");
        response.extend_from_slice(&body);
        response.into()
    }

    /// The status of the answer.
    pub fn status(&self) -> StatusCode {
        let of_code =
            || StatusCode::from_u16(self.code.status()).expect("the table has valid codes");
        self.status.unwrap_or_else(of_code)
    }
}

/// RFC 9457's media type.
const CONTENT_TYPE: &str = "application/problem+json";

impl<E: Coded> From<E> for Problem {
    fn from(error: E) -> Self {
        let problem = Self::of_decoder(error.code(), with_causes(&error));
        let problem = Self { retry_after_s: error.retry_after_s(), ..problem };
        if error.may_be_taken() { problem.may_be_taken() } else { problem }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_says_whether_it_may_be_taken_where_that_is_in_doubt() {
        let said = |problem: Problem| {
            let body: serde_json::Value = serde_json::from_slice(&problem.json()).expect("JSON");
            assert_eq!(problem.as_item(None).get(MAY_BE_TAKEN), body.get(MAY_BE_TAKEN));
            body.get(MAY_BE_TAKEN).and_then(serde_json::Value::as_bool)
        };
        for (code, certain) in [
            (Code::JournalUnavailable, Some(false)),
            (Code::DeskAway, Some(false)),
            (Code::JournalFull, None),
        ] {
            assert_eq!(said(Problem::new(code, "away")), certain, "{code:?}");
            assert_eq!(said(Problem::new(code, "away").may_be_taken()), Some(true), "{code:?}");
        }
    }

    #[test]
    fn codes_are_snake_case_and_given_out_once() {
        let codes: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        for (index, code) in codes.iter().enumerate() {
            assert!(code.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_')), "{code}");
            assert!(!codes[..index].contains(code), "{code} stands twice");
        }
    }
}
