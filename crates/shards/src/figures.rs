//! What streams, polls and publishers are counted by.

bellwire_process::figures! {
    /// The figures of streams, long polls and publications.
    pub struct Figures {
        streams_open "gauge" "bellwire_streams_open" "Open streams: SSE, NDJSON and WebSockets.";
        streams_lagging "gauge" "bellwire_streams_lagging" "Streams whose clients do not take what there is, or that wait for history.";
        lag_events "gauge" "bellwire_lag_events_max" "Events that the slowest of them lacks.";
        lag_ms "gauge" "bellwire_lag_milliseconds_max" "Age of the first event that the slowest of them lacks.";
        streams_stalled "counter" "bellwire_streams_stalled_total" "Streams ended because the client took no byte for too long.";
        credentials_expired "counter" "bellwire_streams_expired_total" "Streams ended because what their client had shown of who it is had ended.";
        credentials_revoked "counter" "bellwire_streams_revoked_total" "Streams ended because what their client had shown of who it is was taken back.";
        rights_changed "counter" "bellwire_streams_rights_changed_total" "Streams ended because what their client had shown anew lets it follow nothing of what they bring, or see other alerts or series.";
        credentials_tolerated "counter" "bellwire_streams_tolerated_total" "Streams that went on for a while behind the end of what their client had shown of who it is, as `expiry_grace` lets them.";
        polls_waiting "gauge" "bellwire_polls_waiting" "Long polls that wait for an event.";
        websockets_held "gauge" "bellwire_websockets_held_bytes" "Bytes that are held of what WebSockets' clients have sent in part, or ahead of what they are listened to.";
        ring_bytes "gauge" "bellwire_ring_bytes" "Bytes of the recent events in memory: payloads, and what they are encoded to.";
        lane_bytes "gauge" "bellwire_lane_bytes" "Bytes of the filters that somebody follows, and of the pointers to events and values that are held for each set of them.";
        turns "counter" "bellwire_shard_turns_total" "Turns of the threads that serve streams.";
        turn_looks_max "gauge" "bellwire_shard_turn_looks_max" "The most that one of these turns has looked at for those who come, ask or catch up: events, values, topics.";
        events_published "counter" "bellwire_events_published_total" "Events that the journal has acknowledged.";
        events_delivered "counter" "bellwire_events_delivered_total" "Events written to streams, once for each subscriber.";
        bytes_delivered "counter" "bellwire_bytes_delivered_total" "Bytes written to streams.";
        state_keys "gauge" "bellwire_state_keys" "Keys of all state topics.";
        state_bytes "gauge" "bellwire_state_bytes" "Bytes that state topics are charged with: values, what they are encoded to, keys, and what is around them.";
        past_series "gauge" "bellwire_state_history_series" "Series of which the recent past is remembered.";
        past_bytes "gauge" "bellwire_state_history_bytes" "Bytes that this takes.";
    }
    within {
        journal_failures "Appends that failed.";
    }
}
