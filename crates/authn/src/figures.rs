//! What credentials are counted by.

bellwire_process::figures! {
    /// The figures of credentials.
    pub struct Figures {
        credentials_refused "counter" "bellwire_credentials_refused_total" "Credentials that were shown and are not valid here.";
    }
}
