//! Every bound of the product, with its unit and its reason.
//!
//! Nothing grows without one of these. Those that users may move have a configuration key of the
//! same name; the value here is its default.

use std::time::Duration;

mod advice;
mod between_nodes;
mod standby;

pub use advice::*;
pub use between_nodes::*;
pub use standby::*;

// Names.

/// Bytes of a topic or filter. One of them fits into a request line with room to spare.
pub const TOPIC_BYTES_MAX: usize = 255;
/// Segments of a topic or filter. Deeper trees are a sign of data in the name.
pub const TOPIC_SEGMENTS_MAX: usize = 16;
/// Bytes of an event's key.
pub const KEY_BYTES_MAX: usize = 255;
/// Bytes of an event's type; it is repeated in every SSE frame.
pub const EVENT_TYPE_BYTES_MAX: usize = 128;
/// Bytes of a binary event's media type; longer ones are no media types.
pub const CONTENT_TYPE_BYTES_MAX: usize = 255;
/// Bytes of an idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

// Telemetry.

/// Bytes of a metric name.
pub const METRIC_NAME_BYTES_MAX: usize = 255;
/// Bytes of a label name.
pub const LABEL_NAME_BYTES_MAX: usize = 255;
/// Bytes of a label value.
pub const LABEL_VALUE_BYTES_MAX: usize = 4096;
/// Labels of a series, the metric name included.
pub const LABELS_PER_SERIES_MAX: usize = 64;
/// A sample further ahead than this has a wrong unit or comes from a wrong clock.
pub const SAMPLE_FUTURE_MAX: Duration = Duration::from_mins(10);
/// A sample further back than this can no longer matter to a rule.
pub const SAMPLE_PAST_MAX: Duration = Duration::from_hours(24);
/// Samples in one request.
pub const SAMPLES_PER_REQUEST_MAX: usize = 100_000;
/// Bytes of the samples of one request in the line protocol, where the tags of a line are those of
/// each of its fields: a small body must not become a huge one.
pub const SAMPLES_PER_REQUEST_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Clusters of which it is known which replica of their senders counts.
pub const CLUSTERS_MAX: usize = 10_000;
/// Texts in the table of one request of Prometheus' remote write: each takes two pointers beside its
/// bytes, and an empty one is of two bytes.
pub const SYMBOLS_MAX: usize = 1_000_000;
/// Rejected lines that an answer describes; the rest are counted.
pub const REJECTIONS_REPORTED_MAX: usize = 100;
/// Bytes of a refused item that are shown on `$sys/rejects`.
pub const REJECT_EXCERPT_BYTES_MAX: usize = 256;
/// Bytes of a point, of a resource or of a scope of OpenTelemetry: more than its labels or a thousand
/// buckets take. Each of its parts is some bytes here that may be two in the body.
pub const OTLP_POINT_BYTES_MAX: usize = 512 * 1024;
/// Bytes of a list, a map or bytes that an attribute holds: as a text they are a label's value or too
/// long for one.
pub const OTLP_VALUE_BYTES_MAX: usize = 64 * 1024;
/// Lists and maps in one another that an attribute holds.
pub const OTLP_VALUE_NESTING_MAX: usize = 16;
/// Warnings that an OpenTelemetry request is answered with.
pub const OTLP_WARNINGS_MAX: usize = 16;
/// Of a room for all one who fills it has so many times as much as is still free.
pub const ROOM_OF_ONE_SHARE: usize = 8;
/// Bytes of the totals of series that come as changes.
pub const OTLP_TOTALS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a series that comes as changes may be silent before its total begins anew; at most twice
/// that.
pub const OTLP_TOTAL_AGE: Duration = Duration::from_hours(1);

// MQTT.

/// Bytes of a packet of MQTT, and so of a message.
pub const MQTT_PACKET_BYTES_MAX: usize = 256 * 1024;
/// Bytes of the packet that begins a connection, before it is known whose it is: a token, and a will.
pub const MQTT_CONNECT_BYTES_MAX: usize = 32 * 1024;
/// How long a client may take until its first packet is there and it is known who it is.
pub const MQTT_CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a packet may take once it has begun, or a client to take what it is told.
pub const MQTT_STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Bytes of a client's name for itself. The server keeps it as long as the client is there.
pub const MQTT_CLIENT_ID_BYTES_MAX: usize = 256;
/// Messages of one client that may wait for the rules; then no more are read of it.
pub const MQTT_IN_FLIGHT_MAX: u16 = 1_024;
/// Bytes of them.
pub const MQTT_IN_FLIGHT_BYTES_MAX: usize = 512 * 1024;
/// Bytes of messages of all clients that gather while the rules look at those before them; then
/// no more messages are taken.
pub const MQTT_GATHERED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of packets of all clients that have begun and are not whole: beyond it those who hold the
/// most are closed.
pub const MQTT_PARTIAL_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that a client is to be told and does not take; then nothing more is read of it.
pub const MQTT_UNSENT_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are read of one client before others get their turn.
pub const MQTT_VISIT_BYTES_MAX: usize = 64 * 1024;
/// Brokers of MQTT that the server is a client of.
pub const MQTT_BROKERS_MAX: usize = 64;
/// Messages of one broker that may wait for the rules: it brings those of many sensors.
pub const MQTT_BROKER_IN_FLIGHT_MAX: u16 = 4_096;
/// Bytes of them.
pub const MQTT_BROKER_IN_FLIGHT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long a broker may take to be connected with, and to answer what it is asked.
pub const MQTT_BROKER_ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a broker is left alone at most that could not be spoken to.
pub const MQTT_BROKER_PAUSE_MAX: Duration = Duration::from_mins(1);
/// Bytes of the password that a broker is shown.
pub const MQTT_BROKER_SECRET_BYTES_MAX: u64 = 32 * 1024;
/// Bytes of a topic of MQTT: its levels become a name and labels.
pub const MQTT_TOPIC_BYTES_MAX: usize = 1024;
/// Entries that say what topics mean. A topic that is not known is held against all of them.
pub const MQTT_TOPICS_MAX: usize = 256;
/// Bytes of the topics whose series are known; those of others are found out with each message.
pub const MQTT_TOPICS_CACHED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes of a number as text: some write out all zeros of the smallest.
pub const MQTT_NUMBER_BYTES_MAX: usize = 512;
/// Paths that are followed into one JSON document.
pub const JSON_PATHS_MAX: usize = 64;
/// Bytes of what Sparkplug's nodes and devices have announced: half a million metrics.
pub const SPARKPLUG_STATE_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of what one subject's have announced: it leaves room for others.
pub const SPARKPLUG_STATE_OF_ONE_BYTES_MAX: usize = SPARKPLUG_STATE_BYTES_MAX / 2;
/// Nodes of Sparkplug that were asked of late to announce themselves again; others are asked later.
pub const SPARKPLUG_REBIRTHS_MAX: usize = 4_096;

// Scraping.

/// Jobs that there may be.
pub const SCRAPE_JOBS_MAX: usize = 1_000;
/// Targets of one job.
pub const SCRAPE_TARGETS_MAX: usize = 10_000;
/// Targets of a job that relabeling drops and that are listed.
pub const SCRAPE_TARGETS_DROPPED_LISTED_MAX: usize = 1_000;
/// How often targets are scraped where nothing is said, as in Prometheus.
pub const SCRAPE_INTERVAL_DEFAULT: Duration = Duration::from_mins(1);
/// How often they may be.
pub const SCRAPE_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// How long a scrape may take where nothing is said, as in Prometheus.
pub const SCRAPE_TIMEOUT_DEFAULT: Duration = Duration::from_secs(10);
/// Bytes that one target may expose where nothing is said: some 300,000 series.
pub const SCRAPE_BODY_BYTES_DEFAULT: usize = 32 * 1024 * 1024;
/// Bytes that it may where as many are asked for as there may be.
pub const SCRAPE_BODY_BYTES_MAX: usize = 128 * 1024 * 1024;
/// Bytes of what is read of all targets at a time. A scrape that finds no room for more of it fails.
pub const SCRAPE_BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Samples of one scrape: the rules look at all of them at once.
pub const SCRAPE_SAMPLES_MAX: usize = SAMPLES_QUEUED_MAX;
/// Bytes of them with their labels.
pub const SCRAPE_SAMPLES_BYTES_MAX: usize = SAMPLES_QUEUED_BYTES_MAX;
/// Redirects of one scrape that are followed, as in Prometheus.
pub const SCRAPE_REDIRECTS_MAX: usize = 10;
/// Bytes beyond which a file is something else than a secret.
pub const SCRAPE_SECRET_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a list of targets, in a file or from a server.
pub const TARGET_LIST_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Targets of such a list.
pub const TARGETS_OF_LIST_MAX: usize = 100_000;
/// How long a server may take for such a list.
pub const TARGET_LIST_TIMEOUT: Duration = Duration::from_secs(30);
/// Files with targets of one job.
pub const TARGET_FILES_MAX: usize = 1_000;
/// How often it is looked whether they have changed.
pub const TARGET_FILES_INTERVAL: Duration = Duration::from_secs(5);

// Rules.

