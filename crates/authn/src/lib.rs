//! Who is asking: credentials verified, with the files, clocks, threads and sockets that it takes.
//!
//! ```text
//! head ─▶ Shown ─▶ Authenticator::identify ─▶ Identity (who, and what they may)
//!                    ├─ known     verified a moment ago
//!                    ├─ keys      API keys, of the configuration and of the journal
//!                    ├─ issuers   tokens, by keys that are configured or published
//!                    ├─ proxied   headers of proxies that are trusted
//!                    ├─ users     names and passwords, checked elsewhere and not too often
//!                    ├─ sessions  cookies of browsers, sealed with the server's secret
//!                    ├─ tickets   of streams, sealed with it, too
//!                    └─ revocations  what was taken back, asked behind all of these
//! ```
//!
//! What can be decided without any of these is in the crate `access`. What somebody may do of what a
//! request wants is asked above, where requests are.
#![deny(missing_docs)]

mod attempts;
mod authenticator;
pub mod config;
mod cookie;
mod ended;
mod figures;
mod issued;
mod issuers;
mod keys;
mod known;
mod lived;
mod network;
mod oidc;
mod outward;
mod places;
mod proxied;
mod records;
mod refusal;
mod revocations;
mod secret;
mod sessions;
mod shown;
mod tickets;
mod users;

pub use authenticator::{Affected, Authenticator, EndedElsewhere};
pub use config::NOBODY_COMES_IN;
pub use cookie::login_under_way;
pub use figures::Figures;
pub use issuers::{AccessError, KeyCause, check_access, explain_token};
pub use keys::{KeyOrder, KeySource, Keys, ListedKey};
pub use oidc::{CALLBACK_PATH, Departure, Return, Unarrived, cleared_login_cookie};
pub use outward::{AddressError, issuer_address};
pub use revocations::{Revocation, Revocations, Revoked};
pub use secret::{
    SecretError, SecretPlace, of_data_folder as secret_of_data_folder,
    of_process as secret_of_process,
};
pub use sessions::{Login, Logout, cleared_cookie};
pub use shown::{Cookies, Places, Query, Shown};
pub use tickets::MadeTicket;
