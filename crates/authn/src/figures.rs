//! What credentials are counted by.

bellwire_process::figures! {
    /// The figures of credentials.
    pub struct Figures {
        credentials_refused "counter" "bellwire_credentials_refused_total" "Credentials that were shown and are not valid here.";
        logins_failed "counter" "bellwire_logins_failed_total" "Logins at a provider that came to nothing.";
        issuer_keys_age "gauge" "bellwire_issuer_keys_age_seconds" "Age of the oldest keys that an issuer of tokens publishes; 0 where none were fetched.";
        issuers_stale "gauge" "bellwire_issuers_stale" "Issuers of tokens whose keys count, but should have been fetched anew.";
        issuers_without_keys "gauge" "bellwire_issuers_without_keys" "Issuers of tokens whose published keys are missing or too old to count; the log and `/readyz` say why.";
        issuer_keys_fetches "counter" "bellwire_issuer_keys_fetches_total" "Times that the published keys of an issuer were asked for.";
        issuer_keys_failures "counter" "bellwire_issuer_keys_failures_total" "Times that they could not be fetched.";
    }
}