/// How long a series counts as present after its newest sample, as in Prometheus.
pub const LOOKBACK: Duration = Duration::from_mins(5);
/// How long a resolved alert stays on the board, as in Prometheus.
pub const RESOLVED_RETENTION: Duration = Duration::from_mins(15);
/// How long an alert is kept whose data is lost, before it counts as resolved: as long as its
/// transitions are kept.
pub const DATA_LOST_RETENTION: Duration = Duration::from_hours(24);
/// A pause of the rules that counts as none: sensors are mostly heard less often. After a longer
/// one alerts wait for their samples before they resolve.
pub const RESTART_GAP: Duration = Duration::from_secs(30);
/// How far the rules' state may be ahead of the wall clock at a start: beyond it the clock was wrong
/// and is not any more, and waiting for it to catch up would take fifty times as long.
pub const CLOCK_LEAD_MAX: Duration = SAMPLE_FUTURE_MAX;
/// Bytes of one rule file.
pub const RULE_FILE_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Levels of an expression: operators and calls within each other. Expressions are walked by
/// recursion, so this bounds the stack; the deepest rules in the field have about 20.
pub const EXPRESSION_DEPTH_MAX: usize = 200;
/// Bytes of the regular expressions of one such expression, compiled.
pub const EXPRESSION_REGEX_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of the tables with which those of one query match fast, and of what it takes to find that
/// there is none: some ten milliseconds' worth.
pub const EXPRESSION_TABLES_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the tables with which those of all rules match fast, each made once it has been asked
/// for long.
pub const RULE_TABLES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Recording rules that feed each other one after the other.
pub const RECORDING_CHAIN_MAX: u32 = 64;
/// How often a condition is looked at that changes all the time in no straight line.
pub const EVALUATION_TICK: Duration = Duration::from_secs(1);
/// How often a group that sets no interval is evaluated in tick mode, as in Prometheus; in stream
/// mode, how often its recording rules give their series a sample at least.
pub const RULE_INTERVAL: Duration = Duration::from_mins(1);
/// How often the log names who floods the rules, and the rules that fail.
pub const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);
/// Ticks that are further behind than this are passed over: the clock has jumped.
pub const TICKS_BEHIND_MAX: Duration = Duration::from_hours(1);
/// Values of one series that a test writes out.
pub const SERIES_TEXT_VALUES_MAX: usize = 1_000_000;
/// Steps of a subquery: what one evaluation may cost.
pub const SUBQUERY_STEPS_MAX: i64 = 100_000;
/// Rules in all files.
pub const RULES_MAX: usize = 50_000;
/// Batches of samples that are known again where they are sent once more: 8 bytes each.
pub const BATCHES_REMEMBERED: usize = 1_024;
/// Series that rules remember at once.
pub const SERIES_MAX: usize = 1_000_000;
/// Of one metric name as many times as many series as there is still room for: who floods one name
/// leaves room for the others, however many names are flooded.
pub const SERIES_OF_METRIC_SHARE: usize = 8;
/// Series beyond [`SERIES_MAX`] that only rules themselves may begin, and those that were there
/// before a restart.
pub const SERIES_RESERVED: usize = 250_000;
/// Alerts that are active at once.
pub const ALERTS_ACTIVE_MAX: usize = 100_000;
/// Transitions that were written down and not announced yet, over any number of restarts: an alert
/// may end and begin again in one step.
pub const TRANSITIONS_UNTOLD_MAX: usize = 4 * ALERTS_ACTIVE_MAX;
/// Samples with a time ahead of the clock that wait for it.
pub const SAMPLES_AHEAD_MAX: usize = 100_000;
/// Samples that are further ahead than this have half of that room: most clocks are not.
pub const SAMPLE_AHEAD_NEAR: Duration = Duration::from_secs(10);
/// Bytes of the samples that rules keep because they look back: 64 million samples. Beyond it the
/// windows of series that get samples lose their oldest ones.
pub const SAMPLES_KEPT_BYTES_MAX: usize = 1024 * 1024 * 1024;
/// Series that a part of a rule may have for each millisecond between two of its evaluations: what
/// looks at many series takes a tenth of the evaluator's time at most, however many samples come.
pub const PART_SERIES_PER_MS: u64 = 2_000;
/// As how many series one counts whose labels are looked at as well.
pub const PART_LABELS_WEIGHT: u64 = 16;
/// As how many series it counts that an operator gives an element.
pub const OPERATION_LOOKS: u64 = 2;
/// Of such parts so many take their tenth; where more of them are busy all are further apart, so that
/// together they leave time for others.
pub const PARTS_RESTING_MAX: usize = 3;
/// Parts that would be less far apart than this are evaluated whenever something comes.
pub const PART_SPACING_MIN: Duration = Duration::from_millis(2);
/// Samples that wait for the evaluator; then publishers wait.
pub const SAMPLES_QUEUED_MAX: usize = 1_000_000;
/// Of these, samples from one address; then its publishers wait, and those of others do not.
pub const SAMPLES_OF_SOURCE_QUEUED_MAX: usize = SAMPLES_QUEUED_MAX / 4;
/// Bytes of samples that wait for the evaluator; then publishers wait.
pub const SAMPLES_QUEUED_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Batches of samples that wait for the evaluator; then publishers wait.
pub const SAMPLE_BATCHES_QUEUED_MAX: usize = 4_096;
/// Samples that are shown on their topics at once, while the rules have nothing to look at.
pub const FORWARDED_PER_TURN: usize = 256;
/// Samples that wait to be shown; then some are, whatever the rules have to look at.
pub const FORWARDS_BEHIND_MAX: usize = 16_384;
/// Bytes of the expression of a query that is followed.
pub const LIVE_EXPRESSION_BYTES_MAX: usize = 16 * 1024;
/// Queries that are recorded under names, whoever sees them.
pub const NAMED_QUERIES_MAX: usize = 10_000;
/// Bytes of their records: of all durable records, so much that the others have room besides.
pub const NAMED_QUERIES_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of such a name.
pub const QUERY_NAME_BYTES_MAX: usize = 128;
/// Bytes of what is noted with such a query.
pub const QUERY_NOTE_BYTES_MAX: usize = 1024;
/// Standing queries that live at a time.
pub const LIVE_QUERIES_MAX: usize = 4_096;
/// Of these, how many one subject follows, or one address where nobody is asked who they are.
pub const LIVE_QUERIES_OF_ONE_MAX: usize = 1_024;
/// Series that a standing query may look at; one that two of its selectors select counts twice.
pub const LIVE_SERIES_MAX: usize = 100_000;
/// Of these, series that one evaluation of it may look at.
pub const LIVE_PART_SERIES_MAX: usize = 10_000;
/// Series that all standing queries may look at, for each query counted by itself: some hundred bytes
/// each.
pub const LIVE_JOINS_MAX: usize = 1_000_000;
/// Series beyond [`LIVE_JOINS_MAX`] that may come to queries that stand: one that begins leaves others
/// room to grow.
pub const LIVE_JOINS_RESERVED: usize = 250_000;
/// The part of [`SERIES_MAX`], as its divisor, beyond which no series is remembered that queries
/// alone select: the rest is for rules.
pub const LIVE_SERIES_DIVISOR: usize = 2;
/// Elements that the answer of a standing query may have.
pub const LIVE_ELEMENTS_MAX: usize = 10_000;
/// How long a standing query is kept after the last who followed it has gone.
pub const LIVE_LINGER: Duration = Duration::from_mins(1);
/// Series that all standing queries may look at in a millisecond, by their numbers alone: a fifth of
/// the evaluator's time.
pub const LIVE_LOOKS_PER_MS: u64 = 2 * PART_SERIES_PER_MS;
/// Of these, how many they may look at in one step or piece: half a millisecond's worth.
pub const LIVE_LOOKS_AT_ONCE: u64 = 10_000;
/// As how many series an evaluation of a standing query counts beside those that it looks at.
pub const LIVE_EVALUATION_LOOKS: u64 = 32;
/// The same of an evaluation that looks at no label.
pub const LIVE_NUMBERS_LOOKS: u64 = 8;
/// As how many series one evaluation of a standing query counts at most: some ten milliseconds' worth,
/// which is what a rule may have to wait.
pub const LIVE_EVALUATION_LOOKS_MAX: u64 = 250_000;
/// Selectors of standing queries that are compared with each series of their metric, or with all
/// series, because they say no value of a label: some microseconds for each sample that nobody selects.
pub const LIVE_SCANNED_MAX: usize = 128;
/// Values of a label by which a selector of a standing query is found (`host=~"a|b"`).
pub const LIVE_VALUES_INDEXED_MAX: usize = 64;
/// Steps that it takes to compare a selector of a standing query with a series: some twenty
/// microseconds' worth.
pub const LIVE_SELECT_STEPS_MAX: usize = 8 * 1024;
/// How far back a standing query looks.
pub const LIVE_REACH_MAX: Duration = Duration::from_hours(24);
/// Bytes of the regular expressions of a standing query, compiled.
pub const LIVE_REGEX_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of the tables with which they match fast.
pub const LIVE_TABLES_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the expressions of all standing queries, as texts and compiled.
pub const LIVE_EXPRESSIONS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// The part of [`SAMPLES_KEPT_BYTES_MAX`], as its divisor, beyond which queries that have more samples
/// kept than rules do end.
pub const LIVE_KEPT_DIVISOR: usize = 2;
/// Selectors of a standing query.
pub const LIVE_SELECTORS_MAX: usize = 64;
/// What standing queries have come to that waits for its place on a topic, in elements: then none of
/// them is evaluated.
pub const LIVE_ANSWERED_MAX: usize = 65_536;
/// The same in bytes of labels.
pub const LIVE_ANSWERED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Instants at which a query is evaluated for the past that it had before anybody followed it.
pub const LIVE_PAST_STEPS: u32 = 180;
/// Series of which that past is made: beyond it there is none.
pub const LIVE_PAST_SERIES_MAX: usize = 10_000;
/// Samples of these that a query looks at from its beginning on, given to the rules at a time; of one
/// series more where it has more.
pub const LIVE_SEED_SAMPLES: usize = 256;
/// How long whoever follows a query waits for it at most; then it begins without.
pub const LIVE_PAST_PATIENCE: Duration = Duration::from_secs(5);
/// How far apart the evaluations of a part of a standing query are for which a step had no time left.
pub const LIVE_PACE: Duration = Duration::from_secs(1);
/// How often the answer of a standing query is looked at that moves while time alone passes, and how
/// often one is evaluated that cannot be followed sample by sample.
pub const LIVE_TICK: Duration = Duration::from_secs(1);
/// Requests that wait to look at the rules' state.
pub const LOOKS_QUEUED_MAX: usize = 256;
/// Series that are looked at for one query, and bytes of their samples that are copied, between two
/// batches: half a millisecond's worth.
pub const READING_PIECE_SERIES: usize = 512;
/// See [`READING_PIECE_SERIES`].
pub const READING_PIECE_BYTES: usize = 512 * 1024;
/// Steps that it takes between two batches to find what a query selects, of two or three nanoseconds
/// each: a matcher takes four, and one for each byte that its expression looks at.
pub const READING_PIECE_STEPS: usize = 128 * 1024;
/// Of these, steps for one series; where it takes more the series is copied untold, and whoever asks
/// finds out.
pub const READING_SERIES_STEPS: usize = 32 * 1024;
/// Steps for a series that changes just now, in the midst of a batch.
pub const READING_CHANGE_STEPS: usize = 1_024;
/// Steps that are there in any case to find whether a series may be seen that may be selected: enough
/// for 256 sets of matchers, each with a text.
pub const READING_SIGHT_STEPS: usize = 1_024;
/// Rules and alerts that are looked at for one report on them between two batches.
pub const REPORT_PIECE_LOOKS: usize = 1_024;
/// Of the memory that the process may have, the part that all queries together may hold.
pub const QUERY_SHARE_PERCENT: u64 = 20;
/// Bytes of the answer to one query.
pub const QUERY_ANSWER_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Steps of one range query, as in Prometheus.
pub const QUERY_STEPS_MAX: usize = 11_000;
/// Bytes of the form of one query.
pub const PARAMETERS_BYTES_MAX: usize = 64 * 1024;
/// Bytes of the rules' write-ahead log after which a checkpoint is taken, at least. At a restart so
/// much is read beside the checkpoint.
pub const RULE_WAL_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// The part of the last checkpoint to which the log grows before the next one, where that is more: a
/// checkpoint for each 64 MiB would write a large state many times over.
pub const RULE_WAL_SHARE: u64 = 4;
/// Bytes of a frame of a record: what is held of one at once.
pub const RECORD_FRAME_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Records that are read over HTTP at a time; others wait for their turn.
pub const RECORDS_SENT_MAX: usize = 2;
/// Bytes of a record that its reader is given at once.
pub const RECORD_PIECE_BYTES: usize = 64 * 1024;
/// Bytes of a record that its reader takes in a second at least, after a while ([`RECORD_PATIENCE`]):
/// its files take room on the disk though the server has removed them.
pub const RECORD_BYTES_PER_SECOND_MIN: u64 = 32 * 1024;
/// How long a reader of a record may be slower than that.
pub const RECORD_PATIENCE: Duration = Duration::from_mins(1);
/// Times that alerts fired, or would have, which a replay compares.
pub const REPLAY_EPISODES_MAX: usize = 200_000;
/// Values of all series of a test that a replay writes.
pub const TEST_CELLS_MAX: usize = 1_000_000;
/// Checks of a test that a replay writes.
pub const TEST_CHECKS_MAX: usize = 1_000;
/// Times of which nothing was recorded that a replay lists.
pub const REPLAY_GAPS_MAX: usize = 100;
/// Bytes of a piece of a checkpoint: what the evaluator writes of it between two batches.
pub const CHECKPOINT_PIECE_BYTES: usize = 64 * 1024;

