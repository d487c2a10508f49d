//! Why a TLS handshake fails for good.

use rustls::CertificateError;
use thiserror::Error;

/// Why no handshake with this server will do.
#[derive(Clone, Debug, PartialEq, Error)]
#[error("{}", fault.text())]
#[non_exhaustive]
pub struct TlsError {
    /// What is wrong.
    pub fault: TlsFault,
    source: rustls::Error,
}

/// What is wrong with a server's certificate, or its TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TlsFault {
    /// The certificate is of nobody who is trusted.
    Untrusted,
    /// The certificate has expired.
    Expired,
    /// The certificate is not valid yet.
    NotYetValid,
    /// The certificate is for another name.
    OtherName,
    /// The certificate is one of an authority, which signs others and is no server's own.
    OfAuthority,
    /// The certificate cannot be used for another reason.
    Unusable,
    /// What answers does not speak TLS.
    Missing,
    /// The server and this client speak no common TLS.
    Incompatible,
}

impl TlsFault {
    fn of(error: &rustls::Error) -> Option<Self> {
        match error {
            rustls::Error::InvalidCertificate(fault) => Some(Self::of_certificate(fault)),
            rustls::Error::InvalidMessage(_) => Some(Self::Missing),
            rustls::Error::PeerIncompatible(_) => Some(Self::Incompatible),
            _ => None,
        }
    }

    fn of_certificate(fault: &CertificateError) -> Self {
        match fault {
            // The others are signed by another authority with a name that is trusted.
            CertificateError::UnknownIssuer
            | CertificateError::BadSignature
            | CertificateError::UnsupportedSignatureAlgorithmForPublicKeyContext { .. } => {
                Self::Untrusted
            }
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => Self::Expired,
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                Self::NotYetValid
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                Self::OtherName
            }
            // The reason is not among those of rustls; it comes as what webpki says.
            CertificateError::Other(other)
                if format!("{other:?}").contains("CaUsedAsEndEntity") =>
            {
                Self::OfAuthority
            }
            _ => Self::Unusable,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Untrusted => "the server's certificate is not trusted here",
            Self::Expired => {
                "the server's certificate has expired: renew it, or look at this machine's clock"
            }
            Self::NotYetValid => {
                "the server's certificate is not valid yet: look at the clocks of both machines"
            }
            Self::OtherName => {
                "the server's certificate is for another name: write one of its own in the \
                 server's URL"
            }
            Self::OfAuthority => {
                "the server's certificate is one of an authority, which signs others and is no \
                 server's own: give the server one with `CA:FALSE` (`openssl req -x509 … -addext \
                 basicConstraints=critical,CA:FALSE`), or one that the authority has signed"
            }
            Self::Unusable => "the server's certificate cannot be used",
            Self::Missing => "what answers there does not speak TLS",
            Self::Incompatible => "the server and this client speak no common TLS",
        }
    }
}

impl TlsError {
    /// `None` where the next handshake may go well.
    pub(crate) fn of(error: &rustls::Error) -> Option<Self> {
        TlsFault::of(error).map(|fault| Self { fault, source: error.clone() })
    }

    pub(crate) fn code(&self) -> &'static str {
        match self.fault {
            TlsFault::Untrusted => "certificate_untrusted",
            TlsFault::Expired => "certificate_expired",
            TlsFault::NotYetValid => "certificate_not_yet_valid",
            TlsFault::OtherName => "certificate_of_other_name",
            TlsFault::OfAuthority => "certificate_of_authority",
            TlsFault::Unusable => "certificate_unusable",
            TlsFault::Missing => "tls_missing",
            TlsFault::Incompatible => "tls_incompatible",
        }
    }
}