// What becomes of alerts.

/// How long an expired silence is remembered, as in Alertmanager.
pub const SILENCE_RETENTION: Duration = Duration::from_hours(120);
/// Silences, expired ones that are remembered included.
pub const SILENCES_MAX: usize = 20_000;
/// Bytes of all of them: 1.6 kB each where there are so many. Twice as much, for what is escaped in
/// their records, leaves room for the other durable records.
pub const SILENCES_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Of silences, their bytes and their compiled expressions one maker has as many times as many as
/// there is still room for: who heaps them up leaves room for others.
pub const SILENCES_OF_MAKER_SHARE: usize = 8;
/// Of posted alerts, their bytes and the bytes of acknowledgements one who posts or acknowledges has
/// as many times as many as there is still room for.
pub const ALERTS_OF_ONE_SHARE: usize = 8;
/// Silences that an alert names as those that silence it, the least ids of them.
pub const SILENCES_NAMED_MAX: usize = 16;
/// Values under which silences with the same matchers are found: an expression that lists more is
/// tested for each alert.
pub const SILENCE_VALUES_MAX: usize = 16;
/// Alerts that clients have posted and that are remembered.
pub const POSTED_ALERTS_MAX: usize = 50_000;
/// Bytes of their records: of all durable records, so much that silences, acknowledgements and what
/// webhooks were told have room besides.
pub const POSTED_RECORDS_BYTES_MAX: usize = 96 * 1024 * 1024;
/// Bytes of the records of acknowledgements, assignments and comments, of all durable records: 160 for
/// each of as many alerts as may fire.
pub const ACKNOWLEDGEMENTS_BYTES_MAX: usize = 24 * 1024 * 1024;
/// How long after a restart a posted alert goes on whose end has passed meanwhile, so that who posts
/// it can say that it still fires.
pub const POSTED_GRACE: Duration = Duration::from_mins(2);
/// Bytes of the address of the page that tells more of a posted alert: it may hold an expression.
pub const GENERATOR_URL_BYTES_MAX: usize = 16 * 1024;
/// Bytes of a posted alert's labels and annotations: as JSON, whatever in them is escaped, they must
/// fit into one record ([`RECORD_BYTES_MAX`]).
pub const POSTED_ALERT_BYTES_MAX: usize = 128 * 1024;
/// Bytes of the name of who silences or acknowledges, or is to see to an alert.
pub const PERSON_BYTES_MAX: usize = 255;
/// Bytes of a silence's comment, of an acknowledgement's note, or of a comment on an alert.
pub const NOTE_BYTES_MAX: usize = 4096;
/// Comments on one alert while it fires.
pub const COMMENTS_MAX: usize = 100;
/// Bytes of the record of who is to see to an alert and what was said of it, whatever in it is escaped:
/// it is written anew with each comment, and must fit into one record ([`RECORD_BYTES_MAX`]).
pub const ATTENTION_BYTES_MAX: usize = 128 * 1024;
/// Alerts that one request acknowledges, assigns or comments on: they are planned while others wait.
pub const ATTENDED_AT_ONCE_MAX: usize = 1_000;
/// Requests that wait for the desk; then those who bring them wait.
pub const DESK_QUEUED_MAX: usize = 64;
/// How long somebody waits for what they ask of the desk while the journal says nothing, as those do who
/// publish. Then they are told so: what waits yet is not done, and what is on its way may be.
pub const DESK_ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Alerts that the preview of a silence names; the others are counted.
pub const PREVIEW_ALERTS_MAX: usize = 1_000;
/// Points of a series that are kept of an alert's transition, the newest.
pub const ALERT_SERIES_POINTS_MAX: usize = 64;
/// Transitions of one step of the rules whose series are kept: to read one takes some microseconds.
pub const ALERT_SERIES_PER_STEP_MAX: usize = 32;
/// Transitions whose series are kept however fast they come, before one more has its turn.
pub const ALERT_SERIES_BURST: u32 = 256;
/// After how long one more has it.
pub const ALERT_SERIES_INTERVAL: Duration = Duration::from_millis(250);
/// Bytes of all of them, unless the configuration says so.
pub const ALERT_SERIES_RETENTION_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of what webhooks have taken that streams keep, unless the configuration says so: about half
/// a million of one alert, or fourteen hundred of ten thousand.
pub const NOTIFICATIONS_RETENTION_BYTES_MAX: u64 = 256 * 1024 * 1024;
/// Transitions whose series an alert's history finds.
pub const ALERT_SERIES_PLACES_MAX: usize = 64 * 1024;
/// Of how many of them a page of it tells the points.
pub const ALERT_SERIES_TOLD_MAX: usize = 32;
/// Bytes of a rule's expression that the event of a transition tells.
pub const EXPRESSION_TOLD_BYTES_MAX: usize = 4 * 1024;
/// Events of alerts whose places in the journal are known by alert, 33 bytes each and up to 24 for each
/// alert; of older ones the history tells nothing.
pub const ALERT_HISTORY_EVENTS_MAX: usize = 1024 * 1024;
/// The same of what webhooks were to be told, where one event counts for each of its alerts.
pub const ALERT_HISTORY_LETTERS_MAX: usize = 512 * 1024;
/// How often that is brought up to date, for whoever asks later.
pub const ALERT_HISTORY_INTERVAL: Duration = Duration::from_secs(1);
/// How often what retention has removed is forgotten.
pub const ALERT_HISTORY_TRIM_INTERVAL: Duration = Duration::from_mins(1);
/// Pages of the journal that one request reads to bring it up to date; then it is told to come back.
pub const ALERT_HISTORY_PAGES_MAX: usize = 32;
/// Bytes of events that are read for one page of an alert's history: much of letters is left out.
pub const ALERT_HISTORY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Events that are read to answer one request for the board as it was.
pub const ALERT_HISTORY_LOOKS_MAX: usize = 2_000;
/// Alerts in one answer for the board as it was.
pub const ALERTS_THEN_MAX: usize = 1_000;
/// Comparisons with numbers that are told of one rule's expression.
pub const THRESHOLDS_TOLD_MAX: usize = 8;
/// Silences that are told of one alert, those that have ended included.
pub const SILENCES_TOLD_MAX: usize = 100;
/// Matchers of one silence, route or filter.
pub const MATCHERS_MAX: usize = 64;
/// Bytes of a matcher's value: an expression may list many hosts.
pub const MATCHER_VALUE_BYTES_MAX: usize = 16 * 1024;
/// Bytes of the expressions of one silence, route or filter, compiled.
pub const MATCHERS_REGEX_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Steps of two or three nanoseconds that it takes to find whether an alert passes the matchers of a
/// silence or filter: whoever writes one has others wait for it. The longest labels take 16,384 for
/// an expression with a table; one of 48 bytes some 160,000 for a thousand names with `.*` around each.
/// What takes more does not match.
pub const MATCHING_STEPS_MAX: usize = 256 * 1024;
/// Steps for all alerts of one filter or preview: half a second's worth.
pub const FILTERING_STEPS_MAX: usize = 256 * 1024 * 1024;
/// Bytes of the expressions of all silences together, compiled.
pub const SILENCES_REGEX_BYTES_MAX: usize = 64 * 1024 * 1024;

// Notifications.

/// Bytes of Alertmanager's configuration file.
pub const ALERTMANAGER_CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes of the expressions of one such file, compiled.
pub const ALERTMANAGER_REGEX_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Routes of Alertmanager's configuration: each alert may be compared with all of them.
pub const ROUTES_MAX: usize = 10_000;
/// Receivers of Alertmanager's configuration.
pub const RECEIVERS_MAX: usize = 1_000;
/// Rules of Alertmanager's configuration by which alerts inhibit others.
pub const INHIBITION_RULES_MAX: usize = 1_000;

/// Groups of alerts that are notified together.
pub const ALERT_GROUPS_MAX: usize = 200_000;
/// What webhooks have been told of groups; beyond it the one goes that would be forgotten first.
pub const NOTIFICATION_RECORDS_MAX: usize = 200_000;
/// Bytes of all of these as they are stored: beyond it, too. The durable records have room for the
/// others besides.
pub const NOTIFICATION_RECORDS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of resolved alerts that groups keep for webhooks which are yet to be told of them; beyond
/// it the oldest go, and dead letters stand for them.
pub const RESOLVED_UNTOLD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Notifications of one webhook that wait or are on their way; more are put off to their group's
/// next look.
pub const NOTIFICATIONS_WAITING_MAX: usize = 10_000;
/// Bytes of dead letters that wait for the journal; beyond it a notification stays owed, and one
/// letter stands for all that a webhook is not told.
pub const DEAD_LETTERS_WAITING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes of events of delivered notifications that wait for the journal; beyond it the oldest go, and are
/// in no alert's history.
pub const NOTIFICATIONS_UNTOLD_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Requests to one webhook at a time.
pub const NOTIFICATION_REQUESTS_MAX: usize = 16;
/// How long the first retry of a notification waits; each later one half as long again.
pub const NOTIFICATION_RETRY_MIN: Duration = Duration::from_millis(500);
/// How long a retry waits at most.
pub const NOTIFICATION_RETRY_MAX: Duration = Duration::from_mins(1);
/// How long a webhook may take to accept a connection.
pub const WEBHOOK_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of a webhook's answer that are read; of a refusal they tell why.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 4 * 1024;
/// Addresses that a webhook may send a notification on to.
pub const WEBHOOK_REDIRECTS_MAX: usize = 5;
/// How long it is remembered at least what a webhook was told, though it is repeated more often.
pub const NOTIFICATION_RECORD_AGE_MIN: Duration = Duration::from_mins(15);
/// How long at most, as in Alertmanager.
pub const NOTIFICATION_RECORD_AGE_MAX: Duration = Duration::from_hours(120);

// Web Push.

/// Subscriptions of browsers that are told of alerts though no page is open.
pub const PUSH_SUBSCRIPTIONS_MAX: usize = 4_096;
/// Those of one owner: the browsers that somebody has, and some besides.
pub const PUSH_SUBSCRIPTIONS_OF_OWNER_MAX: usize = 32;
/// Bytes of their records: of all durable records, so much that the others have room besides.
pub const PUSH_SUBSCRIPTIONS_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of the address that a browser is reached at: the longest that push services give out have
/// some 700.
pub const PUSH_ENDPOINT_BYTES_MAX: usize = 2_048;
/// Severities that one subscription names, and bytes of each.
pub const PUSH_SEVERITIES_MAX: usize = 32;
/// See [`PUSH_SEVERITIES_MAX`].
pub const PUSH_SEVERITY_BYTES_MAX: usize = 64;
/// Bytes of the matchers of one subscription, as they are written.
pub const PUSH_MATCHERS_BYTES_MAX: usize = 4 * 1024;
/// Bytes of the name of a language.
pub const PUSH_LANGUAGE_BYTES_MAX: usize = 35;
/// Bytes of a message before it is encrypted: push services take 4,096 of the encrypted one, of which
/// 86 are its head, 16 its tag and one ends the text.
pub const PUSH_MESSAGE_BYTES_MAX: usize = 3_993;
/// Alerts that a message names; of the others it says how many.
pub const PUSH_ALERTS_NAMED_MAX: usize = 5;
/// Alerts of which a subscription is yet to be told: of further ones it is told how many.
pub const PUSH_ALERTS_UNTOLD_MAX: usize = 256;
/// Steps that the matchers of one owner's subscriptions take for all alerts of a moment: some 100 ms'
/// worth. What is left then counts as asked for.
pub const PUSH_STEPS_MAX: usize = 32 * 1024 * 1024;
/// Severities whose alerts a message counts apart.
pub const PUSH_SEVERITIES_COUNTED_MAX: usize = 8;
/// How long news of alerts gather, so that a burst is one message.
pub const PUSH_GATHER: Duration = Duration::from_secs(2);
/// Time between two messages to one subscription: what turns to and fro is told at this pace.
pub const PUSH_PAUSE: Duration = Duration::from_secs(15);
/// How long a push service keeps a message for a browser that is not there. A newer one replaces it.
pub const PUSH_KEPT: Duration = Duration::from_hours(12);
/// How long one request to a push service may take.
pub const PUSH_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the first retry of a message waits; each later one twice as long.
pub const PUSH_RETRY_MIN: Duration = Duration::from_secs(2);
/// How long a retry waits at most, whatever the push service asks for.
pub const PUSH_RETRY_MAX: Duration = Duration::from_mins(10);
/// How long it is tried to tell somebody; then what was new is given up, and the next message says what
/// fires all the same.
pub const PUSH_TRIED: Duration = Duration::from_hours(1);
/// After so long in which its push service has taken nothing a subscription goes.
pub const PUSH_FAILING_MAX: Duration = Duration::from_hours(72);
/// Requests to one push service at a time: a slow one has its own wait, and no others.
pub const PUSH_REQUESTS_OF_SERVICE_MAX: usize = 8;
/// Requests at a time to wherever one owner's subscriptions lead: who subscribes says where that is.
pub const PUSH_REQUESTS_OF_OWNER_MAX: usize = 4;
/// Requests to push services at a time.
pub const PUSH_REQUESTS_MAX: usize = 256;
/// Bytes of a push service's answer that are read, so that its connection can be used again.
pub const PUSH_ANSWER_BYTES_MAX: usize = 4 * 1024;
/// How long every look finds that the time of a subscription is over before it goes: longer than a
/// clock that has jumped is left so.
pub const PUSH_OVERDUE: Duration = Duration::from_hours(1);
/// How often it is looked whether subscriptions still count.
pub const PUSH_LOOK_INTERVAL: Duration = Duration::from_mins(1);
/// How long the token counts by which a push service knows this server: 24 hours are allowed.
pub const PUSH_TOKEN_AGE: Duration = Duration::from_hours(12);

// Journal.

/// Bytes of one event's body.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Events in one publish request.
pub const EVENTS_PER_REQUEST_MAX: usize = 10_000;

/// Webhooks that a configuration may have.
pub const WEBHOOKS_MAX: usize = 100;

/// Members that the templates of one webhook look up: each is looked for in every item.
pub const MAPPING_PLACES_MAX: usize = 16;
/// Bytes of such a member as JSON has it: what is around the items is written into each of them.
pub const MAPPING_VALUE_BYTES_MAX: usize = 4096;
/// Append requests that wait for the journal's writer; then publishers wait. What the server itself
/// writes does not count here, and has as much room of its own.
pub const APPENDS_QUEUED_MAX: usize = 4096;
/// Bytes of append requests that wait for the journal's writer; then publishers wait.
pub const APPENDS_QUEUED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Topics beyond [`TOPICS_MAX`] that only the server itself may begin: one for each rule, and more
/// for severities and dead letters.
pub const TOPICS_RESERVED: usize = RULES_MAX + 10_000;
/// Bytes that topics which have ended take, as they are remembered with or without events: so many of
/// them that nobody else's are kept from beginning.
pub const ENDED_TOPICS_BYTES_MAX: usize = 128 * 1024 * 1024;
/// What one of these takes beside its name: its places in the tables of topics.
pub const ENDED_TOPIC_BYTES: usize = 320;
/// How long a node that starts waits for an engine that is away: it may be started at the same moment.
pub const CLUSTER_CONNECT_PATIENCE: Duration = Duration::from_secs(10);
/// How long a node that starts waits to get any further with its cluster before it gives up.
pub const CLUSTER_START_PATIENCE: Duration = Duration::from_mins(2);
/// How long a node that starts waits for somebody who has what its cluster goes on with: longer than until that is
/// given up, so that where all have been restarted they get there.
pub const CLUSTER_BASE_PATIENCE: Duration = Duration::from_mins(10);
/// A node that has known for so long of something in the log that it has not applied is behind: it
/// takes no new streams, which would be shown what is old.
pub const CLUSTER_BEHIND_MAX: Duration = Duration::from_secs(10);
/// It is so no more once it has known of it for less than that.
pub const CLUSTER_BEHIND_CLEARED: Duration = Duration::from_secs(2);
/// How long a node that starts waits to learn who has the samples and alerts of its cluster: longer than a
/// lease lasts of a node that is gone, and than it is left to a standby.
pub const CLUSTER_ROLE_PATIENCE: Duration = Duration::from_millis(8_500);
/// Requests that a node passes on at once: each takes a connection here and at the other end.
pub const RELAYED_MAX: usize = 512;
/// How long a node waits for a connection to another one.
pub const RELAY_CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How long it waits for the head of the other's answer: longer than any of those takes.
pub const RELAY_TIMEOUT: Duration = Duration::from_mins(1);
/// How long a node waits until it has what the other has answered for, before it says that it does not know.
pub const CATCH_UP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long who changes what is kept of access waits for the journal. The change stays queued.
pub const ACCESS_WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a failed attempt to tell other nodes of tickets the next one is made.
pub const TICKETS_TOLD_RETRY: Duration = Duration::from_secs(1);
/// How often a node that waits for the keeper's answer looks whether another one has taken over.
pub const RELAY_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// How often values of alerts that go on are put on the board that nodes share: each stays in the log.
pub const BOARD_VALUES_INTERVAL: Duration = Duration::from_mins(1);
/// Alerts that are shown with one append there.
pub const SHOWN_AT_ONCE_MAX: usize = 1_000;
/// The longest name of a cluster, in bytes: it is part of names in its engine.
pub const CLUSTER_NAME_BYTES_MAX: usize = 32;
/// How long a request of one node to another counts, either way: clocks may be so far apart.
pub const NODE_REQUEST_AGE_MAX: Duration = Duration::from_mins(1);
/// Bytes of what a node keeps in mind of requests of others that have counted, for as long as they would count:
/// enough for 10,000 a second. Where there are more, what was signed before is refused.
pub const NODE_NONCES_BYTES_MAX: usize = 48 * 1024 * 1024;
/// How long a node waits for another one to be reached, and then for its answer to begin.
pub const NODE_CONNECT_PATIENCE: Duration = Duration::from_secs(5);
/// See [`NODE_CONNECT_PATIENCE`].
pub const NODE_ANSWER_PATIENCE: Duration = Duration::from_secs(10);
/// Snapshots of a replica that are made or sent at a time.
pub const SNAPSHOTS_SENT_MAX: usize = 1;
/// How long a node waits until another one has made a snapshot of all that it has.
pub const SNAPSHOT_MADE_PATIENCE: Duration = Duration::from_mins(10);
/// How long a snapshot may take, with what it has: for so many bytes a second longer.
pub const SNAPSHOT_SENT_PATIENCE: Duration = Duration::from_mins(1);
/// See [`SNAPSHOT_SENT_PATIENCE`].
pub const SNAPSHOT_BYTES_PER_SECOND_MIN: u64 = 1024 * 1024;
/// How long a node that is sent one waits for its next piece.
pub const SNAPSHOT_PIECE_PATIENCE: Duration = Duration::from_secs(30);
/// Bytes of a snapshot that are read at once.
pub const SNAPSHOT_PIECE_BYTES: usize = 256 * 1024;
/// How long a node that starts looks for another one that gives it a snapshot.
pub const SNAPSHOT_PEERS_PATIENCE: Duration = Duration::from_secs(20);
/// What a copy of a replica leaves free on the disk, in bytes.
pub const SNAPSHOT_SPACE_KEPT: u64 = 256 * 1024 * 1024;
/// Events in one commit: enough to make the sync cheap, few enough to keep its latency flat.
pub const EVENTS_PER_COMMIT_MAX: usize = 16_384;
/// How long who changes a stream of Durable Streams waits for the journal. The change stays queued.
pub const DURABLE_STREAM_TIMEOUT: Duration = Duration::from_secs(10);
/// Streams of Durable Streams that were created, or deleted while something is left of them.
pub const DURABLE_STREAMS_MAX: usize = 100_000;
/// How often those are looked for whose time is over.
pub const DURABLE_STREAMS_SWEEP_INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of events that one of its events has for a reader that follows; a larger event is alone. Such a run
/// is each connection's own, and a slow reader keeps one.
pub const DURABLE_STREAMS_RUN_BYTES_MAX: usize = 16 * 1024;
/// How long a reader of theirs waits for one answer.
pub const DURABLE_STREAMS_WAIT: Duration = Duration::from_secs(20);
/// Durable records: room for what webhooks were told, silences, posted alerts, acknowledgements,
/// recorded queries and streams, each as many as there may be.
pub const RECORDS_MAX: usize = 600_000;
/// Bytes of one durable record, its key included.
pub const RECORD_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of all durable records.
pub const RECORDS_BYTES_MAX: u64 = 352 * 1024 * 1024;
/// Bytes in one commit.
pub const BYTES_PER_COMMIT_MAX: usize = 8 * 1024 * 1024;
/// Events that the memory engine keeps.
pub const MEMORY_JOURNAL_EVENTS_MAX: usize = 1_000_000;
/// Bytes that the memory engine keeps.
pub const MEMORY_JOURNAL_BYTES_MAX: usize = 256 * 1024 * 1024;
/// How long a stream topic keeps events where its configuration says nothing.
pub const RETENTION_AGE: Duration = Duration::from_hours(24);
/// How far the clocks of a cluster's nodes may be apart before keys that have a time to live go early
/// on one that catches up: it takes as much of what their clocks differ for no time that has passed.
pub const PLACED_CLOCKS_APART_MAX: Duration = SAMPLE_FUTURE_MAX;
/// How long an idempotency key is remembered.
pub const IDEMPOTENCY_AGE: Duration = Duration::from_hours(24);
/// Idempotency keys that are remembered; beyond it, and a thousandth more, the oldest go first.
pub const IDEMPOTENCY_KEYS_MAX: usize = 1_000_000;
/// Bytes of a producer's name.
pub const PRODUCER_BYTES_MAX: usize = 128;
/// Bytes of producers that are remembered, of all topics: each is charged with its name, that of its
/// topic and [`PRODUCER_OVERHEAD_BYTES`]. Who has many leaves some to others.
pub const PRODUCERS_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a producer takes beside the names, in memory and in the file.
pub const PRODUCER_OVERHEAD_BYTES: usize = 256;
/// How long a producer is remembered that writes nothing.
pub const PRODUCER_AGE: Duration = Duration::from_hours(7 * 24);
/// How long at least where others need the room: those that have been idle for longest go first, until a
/// quarter of it is free.
pub const PRODUCER_AGE_MIN: Duration = IDEMPOTENCY_AGE;
/// How often retention is applied.
pub const RETENTION_INTERVAL: Duration = Duration::from_secs(10);
/// With `durability = "interval"`: how often the journal is synced.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);
/// A difference between the wall clock and the time that has passed which counts as a step.
pub const CLOCK_STEP_MIN: Duration = Duration::from_mins(1);
/// Steps of the wall clock that a journal remembers; of more, the oldest become one.
pub const CLOCK_STEPS_MAX: usize = 64;
/// How long after a boot the wall clock must have run on before the journal believes how long the
/// system was down.
pub const CLOCK_TRUST_AGE: Duration = Duration::from_hours(1);
/// How often a journal looks whether it could write, and tries again where it could not.
pub const JOURNAL_LOOK_INTERVAL: Duration = Duration::from_secs(1);
/// For how long a server has to take no events in before its clients are told so, and to take some
/// again before they are told that: an engine that comes and goes costs each of them one control event
/// in that time at most.
pub const OUTAGE_SETTLED_AFTER: Duration = Duration::from_secs(3);
/// Blocks of events that retention cleans in one transaction; the writer waits for it.
pub const RETENTION_STEP_BLOCKS_MAX: usize = 4;
/// Blocks and their topics, or keys, that retention looks at before the writer gets its turn.
pub const RETENTION_STEP_LOOKS_MAX: usize = 4096;
/// Connections that read the journal's file at once; further readers wait for one of them.
pub const JOURNAL_READERS_MAX: usize = 8;
/// Topics, of blocks or of all that there are, that a reader looks at before the writer gets its turn.
pub const READ_STEP_LOOKS_MAX: usize = 4096;
/// Bytes of pages written to the journal after which they are moved from the write-ahead file to the
/// main file: seldom enough to write each page once, often enough to stay in the page cache.
pub const CHECKPOINT_BYTES: u64 = 8 * 1024 * 1024;
/// Bytes of the write-ahead file beyond which the writer pauses to start it afresh.
pub const WRITE_AHEAD_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// How long that pause may last while readers finish their pages; then it is tried again later.
pub const WRITE_AHEAD_PAUSE_MAX: Duration = Duration::from_millis(50);
/// Topics with a retention of their own in the configuration.
pub const TOPIC_RULES_MAX: usize = 1_000;

// Hub.

/// Events in the ring of recent events.
pub const RING_EVENTS_MAX: usize = 65_536;
/// Bytes in the ring of recent events: payloads, and what they are encoded to.
pub const RING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Pointers to recent events in all lanes of a shard, 8 bytes each: with the slack of their queues
/// as much as the ring. Lanes that hold more reach back less far.
pub const LANE_ENTRIES_MAX: usize = RING_BYTES_MAX / 16;
/// Bytes that all lanes of a shard take: the filters that are followed, and the pointers to events
/// and to values of state topics; beyond it nobody begins to follow what nobody follows yet.
pub const LANES_BYTES_MAX: usize = 512 * 1024 * 1024;
/// Events of the ring that are looked at for a subscriber before others get their turn.
pub const RING_LOOKS_MAX: usize = 4_096;
/// The shortest time between two updates of a key that `max_rate` asks for: 1,000 a second is as
/// good as no limit.
pub const UPDATE_INTERVAL_MIN: Duration = Duration::from_millis(1);
/// The longest: one update in a quarter of an hour, or so. Who wants fewer asks when it wants them.
pub const UPDATE_INTERVAL_MAX: Duration = Duration::from_secs(1000);
/// Keys of all state topics together: ten million, those that only alerts may take, and some for the
/// server's own.
pub const STATE_KEYS_MAX: usize = 10_200_000;
/// State topics that there may be: each takes some 500 bytes beside its keys.
pub const STATE_TOPICS_MAX: usize = 1_000_000;
/// Bytes that state topics are charged with together, their share of the overhead included, where
/// the budget of memory allows as many.
pub const STATE_BYTES_MAX: usize = 4 * 1024 * 1024 * 1024;
/// Of the budget of memory, the part that they are charged with at most, what their values are
/// encoded to included. Values that are followed may take as much again before nobody begins to
/// follow what nobody follows yet.
pub const STATE_SHARE_PERCENT: u64 = 25;
/// Bytes beyond that which only alerts may take: the board always has room.
pub const STATE_BYTES_RESERVED: usize = 256 * 1024 * 1024;
/// Keys of the table that are looked at before others get their turn at it.
pub const STATE_LOOKS_MAX: usize = 1_024;
/// Bytes that values are charged with that are copied for somebody who reads them, before others get
/// their turn at the table; of one value more.
pub const STATE_READ_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Bytes that values are charged with that are packed before others get their turn at the table; of
/// one value more.
pub const STATE_PACKED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How often it is looked for values that nobody has any more, which are packed, where nothing changes.
pub const STATE_SETTLE_INTERVAL: Duration = Duration::from_millis(250);
/// Values that are looked at for that each time: a million that are in use are all looked at within
/// four seconds.
pub const STATE_SETTLED_MAX: usize = 65_536;
/// Bytes of what a follower shows of itself.
pub const PRESENCE_SHOWN_BYTES_MAX: usize = 1_024;
/// Bytes of what somebody without a name is known by.
pub const PRESENCE_ID_BYTES_MAX: usize = 64;
/// Bytes that all who show themselves take, of all topics; whoever has many leaves some to others.
pub const PRESENCE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Bytes that each of them is charged with on each topic beside their name and what they show.
pub const PRESENCE_OVERHEAD_BYTES: usize = 512;
/// Those of a topic who may be told one by one, as configured at most.
pub const PRESENCE_NAMED_MAX: usize = 1_000;
/// How long somebody is there whose connection has ended, as configured at most.
pub const PRESENCE_GRACE_MAX: Duration = Duration::from_mins(5);
/// How often it is told who has come and gone.
pub const PRESENCE_INTERVAL: Duration = Duration::from_millis(100);
/// What is told of that at a time.
pub const PRESENCE_NEWS_MAX: usize = 1_000;
/// Bytes of one state value: it is kept in memory as long as its key lives.
pub const STATE_VALUE_BYTES_MAX: usize = 64 * 1024;
/// The shortest time after which a value of a state topic may go by itself: what is renewed must reach
/// the server meanwhile.
pub const STATE_TTL_MIN: Duration = Duration::from_secs(1);
/// The longest. What stays for longer needs none.
pub const STATE_TTL_MAX: Duration = Duration::from_hours(30 * 24);
/// Of these, keys that only alerts may take: the board always has room.
pub const STATE_KEYS_RESERVED: usize = ALERTS_ACTIVE_MAX + POSTED_ALERTS_MAX;
/// Of the keys and bytes that state topics may have beside those for alerts, the part beyond which
/// no further series is shown, on `samples/…` and `rules/…`: the rest is for what users publish.
pub const STATE_SERIES_PERCENT: usize = 75;
/// Deleted keys of all state topics that are remembered together, so that whoever comes back learns
/// of them; the oldest are forgotten first.
pub const DELETIONS_REMEMBERED_MAX: usize = 65_536;
/// Bytes that these are charged with together.
pub const DELETIONS_REMEMBERED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Deleted keys of one topic that are remembered, however few there are. Of a topic that has more keys
/// as many are remembered as there are keys.
pub const DELETIONS_OF_TOPIC_MIN: usize = 1_024;
/// Bytes of changes of state topics that a journal takes before what they have replaced begins to go,
/// however few that are.
pub const STATE_REPLACED_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long the value of a sample is shown after the last one came.
pub const SAMPLE_VALUE_AGE: Duration = Duration::from_hours(1);
/// How far back series are remembered on `samples/…` and `query/…` where the configuration does not
/// say.
pub const PAST_WINDOW: Duration = Duration::from_mins(15);
/// The most that it may say.
pub const PAST_WINDOW_MAX: Duration = Duration::from_hours(24);
/// Points of a series that are remembered where the configuration does not say: as many as a chart
/// has pixels, or so.
pub const PAST_POINTS: u16 = 1_024;
/// The most that it may say.
pub const PAST_POINTS_MAX: u16 = 8_192;
/// Points of a series that are not thinned, however old they are within the window.
pub const PAST_POINTS_KEPT_WHOLE: usize = 32;
/// Bytes that the points of one series take, compressed.
pub const PAST_BYTES_OF_SERIES_MAX: usize = 32 * 1024;
/// Bytes that there have to be for each series for another one to be remembered: so many fewer are of
/// no use to a chart.
pub const PAST_BYTES_OF_SERIES_MIN: usize = 384;
/// Bytes of compressed points that are copied for a reader before others get their turn at the table.
pub const PAST_PAGE_BYTES_MAX: usize = 32 * 1024;
/// Points that are copied and written for a reader at once: a quarter of a megabyte of text. Those of
/// steady series take two bits each.
pub const PAST_PAGE_POINTS_MAX: usize = 8_192;
/// And those for a reader whose socket has taken fewer the last time.
pub const PAST_PAGE_POINTS_MIN: usize = 64;
/// Of the budget of memory, all that is remembered of series takes one part of so many at most.
pub const PASTS_SHARE: u64 = 8;
/// `[[samples.history]]` tables of the configuration: each is looked at where a topic has no match
/// before.
pub const PAST_RULES_MAX: usize = 64;
/// Stream and state topics that the server remembers figures of.
pub const TOPICS_MAX: usize = 1_000_000;

// Connections.

/// Bytes of the values of state topics in one answer.
pub const STATE_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Filters of one connection.
pub const FILTERS_PER_CONNECTION_MAX: usize = 64;
/// Filters that what a connection asks for and what it may see have in common: as many sensors as
/// one has rights to, each named apart, and no more than can be held against each other in passing.
pub const FILTERS_IN_COMMON_MAX: usize = 256;
/// Connections of the process where the file descriptors allow it.
pub const CONNECTIONS_MAX: usize = 2_000_000;
/// Connections that are told at a time that there is no room: each takes a descriptor while it is.
pub const TURNED_AWAY_MAX: usize = 64;
/// Bytes of a request's head.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;
/// Headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Time that a client has to send a request's head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for a client to take a refusal, and to stop sending; for an answer to begin once it has.
pub const LINGER_TIMEOUT: Duration = Duration::from_secs(2);
/// Bytes of a body that run into the void once it has been answered.
pub const LINGER_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of what is said of something wrong in a body: it may quote what it is about.
pub const EXCERPT_BYTES_MAX: usize = 512;
/// Time that a client has to send a request's body.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Bytes of a request's body.
pub const BODY_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Bytes of all bodies that are being read or looked at; then publishers come back later.
pub const BODIES_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Of the machine's or the container's memory, the part that the process may have where the
/// configuration does not say: the kernel needs some for each socket.
pub const MEMORY_SHARE_PERCENT: u64 = 60;
/// The least that the process may be told to have: idle it takes a third of this.
pub const MEMORY_BYTES_MIN: u64 = 64 * 1024 * 1024;
/// Of its budget of memory, the part beyond which new subscribers are refused: those who are
/// there need room to be served.
pub const MEMORY_NEAR_PERCENT: u64 = 90;
/// Of its budget of memory, the part beyond which samples and events are refused, too: what is
/// kept of them would be the end of everybody.
pub const MEMORY_FULL_PERCENT: u64 = 95;
/// How often the process looks at its memory: seldom enough to cost nothing, often enough that
/// those who come in between do not matter.
pub const MEMORY_LOOK_INTERVAL: Duration = Duration::from_millis(500);
/// A connection that accepts no byte for this long, although there is something to send, ends.
pub const STALL_TIMEOUT: Duration = Duration::from_mins(1);
/// Silence after which a stream sends a heartbeat; below the 30 s after which proxies cut in.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(25);
/// Silence after which a kept-alive connection without a stream is closed.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(75);
/// Topics in one listing.
pub const TOPICS_LISTED_MAX: usize = 10_000;
/// Requests at a time that read what grows with the data; others wait for their turn.
pub const LARGE_READS_MAX: usize = 2;
/// How long such a request waits for its turn.
pub const LARGE_READ_PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a body from which on it is worked through on no thread that serves others: less is done
/// within a few hundred microseconds.
pub const LARGE_BODY_BYTES_MIN: usize = 64 * 1024;
/// Bodies of that size that are worked through at a time; others wait for their turn.
pub const LARGE_BODIES_MAX: usize = 8;
/// How many times its bytes a compressed body counts before it is inflated.
pub const INFLATION_ASSUMED: usize = 32;
/// How many times its bytes a body in snappy may say that it is: its longest copy is of 64 bytes,
/// and takes three, or two.
pub const SNAPPY_RATIO_MAX: usize = 32;
/// How old counts of subscribers may be that a listing shows: who lists again and again must not
/// keep those who come and go waiting.
pub const SUBSCRIBER_COUNTS_AGE: Duration = Duration::from_secs(1);
/// Longest wait of a long poll.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// Events in one long-poll answer or page of history.
pub const PAGE_EVENTS_MAX: usize = 1_000;
/// How long a client may keep a full page of history without asking whether it still holds.
pub const PAGE_MAX_AGE: Duration = Duration::from_hours(1);
/// Bytes of one page of history, in a long poll and for catch-up.
pub const PAGE_BYTES_MAX: usize = 1024 * 1024;
/// Bytes of one event that a client's SSE parser takes: the largest event, all of it escaped.
pub const SSE_EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes of one WebSocket message from a client, compressed or not: the largest event as base64,
/// and what is around it.
pub const WEBSOCKET_MESSAGE_BYTES_MAX: usize = EVENT_BYTES_MAX.div_ceil(3) * 4 + 64 * 1024;
/// Frames of one WebSocket message. Empty ones add nothing to its bytes, so they are counted.
pub const WEBSOCKET_FRAGMENTS_MAX: u32 = 16_384;
/// Bytes of a text that a WebSocket client names its request with.
pub const REQUEST_ID_BYTES_MAX: usize = 64;
/// Arrays and maps in one another, those around an event included, that JSON and `MessagePack` are
/// read and written with: neither side needs a deep stack for it, and many parsers take no more.
pub const NESTING_MAX: usize = 100;
/// Bytes below which nothing is compressed: with a fresh context it would hardly get smaller.
pub const COMPRESSED_BYTES_MIN: usize = 256;
/// Base of the time that SSE clients wait before they reconnect.
pub const RETRY: Duration = Duration::from_secs(2);
/// Bytes that one write hands to the kernel.
pub const WRITE_BYTES_MAX: usize = 256 * 1024;
/// Slices that one write hands to the kernel.
pub const WRITE_SLICES_MAX: usize = 128;
/// Bytes of a TLS record, as RFC 8446 and RFC 5246 bound it.
pub const TLS_RECORD_BYTES_MAX: usize = 5 + 16 * 1024 + 2048;
/// Bytes that a TLS client's part of a handshake may have come in before it makes sense.
pub const TLS_HANDSHAKE_BYTES_MAX: usize = 64 * 1024 - 1;
/// Bytes that a shard reads from a client at a time.
pub const READ_BYTES_MAX: usize = 16 * 1024;
/// Reads from one client before others get their turn.
pub const READS_PER_VISIT_MAX: usize = 4;
/// Requests of one WebSocket that are yet to be replied to, or whose replies the client does not
/// take; it is not read from before it has taken some. What one read holds may go beyond it.
pub const REQUESTS_IN_FLIGHT_MAX: usize = 64;
/// Bytes that one shard holds of what its talking clients have sent only in part, or ahead of what
/// they are listened to; beyond it those have to come back later who hold much for long.
pub const WEBSOCKET_HELD_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Of the budget of memory, the part that all shards together hold of it at most.
pub const WEBSOCKET_HELD_SHARE_PERCENT: u64 = 5;
/// Subscriptions of one WebSocket that are on their way to be ready.
pub const SUBSCRIPTIONS_ADDED_MAX: usize = 16;
/// Pings without an answer after which a client is dead.
pub const PINGS_UNANSWERED_MAX: u8 = 2;
/// Heartbeats that a WebSocket message may last before it is complete: what is held of it counts
/// against everybody's bound.
pub const BEATS_INCOMPLETE_MAX: u8 = 3;
/// Time that a client has to end a connection whose last words it has been sent.
pub const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);
/// Reads of whole records within which a TLS client must have said something. Records without
/// content must not keep a shard busy.
pub const TLS_READS_MAX: usize = 16;
/// How often the files of the TLS certificate and key are looked at for a change.
pub const TLS_LOOK_INTERVAL: Duration = Duration::from_secs(2);
/// Bytes of large answers that wait for their clients, who may ask for many and take none of them.
pub const ANSWERS_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Requests and streams of one HTTP/2 connection at a time.
pub const HTTP2_STREAMS_MAX: u32 = 128;
/// Bytes of a request's headers on HTTP/2, each counted with 32 bytes more, as the protocol does.
pub const HTTP2_HEADER_LIST_BYTES_MAX: u32 = 16 * 1024;
/// Streams of an HTTP/2 connection that the client has reset before they were looked at; one more
/// is a flood, and ends the connection.
pub const HTTP2_RESETS_MAX: usize = 20;
/// Frames of an HTTP/2 client that carry nothing (SETTINGS, PING, PRIORITY, GOAWAY, unknown ones,
/// empty DATA, and what is said again of a stream or window) which it may send at once.
pub const HTTP2_IDLE_FRAMES_BURST: u32 = 1_000;
/// And in a second from then on: more is a flood, and ends the connection. Clients that measure
/// their way with pings send some ten.
pub const HTTP2_IDLE_FRAMES_PER_SECOND: u32 = 200;
/// Bytes written to an HTTP/2 client for one update of a window that is no such frame: some send
/// two for each frame they get, one for the stream and one for the connection, and an event with
/// its frame's head has hardly less than twice this.
pub const HTTP2_ACKNOWLEDGED_BYTES_MIN: usize = 32;
/// Bytes written to an HTTP/2 client that count for this: a large window may be taken at once.
pub const HTTP2_UNACKNOWLEDGED_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Streams that an HTTP/2 client has reset and that are remembered: it must say no more on them.
pub const HTTP2_RESETS_REMEMBERED: usize = 64;
/// Bytes that a client may send on one HTTP/2 stream before they are read.
pub const HTTP2_STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Bytes that a client may send on one HTTP/2 connection before they are read.
pub const HTTP2_CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// Bytes of an answer that wait in an HTTP/2 stream for the client's window.
pub const HTTP2_SEND_BUFFER_BYTES_MAX: usize = 64 * 1024;
/// Silence of a client after which HTTP/2 asks whether it is still there.
pub const HTTP2_PING_INTERVAL: Duration = Duration::from_secs(30);
/// How long the client may take to answer that.
pub const HTTP2_PING_TIMEOUT: Duration = Duration::from_secs(20);
/// Bytes of an answer that hyper has at a time over HTTP/1, beside its own buffer.
pub const HTTP1_PIECE_BYTES_MAX: usize = 64 * 1024;
/// Bytes that are moved at once from a shard into an HTTP/2 stream: one frame.
pub const CARRY_BYTES_MAX: usize = 16 * 1024;
/// Bytes that wait between a shard and an HTTP/2 stream, as the kernel counts them.
pub const CARRY_QUEUE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of one event, or of several that go out together, from which a stream with gzip is
/// compressed: below, a fresh context saves too little to pay for the work on both sides.
pub const GZIP_BYTES_MIN: usize = 1024;
/// Compressed runs of events that a shard keeps for others who need the same.
pub const GZIP_SEGMENTS_MAX: usize = 64;
/// How often the server tells who lags, and its other figures, under `$sys/…`.
pub const LAG_INTERVAL: Duration = Duration::from_secs(1);
/// Connections that lag and are named, the slowest of them.
pub const LAGGARDS_NAMED_MAX: usize = 20;
/// Streams that have ended and are told of, of each reason the newest; each takes about 2 KiB at most.
pub const CLOSED_STREAMS_TOLD_MAX: usize = 32;
/// Where so many end for one reason within this time, the others are only counted: to describe one
/// takes a shard's time.
pub const CLOSED_STREAMS_PAUSE: Duration = Duration::from_millis(100);
/// Filters of a stream that has ended and is told of: the first ones.
pub const CLOSED_STREAM_FILTERS_MAX: usize = 4;
/// Bytes of the subject of such a stream.
pub const CLOSED_STREAM_SUBJECT_BYTES_MAX: usize = 255;
/// Connections of a shard that lag and are looked at to find those.
pub const LAGGARDS_LOOKED_AT_MAX: usize = 10_000;
/// Batches that wait for a shard; then the journal's writer waits.
pub const FEED_BATCHES_MAX: usize = 1_024;
/// Of those, as many as a shard with no connections is not woken for.
pub const BATCHES_DEFERRED_MAX: usize = 64;
/// Bytes of them beyond which it is.
pub const BATCHES_DEFERRED_BYTES_MAX: usize = 1024 * 1024;
/// Connections that wait for a shard to take them; then new ones are refused.
pub const ADOPTIONS_QUEUED_MAX: usize = 4_096;
/// Different filters that the connections of one shard follow.
pub const LANES_PER_SHARD_MAX: usize = 65_536;
/// Connections that a shard visits for one reason before others get their turn, so that a publish
/// to very many does not hold up one to a few.
pub const VISITS_PER_TURN: usize = 64;
/// Bytes that a shard writes in one turn to those who come or catch up, before it looks after live
/// events again: some milliseconds' worth.
pub const TURN_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// As they were before gzip, where it has to be made: a millisecond or two.
pub const TURN_DEFLATED_BYTES_MAX: u64 = 512 * 1024;
/// Bytes that a shard reads from WebSockets' clients in one turn.
pub const TURN_READ_BYTES_MAX: u64 = 1024 * 1024;
/// Bytes that compressed messages of one client come to before others get their turn: one of the
/// largest, and what comes along with it.
pub const VISIT_INFLATED_BYTES_MAX: u64 = 1024 * 1024;
/// As many for all clients of one turn.
pub const TURN_INFLATED_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Things in the hub and the state table that a shard looks at for what one client asks, and
/// pointers that it takes for one long poll, before others get their turn. What is asked for at
/// once is looked at as a whole.
pub const LOOKS_PER_VISIT_MAX: usize = 4_096;
/// As many for all who come, ask or catch up in one turn.
pub const LOOKS_PER_TURN_MAX: usize = 16_384;
/// So long before what a client has shown ends it is told to show something newer; where less than
/// twice that is left when it comes, after half of it.
pub const RENEW_AHEAD: Duration = Duration::from_mins(1);
/// A WebSocket that begins without a credential has so long to show one.
pub const CREDENTIAL_MESSAGE_TIMEOUT: Duration = Duration::from_secs(10);
/// A stream outlives what its client has shown by so much at most, where that is configured.
pub const EXPIRY_GRACE_MAX: Duration = Duration::from_mins(5);
/// Numbers of principals that are looked at for whose they are before others get their turn.
pub const REGISTER_LOOKS_MAX: usize = 1_024;
/// Connections of a shard that are looked at in one turn for whose they are, where what somebody may
/// has changed.
pub const RECONSIDERED_PER_TURN_MAX: usize = 8_192;
/// Deletions that a lane keeps for its slowest subscribers; beyond it those start anew whose
/// sockets have taken nothing for [`HOLD_UP_TIMEOUT`].
pub const DELETIONS_KEPT_MAX: usize = 16_384;
/// How long a full socket may hold up a lane that keeps too many deletions: a client that reads
/// takes some within that time, however many come at once.
pub const HOLD_UP_TIMEOUT: Duration = Duration::from_secs(1);
/// Deletions beyond which a full socket may hold up no longer.
pub const DELETIONS_HELD_UP_MAX: usize = 8 * DELETIONS_KEPT_MAX;
/// Pages of history that are read for one shard at a time; who needs another waits, so that a
/// reconnect storm does not starve live traffic.
pub const CATCH_UPS_PER_SHARD_MAX: usize = 4;
/// Bytes of the pages of history that one shard keeps while somebody reads them.
pub const HISTORY_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Bytes that a subscriber may send on a stream that only the server writes to.
pub const IDLE_INPUT_BYTES_MAX: usize = 64 * 1024;
/// Time that bodies under way have once the server drains: who is told that this was too little
/// still hears it before the drain ends.
pub const DRAIN_BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Time that a drain takes at most.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(10);
/// Time that a first head has once the server drains, where its connection was there before.
pub const DRAIN_HEAD_TIMEOUT: Duration = Duration::from_millis(500);
/// Over this time reconnects are spread when the server drains.
pub const DRAIN_RETURN: Duration = Duration::from_secs(5);

// Access.

/// Renewals of one subject in a second: for each of them all connections that there are may be looked
/// through.
pub const RENEWALS_PER_SECOND: u64 = 50;

/// Bytes of a subject: who somebody is. It stands in every line of the audit.
pub const SUBJECT_BYTES_MAX: usize = 255;
/// Bytes of a credential as a client shows it: tokens of large directories have many groups.
pub const CREDENTIAL_BYTES_MAX: usize = 12 * 1024;
/// Bytes of what is known of those whose credentials were verified a moment ago.
pub const IDENTITIES_KNOWN_BYTES_MAX: usize = 64 * 1024 * 1024;
/// Issuers of tokens that there may be.
pub const ISSUERS_MAX: usize = 100;
/// Roles that there may be.
pub const ROLES_MAX: usize = 1_000;
/// API keys in the configuration.
pub const KEYS_CONFIGURED_MAX: usize = 10_000;
/// API keys that were made over the API, and those of the configuration that were taken back.
pub const KEYS_MADE_MAX: usize = 10_000;
/// Bytes of their records: of all durable records, so much that what else there is of access has room
/// besides.
pub const KEYS_MADE_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Roles of a key that is made over the API.
pub const ROLES_OF_KEY_MAX: usize = 64;
/// In such steps it is told when a key was last used.
pub const KEY_USE_STEP: Duration = Duration::from_mins(1);
/// How often at most that is written down of one key.
pub const KEY_USE_KEPT_INTERVAL: Duration = Duration::from_hours(1);
/// Filters, or matchers, that one text of a role makes of a subject's claims.
pub const RIGHTS_OF_TEMPLATE_MAX: usize = 64;
/// Entries of one list of a role; and filters of one right of a subject, all roles together.
pub const FILTERS_OF_RIGHTS_MAX: usize = 256;
/// Sets of matchers of one right of a subject, all roles together: each alert and series is held
/// against them.
pub const MATCHERS_OF_RIGHTS_MAX: usize = 256;
/// Bytes of all rights of one subject, with their expressions compiled.
pub const RIGHTS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Claims of one credential, those within others counted by themselves.
pub const CLAIMS_MAX: usize = 256;
/// Bytes of the claims of one credential: two hundred groups with long names, which is what large
/// directories put into a token.
pub const CLAIMS_BYTES_MAX: usize = 24 * 1024;
/// Bytes that each text of a claim counts for beside its own: what it takes to keep it.
pub const CLAIM_OVERHEAD_BYTES: usize = 32;
/// Objects within one another whose claims are kept; what lies deeper is passed over.
pub const CLAIM_DEPTH_MAX: usize = 4;
/// Bytes of a token. Its request's head has to have room for it.
pub const TOKEN_BYTES_MAX: usize = HEAD_BYTES_MAX;
/// How far the clock of whoever issues tokens and ours may be apart at most.
pub const TOKEN_LEEWAY_MAX: Duration = Duration::from_mins(5);
/// Bytes of the name of a key that tokens are signed with.
pub const KEY_ID_BYTES_MAX: usize = 255;
/// Bytes of a secret that tokens are signed with: a hash's worth, as RFC 7518 asks for.
pub const HMAC_SECRET_BYTES_MIN: usize = 32;
/// Bytes beyond which a file is something else than a secret.
pub const HMAC_SECRET_BYTES_MAX: usize = 4096;
/// Keys of one issuer.
pub const KEYS_OF_ISSUER_MAX: usize = 64;
/// Keys that one token is tried with, where it does not say which one it is: each costs a check of a
/// signature, and a stranger may send as many tokens as they like.
pub const KEYS_TRIED_MAX: usize = 4;
/// Bytes of a published set of keys: the largest in the field, with certificates, have some 30 KiB.
pub const JWKS_BYTES_MAX: usize = 256 * 1024;
/// How often such a set is fetched at most, whoever asks for it.
pub const JWKS_REFETCH_INTERVAL: Duration = Duration::from_secs(10);
/// How often it is tried at least while it cannot be fetched.
pub const JWKS_RETRY_MAX: Duration = Duration::from_mins(5);
/// How long it counts as fresh where its issuer does not say.
pub const JWKS_AGE_DEFAULT: Duration = Duration::from_mins(5);
/// The least that is taken of what its issuer says.
pub const JWKS_AGE_MIN: Duration = Duration::from_mins(1);
/// The most that is taken of it.
pub const JWKS_AGE_MAX: Duration = Duration::from_hours(24);
/// How long keys count beyond that, while no others can be fetched.
pub const JWKS_STALE_MAX: Duration = Duration::from_hours(24);
/// How long a request waits for keys that its token may be signed with.
pub const JWKS_WAIT_MAX: Duration = Duration::from_secs(3);
/// Requests that wait for the keys of one issuer at a time; others are answered at once.
pub const JWKS_WAITING_MAX: usize = 1_000;
/// Bytes of what an issuer says of itself (OIDC Discovery): the largest in the field have
/// some 10 KiB.
pub const DISCOVERY_BYTES_MAX: usize = 128 * 1024;
/// How long that is kept: then it is asked for again, together with the keys.
pub const DISCOVERY_AGE_MAX: Duration = Duration::from_hours(1);
/// How long a login at a provider may take, from here and back again.
pub const LOGIN_LASTS: Duration = Duration::from_mins(10);
/// Bytes of the path that a login leads to, and of the code that comes back of it.
pub const LOGIN_TEXT_BYTES_MAX: usize = 2_000;
/// Logins that ask their provider who it is at a time.
pub const LOGINS_FINISHING_MAX: usize = 32;
/// So many of them come from one network at most.
pub const LOGINS_FINISHING_OF_NETWORK_MAX: usize = 8;
/// Bytes of what a provider gives for a code.
pub const TOKENS_BYTES_MAX: usize = 64 * 1024;
/// How long one request to an issuer may take, from the connection to the last byte.
pub const ISSUER_TIMEOUT: Duration = Duration::from_secs(10);
/// Redirects of it that are followed, all within one origin.
pub const ISSUER_REDIRECTS_MAX: usize = 3;
/// Bytes of the name of a local user.
pub const USERNAME_BYTES_MAX: usize = 64;
/// Characters of a new password: it is all that stands between a stranger and an account.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 256;
/// KiB of memory that one check of a password may take, as its hash says.
pub const ARGON2_MEMORY_KIB_MAX: u32 = 64 * 1024;
/// Passes over that memory.
pub const ARGON2_PASSES_MAX: u32 = 10;
/// Lanes of that memory.
pub const ARGON2_LANES_MAX: u32 = 4;
/// Local users that there may be.
pub const USERS_MAX: usize = 1_000;
/// Wrong passwords in a row that one address, or one network of IPv6, may try.
pub const LOGINS_OF_ADDRESS_MAX: u32 = 20;
/// After so long an address has one more try.
pub const LOGINS_OF_ADDRESS_INTERVAL: Duration = Duration::from_secs(3);
/// Wrong passwords in a row that may be tried for one name.
pub const LOGINS_OF_NAME_MAX: u32 = 10;
/// After so long there is one more try for a name.
pub const LOGINS_OF_NAME_INTERVAL: Duration = Duration::from_secs(6);
/// Networks, and names, whose tries of late are counted, and networks where owners of names are at home.
pub const LOGIN_BUCKETS_MAX: usize = 10_000;
/// Logins that wait for the check of a password.
pub const LOGINS_WAITING_MAX: usize = 256;
/// So many of them come from one network at most.
pub const LOGINS_WAITING_OF_NETWORK_MAX: usize = 32;
/// Checks of passwords at a time; other logins wait for their turn.
pub const PASSWORD_CHECKS_MAX: usize = 2;
/// Bytes of the secret with which the server signs what it hands out.
pub const SERVER_SECRET_BYTES_MIN: usize = 32;
/// Bytes of a session or ticket as text. Browsers take 4,096 of a cookie with its name and what is
/// said of it, and a request's line has room for as many.
pub const SEALED_BYTES_MAX: usize = 3_800;
/// How long that counts what a proxy says of somebody: streams and sessions that are of it end then, and
/// the proxy is asked again.
pub const PROXIED_LASTS: Duration = Duration::from_hours(1);
/// How long a session lasts where nothing is said.
pub const SESSION_DEFAULT: Duration = Duration::from_hours(12);
/// How short a session may be.
pub const SESSION_MIN: Duration = Duration::from_mins(1);
/// How long a session may last.
pub const SESSION_MAX: Duration = Duration::from_hours(24 * 90);
/// Bytes of a session's name: 128 bits take 22.
pub const SESSION_ID_BYTES_MAX: usize = 64;
/// How long the audit is kept where its topic's configuration says nothing.
pub const AUDIT_RETENTION_AGE: Duration = Duration::from_hours(24 * 90);
/// Bytes of it: what is done again and again must not fill the disk.
pub const AUDIT_RETENTION_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How often the audit tells how many deeds it has not told one by one.
pub const AUDIT_COUNTS_INTERVAL: Duration = Duration::from_mins(10);
/// Whom it tells so of by name, of each kind; the others are counted together.
pub const AUDIT_COUNTS_MAX: usize = 100;
/// Somebodies whose deeds of one kind the audit tells apart; where there are more, theirs are counted
/// together.
pub const AUDITED_DOERS_MAX: usize = 10_000;
/// Deeds of one kind by one somebody that are told at once: what people do, for administrators first
/// of all. Behind that it is one in [`AUDITED_DEEDS_INTERVAL`].
pub const AUDITED_DEEDS_MAX: u32 = 100;
/// See there: what one can write in 90 days is about a tenth of what is kept.
pub const AUDITED_DEEDS_INTERVAL: Duration = Duration::from_mins(5);
/// The same of logins, logouts and tickets, which programs make, too.
pub const AUDITED_LOGINS_MAX: u32 = 20;
/// See there.
pub const AUDITED_LOGINS_INTERVAL: Duration = Duration::from_mins(10);
/// Renewals happen for as long as a stream is open: one in so long is told.
pub const AUDITED_RENEWALS_INTERVAL: Duration = Duration::from_hours(24);
/// Refusals of one somebody, or one network, that are told at once, and then one in
/// [`AUDITED_LOGINS_INTERVAL`].
pub const AUDITED_REFUSALS_MAX: u32 = 5;
/// Refusals of all strangers together that are told at once, and then one in
/// [`AUDITED_STRANGERS_INTERVAL`].
pub const AUDITED_STRANGERS_MAX: u32 = 100;
/// See there: what strangers can write in 90 days is a small part of what is kept.
pub const AUDITED_STRANGERS_INTERVAL: Duration = Duration::from_mins(1);
/// Subjects and sessions that were taken back.
pub const REVOCATIONS_MAX: usize = 10_000;
/// Bytes of their records: of all durable records, so much that keys have room besides.
pub const REVOCATIONS_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Sessions of one subject that were ended early and are known by their names; with one more all that
/// it has begun have ended.
pub const SESSIONS_ENDED_OF_SUBJECT_MAX: usize = 4;
/// How often it is written down for how long servers have been at work: what the last of it is not known
/// to have passed.
pub const LIVED_STEP: Duration = Duration::from_hours(1);
/// Subjects with sessions that were ended early. Each has a record of at most some 800 bytes: durable
/// records have 16 MiB for all of them.
pub const SUBJECTS_ENDED_MAX: usize = 20_000;
/// Changes of these records that are written at once, and a few more: less than 1 MiB, which others wait for.
pub const ENDED_BATCH_CHANGES_MAX: usize = 1_000;
/// Those of them that wait to be let go of: as many as all subjects have.
pub const ENDED_RECORDS_GONE_MAX: usize = SUBJECTS_ENDED_MAX * (SESSIONS_ENDED_OF_SUBJECT_MAX + 2);
/// Bytes of the body of a login.
pub const LOGIN_BODY_BYTES_MAX: usize = 16 * 1024;
/// How long after its making a stream ticket may be opened for the first time.
pub const TICKET_OPENS_WITHIN: Duration = Duration::from_mins(1);
/// How long a stream ticket that nobody uses can still be used.
pub const TICKET_UNUSED_MAX: Duration = Duration::from_mins(2);
/// Stream tickets that are in use.
pub const TICKETS_MAX: usize = 100_000;
/// Proxies between a client and this server, as headers name them.
pub const FORWARDERS_MAX: usize = 16;
/// Bytes of a header of the PROXY protocol: the certificates of clients that some add are longer, and
/// nobody reads them.
pub const PROXY_HEADER_BYTES_MAX: usize = 4096;
/// Addresses of which it is known when they have connected lately.
pub const ADDRESSES_LATELY_MAX: usize = 1_000_000;
/// Subjects with limits of which it is known what they have done lately.
pub const SUBJECTS_LIMITED_MAX: usize = 100_000;
/// How long a topic or a series counts of whoever has a limit of them, after it was used last: as long
/// as the value of a sample is shown. A name that was not used for half of it may be forgotten.
pub const NAMES_LATELY: Duration = SAMPLE_VALUE_AGE;
/// Topics and series that are counted for all subjects with a limit of them together, at most 40 bytes
/// each.
pub const NAMES_LIMITED_MAX: usize = 4_000_000;
